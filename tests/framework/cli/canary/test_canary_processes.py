"""Commands as processes of their own: what others on the machine see of one while it works.

Each is stopped where it holds a secret, waiting for more of its input.
"""

from __future__ import annotations

import fcntl
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from canary_disk import lay_out
from canary_marks import Marks
from canary_watch import Watcher
from canary_world import World

COMMAND = [sys.executable, "-m", "hauberk.cli"]


@pytest.fixture(scope="module")
def founded(tmp_path_factory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("canary-processes") / "world"
    root.mkdir(0o700)
    world = World(root, Marks())
    with pytest.MonkeyPatch.context() as patch:
        lay_out(world.root, world.marks)
        world.enter(patch)
        world.live()
    yield world
    sys.modules.pop("canary_alerts", None)


@pytest.fixture
def world(founded, monkeypatch) -> Iterator[World]:
    founded.enter(monkeypatch)
    # Which others may see of any process of the same user, and no part of what is looked at.
    for name in ("ENV_KEY", "ENV_SECRET", "PASSPHRASE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(founded.root / "site"))
    # Where these tests run in the background, it may be ignored, and would be in what they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield founded
    signal.signal(signal.SIGINT, before)


@contextmanager
def holding(world: World, words: str, *lines: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command and give it all but the end of its input."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *words.split()], bufsize=0, **pipes) as process:
        # Room for one write: there is room again once all of it was read.
        fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, 4_096)
        process.stdin.write("".join(lines).encode())
        poller = select.poll()
        poller.register(process.stdin, select.POLLOUT)
        assert poller.poll(60_000) == [(process.stdin.fileno(), select.POLLOUT)]
        try:
            yield process
        finally:
            process.kill()


def seen(world: World, process: subprocess.Popen[bytes]) -> list[str]:
    """What is found in what the system tells of a process, and in every file."""
    watcher = Watcher(world.marks, world.root, world.may_hold)
    about = Path(f"/proc/{process.pid}")
    for what in ("cmdline", "environ", "comm"):
        watcher.see((about / what).read_bytes(), what)
    watcher.look_at_files()
    return watcher.leaks


CASES = {
    "vault put": ("vault put main/held", ("held value",)),
    "config set": ("config set alerts.other --sealed", ("held sealed value",)),
    "user passwd": ("user passwd bob", ()),
    "login": ("login bob", ("password of bob",)),
}


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
@pytest.mark.parametrize("command", CASES)
def test_what_is_seen_of_it_and_what_it_leaves(world, command, how):
    words, names = CASES[command]
    typed = [
        world.marks.values[name].decode() if name in world.marks.values
        else world.marks.awkward(name)
        for name in names
    ]  # fmt: skip
    # A line for the password, and half of the next.
    text = "\n".join([*typed, world.marks.mark("half a line")])
    with holding(world, words, text) as process:
        assert seen(world, process) == []
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert limits.partition("Max core file size")[2].split()[0] == "0"
        process.send_signal(getattr(signal, how))
        out, err = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if how == "SIGKILL" else 130)
    for output in (out, err):
        assert world.marks.found(output) == set()
    assert world.look() == ()


def test_a_wrapping_key_command_is_told_nothing(world, monkeypatch):
    """What it is started with is what it sees itself."""
    monkeypatch.setenv("ENV_KEY", world.marks.values["env key"].decode())
    monkeypatch.setenv("ENV_SECRET", world.marks.values["env secret"].decode())
    dump = world.root / "tmp" / "child"
    script = f"cat /proc/$$/cmdline /proc/$$/environ > {dump}; cat {world.root}/keys/wrapping.key"
    text = world.config.read_text("utf-8")
    old = "key: file:../keys/wrapping.key"
    world.config.write_text(text.replace(old, f'command: [sh, -c, "{script}"]'), "utf-8")
    done = subprocess.run([*COMMAND, "vault", "get", "main/key"], capture_output=True, check=True)
    assert b"version 1" in done.stdout
    assert b"HAUBERK_CONFIG=" in dump.read_bytes()
    assert world.look() == ()
