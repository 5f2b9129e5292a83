"""The cache of compiled code: what is damaged, foreign or not ours is compiled anew, never run."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from numba import njit

from hauberk_plugins.batch import compiled as module
from hauberk_plugins.batch.compiled import Cache


def used(folder: Path) -> int:
    """Use a function as a fresh process would; return how often it was compiled."""

    @njit
    def twice(number):
        return 2 * number

    twice._cache = Cache(folder, "twice")
    assert twice(21) == 42
    return sum(twice.stats.cache_misses.values())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache that is warm."""
    folder = tmp_path / "compiled"
    assert used(folder) == 1
    return folder


def test_a_warm_cache_compiles_nothing(folder: Path) -> None:
    assert used(folder) == 0


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "forged", "theirs", "link"])
def test_what_is_of_no_use_is_compiled_anew(
    folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = folder.iterdir()
    content = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(content[:1_000] + bytes([content[1_000] ^ 1]) + content[1_001:])
    elif damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "forged":
        path.write_bytes(b"\0" * 32 + b"cos\nabort\n(tR.")
    elif damage == "theirs":
        path.chmod(0o666)
    else:
        path.rename(folder.parent / path.name)
        path.symlink_to(folder.parent / path.name)
    assert used(folder) == 1
    assert "is compiled anew" in caplog.text
    assert used(folder) == 0


def test_a_folder_that_others_may_write_to_is_not_believed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.chmod(0o777)
    assert used(folder) == 1
    assert "is compiled anew" in caplog.text


def test_code_of_another_version_has_another_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SOURCES", "of another version")
    assert used(folder) == 1
    assert len(list(folder.iterdir())) == 2


def test_code_of_another_processor_has_another_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "numba.core.codegen.JITCPUCodegen.magic_tuple", lambda codegen: ("x86_64", "other", "")
    )
    assert used(folder) == 1


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert used(tmp_path / "file" / "compiled") == 1


def test_what_is_kept_is_private(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_folder_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert module.cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "hauberk/compiled"
    monkeypatch.setenv("HOME", str(tmp_path))
    for relative in ({}, {"XDG_CACHE_HOME": "relative"}):
        assert module.cache_folder(relative) == tmp_path / ".cache/hauberk/compiled"


def test_lanes_of_every_number_from_one_cache_do_not_take_each_other_for_themselves(
    compiled: Path, engine: object
) -> None:
    """In a process of its own: where they did, it was killed."""
    script = """
import hmac, sys
from pathlib import Path
from hauberk.batch import SignedBatch
from hauberk_plugins.batch.cpu import CpuEngine
for name in ("sha256", "sha512"):
    rows = [(b"m" * n, hmac.digest(b"k", b"m" * n, name), 0) for n in range(300)]
    for lanes in (16, 8, 16):
        batch = SignedBatch.of("hmac-" + name, rows, [b"k"])
        print(CpuEngine(lanes=lanes, cache=Path(sys.argv[1])).verify(batch) == b"\\1" * 300)
"""
    for _ in range(2):  # whatever is missing in the cache is there the second time
        command = [sys.executable, "-c", script, str(compiled)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout.split()) == (0, ["True"] * 6), done.stderr
