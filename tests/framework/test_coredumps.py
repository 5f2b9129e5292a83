"""A process that holds keys leaves no core dump, whatever limits it was started with."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hauberk import coredumps
from hauberk.cli.main import main

FILTER = Path("/proc/self/coredump_filter")
#: As a shell would start it that wants dumps; then it opens a guard, or does not, and crashes.
CRASH = """\
import os, pathlib, resource, sys
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
filter = pathlib.Path("/proc/self/coredump_filter")
if filter.exists():
    filter.write_text("0x33")
{then}
print(*resource.getrlimit(resource.RLIMIT_CORE), hard)
if filter.exists():
    print(int(filter.read_text(), 16))
sys.stdout.flush()
os.abort()
"""
OPENED = {
    "hauberk.open": "import hauberk; guard = hauberk.open('hauberk.yml', transient=True)",
    "a command": "from hauberk.cli.main import main; main(['--version'])",
    "a plugin's command": (
        "from hauberk.command import started\nwith started('hauberk.yml', 'killswitch'): pass"
    ),
}


def crashed(folder: Path, then: str) -> list[int]:
    """Crash in a folder; return what the process said of its limits and its filter."""
    (folder / "hauberk.yml").write_text("plugins: [killswitch, bots]\ngrants: {killswitch: []}\n")
    done = subprocess.run(
        [sys.executable, "-c", CRASH.format(then=then)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGABRT, done.stderr
    return [int(word) for word in done.stdout.split()[-4:] if word.lstrip("-").isdigit()]


def dumps(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != "hauberk.yml"]


@pytest.mark.parametrize("how", OPENED)
def test_a_crash_leaves_no_core_dump(tmp_path, how):
    soft, hard, was, *mask = crashed(tmp_path, OPENED[how])
    assert soft == 0
    # Whoever debugs may raise it again, and the bot's children are started as the bot was.
    assert hard == was
    assert mask in ([], [0])
    assert dumps(tmp_path) == []


def test_without_it_there_is_one_where_the_machine_leaves_dumps(tmp_path):
    """What shows that the test above could fail."""
    pattern = Path("/proc/sys/kernel/core_pattern")
    if not pattern.exists() or pattern.read_text().startswith(("|", "/")):
        pytest.skip("this machine puts core dumps elsewhere")
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        pytest.skip("this machine has no core dumps")
    crashed(tmp_path, "pass")
    assert len(dumps(tmp_path)) == 1


@pytest.mark.skipif(not FILTER.exists(), reason="Linux alone lets memory be left out of a dump")
def test_no_memory_is_let_into_a_dump_that_ignores_the_limit():
    coredumps.forbid()
    assert int(FILTER.read_text(), 16) == 0


def test_what_the_system_does_not_allow_stops_nothing(monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(coredumps, "_FILTER", tmp_path / "no" / "proc")
    coredumps.forbid()
    assert main(["--version"]) == 0


def test_children_inherit_it():
    coredumps.forbid()
    script = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"0"
