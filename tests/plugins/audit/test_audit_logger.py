"""`AuditLogger` as a whole: keys, checkpoints, what a start refuses, what an examination finds."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from hauberk.secret import Secret
from hauberk.testing.ports import MemoryStore
from hauberk_plugins.audit.disk import Disk
from hauberk_plugins.audit.errors import AuditDamaged, AuditUnwritable
from hauberk_plugins.audit.examine import examine, lines
from hauberk_plugins.audit.findings import What
from hauberk_plugins.audit.keybook import KeyBook
from hauberk_plugins.audit.logger import MAX_PENDING, MAX_PENDING_BYTES, AuditLogger
from hauberk_plugins.audit.record import line, read_line
from hauberk_plugins.audit.segments import MAX_LINE
from hauberk_plugins.notes.note import NoteError, SignerKey, sign_note

FORGED = Secret(bytes(32))
NOW = 1_700_000_000_123_456_789


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def book(store):
    return KeyBook(store, os.urandom)


@contextmanager
def opened(tmp_path, book, **options):
    logger = AuditLogger(tmp_path / "audit", book, lambda: NOW, **options)
    try:
        yield logger
    finally:
        logger.close()


def said(number):
    return line("test.said", NOW + number, "test", {"number": number})


def kinds(tmp_path):
    return [read_line(raw).kind for raw in lines(tmp_path / "audit")]


def judged(tmp_path, book, witnesses=()):
    return examine(tmp_path / "audit", book.signer(0).verifier, witnesses)


def test_what_is_logged_is_vouched_for_once_it_is_closed(tmp_path, book):
    with opened(tmp_path, book) as logger:
        assert logger.log(said(1), said(2)) == 1
        assert logger.log_action("alice", "vault.put", {"name": "x"}) == 3
    assert kinds(tmp_path) == ["audit.begin", "test.said", "test.said", "vault.put"]
    verified = judged(tmp_path, book)
    assert verified.is_good
    assert (verified.size, verified.vouched) == (4, 4)


def test_what_a_user_did_is_asked_as_in_the_guide(tmp_path, book):
    def at(number):
        return datetime.fromtimestamp(number, UTC)

    with opened(tmp_path, book) as logger:
        for number in range(6):
            who = "alice" if number % 2 else "bob"
            logger.log_later(line("vault.get", number * 10**9, "test", {"by": who}))
        found = logger.get_user_actions("alice", at(1), at(5))
        assert [record.at[17:19] for record in found] == ["01", "03"]
        assert len(logger.get_user_actions("alice")) == 3
        logger.log_action("carol", "user.add", {"user": "alice"})
        assert [record.kind for record in logger.get_user_actions("carol")] == ["user.add"]


def test_what_may_wait_is_written_in_its_turn(tmp_path, book):
    with opened(tmp_path, book) as logger:
        logger.log_later(said(1))
        assert kinds(tmp_path) == ["audit.begin"]
        assert logger.log(said(2)) == 2
        logger.log_later(said(3))
    numbers = [read_line(raw).fields.get("number") for raw in lines(tmp_path / "audit")]
    assert numbers == [None, 1, 2, 3]


def test_too_many_that_wait_are_refused(tmp_path, book):
    with opened(tmp_path, book) as logger:
        for number in range(MAX_PENDING):
            logger.log_later(said(number))
        with pytest.raises(AuditUnwritable, match="wait to be written"):
            logger.log_later(said(0))
        logger.flush()
        logger.log_later(said(1))


def test_another_start_goes_on(tmp_path, book):
    for number in range(3):
        with opened(tmp_path, book) as logger:
            logger.log(said(number))
    assert kinds(tmp_path) == ["audit.begin", "test.said", "test.said", "test.said"]
    assert judged(tmp_path, book).is_good


def test_keys_change_and_each_vouches_for_the_next(tmp_path, book):
    with opened(tmp_path, book) as logger:
        for _ in range(2):
            logger.log(said(0))
            logger.rotate_key()
    assert kinds(tmp_path).count("audit.key") == 2
    assert judged(tmp_path, book).is_good


def test_an_epoch_that_a_crash_kept_from_the_log_is_announced_at_the_next_start(tmp_path, book):
    with opened(tmp_path, book) as logger:
        logger.log(said(0))
        book.turn()
    with opened(tmp_path, book) as logger:
        logger.log(said(1))
    assert kinds(tmp_path).count("audit.key") == 1
    assert judged(tmp_path, book).is_good


def test_an_epoch_that_is_announced_twice_is_one(tmp_path, book, store):
    with opened(tmp_path, book) as logger:
        logger.rotate_key()
    store.delete("announced")
    with opened(tmp_path, book):
        pass
    assert kinds(tmp_path).count("audit.key") == 2
    assert judged(tmp_path, book).is_good


def test_a_log_that_somebody_sealed_again_with_a_key_of_his_own_is_found(tmp_path, book):
    with opened(tmp_path, book) as logger:
        logger.log(said(1))
    forger = SignerKey(book.origin(), FORGED)
    path = tmp_path / "audit" / "checkpoint"
    text = path.read_text().rpartition("\n\n")[0] + "\n"
    path.write_text(sign_note(text, [forger]))
    assert {finding.what for finding in judged(tmp_path, book).findings} == {What.CHECKPOINT}
    with pytest.raises(NoteError, match="none of this log's keys signed it"):
        AuditLogger(tmp_path / "audit", book, lambda: NOW)


def test_a_log_of_another_key_altogether_is_found(tmp_path, book):
    other = KeyBook(MemoryStore(), os.urandom)
    with opened(tmp_path, other) as logger:
        logger.log(said(1))
    found = judged(tmp_path, book).findings
    assert {finding.what for finding in found} == {What.KEY, What.CHECKPOINT}
    assert "another key" in found[0].text


def test_a_checkpoint_that_is_gone_is_found(tmp_path, book):
    with opened(tmp_path, book):
        pass
    (tmp_path / "audit" / "checkpoint").unlink()
    (finding,) = judged(tmp_path, book).findings
    assert "removed" in finding.text


def test_a_start_refuses_a_log_that_was_cut_off(tmp_path, book):
    with opened(tmp_path, book) as logger:
        logger.log(said(1), said(2))
    path = tmp_path / "audit" / "000000000000000.jsonl"
    path.write_bytes(path.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[0] + b"\n")
    with pytest.raises(AuditDamaged, match="holds 2 records, and its checkpoint saw 3"):
        AuditLogger(tmp_path / "audit", book, lambda: NOW)


def test_a_start_refuses_hashes_that_were_rewritten_with_the_lines(tmp_path, book):
    with opened(tmp_path, book, max_bytes=1) as logger:
        for number in range(4):
            logger.log(said(number))
    path = tmp_path / "audit" / "level-00"
    raw = bytearray(path.read_bytes())
    raw[32] ^= 1
    path.write_bytes(raw)
    with pytest.raises(AuditDamaged, match="do not lead to the root"):
        AuditLogger(tmp_path / "audit", book, lambda: NOW)


def test_a_witness_finds_a_log_that_was_put_back(tmp_path, book):
    with opened(tmp_path, book) as logger:
        logger.log(said(1))
    before = {path.name: path.read_bytes() for path in (tmp_path / "audit").iterdir()}
    with opened(tmp_path, book) as logger:
        logger.log(said(2))
    witnessed = (tmp_path / "audit" / "checkpoint").read_text()
    for name, content in before.items():
        (tmp_path / "audit" / name).write_bytes(content)
    assert judged(tmp_path, book).is_good
    (finding,) = judged(tmp_path, book, [witnessed]).findings
    assert finding.what is What.ROLLED_BACK


def test_a_witness_of_another_log_is_no_witness(tmp_path, book):
    with opened(tmp_path, book):
        pass
    forger = SignerKey(book.origin(), FORGED)
    note = sign_note(
        (tmp_path / "audit" / "checkpoint").read_text().split("\n\n")[0] + "\n", [forger]
    )
    assert {f.what for f in judged(tmp_path, book, [note]).findings} == {What.WITNESS}


def test_without_keys_nothing_vouches(tmp_path):
    with opened(tmp_path, None) as logger:
        logger.log(said(1))
        assert logger.seal() is None
    assert "no checkpoint" in examine(tmp_path / "audit", None).cannot_exclude[0]


@pytest.mark.parametrize("poison", [b"x" * (MAX_LINE + 1), b"a\nb", b""], ids=range(3))
def test_one_that_can_never_be_written_takes_no_other_with_it(tmp_path, book, poison):
    with opened(tmp_path, book) as logger:
        logger.log_later(said(1))
        with pytest.raises(AuditUnwritable, match="is none"):
            logger.log_later(poison)
        with pytest.raises(AuditUnwritable, match="is none"):
            logger.log(said(2), poison)
        assert logger.log(said(3)) == 2
    numbers = [read_line(raw).fields.get("number") for raw in lines(tmp_path / "audit")]
    assert numbers == [None, 1, 3]
    assert judged(tmp_path, book).is_good


def test_what_waits_is_bounded_in_bytes_too(tmp_path, book):
    with opened(tmp_path, book) as logger:
        for _ in range(MAX_PENDING_BYTES // MAX_LINE):
            logger.log_later(b"x" * MAX_LINE)
        with pytest.raises(AuditUnwritable, match="wait to be written"):
            logger.log_later(b"x")
        logger.flush()
        logger.log_later(said(1))


def without_a_checkpoint(tmp_path, book):
    """A log whose process was killed before it made one."""
    logger = AuditLogger(tmp_path / "audit", book, lambda: NOW)
    logger.log(said(1))
    logger._log.close()


def examined(tmp_path, book, witnesses=()):
    """As `judged`, by whoever has what is remembered too."""
    first, remembered = book.signer(0).verifier, book.remembered()
    return examine(tmp_path / "audit", first, witnesses, remembered)


def test_a_log_killed_before_its_first_checkpoint_is_no_finding_but_a_doubt(tmp_path, book):
    without_a_checkpoint(tmp_path, book)
    verified = examined(tmp_path, book)
    assert verified.is_good
    assert (verified.size, verified.vouched) == (2, 0)
    assert "none is remembered" in verified.cannot_exclude[-1]
    (finding,) = judged(tmp_path, book).findings
    assert "or this is a copy from before the first" in finding.text, "who has a copy cannot know"


def test_a_checkpoint_that_a_witness_or_another_epoch_tells_of_was_removed(tmp_path, book, store):
    with opened(tmp_path, book):
        pass
    path = tmp_path / "audit" / "checkpoint"
    note = path.read_text()
    path.unlink()
    (finding,) = examined(tmp_path, book).findings
    assert finding.text.endswith("it was removed")
    store.delete("newest")
    assert examined(tmp_path, book).is_good
    (finding,) = examined(tmp_path, book, [note]).findings
    assert finding.text.endswith("it was removed")


def test_another_epoch_tells_that_a_checkpoint_was_made(tmp_path, book, store):
    with opened(tmp_path, book) as logger:
        logger.rotate_key()
    (tmp_path / "audit" / "checkpoint").unlink()
    store.delete("newest")
    (finding,) = examined(tmp_path, book).findings
    assert finding.text.endswith("it was removed")


@pytest.mark.parametrize("spoil", ["folder", "link", "long"])
def test_what_is_no_checkpoint_is_a_finding(tmp_path, book, spoil):
    with opened(tmp_path, book):
        pass
    path = tmp_path / "audit" / "checkpoint"
    path.unlink()
    if spoil == "folder":
        path.mkdir()
    elif spoil == "link":
        path.symlink_to("lock")
    else:
        path.write_bytes(b"x" * 1_000_000)
    found = examined(tmp_path, book).findings
    assert found[0].text == "the checkpoint: it is no note: it was changed"


@pytest.fixture
def read_only(monkeypatch):
    """A mount where nothing can be written."""

    def refusing(path, flags, *rest, **more):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system")
        return open_(path, flags, *rest, **more)

    open_ = os.open
    monkeypatch.setattr(Disk, "open", staticmethod(refusing))
    monkeypatch.setattr("hauberk_plugins.audit.examine.os.open", refusing)


def test_evidence_that_cannot_be_written_is_verified(tmp_path, book, request):
    with opened(tmp_path, book) as logger:
        logger.log(said(1))
    request.getfixturevalue("read_only")
    assert examined(tmp_path, book).is_good


def test_a_copy_that_others_may_read_is_verified_and_nothing_in_it_is_touched(tmp_path, book):
    with opened(tmp_path, book) as logger:
        logger.log(said(1))
    folder = tmp_path / "audit"
    (folder / ".checkpoint.tmp-left").write_bytes(b"of a writer that was killed")
    for path in folder.iterdir():
        path.chmod(0o644)
    before = sorted(path.name for path in folder.iterdir())
    assert examined(tmp_path, book).is_good
    assert sorted(path.name for path in folder.iterdir()) == before
