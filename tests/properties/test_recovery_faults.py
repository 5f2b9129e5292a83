"""Every file operation of a restore fails in turn, or the process is killed there: the old state or
the new one, or what the next command ends; never neither. A point is whole, or there is none.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.plugins.recovery.conftest import Installation

from hauberk.errors import HauberkError
from hauberk.files import REAL, FileOperations
from hauberk_plugins.recovery.errors import Interrupted

FULL = os.environ.get("HAUBERK_SWEEP") == "full"
OPERATIONS = frozenset(name for name in dir(FileOperations) if not name.startswith("_"))
NO_MORE = 2_000
#: What stood when the point was made, and what stands.
STOOD: list[Any] = []
#: How an operation goes wrong, and whether it was done all the same.
FAULTS = {
    "ENOSPC": (errno.ENOSPC, False),
    "EIO": (errno.EIO, False),
    "EIO, though done": (errno.EIO, True),
}


class Faulty(FileOperations):
    """The real operations; one of them, counted from 0, goes wrong in some way."""

    def __init__(self, at: int, fault: Callable[[Callable[[], Any]], Any]) -> None:
        self.at = at
        self.fault = fault
        self.count = 0

    def __getattribute__(self, name: str) -> Any:
        if name not in OPERATIONS:
            return super().__getattribute__(name)
        real = getattr(REAL, name)

        def operation(*args: Any, **options: Any) -> Any:
            self.count += 1
            if self.count - 1 != self.at:
                return real(*args, **options)
            return self.fault(lambda: real(*args, **options))

        return operation


def failing(code: int, *, done: bool) -> Callable[[Callable[[], Any]], Any]:
    def fault(run: Callable[[], Any]) -> Any:
        if done:
            run()
        raise OSError(code, os.strerror(code))

    return fault


def killed(run: Callable[[], Any]) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_after(run: Callable[[], Any]) -> Any:
    try:
        run()
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], object]) -> int:
    """Do something in a process of its own; return how that ended."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            work()
            status = 0
        except HauberkError:
            status = 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(scope="module")
def quick() -> Iterator[Path]:
    """A folder in memory, where the system has one: what is forced to a disk is not the matter."""
    memory = Path("/dev/shm")  # noqa: S108
    folder = tempfile.mkdtemp(prefix="hauberk-", dir=memory if memory.is_dir() else None)
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture
def place(quick: Path) -> Iterator[Path]:
    """Where a test may put what it makes; the first of all is in `template`."""
    yield quick
    for path in quick.iterdir():
        if path.name != "template":
            shutil.rmtree(path)


@pytest.fixture(scope="module", autouse=True)
def template(quick: Path) -> None:
    """Make an installation that has gone on since it made a point."""
    here = Installation(quick / "template")
    here.put("main", b"old")
    here.put("gone", b"old")
    here.recovery().create_recovery_point()
    STOOD.append(here.standing())
    here.rotate()
    with here.live() as opened:
        opened.sealed("keys").delete("gone")
    here.put("main", b"new")
    here.put("more", b"new")
    here.config.write_text("plugins: [new]\n")
    STOOD.append(here.standing())


def changed(root: Path) -> tuple[Installation, Path, Any, Any]:
    """Copy it.

    Returns:
        It, the point, what stood when that was made, and what stands.
    """
    shutil.copytree(root.parent / "template", root)
    here = Installation(root)
    (listed,) = here.recovery().points()
    return here, listed.folder, *STOOD


