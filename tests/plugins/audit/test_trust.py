"""What a start refuses to go on with: a log of which evidence was taken away or rewritten."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager

import pytest

from hauberk.testing.ports import MemoryStore
from hauberk_plugins.audit.errors import AuditDamaged
from hauberk_plugins.audit.examine import examine, lines
from hauberk_plugins.audit.findings import What
from hauberk_plugins.audit.keybook import KeyBook
from hauberk_plugins.audit.logger import AuditLogger
from hauberk_plugins.audit.merkle import leaf_hash
from hauberk_plugins.audit.record import line, read_line
from hauberk_plugins.notes.note import NoteError

NOW = 1_700_000_000_123_456_789


def book():
    return KeyBook(MemoryStore(), os.urandom)


@contextmanager
def opened(folder, keys, at=NOW, **options):
    logger = AuditLogger(folder, keys, lambda: at, **options)
    try:
        yield logger
    finally:
        logger.close()


@pytest.fixture
def keys(tmp_path):
    made = book()
    with opened(tmp_path / "audit", made) as logger:
        for number in range(4):
            logger.log(line("test.said", NOW, "test", {"number": number}))
    return made


def judged(folder, keys):
    return examine(folder, keys.signer(0).verifier, remembered=keys.remembered())


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(folder, keys, error, told):
    before = content(folder) if folder.exists() else None
    with pytest.raises(error, match=told):
        AuditLogger(folder, keys, lambda: NOW)
    assert (content(folder) if folder.exists() else None) == before, "nothing was overwritten"


def forged(folder):
    """Rewrite a line, and the hashes beside with it."""
    path = folder / "000000000000000.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"number":2', b'"number":7'))
    (folder / "level-00").write_bytes(b"".join(map(leaf_hash, lines(folder))))


def test_with_the_checkpoint_taken_away_a_forged_log_is_not_signed_as_if_it_were_good(
    tmp_path, keys
):
    audit = tmp_path / "audit"
    forged(audit)
    (audit / "checkpoint").unlink()
    refused(audit, keys, AuditDamaged, "checkpoint: it was removed: it vouched for 5 records")
    assert {f.what for f in judged(audit, keys).findings} == {What.CHECKPOINT}


def test_nor_with_the_checkpoint_of_an_earlier_day_put_back(tmp_path, keys):
    audit = tmp_path / "audit"
    before = (audit / "checkpoint").read_bytes()
    with opened(audit, keys) as logger:
        logger.log(b"more")
    forged(audit)
    (audit / "checkpoint").write_bytes(before)
    refused(audit, keys, AuditDamaged, "do not lead to the root")
    (finding, *_) = judged(audit, keys).findings
    assert "that is remembered" in finding.text


def test_a_log_that_is_gone_is_not_begun_again_in_silence(tmp_path, keys):
    audit = tmp_path / "audit"
    shutil.rmtree(audit)
    refused(audit, keys, AuditDamaged, "it was removed")
    assert not audit.exists()


def test_nor_is_one_of_which_the_checkpoint_alone_was_left(tmp_path, keys):
    audit = tmp_path / "audit"
    for path in audit.iterdir():
        if path.name not in ("checkpoint", "lock"):
            path.unlink()
    refused(audit, keys, AuditDamaged, "no record is there, and 5 were vouched for")


@pytest.mark.parametrize("spoilt", [b"garbage\n", b"\xff\xfe", b""])
def test_what_is_no_checkpoint_is_named_with_its_file_and_stays(tmp_path, keys, spoilt):
    audit = tmp_path / "audit"
    (audit / "checkpoint").write_bytes(spoilt)
    refused(audit, keys, NoteError, r"audit/checkpoint: .*; look at it with")


def test_a_log_of_somebody_else_is_named_and_stays(tmp_path, keys):
    other = book()
    with opened(tmp_path / "other", other):
        pass
    refused(tmp_path / "other", keys, NoteError, "none of this log's keys signed it")
    (tmp_path / "other" / "checkpoint").unlink()
    fresh = book()  # one that remembers nothing
    refused(tmp_path / "other", fresh, AuditDamaged, "it is another log: it begins with the key")


def test_whoever_forgets_everything_begins_another_log(tmp_path, keys):
    before = keys.origin()
    keys.forget()
    with opened(tmp_path / "another", keys) as logger:
        assert logger.size == 1
    assert keys.origin() != before
    assert judged(tmp_path / "another", keys).is_good


def test_of_two_who_sign_the_larger_is_remembered(keys):
    note = keys.remembered()
    keys.remember(3, "an older one")
    assert keys.remembered() == note
    keys.remember(99, "a newer one")
    assert keys.remembered() == "a newer one"


def test_a_log_that_is_taken_away_while_it_is_open_permits_nothing_more(tmp_path, keys):
    audit = tmp_path / "audit"
    with opened(audit, keys) as logger:
        logger.log(b"one")
        shutil.move(audit, tmp_path / "elsewhere")
        with pytest.raises(AuditDamaged, match="removed or replaced while the log was open"):
            logger.log(b"two")
        shutil.copytree(tmp_path / "elsewhere", audit)  # another file of the same name
        with pytest.raises(AuditDamaged, match="removed or replaced"):
            logger.log(b"two")
    assert b"two" not in list(lines(tmp_path / "elsewhere"))


def test_an_old_file_is_ended_and_a_young_one_goes_on(tmp_path, keys):
    audit, day = tmp_path / "audit", 86_400 * 10**9
    with opened(audit, keys, at=NOW + day, max_age_s=2 * 86_400) as logger:
        logger.rotate()
        logger.log(b"young")
    with opened(audit, keys, at=NOW + 3 * day, max_age_s=2 * 86_400) as logger:
        logger.rotate()
        logger.log(line("later", NOW + 3 * day, "test", {}))
        logger.rotate()
        logger.log(b"latest")
    assert sorted(path.name for path in audit.glob("*.jsonl")) == [
        "000000000000000.jsonl",
        "000000000000006.jsonl",
    ]
    assert judged(audit, keys).is_good


def test_what_found_no_place_while_the_disk_was_full_is_counted_in_the_log(tmp_path, keys):
    audit = tmp_path / "audit"
    with opened(audit, keys) as logger:
        logger._lost = 3  # as `log_later` counts
        logger.log(b"more")
    told = [record for record in map(read_line, lines(audit)) if record is not None]
    assert [record.fields for record in told if record.kind == "audit.lost"] == [{"records": 3}]
