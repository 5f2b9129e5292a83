"""A wrapping key that a command prints."""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from hauberk.errors import InvalidValue
from hauberk_plugins.encryption.errors import NoKey
from hauberk_plugins.encryption.keycommand import KeyCommand

KEY = bytes(range(32))
TEXT = b64encode(KEY).decode()
CANARY = "c4nary-s3cret"
FAR_S = 60.0


def running(body: str, timeout_s: float = FAR_S) -> KeyCommand:
    """A command that runs a line of Python."""
    return KeyCommand([sys.executable, "-I", "-S", "-c", body], timeout_s)


def test_what_it_prints_is_the_key() -> None:
    source = running(f"print({TEXT!r})")
    assert source.fetch().reveal() == KEY
    assert (source.reference, source.is_passphrase) == (f"command {sys.executable}", False)


def test_no_shell_reads_it(tmp_path: Path) -> None:
    word = f"$(touch {tmp_path}/x); `touch {tmp_path}/x` > {tmp_path}/x"
    source = KeyCommand([sys.executable, "-I", "-S", "-c", f"print({TEXT!r})", word])
    assert source.fetch().reveal() == KEY
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (f"print({CANARY!r}); raise SystemExit(7)", "it exited with 7"),
        (f"print({TEXT!r}); raise SystemExit(1)", "it exited with 1"),
        ("import os; os.kill(os.getpid(), 9)", "it was ended by signal 9"),
        (f"print({CANARY!r})", "it did not print 32 bytes in base64"),
        ("pass", "it did not print 32 bytes in base64"),
        (f"import sys; sys.stderr.write({CANARY!r}); raise SystemExit(2)", "it exited with 2"),
        (f"print({CANARY!r} * 1_000_000)", "it printed more than 1024 bytes"),
        (f"while True: print({TEXT!r}, flush=True)", "it printed more than 1024 bytes"),
    ],
)
def test_anything_else_is_said_and_nothing_of_it_shown(
    body: str, told: str, capfd: pytest.CaptureFixture[str], shown: Callable[[BaseException], str]
) -> None:
    with pytest.raises(NoKey, match=f": {told}; run it by hand") as caught:
        running(body).fetch()
    assert CANARY not in str(caught.value)
    # The frames hold the command as it is configured, which has the canary in it here alone.
    assert CANARY not in "".join(capfd.readouterr())
    assert TEXT not in shown(caught.value).replace(repr(body), "")


@pytest.mark.parametrize("name", ["there-is-no-such-command", "/", "/dev/null"])
def test_what_cannot_be_run_is_said(name: str) -> None:
    with pytest.raises(NoKey, match=rf"from command {name}: it cannot be run: "):
        KeyCommand([name]).fetch()


def test_a_command_that_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    body = f"""
import os, signal
child = os.fork()
with open({str(pids)!r}, "a") as file:
    file.write(f"{{os.getpid()}}\\n")
os.write(1, b"A")
signal.pause()
"""
    times: list[float] = []

    def monotonic() -> float:
        # Time passes once both have begun; what they print has it looked at.
        is_over = bool(times) and pids.exists() and len(pids.read_text().splitlines()) == 2
        times.append(31.0 if is_over else 0.0)
        return times[-1]

    source = KeyCommand([sys.executable, "-I", "-S", "-c", body], 30.0, monotonic)
    with pytest.raises(NoKey, match="it did not end within 30 s"):
        source.fetch()
    for pid in map(int, pids.read_text().split()):
        assert any(_is_gone(pid) for _ in range(100_000))


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def test_it_gets_no_stdin_and_no_open_files() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        body = f"""
import os, sys
try:
    os.fstat({descriptor})
except OSError:
    print({TEXT!r} if sys.stdin.read() == "" else "")
"""
        assert running(body).fetch().reveal() == KEY
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("argv", [[], [""], ["a\0b"], ["a", "b\0"]])
def test_what_is_no_command_is_refused(argv: list[str]) -> None:
    with pytest.raises(InvalidValue):
        KeyCommand(argv)


def test_its_arguments_are_not_shown() -> None:
    with pytest.raises(NoKey) as caught:
        KeyCommand(["/dev/null", CANARY]).fetch()
    assert CANARY not in str(caught.value)
