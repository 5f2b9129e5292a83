"""`hauberk verify` with a GPU, without one, and with one that is lost in the middle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("numba")

from tests.plugins.batch.archives import bad, good, write, write_keys
from tests.plugins.gpu.fake_device import FakeDevice, lost_at

from hauberk.cli.main import main
from hauberk_plugins.batch import text
from hauberk_plugins.gpu.device import DeviceMissing
from hauberk_plugins.gpu.engine import CudaEngine

NONE = "no NVIDIA GPU or no driver of one was found: `nvidia-smi` must list it"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(text, "ROWS", 10)
    compiled = Path(pytestconfig.cache.mkdir("hauberk")) / "compiled"
    monkeypatch.setattr("hauberk_plugins.batch.cpu.cache_folder", lambda: compiled)


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def verify(engine: str, opened: Callable[[], CudaEngine]) -> tuple[int, dict, str]:
        monkeypatch.setattr("hauberk_plugins.gpu.plugin.open_engine", opened)
        path = write(Path("a.jsonl"), [bad(n) if n == 31 else good(n) for n in range(40)])
        keys = write_keys(Path("k.json"))
        status = main(["verify", str(path), "--keys", str(keys), "--engine", engine, "--json"])
        captured = capsys.readouterr()
        return status, json.loads(captured.out or "{}"), captured.err

    return verify


def none() -> CudaEngine:
    raise DeviceMissing(NONE)


@pytest.mark.parametrize("engine", ["cuda", "auto"])
def test_a_gpu_is_used_where_there_is_one(verify, engine: str) -> None:
    status, document, said = verify(engine, lambda: CudaEngine(FakeDevice(), 4_096, 4))
    assert (status, document["engine"], document["invalid"], said) == (1, "cuda", 1, "")


def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error_that_says_what_to_do(verify) -> None:
    status, document, said = verify("cuda", none)
    assert (status, document["error"]) == (2, "EngineMissing")
    assert document["message"] == f"--engine cuda: {NONE}; --engine auto takes what runs here"
    assert document["message"] in said


def test_where_none_is_there_and_any_engine_will_do_nothing_is_said(verify) -> None:
    status, document, said = verify("auto", none)
    assert (status, document["engine"], said) == (1, "cpu", "")


@pytest.mark.parametrize("engine", ["cuda", "auto"])
def test_a_gpu_that_is_lost_is_said_once_and_the_processor_goes_on(verify, engine: str) -> None:
    device = FakeDevice()

    def counted(number: int, name: str) -> BaseException | None:
        launches = sum(call.name == "launch" for call in device.calls)
        return lost_at(0)(number, name) if launches > 5 else None

    device.fails = counted
    status, document, said = verify(engine, lambda: CudaEngine(device, 4_096, 4))
    assert (status, document["engine"], document["invalid"]) == (1, "cpu+cuda", 1)
    assert said.count("\n") == 1
    assert "an engine failed and is not asked again: the GPU failed: it is lost" in said
