"""Runs a program under `strace`, which fails one of its calls to the operating system.

Calls of its main thread alone: what other threads do is neither counted nor failed.

A run without a fault tells which calls there are that concern a folder. Then each of them in turn
gets an error, or the program is killed at it.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

FULL: Final = os.environ.get("HAUBERK_SWEEP") == "full"
_READS: Final = ("openat", "read", "pread64", "newfstatat", "getdents64", "flock", "fcntl")
_WRITES: Final = (
    *("write", "pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate"),
    *("rename", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "chmod", "fchmod"),
)
#: What no architecture lacks may be named outright; `?` lets strace pass over the others.
_CALLS: Final = ",".join(f"?{name}" for name in (*_READS, *_WRITES))
_LINE: Final = re.compile(r"(?:\[pid +\d+\] )?(\w+)\(")
_LIMIT_S: Final = 60


@frozen
class Fault:
    """One call that fails.

    Attributes:
        call: Its name.
        number: Which of that name, from 1.
        what: `EIO`, `ENOSPC`, or `SIGKILL`: the program ends there.
    """

    call: str
    number: int
    what: str

    @property
    def rule(self) -> str:
        """As strace has it."""
        does = "signal" if self.what.startswith("SIG") else "error"
        return f"inject={self.call}:{does}={self.what}:when={self.number}"


@frozen
class Run:
    """What came of a run.

    Attributes:
        said: What it wrote on stdout, line by line.
        err: What it wrote on stderr.
        status: Its exit status; negative where a signal ended it.
        trace: The calls, one a line.
    """

    said: tuple[str, ...]
    err: str
    status: int
    trace: tuple[str, ...]


def needs_strace() -> None:
    """Skip, visibly, where `strace` is not installed or may not trace."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: `apt install strace`")
    if subprocess.run(["strace", "-qq", "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may trace nothing here")


def run(script: Path, words: list[str], log: Path, fault: Fault | None = None) -> Run:
    """Run a Python program under strace."""
    rules = ["-e", f"trace={_CALLS}", *(["-e", fault.rule] if fault else [])]
    done = subprocess.run(
        ["strace", "-y", "-qq", "-s", "0", *rules, "-o", str(log),
         sys.executable, str(script), *words],
        capture_output=True, text=True, timeout=_LIMIT_S, check=False,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    trace = tuple(log.read_text(errors="replace").splitlines())
    return Run(tuple(done.stdout.splitlines()), done.stderr, done.returncode, trace)


def faults(clean: Run, folder: Path, part: int, seed: int) -> Iterator[Fault]:
    """Yield a fault for each call of a run that concerns a folder; a part of them, seeded.

    Args:
        clean: The run without one.
        folder: The folder.
        part: One of so many is tried, unless all are.
        seed: Which.
    """
    counts: Counter[str] = Counter()
    found = []
    for line in clean.trace:
        match = _LINE.match(line)
        if match is None:
            continue
        call = match[1]
        counts[call] += 1
        if str(folder) not in line or "ENOENT" in line:
            continue
        kinds = ("EIO", "ENOSPC", "SIGKILL") if call in _WRITES else ("EIO",)
        found += [Fault(call, counts[call], what) for what in kinds]
    if not FULL:
        found = random.Random(seed).sample(found, -(-len(found) // part))
    yield from found


def is_hit(made: Run, folder: Path) -> bool:
    """Whether the fault met a call that concerns the folder, and not another by the same number."""
    if made.status < 0:  # killed: the last call that was noted
        return bool(made.trace) and any(str(folder) in line for line in made.trace[-3:])
    return any("INJECTED" in line and str(folder) in line for line in made.trace)
