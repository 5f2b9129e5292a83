"""Key rings among processes: made at once, rotated at once, forked, killed at any instant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hauberk_plugins.encryption.ringfile import read_ring

FULL = os.environ.get("HAUBERK_SWEEP") == "full"
CHILDREN = Path(__file__).with_name("_children.py")
_TIMEOUT_S = 300


def started(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILDREN), *map(str, words)]
    return subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True)


def finished(process: subprocess.Popen[str], typed: str = "") -> list[int]:
    """The numbers that it printed."""
    out, err = process.communicate(typed, timeout=_TIMEOUT_S)
    assert (process.returncode, err) == (0, "")
    return [int(word) for word in out.split() if word != "ready"]


def test_processes_that_start_at_once_make_one_ring(folder: Path) -> None:
    for attempt in range(3):
        state = folder / str(attempt)
        processes = [started("make", state) for _ in range(4)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        numbers = [finished(process) for process in processes]
        assert numbers == [numbers[0]] * 4
        assert [k.number for k in read_ring("", (state / "keyring.json").read_bytes()).keys] == (
            numbers[0]
        )


def test_processes_that_rotate_at_once_lose_no_key(folder: Path) -> None:
    processes = [started("rotate", folder, 10) for _ in range(4)]
    numbers = [number for process in processes for number in finished(process)]
    held = [k.number for k in read_ring("", (folder / "keyring.json").read_bytes()).keys]
    assert len(numbers) == len(set(numbers)) == 40
    assert sorted(held) == sorted(numbers)


def test_no_nonce_is_repeated_across_a_fork(folder: Path) -> None:
    count, different = finished(started("forked", folder, 10_000))
    assert count == different == 30_000


def test_a_ring_opens_under_the_old_or_the_other_key_whenever_its_writer_is_killed(
    folder: Path,
) -> None:
    rounds = 500 if FULL else 50
    acknowledged, *left_under = finished(started("killed", folder, rounds, "seed-1"))
    assert sum(left_under) == rounds
    # It was killed after changes, and left under either key, or the test would say nothing.
    assert acknowledged > 0
    assert min(left_under) > 0
