"""Every file operation fails in turn, or the process dies there: the old content or the new, never
neither, nobody else may look at any moment, and nothing is left that cannot be cleaned up.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.files import (
    REAL,
    FileOperations,
    clean_orphans,
    make_private_folder,
    name_on_disk,
    read_private,
    write_private,
)
from hauberk.secret import Secret

FULL = os.environ.get("HAUBERK_SWEEP") == "full"
OPERATIONS = [name for name in dir(FileOperations) if not name.startswith("_")]
OLD, NEW = b"old" * 1000, b"new" * 2000


class Killed(BaseException):
    """The process ends here."""


def failing(code: int) -> Callable[..., Any]:
    def fault(run: Callable[[], Any], _name: str, _args: tuple[Any, ...]) -> Any:
        raise OSError(code, os.strerror(code))

    return fault


def failing_after(code: int) -> Callable[..., Any]:
    def fault(run: Callable[[], Any], _name: str, _args: tuple[Any, ...]) -> Any:
        run()
        raise OSError(code, os.strerror(code))

    return fault


def short(run: Callable[[], Any], name: str, args: tuple[Any, ...]) -> Any:
    if name == "write":
        return os.write(args[0], args[1][: max(1, len(args[1]) // 2)])
    return os.read(args[0], 1) if name == "read" else run()


def dying(run: Callable[[], Any], _name: str, _args: tuple[Any, ...]) -> Any:
    raise Killed


def dying_after(run: Callable[[], Any], _name: str, _args: tuple[Any, ...]) -> Any:
    run()
    raise Killed


FAULTS: dict[str, Callable[..., Any]] = {
    "ENOSPC": failing(errno.ENOSPC),
    "EIO": failing(errno.EIO),
    "EINTR": failing(errno.EINTR),
    "EIO, though done": failing_after(errno.EIO),
    "short": short,
    "killed before": dying,
    "killed after": dying_after,
}


class Faulty(FileOperations):
    """The real operations; at some of their numbers, counted from 0, something else happens.

    Whoever was killed does nothing more, and the kernel closes what it had open.
    """

    def __init__(
        self, faults: dict[int, Callable[..., Any]], look: Callable[[], object] = lambda: None
    ) -> None:
        self.faults = faults
        self.look = look
        self.count = 0
        self.is_dead = False
        self.opened: set[int] = set()

    def __getattribute__(self, name: str) -> Any:
        if name not in OPERATIONS:
            return super().__getattribute__(name)
        real = getattr(REAL, name)

        def operation(*args: Any, **options: Any) -> Any:
            return self.run(name, lambda: real(*args, **options), args)

        return operation

    def run(self, name: str, real: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        def noted() -> Any:
            done = real()
            if name == "open":
                self.opened.add(done)
            if name == "close":
                self.opened.discard(args[0])
            return done

        if self.is_dead:
            raise Killed
        fault = self.faults.get(self.count)
        self.count += 1
        self.look()
        try:
            return noted() if fault is None else fault(noted, name, args)
        except Killed:
            self.is_dead = True
            raise
        finally:
            self.look()

    def bury(self) -> None:
        """Close what was left open, as the kernel does for a process that has ended."""
        for descriptor in self.opened:
            os.close(descriptor)


@pytest.fixture(autouse=True)
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "private"
    make_private_folder(made)
    return made


def looking(folder: Path) -> Callable[[], None]:
    """Look at everything in a folder: whatever it is, only its owner may use it."""

    def look() -> None:
        for path in folder.iterdir():
            assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path.name

    return look


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(folder: Path, files: Faulty, *, replace: bool, data: bytes = NEW) -> str:
    """Write, and say how it ended: `done`, `failed` or `killed`."""
    try:
        write_private(folder / "file", data, replace=replace, files=files)
    except OSError:
        return "failed"
    except Killed:
        return "killed"
    finally:
        files.bury()
    return "done"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("old", "replace"), [(OLD, True), (None, True), (None, False)])
def test_a_write_that_fails_or_dies_anywhere_leaves_the_old_or_the_new(
    tmp_path, old, replace, fault
):
    for number in range(100):
        folder = tmp_path / str(number)
        make_private_folder(folder)
        if old is not None:
            write_private(folder / "file", old)
        files = Faulty({number: FAULTS[fault]}, looking(folder))
        ended = write(folder, files, replace=replace)
        there = read_private(folder / "file") if (folder / "file").exists() else None
        assert there in (old, NEW)
        if ended == "done":
            assert there == NEW
        if ended != "killed" and fault == "short":
            assert ended == "done"
        clean_orphans(folder)
        assert names(folder) == ([] if there is None else ["file"])
        if files.count <= number:
            assert ended == "done"
            return
    pytest.fail("it never ends")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_that_is_not_the_end_leaves_no_temporary_unless_removing_it_fails(folder, fault):
    for number in range(100):
        files = Faulty({number: FAULTS[fault]})
        ended = write(folder, files, replace=True)
        if ended == "failed":
            assert names(folder) in ([], ["file"]) or fault == "EIO, though done"
        clean_orphans(folder)
        if files.count <= number:
            return
    pytest.fail("it never ends")


@given(
    writes=st.lists(
        st.tuples(
            st.binary(max_size=40),
            st.dictionaries(st.integers(0, 14), st.sampled_from(sorted(FAULTS)), max_size=3),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_whatever_fails_in_whatever_order_what_was_acknowledged_is_there(writes):
    with TemporaryDirectory() as made:
        folder = Path(made)
        allowed: set[bytes | None] = {None}
        for data, faults, cleans in writes:
            files = Faulty({n: FAULTS[name] for n, name in faults.items()}, looking(folder))
            ended = write(folder, files, replace=True, data=data)
            allowed = {data} if ended == "done" else allowed | {data}
            there = read_private(folder / "file") if (folder / "file").exists() else None
            assert there in allowed
            allowed = {there}
            if cleans:
                clean_orphans(folder)
                assert names(folder) == ([] if there is None else ["file"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_fails_or_dies_anywhere_is_made_the_next_time(tmp_path, fault):
    for number in range(100):
        start = tmp_path / f"{fault} {number}"
        make_private_folder(start)
        files = Faulty({number: FAULTS[fault]}, looking(start))
        try:
            make_private_folder(start / "a" / "b", files=files)
        except (OSError, Killed):
            files.bury()
            make_private_folder(start / "a" / "b")
        assert stat.S_IMODE((start / "a" / "b").stat().st_mode) == 0o700
        if files.count <= number:
            return
    pytest.fail("it never ends")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_read_that_fails_anywhere_gives_all_or_an_error(folder, fault):
    write_private(folder / "file", OLD)
    for number in range(100):
        files = Faulty({number: FAULTS[fault]})
        with contextlib.suppress(OSError, Killed):
            assert read_private(folder / "file", files=files) == OLD
        files.bury()
        if files.count <= number:
            return
    pytest.fail("it never ends")


@pytest.mark.parametrize("fault", FAULTS)
def test_cleaning_that_fails_anywhere_is_done_the_next_time(folder, fault):
    for number in range(100):
        write_private(folder / "file", OLD)
        for turn in range(3):
            path = folder / f".hauberk-1-{turn:016x}.tmp"
            path.touch(0o600)
        files = Faulty({number: FAULTS[fault]})
        with contextlib.suppress(OSError, Killed):
            clean_orphans(folder, files=files)
        files.bury()
        clean_orphans(folder)
        assert names(folder) == ["file"]
        assert read_private(folder / "file") == OLD
        if files.count <= number:
            return
    pytest.fail("it never ends")


@pytest.mark.parametrize("fault", ["killed before", "killed after"])
def test_of_a_secret_where_nothing_stands_nothing_is_left_by_whoever_is_killed(folder, fault):
    for number in range(100):
        files = Faulty({number: FAULTS[fault]})
        with contextlib.suppress(Killed):
            write_private(folder / "file", Secret(NEW), replace=False, files=files)
        files.bury()
        assert set(names(folder)) <= {"file"}
        if names(folder):
            assert (folder / "file").read_bytes() == NEW
            (folder / "file").unlink()
        if files.count <= number:
            return
    pytest.fail("it never ends")


def test_somebody_who_cleans_at_any_moment_stops_no_writer(folder):
    for number in range(100):

        def cleaning(run: Callable[[], Any], _name: str, _args: tuple[Any, ...]) -> Any:
            clean_orphans(folder)
            return run()

        data = b"%d" % number
        files = Faulty({number: cleaning})
        write_private(folder / "file", data, files=files)
        assert read_private(folder / "file") == data
        assert names(folder) == ["file"]
        if files.count <= number:
            return
    pytest.fail("it never ends")


def test_writers_readers_and_somebody_who_cleans_share_a_file(folder):
    ended, wrong = threading.Event(), []
    write_private(folder / "file", b"0" * 5000)

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                wrong.append(error)

        return run

    @guarded
    def writes() -> None:
        for turn in range(50):
            write_private(folder / "file", b"%d" % (turn % 10) * 5000)

    @guarded
    def reads() -> None:
        while not ended.is_set():
            content = read_private(folder / "file")
            assert len(content) == 5000
            assert len(set(content)) == 1

    @guarded
    def cleans() -> None:
        while not ended.is_set():
            clean_orphans(folder)

    writers = [threading.Thread(target=writes) for _ in range(4)]
    others = [threading.Thread(target=reads), threading.Thread(target=cleans)]
    for thread in (*writers, *others):
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    for thread in others:
        thread.join()
    assert wrong == []
    assert names(folder) == ["file"]


# Forks a writer for each line that it is sent, and says when that has begun and is gone.
WRITERS = """
import os, sys
from hauberk.files import write_private

