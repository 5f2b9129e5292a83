"""The file that halts, and the newest state that processes leave for each other."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from hauberk.errors import UnsafeFile
from hauberk.files import REAL
from hauberk_plugins.killswitch.folder import HALT, RELAY, StateFolder
from hauberk_plugins.killswitch.stored import Stored
from hauberk_plugins.killswitch.switch import Level, State

HALTED = State(Level.HALTED, "worst", "i-1")
LATER_NS = 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    return folder


class Broken:
    """The operating system, on which one operation fails."""

    def __init__(self, operation: str, error: int, name: str = "") -> None:
        self._operation, self._error, self._name = operation, error, name
        self.is_on = True

    def __getattr__(self, name: str) -> Any:
        real = getattr(REAL, name)
        if name != self._operation:
            return real

        def call(*args: Any, **options: Any) -> Any:
            if self.is_on and (not args or str(args[0]).endswith(self._name)):
                raise OSError(self._error, os.strerror(self._error))
            return real(*args, **options)

        return call


def quiet(path: Path) -> StateFolder:
    """Return one by whose clock every change is long ago."""
    return StateFolder(path, wall_ns=lambda: path.stat().st_mtime_ns + LATER_NS)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "fifo", "socket of others"])
def test_whatever_is_called_so_halts(path: Path, kind: str) -> None:
    folder = StateFolder(path)
    assert not folder.look().dropped
    match kind:
        case "folder":
            (path / HALT).mkdir()
        case "link":
            (path / HALT).symlink_to("nowhere")
        case "fifo":
            os.mkfifo(path / HALT)
        case _:
            (path / HALT).touch(0o644)
    assert folder.is_stirred()
    assert folder.look().dropped
    (path / HALT).rmdir() if kind == "folder" else (path / HALT).unlink()
    assert not folder.look().dropped


@pytest.mark.parametrize("name", ["halt", "HALT.txt", "HALTED", "Halt"])
def test_what_is_called_otherwise_does_not(path: Path, name: str) -> None:
    (path / name).touch()
    assert not StateFolder(path).look().dropped


def test_another_file_in_its_place_is_told_from_the_first(path: Path) -> None:
    folder = StateFolder(path)
    (path / HALT).touch()
    first = folder.look().dropped
    (path / HALT).unlink()
    (path / "spare").touch()
    (path / HALT).touch()
    os.utime(path / HALT, ns=(1, 1))
    assert folder.look().dropped != first


def test_a_folder_in_which_nothing_changed_is_not_looked_at_again(path: Path) -> None:
    folder = quiet(path)
    assert folder.is_stirred()
    folder.look()
    assert not folder.is_stirred()
    (path / HALT).touch()
    os.utime(path, ns=(5, 5))
    assert folder.is_stirred()


def test_a_change_in_the_tick_of_the_last_look_is_not_missed(path: Path) -> None:
    # The folder's time does not tell two changes within a tick of the kernel from each other.
    folder = StateFolder(path, wall_ns=lambda: path.stat().st_mtime_ns + 1_000_000)
    folder.look()
    assert folder.is_stirred()


def test_a_folder_that_was_never_there_holds_nothing(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "none")
    assert not folder.is_stirred()
    assert folder.look() == StateFolder(tmp_path / "none").look()
    assert not folder.look().problem


def test_a_folder_that_is_gone_is_a_problem(path: Path) -> None:
    folder = StateFolder(path)
    folder.look()
    path.rmdir()
    assert folder.is_stirred()
    assert folder.look().problem == "it is gone"
    assert folder.is_stirred()
    path.mkdir(0o700)
    assert not folder.look().problem


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ENOTDIR, errno.ESTALE])
@pytest.mark.parametrize("name", ["state", HALT, RELAY])
def test_a_folder_that_cannot_be_looked_at_is_a_problem(path: Path, error: int, name: str) -> None:
    files = Broken("stat", error, name)
    folder = StateFolder(path, files=files)  # type: ignore[arg-type]
    assert os.strerror(error) in folder.look().problem
    assert folder.is_stirred()
    files.is_on = False
    assert not folder.look().problem


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"{}", b"[" * 9_000, b'{"version": "1", "state": {}}',
                b'{"version": -1, "state": {}}', b'{"version": 1, "state": {}}']
)  # fmt: skip
def test_a_state_that_is_none_is_named(path: Path, content: bytes) -> None:
    (path / RELAY).write_bytes(content)
    (path / RELAY).chmod(0o600)
    assert RELAY in StateFolder(path).look().torn


def test_a_state_that_others_may_write_is_named_and_the_file_that_halts_is_seen(
    path: Path,
) -> None:
    StateFolder(path).relay(Stored(HALTED, 3))
    (path / RELAY).chmod(0o666)
    (path / HALT).touch()
    found = StateFolder(path).look()
    assert RELAY in found.torn
    assert found.dropped


def test_a_state_is_read_back_as_it_was_left(path: Path) -> None:
    StateFolder(path).relay(Stored(HALTED, 3))
    assert StateFolder(path).look().relay == Stored(HALTED, 3)
    assert (path / RELAY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("stands", "left", "expected"),
    [
        (Stored(HALTED, 3), Stored(State(), 2), Stored(HALTED, 3)),
        (Stored(HALTED, 3), Stored(State(), 4), Stored(State(), 4)),
        # What no store has yet is overwritten by nothing but what knows of it.
        (Stored(HALTED, 0), Stored(State(), 9), Stored(HALTED, 0)),
        (Stored(HALTED, 0), Stored(HALTED, 9), Stored(HALTED, 9)),
        (Stored(State(), 9), Stored(HALTED, 0), Stored(HALTED, 0)),
        (Stored(HALTED, 0), Stored(State(Level.RESTRICTED, "x", "i-2"), 0),
         Stored(State(Level.HALTED, "worst", "i-1", ("i-2",)), 0)),
    ],
)  # fmt: skip
def test_a_state_gives_way_to_what_is_newer_alone(
    path: Path, stands: Stored, left: Stored, expected: Stored
) -> None:
    StateFolder(path).relay(stands)
    StateFolder(path).relay(left)
    assert StateFolder(path).look().relay == expected


def test_what_cannot_be_read_gives_way(path: Path) -> None:
    (path / RELAY).write_bytes(b"torn")
    StateFolder(path).relay(Stored(State(), 4))
    assert StateFolder(path).look().relay == Stored(State(), 4)


def test_a_process_that_is_stopped_while_it_writes_holds_up_nobody_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    rests: list[float] = []
    monkeypatch.setattr("time.sleep", rests.append)
    folder = StateFolder(path)
    folder.relay(Stored(State(), 1))
    with (path / "killswitch.lock").open() as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        folder.relay(Stored(HALTED, 2))
    assert sum(rests) < 1
    assert StateFolder(path).look().relay == Stored(HALTED, 2)


def test_the_file_that_halts_says_why_and_is_left_as_it_is(path: Path) -> None:
    folder = StateFolder(path)
    assert folder.drop("fire") == path / HALT
    folder.drop("flood")
    assert (path / HALT).read_text() == "fire\n"
    assert folder.look().dropped


def test_a_full_disk_has_room_for_the_file_that_halts(path: Path) -> None:
    folder = StateFolder(path, files=Broken("write", errno.ENOSPC))  # type: ignore[arg-type]
    folder.drop("fire")
    assert StateFolder(path).look().dropped


def test_a_folder_of_others_is_not_written_to(path: Path) -> None:
    path.chmod(0o777)
    with pytest.raises(UnsafeFile):
        StateFolder(path).relay(Stored(HALTED, 1))
