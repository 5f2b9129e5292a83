"""The engines under test; what they compile is kept from run to run, beside pytest's own cache."""

import fcntl
from pathlib import Path

import pytest

pytest.importorskip("numba")

from hauberk.batch import SignedBatch
from hauberk_plugins.batch.cpu import CpuEngine
from hauberk_plugins.batch.reference import ReferenceEngine


@pytest.fixture(scope="session")
def compiled(pytestconfig: pytest.Config) -> Path:
    return Path(pytestconfig.cache.mkdir("hauberk")) / "compiled"


@pytest.fixture(scope="session", params=[16, 8], ids=["16 lanes", "8 lanes"])
def engine(request: pytest.FixtureRequest, compiled: Path) -> CpuEngine:
    engine = CpuEngine(threads=2, lanes=request.param, cache=compiled)
    # One worker compiles, the others take what it has kept.
    with compiled.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for algorithm in ("hmac-sha256", "hmac-sha512"):
            engine.verify(SignedBatch.of(algorithm, [(b"", b"", 0)], [b""]))
    return engine


@pytest.fixture(scope="session")
def reference() -> ReferenceEngine:
    return ReferenceEngine(threads=2)
