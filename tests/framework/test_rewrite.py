"""An edited file takes the place of the one that was read: whole, durably, and of no other."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hauberk import rewrite as module
from hauberk.errors import UnsafeFile
from hauberk.files import FileOperations
from hauberk.rewrite import FileChanged, rewrite

OLD, NEW = b"a: 1\n", b"a: 2\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "hauberk.yml"
    made.write_bytes(OLD)
    made.chmod(0o600)
    return made


def left(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.iterdir())


class Failing(FileOperations):
    """Fails, or does something else first, at one call of one operation."""

    def __init__(self, name: str, number: int, act: Callable[[], object]) -> None:
        self.count, self._number, self._act = 0, number, act
        self._real = getattr(FileOperations, name)
        setattr(self, name, self._call)

    def _call(self, *args: Any, **named: Any) -> Any:
        self.count += 1
        if self.count == self._number:
            self._act()
        return self._real(*args, **named)


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_content_is_replaced_and_nothing_else_is_left(path: Path) -> None:
    rewrite(path, OLD, NEW)
    assert path.read_bytes() == NEW
    assert left(path) == ["hauberk.yml"]


@pytest.mark.parametrize(
    ("before", "after"),
    [(0o600, 0o600), (0o640, 0o640), (0o644, 0o644), (0o664, 0o644), (0o666, 0o644),
     (0o700, 0o600), (0o200, 0o200), (0o4755, 0o644)],
)  # fmt: skip
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_mode_stays_but_others_lose_the_right_to_write(
    path: Path, before: int, after: int, umask: int
) -> None:
    path.chmod(before)
    was = os.umask(umask)
    try:
        rewrite(path, OLD, NEW)
    finally:
        os.umask(was)
    assert path.stat().st_mode & 0o7777 == after


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_the_owner_stays(path: Path) -> None:
    os.chown(path, 1234, 4321)
    rewrite(path, OLD, NEW)
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 4321, 0o600)


def test_where_the_owner_cannot_stay_nothing_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    real = os.stat_result((0o100600, 1, 1, 1, 1234, 4321, 0, 0, 0, 0))
    monkeypatch.setattr(module, "_locked", lambda *_: real)
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(UnsafeFile, match="user id 1234, group id 4321; run this as that user"):
        rewrite(path, OLD, NEW)
    assert path.read_bytes() == OLD
    assert left(path) == ["hauberk.yml"]


def test_nobody_else_can_read_it_before_it_is_in_place(path: Path) -> None:
    seen: list[int] = []
    path.chmod(0o600)

    def look() -> None:
        for other in path.parent.glob(".hauberk-*.tmp"):
            seen.append(other.stat().st_mode & 0o777)

    for name in ("write", "fsync", "chmod", "rename"):
        rewrite(path, path.read_bytes(), NEW + name.encode(), files=Failing(name, 1, look))
    assert seen == [0o600] * 4


def test_a_link_stays_and_what_it_leads_to_is_replaced(path: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    link = tmp_path / "deep" / "link.yml"
    link.symlink_to("../middle.yml")
    (tmp_path / "middle.yml").symlink_to(path)
    rewrite(link, OLD, NEW)
    assert link.is_symlink()
    assert (tmp_path / "middle.yml").is_symlink()
    assert path.read_bytes() == NEW
    assert left(link) == ["link.yml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a link away")
def test_a_link_that_somebody_else_laid_is_not_followed(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yml"
    link.symlink_to(path)
    os.chown(link, 1234, 1234, follow_symlinks=False)
    with pytest.raises(UnsafeFile, match=r"link of user id 1234.*; name that: .*hauberk\.yml"):
        rewrite(link, OLD, NEW)
    assert path.read_bytes() == OLD
    os.chown(path, 1234, 1234)
    rewrite(link, OLD, NEW)  # their link to their own file
    assert path.read_bytes() == NEW


def test_a_read_only_file_stays_as_it_is(path: Path) -> None:
    path.chmod(0o400)
    with pytest.raises(UnsafeFile, match="it is read-only"):
        rewrite(path, OLD, NEW)
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("theirs", [b"", b"a: 3\n", b"a: 1\nb: 1\n", b"a: "])
def test_what_somebody_else_wrote_meanwhile_stands(path: Path, theirs: bytes) -> None:
    path.write_bytes(theirs)
    with pytest.raises(FileChanged, match="somebody else is changing it too; nothing was written"):
        rewrite(path, OLD, NEW)
    assert path.read_bytes() == theirs
    assert left(path) == ["hauberk.yml"]


def test_a_file_that_is_gone_is_not_made_again(path: Path) -> None:
    path.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        rewrite(path, OLD, NEW)
    assert caught.value.filename == str(path)
    assert left(path) == []


def test_another_process_at_the_same_point_is_not_waited_for(path: Path) -> None:
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(FileChanged):
            rewrite(path, OLD, NEW)
    rewrite(path, OLD, NEW)


def test_a_file_that_was_replaced_between_opening_and_locking_is_noticed(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"a: 3\n")
    with pytest.raises(FileChanged):
        rewrite(path, OLD, NEW, files=Failing("flock", 1, lambda: other.replace(path)))
    assert path.read_bytes() == b"a: 3\n"


def test_a_link_that_leads_elsewhere_by_now_is_noticed(path: Path, tmp_path: Path) -> None:
    link, other = tmp_path / "link.yml", tmp_path / "other.yml"
    other.write_bytes(OLD)
    link.symlink_to(path)

    def turn() -> None:
        link.unlink()
        link.symlink_to(other)

    with pytest.raises(FileChanged):
        rewrite(link, OLD, NEW, files=Failing("flock", 1, turn))
    assert (path.read_bytes(), other.read_bytes()) == (OLD, OLD)


def test_what_is_put_in_its_place_after_it_was_read_is_not_followed(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(OLD)

    def link() -> None:
        path.unlink()
        path.symlink_to(other)

    # The folder is opened first, then the file in it.
    with pytest.raises(OSError, match="symbolic link") as caught:
        rewrite(path, OLD, NEW, files=Failing("open", 2, link))
    assert caught.value.errno == errno.ELOOP
    assert other.read_bytes() == OLD


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *((name, 1) for name in ("write", "fchmod", "chmod", "rename", "read", "fstat", "flock")),
        *(("fsync", 1), ("flock", 2), ("open", 1), ("open", 2), ("open", 3)),
    ],
)
def test_whatever_fails_the_file_stands_as_it_was(path: Path, name: str, number: int) -> None:
    with pytest.raises(OSError, match="No space left"):
        rewrite(path, OLD, NEW, files=Failing(name, number, full))
    assert path.read_bytes() == OLD
    assert left(path) == ["hauberk.yml"]


def test_where_the_last_step_fails_the_whole_of_it_stands(path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        rewrite(path, OLD, NEW, files=Failing("fsync", 2, full))
    assert path.read_bytes() == NEW
    assert left(path) == ["hauberk.yml"]


def test_what_a_killed_editor_left_is_cleaned(path: Path) -> None:
    orphan = path.with_name(".hauberk-1-0123456789abcdef.tmp")
    orphan.write_bytes(b"x")
    orphan.chmod(0o600)
    rewrite(path, OLD, NEW)
    assert left(path) == ["hauberk.yml"]


def test_a_private_folder_is_not_demanded(path: Path) -> None:
    path.parent.chmod(0o777)
    rewrite(path, OLD, NEW)
    assert path.read_bytes() == NEW
