"""What else stands in the folder of points stays, and takes the place of no good point."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plugins.recovery.conftest import Installation

from hauberk_plugins.recovery.errors import NoSuchPoint, PointAltered, PointForeign
from hauberk_plugins.recovery.making import clear_unfinished
from hauberk_plugins.recovery.results import Created

ID = "20260131T080000Z-0f9a3b77"
LATER = "20990101T000000Z-00000001"
OLDER = "20000101T000000Z-deadbeef"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return all that stands below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


# What is cleared.


@pytest.mark.parametrize(
    "name",
    [
        ".ssh", ".git", ".snapshots", ".hauberk-keys", ".drill", ".drill-", ".drill-plans",
        ".drill-0123456", ".drill-012345678", ".drill-0123ABCD", ".drill-01234567\n", ".making-",
        f"x.making-{ID}", ".making-of", f".making-{ID}-mine", f".making-{ID}\n", ".removed-mine",
        f".removed-{ID[:-1]}", f".other-{ID}", f"..removed-{ID}",
    ],
)  # fmt: skip
def test_nothing_of_others_is_cleared(here: Installation, name: str) -> None:
    here.folder.mkdir(mode=0o700)
    (here.folder / name).mkdir(mode=0o700)
    (here.folder / name / "precious").write_text("mine")
    made = here.recovery().create_recovery_point()
    here.recovery().restore_from_point(made.folder)  # which makes a point too
    assert (here.folder / name / "precious").read_text() == "mine"


@pytest.mark.parametrize("name", [f".making-{ID}", f".removed-{ID}", ".drill-0123abcd"])
def test_what_those_who_were_killed_have_left_is_cleared(here: Installation, name: str) -> None:
    here.folder.mkdir(mode=0o700)
    (here.folder / name / "state").mkdir(mode=0o700, parents=True)
    here.recovery().create_recovery_point()
    assert name not in names(here.folder)


@pytest.mark.parametrize("name", [f".making-{ID}", f".removed-{ID}", ".drill-0123abcd"])
def test_a_file_or_a_link_of_that_name_is_not_cleared(tmp_path: Path, name: str) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "precious").write_text("mine")
    folder = tmp_path / "points"
    folder.mkdir()
    (folder / name).symlink_to(away)
    clear_unfinished(folder)
    assert (folder / name / "precious").read_text() == "mine"
    (folder / name).unlink()
    (folder / name).write_text("mine")
    clear_unfinished(folder)
    assert (folder / name).read_text() == "mine"


def test_a_folder_that_belongs_to_somebody_else_is_not_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / f".making-{ID}"
    left.mkdir()
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    clear_unfinished(tmp_path)
    assert left.exists()
    monkeypatch.undo()
    clear_unfinished(tmp_path)
    assert not left.exists()


# What counts, and what is removed.


def test_installations_that_share_a_folder_remove_none_of_each_others_points(
    here: Installation, elsewhere: Callable[[str], Installation]
) -> None:
    there = elsewhere("there")
    there.folder = here.folder
    mine = here.recovery(keep=2).create_recovery_point()
    theirs = [there.recovery(keep=2).create_recovery_point() for _ in range(3)]
    assert theirs[2].removed == (theirs[0].manifest.id,)
    assert mine.folder.exists()
    assert here.recovery().find("latest") == mine.folder
    assert there.recovery().find("latest") == theirs[2].folder
    mine = here.recovery(keep=1).create_recovery_point()
    assert names(here.folder) == {
        mine.manifest.id, theirs[1].manifest.id, theirs[2].manifest.id, "lock",
    }  # fmt: skip


def empty(_: Created, folder: Path) -> None:
    folder.mkdir(mode=0o700)


def of_a_user(_: Created, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "precious").write_text("mine")


def half_copied(made: Created, folder: Path) -> None:
    shutil.copytree(made.folder, folder)
    rename(folder, made)
    (folder / "state/store.sqlite").unlink()


def copied(made: Created, folder: Path) -> None:
    """Whole, under another name: who wrote that name is not known."""
    shutil.copytree(made.folder, folder)


def rename(folder: Path, made: Created) -> None:
    """Have the manifest say the other name, as whoever has no key does it."""
    path = folder / "manifest"
    path.write_text(path.read_text().replace(made.manifest.id, folder.name))


def linked(made: Created, folder: Path) -> None:
    away = made.folder.parents[1] / f"away-{folder.name}"
    shutil.copytree(made.folder, away)
    folder.symlink_to(away)


@pytest.mark.parametrize("put", [empty, of_a_user, half_copied, copied, linked])
def test_what_only_has_the_name_of_a_point_is_not_removed_and_not_counted(
    here: Installation, put: Callable[[Created, Path], None]
) -> None:
    first = here.recovery(keep=2).create_recovery_point()
    for name in (OLDER, LATER, LATER[:-1] + "2"):
        put(first, here.folder / name)
    was = {name: tree(here.folder / name) for name in (OLDER, LATER)}
    second = here.recovery(keep=2).create_recovery_point()
    assert second.removed == ()
    third = here.recovery(keep=2).create_recovery_point()
    assert third.removed == (first.manifest.id,)
    assert second.folder.exists()
    assert {name: tree(here.folder / name) for name in was} == was
    notes: list[str] = []
    assert here.recovery().find("latest", notes.append) == third.folder
    assert [note.split(":")[0] for note in notes] == [
        str(here.folder / LATER), str(here.folder / (LATER[:-1] + "2")),
    ]  # fmt: skip
    assert all("passed over" in note for note in notes)


def lost(folder: Path) -> None:
    (folder / "state/store.sqlite").unlink()


def added(folder: Path) -> None:
    (folder / "state/precious").write_text("mine")


def cut_off(folder: Path) -> None:
    os.truncate(folder / "state/store.sqlite", 4096)


def torn(folder: Path) -> None:
    (folder / "manifest").write_text("torn")


def behind_a_link(folder: Path) -> None:
    """Whole, and in a folder of others that keeps the name, such as a mirror."""
    away = folder.parents[1] / "mirror"
    away.mkdir()
    folder.rename(away / folder.name)
    folder.symlink_to(away / folder.name)


@pytest.mark.parametrize("harm", [lost, added, cut_off, torn, behind_a_link])
def test_a_point_that_was_harmed_is_kept_and_takes_no_others_place(
    here: Installation, harm: Callable[[Path], None]
) -> None:
    good = here.recovery(keep=2).create_recovery_point()
    bad = here.recovery(keep=2).create_recovery_point()
    harm(bad.folder)
    was = tree(bad.folder)
    notes: list[str] = []
    assert here.recovery().find("latest", notes.append) == good.folder
    assert len(notes) == 1
    assert str(bad.folder) in notes[0]
    made = [here.recovery(keep=2).create_recovery_point() for _ in range(2)]
    assert [one.removed for one in made] == [(), (good.manifest.id,)]
    assert tree(bad.folder) == was


def test_a_point_on_a_bad_sector_is_kept_and_hides_no_other(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [here.recovery().create_recovery_point() for _ in range(3)]
    read = Path.read_bytes

    def unreadable(self: Path) -> bytes:
        if self == made[2].folder / "manifest":
            raise OSError(errno.EIO, "Input/output error", str(self))
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", unreadable)
    notes: list[str] = []
    assert here.recovery().find("latest", notes.append) == made[1].folder
    assert notes == [f"{made[2].folder}: passed over, it cannot be read: Input/output error"]
    listed = list(here.recovery().points())
    assert [one.problem for one in listed] == ["", "", "it cannot be read: Input/output error"]
    last = here.recovery(keep=1).create_recovery_point()
    assert last.removed == (made[0].manifest.id, made[1].manifest.id)
    assert made[2].folder.exists()


def test_where_none_is_whole_the_one_that_is_not_says_why(
    here: Installation, elsewhere: Callable[[str], Installation]
) -> None:
    made = here.recovery().create_recovery_point()
    lost(made.folder)
    assert here.recovery().find("latest") == made.folder
    with pytest.raises(PointAltered, match=r"state/store.sqlite is missing"):
        here.recovery().verify(here.recovery().find("latest"))
    shutil.rmtree(made.folder)
    theirs = elsewhere("there").recovery().create_recovery_point()
    shutil.copytree(theirs.folder, here.folder / theirs.manifest.id)
    with pytest.raises(PointForeign):
        here.recovery().verify(here.recovery().find("latest"))


def test_where_no_key_is_known_nobody_guesses_whose_point_is_wanted(
    here: Installation, elsewhere: Callable[[str], Installation]
) -> None:
    mine = here.recovery().create_recovery_point()
    shutil.rmtree(here.state)
    assert here.recovery().find("latest") == mine.folder
    there = elsewhere("there")
    there.folder = here.folder
    there.recovery().create_recovery_point()
    with pytest.raises(NoSuchPoint, match="points of several installations"):
        here.recovery().find("latest")
    with pytest.raises(NoSuchPoint, match="points of several installations"):
        here.recovery().undo()
    assert here.recovery().find(mine.manifest.id) == mine.folder


# Undoing.


def test_an_undo_takes_no_other_installations_point(
    here: Installation, elsewhere: Callable[[str], Installation]
) -> None:
    there = elsewhere("there")
    there.folder = here.folder
    mine = here.recovery().create_recovery_point()
    here.put("main", b"another key")
    here.recovery().restore_from_point(mine.folder)
    for _ in range(9):
        there.now()
    there.recovery().restore_from_point(there.recovery().create_recovery_point().folder)
    here.recovery().undo()
    assert here.sealed() == {"main": b"another key"}


def test_an_undo_does_not_go_further_back_than_the_last_restore(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    here.recovery().restore_from_point(made.folder)
    last = here.recovery().restore_from_point(made.folder)
    lost(here.folder / last.before)
    with pytest.raises(PointAltered):
        here.recovery().undo()