for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        turn = 0
        while True:
            turn += 1
            write_private(sys.argv[1], b"%08d" % turn * 4096)
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""


def test_a_writer_that_is_killed_at_any_moment_leaves_one_whole_version(folder):
    moments = random.Random(3)
    path, killed, orphans = folder / "file", 0, 0
    write_private(path, b"%08d" % 0 * 4096)
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writers:
        for _ in range(500 if FULL else 50):
            print("go", file=writers.stdin, flush=True)
            pid = int(writers.stdout.readline())
            for _ in range(moments.randrange(1, 200)):
                content = read_private(path)
                assert content == content[:8] * 4096
            os.kill(pid, signal.SIGKILL)
            assert writers.stdout.readline() == "gone\n"
            orphans += len(names(folder)) - 1
            content = read_private(path)
            assert content == content[:8] * 4096
            assert names(folder) == ["file"]
            killed += 1
        writers.stdin.close()
    assert killed == (500 if FULL else 50)
    assert orphans > 0  # or no moment was one that matters


@given(first=st.text(), second=st.text())
def test_names_are_the_same_only_if_what_they_stand_for_is(first, second):
    assert (name_on_disk(first) == name_on_disk(second)) == (first == second)


@given(
    name=st.text(st.characters(exclude_categories=()), max_size=5000)
    | st.sampled_from(["../x", "/x", "CON", "", ".", "..", "\0", "\ud800"])
)
def test_any_name_at_all_is_only_a_name(name):
    derived = name_on_disk(name)
    assert len(derived) == 64
    assert set(derived) <= set("0123456789abcdef")
