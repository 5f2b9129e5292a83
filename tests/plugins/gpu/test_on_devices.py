"""`device_checks.py` where kernels run: in the simulator, and on a GPU where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba.cuda", reason="what the GPU needs is not installed: make test-gpu")

CHECKS = Path(__file__).with_name("device_checks.py")
pytestmark = pytest.mark.gpu


def test_the_checks_hold_in_the_simulator() -> None:
    _run("1")


def test_the_checks_hold_on_a_gpu() -> None:
    script = "import sys; from numba import cuda; sys.exit(0 if cuda.is_available() else 9)"
    asked = subprocess.run([sys.executable, "-c", script], env=_environ("0"), check=False)
    assert asked.returncode in (0, 9)
    if asked.returncode == 9:
        pytest.skip("no GPU here: the kernels run in the simulator alone")
    _run("0")


def _environ(simulated: str) -> dict[str, str]:
    # numba reads it where it is imported first: no process can have both.
    return {**os.environ, "NUMBA_ENABLE_CUDASIM": simulated}


def _run(simulated: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CHECKS)]
    done = subprocess.run(
        command,
        env=_environ(simulated),
        cwd=CHECKS.parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    assert "skipped" not in done.stdout.splitlines()[-1]