def numbers(total: int, seed: str) -> Iterator[int]:
    """Yield which operations go wrong: all of them, or a seeded part."""
    chosen = range(total) if FULL else sorted(Random(seed).sample(range(total), total // 6))
    yield from chosen


def total_of(root: Path, work: Callable[[Installation, Path, FileOperations], object]) -> int:
    """Return how many operations there are where nothing goes wrong."""
    here, point, _, _ = changed(root / "counted")
    files = Faulty(-1, lambda run: run())
    work(here, point, files)
    assert 50 < files.count < NO_MORE
    return files.count


def restore(here: Installation, point: Path, files: FileOperations) -> None:
    here.recovery(files).restore_from_point(point)


def create(here: Installation, _: Path, files: FileOperations) -> None:
    here.recovery(files).create_recovery_point()


def whole_points(here: Installation) -> int:
    """Verify every point that there is; return how many."""
    listed = list(here.recovery().points())
    for one in listed:
        here.recovery().verify(one.folder)
    return len(listed)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_restore_that_fails_anywhere_leaves_the_old_state_or_the_new(
    place: Path, fault: str
) -> None:
    code, done = FAULTS[fault]
    for at in numbers(total_of(place, restore), fault):
        here, point, old, new = changed(place / str(at))
        try:
            restore(here, point, Faulty(at, failing(code, done=done)))
        except Interrupted:
            here.recovery().finish()
            assert here.standing() in (old, new)
        except HauberkError:
            assert here.standing() == new, at  # what stood before
        else:
            assert here.standing() == old
        assert not here.recovery().is_interrupted()
        assert whole_points(here) in (1, 2)
        here.recovery().finish()
        assert not (here.state / "restoring").exists()


@pytest.mark.parametrize("fault", [killed, killed_after])
def test_a_restore_that_is_killed_anywhere_is_ended_or_undone_by_the_next_command(
    place: Path, fault: Callable[[Callable[[], Any]], Any]
) -> None:
    decided = 0
    for at in numbers(total_of(place, restore), fault.__name__):
        here, point, old, new = changed(place / str(at))
        assert in_child(lambda: restore(here, point, Faulty(at, fault))) == -signal.SIGKILL  # noqa: B023
        was_decided = here.recovery().is_interrupted()
        if not was_decided:
            assert here.standing() in (old, new)
        here.recovery().finish()
        assert here.standing() == old if was_decided else here.standing() in (old, new)
        assert not (here.state / "restoring").exists()
        assert whole_points(here) in (1, 2)
        decided += was_decided
        here.recovery().restore_from_point(point)
        assert here.standing() == old
    assert decided > 0  # or no moment was one that matters


@pytest.mark.parametrize("fault", FAULTS)
def test_a_point_is_whole_or_there_is_none(place: Path, fault: str) -> None:
    code, done = FAULTS[fault]
    for at in numbers(total_of(place, create), fault):
        here, point, _, new = changed(place / str(at))
        try:
            create(here, point, Faulty(at, failing(code, done=done)))
        except HauberkError:
            # The last step but one gives it its name.
            assert whole_points(here) == 1 or done
        else:
            assert whole_points(here) == 2
        assert here.standing() == new


@pytest.mark.parametrize("fault", [killed, killed_after])
def test_of_a_point_whose_maker_is_killed_nothing_is_taken_for_one(
    place: Path, fault: Callable[[Callable[[], Any]], Any]
) -> None:
    for at in numbers(total_of(place, create), fault.__name__):
        here, point, _, new = changed(place / str(at))
        assert in_child(lambda: create(here, point, Faulty(at, fault))) == -signal.SIGKILL  # noqa: B023
        assert whole_points(here) in (1, 2)
        assert here.standing() == new
        here.recovery().create_recovery_point()
        assert not [path for path in here.folder.iterdir() if path.name.startswith(".")]


def test_a_restore_that_is_killed_at_any_moment_is_ended_or_undone(place: Path) -> None:
    """Not at an operation that is counted: wherever it happens to be, SQLite's own writes too."""
    here, point, old, new = changed(place / "here")
    moments = Random(7)
    ends = set()
    for turn in range(500 if FULL else 40):
        here.recovery().restore_from_point(point)
        here.config.write_text("plugins: [new]\n")
        here.put("main", b"new")
        new = here.standing()
        pid = os.fork()
        if pid == 0:
            try:
                here.recovery().restore_from_point(point)
            finally:
                os._exit(0)
        _pause(moments.uniform(0, 0.25))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        here.recovery().finish()
        assert here.standing() in (old, new), turn
        ends.add(here.standing() == old)
        for one in list(here.recovery().points()):
            if one.folder != point and not turn % 5:
                here.recovery().verify(one.folder)
        _keep(here, point)
    assert ends == {True, False}


def _pause(seconds: float) -> None:
    """Spend a moment: how far the other process comes in it is what is left to chance."""
    select.select([], [], [], seconds)


def _keep(here: Installation, point: Path) -> None:
    """Remove every point but one."""
    for one in list(here.recovery().points()):
        if one.folder != point:
            shutil.rmtree(one.folder)
