"""Going back to a point: verified first, all or nothing, and what must not go back does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plugins.recovery.conftest import Installation, checkpoint

from hauberk.secret import Secret
from hauberk_plugins.killswitch.switch import Level, State
from hauberk_plugins.recovery.errors import (
    DrillFailed,
    NoSuchPoint,
    NotRestored,
    PointAltered,
    PointForeign,
    PointNotMade,
    RecoveryError,
    Rollback,
    StateInUse,
)
from hauberk_plugins.recovery.lock import InUse
from hauberk_plugins.recovery.point import points


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def halt(level: Level = Level.HALTED, title: str = "a test") -> bytes:
    return State(level, title).to_bytes()


def test_what_was_in_place_is_in_place_again(here: Installation) -> None:
    made = here.recovery().create_recovery_point("before the change")
    was = here.standing()
    here.put("main", b"another key")
    here.put("more", b"")
    here.rotate()
    here.put("third", b"sealed under another data key")
    here.config.write_text("plugins: [new]\n")
    assert here.standing() != was
    done = here.recovery().restore_from_point(made.folder)
    assert here.standing() == was
    assert done.manifest == made.manifest
    assert names(here.state) == [
        "keyring.json", "keyring.lock", "recovery.lock", "store.made", "store.sqlite",
        "store.sqlite-journal",
    ]  # fmt: skip


def test_a_restore_can_be_undone_and_that_too(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    old = here.standing()
    here.put("main", b"another key")
    here.config.write_text("plugins: [new]\n")
    new = here.standing()
    here.recovery().restore_from_point(made.folder)
    here.recovery().undo()
    assert here.standing() == new
    here.recovery().undo()
    assert here.standing() == old


def test_there_is_nothing_to_undo_where_nothing_was_restored(here: Installation) -> None:
    here.recovery().create_recovery_point()
    with pytest.raises(NoSuchPoint):
        here.recovery().undo()


def test_the_configuration_may_stay(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    here.config.write_text("plugins: [new]\n")
    here.put("main", b"another key")
    here.recovery().restore_from_point(made.folder, keep_config=True)
    assert here.config.read_text() == "plugins: [new]\n"
    assert here.sealed() == {"main": b"a trading key"}


def test_included_files_come_back_and_those_that_were_not_there_stay_away(
    here: Installation,
) -> None:
    (here.root / "venues").mkdir()
    own = here.root / "venues" / "own.yml"
    own.write_text("old")
    made = here.recovery(include=["venues/own.yml"]).create_recovery_point()
    own.write_text("new")
    own.chmod(0o640)
    here.recovery().restore_from_point(made.folder)
    assert own.read_text() == "old"
    assert own.stat().st_mode & 0o777 == 0o640
    own.unlink()
    here.recovery().restore_from_point(made.folder)
    assert own.read_text() == "old"


def test_a_whole_loss_is_restored_from_a_copy_and_the_wrapping_key(
    here: Installation, tmp_path: Path
) -> None:
    made = here.recovery().create_recovery_point()
    fresh = Installation(tmp_path / "fresh")
    shutil.copytree(made.folder, tmp_path / "usb")
    done = fresh.recovery().restore_from_point(tmp_path / "usb")
    assert fresh.standing() == here.standing()
    assert done.before == ""
    # Nobody knows whether a halt was in force when all was lost.
    state = State.from_bytes(fresh.plain("state", "killswitch") or b"")
    assert state.level is Level.HALTED
    assert "resume" in done.notes[0]
    with fresh.live() as opened:
        opened.plain("killswitch").delete("state")
    # From here on it is the same installation.
    assert fresh.recovery().verify(made.folder) == (made.manifest, True)


def test_without_the_wrapping_key_nothing_is_restored(here: Installation, tmp_path: Path) -> None:
    made = here.recovery().create_recovery_point()
    fresh = Installation(tmp_path / "fresh", Secret(bytes(31) + b"x"))
    with pytest.raises(DrillFailed, match="what it holds does not open"):
        fresh.recovery().restore_from_point(made.folder)
    assert not (fresh.state / "store.sqlite").exists()
    assert not (fresh.state / "keyring.json").exists()


def test_what_a_point_says_of_itself_is_vouched_for_by_what_it_seals(
    here: Installation, elsewhere: Callable[[str], Installation], tmp_path: Path
) -> None:
    """A manifest signed anew by somebody without the wrapping key, where no key is known."""
    made = here.recovery().create_recovery_point()
    thief = elsewhere("thief").recovery().create_recovery_point()
    shutil.copytree(made.folder, tmp_path / "usb")
    text = (made.folder / "manifest").read_text()
    name = (thief.folder / "manifest").read_text().rpartition("\n\n")[2]
    (tmp_path / "usb/manifest").write_text(text.rpartition("\n\n")[0] + "\n\n" + name)
    fresh = Installation(tmp_path / "fresh")
    with pytest.raises(PointForeign):
        fresh.recovery().restore_from_point(tmp_path / "usb")


def test_another_installations_point_is_refused(
    here: Installation, elsewhere: Callable[[str], Installation]
) -> None:
    theirs = elsewhere("there").recovery().create_recovery_point()
    here.recovery().create_recovery_point()
    was = here.standing()
    for attempt in (here.recovery().verify, here.recovery().drill):
        with pytest.raises(PointForeign):
            attempt(theirs.folder)
    with pytest.raises(PointForeign):
        here.recovery().restore_from_point(theirs.folder)
    assert here.standing() == was


def test_state_that_has_no_point_of_its_own_is_not_written_over(
    here: Installation, elsewhere: Callable[[str], Installation]
) -> None:
    theirs = elsewhere("there").recovery().create_recovery_point()
    was = here.standing()
    with pytest.raises(NotRestored, match="move the whole folder aside"):
        here.recovery().restore_from_point(theirs.folder)
    assert here.standing() == was


@pytest.mark.parametrize("name", ["manifest", "config/hauberk.yml", "state/store.sqlite"])
def test_of_a_point_that_was_changed_nothing_is_restored(here: Installation, name: str) -> None:
    made = here.recovery().create_recovery_point()
    here.put("main", b"another key")
    was = here.standing()
    content = bytearray((made.folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (made.folder / name).write_bytes(content)
    with pytest.raises(PointAltered):
        here.recovery().restore_from_point(made.folder)
    assert here.standing() == was
    assert "restoring" not in names(here.state)


def test_a_store_that_was_damaged_is_replaced_and_kept(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    (here.state / "store.sqlite").write_bytes(b"no database" * 999)
    done = here.recovery().restore_from_point(made.folder)
    assert here.sealed() == {"main": b"a trading key"}
    assert (here.state / "store.sqlite.damaged-0").read_bytes() == b"no database" * 999
    assert any("cannot be read" in note for note in done.notes)
    assert State.from_bytes(here.plain("state", "killswitch") or b"").level is Level.HALTED


def test_a_store_that_is_gone_is_put_back(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    (here.state / "store.sqlite").unlink()
    here.recovery().restore_from_point(made.folder)
    assert here.sealed() == {"main": b"a trading key"}


def test_a_key_ring_that_is_gone_is_put_back(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    (here.state / "keyring.json").unlink()
    here.recovery().restore_from_point(made.folder)
    assert here.sealed() == {"main": b"a trading key"}


# What does not go back.


@pytest.mark.parametrize("then", [None, Level.RESTRICTED, Level.HALTED])
@pytest.mark.parametrize("now", [Level.RESTRICTED, Level.HALTED])
def test_a_halt_in_force_stays(here: Installation, then: Level | None, now: Level) -> None:
    if then is not None:
        here.put_plain("state", halt(then, "then"), "killswitch")
    made = here.recovery().create_recovery_point()
    here.put_plain("state", halt(now, "now"), "killswitch")
    here.recovery().restore_from_point(made.folder)
    assert here.plain("state", "killswitch") == halt(now, "now")


def test_a_halt_that_cannot_be_read_stays_too(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    here.put_plain("state", b"torn", "killswitch")
    here.recovery().restore_from_point(made.folder)
    assert here.plain("state", "killswitch") == b"torn"


@pytest.mark.parametrize("plugin", ["auth", "notify", "policy", "signing", "throttle"])
def test_what_was_used_or_is_in_force_is_not_forgotten(here: Installation, plugin: str) -> None:
    """Else a restore would give back a spent cap, a nonce, or the tries of whoever guesses."""
    here.put_plain("counted", b"1", plugin)
    made = here.recovery().create_recovery_point()
    here.put_plain("counted", b"2", plugin)
    here.recovery().restore_from_point(made.folder)
    assert here.plain("counted", plugin) == b"2"


def test_every_session_ends(here: Installation) -> None:
    here.put("session/1", b"alice", "auth")
    made = here.recovery().create_recovery_point()
    with here.live() as opened:  # it was revoked since
        opened.sealed("auth").delete("session/1")
    done = here.recovery().restore_from_point(made.folder)
    assert done.sessions == 1
    assert here.sealed("auth") == {}


def test_the_audits_log_is_never_put_back(here: Installation) -> None:
    here.audit(3)
    here.put("key/000000", b"first", "audit")
    made = here.recovery().create_recovery_point()
    here.audit(5)
    here.put("key/000001", b"second", "audit")
    here.recovery().restore_from_point(made.folder, accept_rollback=True)
    assert (here.state / "audit/000000000000000.jsonl").read_bytes() == b"{}\n" * 5
    # Its keys go on with it.
    assert here.sealed("audit") == {"key/000000": b"first", "key/000001": b"second"}


def test_where_there_is_no_log_that_of_the_point_is_put_in_place(
    here: Installation, tmp_path: Path
) -> None:
    here.audit(3)
    made = here.recovery().create_recovery_point()
    fresh = Installation(tmp_path / "fresh")
    fresh.recovery().restore_from_point(made.folder)
    assert (fresh.state / "audit/000000000000000.jsonl").read_bytes() == b"{}\n" * 3
    assert (fresh.state / "audit/checkpoint").read_text() == checkpoint(3)


def test_the_log_may_be_left_out_but_not_its_checkpoint(here: Installation) -> None:
    here.audit(3)
    made = here.recovery(has_log=False).create_recovery_point()
    assert not (made.folder / "state/audit").exists()
    assert made.manifest.checkpoint == checkpoint(3)
    assert "the audit's log" in {one.what for one in made.manifest.left_out}


def test_half_a_line_that_somebody_is_writing_is_not_copied(here: Installation) -> None:
    here.audit(3)
    with (here.state / "audit/000000000000000.jsonl").open("ab") as file:
        file.write(b'{"half":')
    made = here.recovery().create_recovery_point()
    assert (made.folder / "state/audit/000000000000000.jsonl").read_bytes() == b"{}\n" * 3


# Rollback.


def test_an_older_state_than_the_audit_knows_needs_to_be_accepted(here: Installation) -> None:
    here.audit(3)
    made = here.recovery().create_recovery_point()
    here.recovery().restore_from_point(made.folder)
    here.audit(4)
    was = here.standing()
    with pytest.raises(Rollback, match="held 3 records then, and its checkpoint knows of 4"):
        here.recovery().restore_from_point(made.folder)
    assert here.standing() == was
    here.recovery().restore_from_point(made.folder, accept_rollback=True)


def test_a_witness_knows_of_more_than_a_folder_that_was_put_back(
    here: Installation, tmp_path: Path
) -> None:
    here.audit(3)
    made = here.recovery().create_recovery_point()
    fresh = Installation(tmp_path / "fresh")
    fresh.witnesses.append(("/media/usb", checkpoint(9)))
    with pytest.raises(Rollback, match="witness /media/usb knows of 9"):
        fresh.recovery().restore_from_point(made.folder)
    assert not (fresh.state / "store.sqlite").exists()
    fresh.recovery().restore_from_point(made.folder, accept_rollback=True)


def test_a_point_without_a_checkpoint_is_older_than_any(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    here.audit(1)
    with pytest.raises(Rollback):
        here.recovery().restore_from_point(made.folder)


def test_a_point_of_another_log_is_not_taken_for_a_newer_one(here: Installation) -> None:
    """The log was begun anew since, and has fewer records."""
    here.audit(9)
    made = here.recovery().create_recovery_point()
    (here.state / "audit/checkpoint").write_text(checkpoint(1).replace("0123", "4567"))
    with pytest.raises(Rollback, match="of another log of the audit"):
        here.recovery().restore_from_point(made.folder)


# Who else is there.


def test_nothing_is_restored_under_a_bot_that_runs(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    bot = InUse(here.state)
    with pytest.raises(StateInUse, match="another process uses the state folder"):
        here.recovery().restore_from_point(made.folder)
    here.recovery().create_recovery_point()  # points are made while it runs
    bot.end()
    here.recovery().restore_from_point(made.folder)


def test_two_do_not_make_points_at_once(here: Installation) -> None:
    recovery = here.recovery()
    with recovery._folder_alone(), pytest.raises(StateInUse):
        here.recovery().create_recovery_point()


# Making, listing, keeping.


def test_no_more_points_are_kept_than_asked_for(here: Installation) -> None:
    made = [here.recovery(keep=3).create_recovery_point(str(n)) for n in range(5)]
    assert [one.removed for one in made[:3]] == [(), (), ()]
    assert made[4].removed == (made[1].manifest.id,)
    assert [one.name for one in points(here.folder)] == [m.manifest.id for m in made[2:]]
    assert names(here.folder) == sorted([*(m.manifest.id for m in made[2:]), "lock"])
    here.recovery(keep=3).create_recovery_point(keep=0)
    assert len(list(points(here.folder))) == 4


def test_a_restore_removes_no_point(here: Installation) -> None:
    made = [here.recovery(keep=2).create_recovery_point() for _ in range(2)]
    here.recovery(keep=2).restore_from_point(made[0].folder)
    assert len(list(points(here.folder))) == 3


def test_points_are_listed_as_they_say_also_broken_ones(here: Installation) -> None:
    one = here.recovery().create_recovery_point("first")
    two = here.recovery().create_recovery_point("second")
    (two.folder / "manifest").write_text("torn")
    listed = list(here.recovery().points())
    assert [item.folder for item in listed] == [one.folder, two.folder]
    assert listed[0].manifest == one.manifest
    assert listed[1].manifest is None
    assert "no signature" in listed[1].problem


def test_a_point_is_found_by_what_tells_it_apart(here: Installation, tmp_path: Path) -> None:
    recovery = here.recovery()
    one, two = recovery.create_recovery_point(), recovery.create_recovery_point()
    assert recovery.find(one.manifest.id) == one.folder
    assert recovery.find(two.manifest.id[:16]) == two.folder
    assert recovery.find("latest") == two.folder
    assert recovery.find(str(one.folder)) == one.folder
    for wrong in ("2026", "x", "", "x" * 9_000, "a\0b"):
        with pytest.raises(NoSuchPoint):
            recovery.find(wrong)
    recovery.restore_from_point(one.folder)
    assert recovery.find("latest") == two.folder  # and not what the restore left


def test_what_was_killed_while_it_made_one_is_cleared(here: Installation) -> None:
    here.recovery().create_recovery_point()
    orphan = here.folder / ".making-20260131T080000Z-00000000"
    orphan.mkdir()
    (orphan / "file").touch()
    here.recovery().create_recovery_point()
    assert not orphan.exists()


def test_nobody_but_the_owner_may_read_a_point(here: Installation) -> None:
    here.audit(1)
    made = here.recovery().create_recovery_point()
    for path in (here.folder, *here.folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    assert made.manifest.size > 0


def test_a_point_says_what_it_holds(here: Installation) -> None:
    made = here.recovery(version="1.2").create_recovery_point("a reason")
    manifest = made.manifest
    assert [one.name for one in manifest.files] == [
        "config/hauberk.yml", "state/keyring.json", "state/store.sqlite",
    ]  # fmt: skip
    assert (manifest.reason, manifest.hauberk, manifest.backend) == (
        "a reason", "1.2", "SQLiteStores",
    )  # fmt: skip
    assert manifest.made == "2026-01-31T08:00:01Z"


def test_a_ring_that_is_written_meanwhile_is_copied_with_the_records_that_it_opens(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hauberk_plugins.storage.sqlite import SQLiteStores

    back_up, turns = SQLiteStores.back_up, []

    def rotating(self: SQLiteStores, *arguments: object) -> bool:
        done = back_up(self, *arguments)  # type: ignore[arg-type]
        if len(turns) < 2:
            turns.append(1)
            here.rotate()
        return done

    monkeypatch.setattr(SQLiteStores, "back_up", rotating)
    made = here.recovery().create_recovery_point()
    assert here.recovery().drill(made.folder).failed is None
    assert (made.folder / "state/keyring.json").read_bytes() == (
        here.state / "keyring.json"
    ).read_bytes()


def test_a_ring_that_never_rests_is_said(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hauberk_plugins.recovery import making

    turns = iter(range(99))
    monkeypatch.setattr(making, "ring_of", lambda *_: b"%d" % next(turns))
    with pytest.raises(PointNotMade, match="again and again"):
        here.recovery().create_recovery_point()
    assert list(points(here.folder)) == []


def test_a_file_that_is_not_there_makes_no_point(here: Installation) -> None:
    with pytest.raises(PointNotMade, match=r"gone\.yml"):
        here.recovery(include=["gone.yml"]).create_recovery_point()
    assert names(here.folder) == ["lock"]


# Drills.


def test_a_drill_opens_everything_and_leaves_nothing(here: Installation) -> None:
    here.audit(2)
    made = here.recovery().create_recovery_point()
    was = here.standing()
    drilled = here.recovery().drill(made.folder)
    assert drilled.failed is None
    assert drilled.records == 2  # the key that signs, and that of the exchange
    assert here.standing() == was
    assert names(here.folder) == sorted([made.manifest.id, "lock"])


def test_a_drill_tells_that_the_wrapping_key_is_another_one(here: Installation) -> None:
    made = here.recovery().create_recovery_point()
    here.key = Secret(b"x" * 32)
    with pytest.raises(DrillFailed, match="does not open"):
        here.recovery().drill(made.folder)
    assert names(here.folder) == sorted([made.manifest.id, "lock"])


def test_whoever_has_a_point_and_not_the_wrapping_key_reads_no_secret(here: Installation) -> None:
    canary = b"c4nary-in-a-record"
    here.put("canary", canary)
    here.recovery().create_recovery_point()
    with here.live() as opened:
        seed = opened.sealed("recovery").get("key")
    assert seed is not None
    for path in here.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert canary not in content, path
            assert seed.value not in content, path
            assert here.key.reveal() not in content, path


def test_errors_say_what_where_and_what_to_do(here: Installation) -> None:
    with pytest.raises(RecoveryError) as caught:
        here.recovery().verify(here.folder / "none")
    error = caught.value
    assert str(error) == f"{error.path}: {error.problem}; {error.remedy}"


def test_what_stops_all_is_written_as_the_kill_switch_reads_it(here: Installation) -> None:
    from hauberk_plugins.recovery.restoring import _halted

    assert State.from_bytes(_halted()).level is Level.HALTED
    assert json.loads(_halted())["title"]
