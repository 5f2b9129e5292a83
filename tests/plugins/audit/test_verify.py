"""Verifying a log: every way to spoil a small one is found, the line named, a good one passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.audit.checkpoint import Checkpoint
from hauberk_plugins.audit.differences import Kind, differences
from hauberk_plugins.audit.findings import What
from hauberk_plugins.audit.logfile import LogFile
from hauberk_plugins.audit.merkle import leaf_hash
from hauberk_plugins.audit.verify import verify

LINES = [b'{"kind":"k","n":%d}' % n for n in range(9)]
FIRST = "000000000000000.jsonl"


def point(log):
    state = log.state()
    return Checkpoint("demo", state.size, state.root)


@pytest.fixture
def log(tmp_path):
    log = LogFile(tmp_path / "audit", lambda *_: b"torn", max_bytes=60)
    for line in LINES:
        log.append([line])
    yield log
    log.close()


def judged(log, checkpoint=None, witnessed=()):
    return verify(log.folder, checkpoint or point(log), witnessed)


def found(verified):
    return {(finding.what, finding.index) for finding in verified.findings}


def test_a_clean_log_is_clean(log):
    verified = judged(log, witnessed=[point(log)])
    assert (verified.is_good, verified.size, verified.vouched) == (True, 9, 9)
    assert verified.cannot_exclude == ()


def test_without_a_witness_or_a_checkpoint_it_says_what_it_cannot_exclude(log):
    (told,) = judged(log).cannot_exclude
    assert "no witness" in told
    assert "no checkpoint of a known key" in verify(log.folder, None).cannot_exclude[0]
    checkpoint = point(log)
    log.append([b"later"])
    verified = judged(log, checkpoint)
    assert verified.is_good
    assert "records from 9 on" in verified.cannot_exclude[0]


def test_each_byte_flipped_is_found_and_its_line_named(log):
    checkpoint = point(log)
    for path in sorted(log.folder.glob("*.jsonl")):
        good = path.read_bytes()
        first, line = int(path.stem), 0
        for at in range(len(good)):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            verified = judged(log, checkpoint)
            assert not verified.is_good
            if good[at : at + 1] == b"\n":
                line += 1
            elif bytes([good[at] ^ 1]) != b"\n":
                assert found(verified) == {(What.CHANGED, first + line)}, (path.name, at)
                (finding,) = verified.findings
                assert (finding.file, finding.line) == (path.name, line)
        path.write_bytes(good)
    assert judged(log, checkpoint).is_good


def test_each_length_that_is_cut_off_is_found(log):
    checkpoint = point(log)
    path = sorted(log.folder.glob("*.jsonl"))[-1]
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        verified = judged(log, checkpoint)
        left = int(path.stem) + good[:length].count(b"\n")
        assert (What.TRUNCATED, left) in found(verified), length
        torn = length and good[length - 1 : length] != b"\n"
        assert bool(torn) == any(f.what is What.TORN for f in verified.findings)


def rewritten(log, lines):
    """Put other lines into one segment, with the hashes beside as they are."""
    for path in log.folder.glob("*.jsonl"):
        path.unlink()
    (log.folder / FIRST).write_bytes(b"".join(line + b"\n" for line in lines))


@pytest.mark.parametrize("index", range(9))
def test_each_line_deleted_doubled_or_swapped_is_found_and_named(log, index):
    checkpoint = point(log)
    rewritten(log, LINES[:index] + LINES[index + 1 :])
    gone = What.MISSING if index < 8 else What.TRUNCATED
    assert found(judged(log, checkpoint)) == {(gone, index)}
    rewritten(log, LINES[: index + 1] + LINES[index:])
    doubled = judged(log, checkpoint)
    if index < 8:
        assert found(doubled) & {(What.ADDED, index), (What.ADDED, index + 1)}
    else:  # as if it had been appended
        assert "records from 9 on" in doubled.cannot_exclude[0]
    other = (index + 4) % 9
    swapped = list(LINES)
    swapped[index], swapped[other] = swapped[other], swapped[index]
    rewritten(log, swapped)
    assert found(judged(log, checkpoint)) == {(What.MOVED, index), (What.MOVED, other)}
    rewritten(log, LINES)
    assert judged(log, checkpoint).is_good


def test_a_line_behind_the_checkpoint_that_was_changed_is_named_by_its_hash(log):
    checkpoint = point(log)
    log.append([b"later", b"latest"])
    path = sorted(log.folder.glob("*.jsonl"))[-1]
    path.write_bytes(path.read_bytes().replace(b"latest", b"LATEST"))
    assert found(judged(log, checkpoint)) == {(What.CHANGED, 10)}


def test_with_the_hashes_rewritten_too_it_is_found_though_no_line_can_be_named(log):
    checkpoint = point(log)
    changed = [*LINES[:4], b"forged", *LINES[5:]]
    rewritten(log, changed)
    (log.folder / "level-00").write_bytes(b"".join(map(leaf_hash, changed)))
    (finding,) = judged(log, checkpoint).findings
    assert finding.what is What.CHECKPOINT
    assert "no line can be named" in finding.text


def test_a_folder_that_was_put_back_is_found_by_a_witness_alone(log):
    old = point(log)
    log.append([b"more"])
    witnessed = point(log)
    rewritten(log, LINES)
    (log.folder / "level-00").write_bytes(b"".join(map(leaf_hash, LINES)))
    alone = judged(log, old)
    assert alone.is_good
    assert "put back to an earlier day" in alone.cannot_exclude[0]
    assert found(judged(log, old, [witnessed])) == {(What.ROLLED_BACK, 9)}


def test_another_log_than_the_witness_saw_is_found(log):
    witnessed = Checkpoint("demo", 5, leaf_hash(b"another"))
    (finding,) = judged(log, witnessed=[witnessed]).findings
    assert finding.what is What.ROLLED_BACK
    assert "are not those that a witness saw" in finding.text


def test_hashes_beside_that_are_gone_or_cut_off_are_named(log):
    checkpoint, path = point(log), log.folder / "level-00"
    good = path.read_bytes()
    for left in (0, 40, len(good) - 1):
        path.write_bytes(good[:left])
        (finding,) = judged(log, checkpoint).findings
        assert (finding.what, finding.file) == (What.HASHES, "level-00")
    path.unlink()
    assert found(judged(log, checkpoint)) == {(What.HASHES, None)}


def test_hashes_above_that_are_gone_or_changed_are_named(tmp_path):
    log = LogFile(tmp_path / "tall", lambda *_: b"torn")
    log.append([b"%d" % n for n in range(1_000)])
    log.append([b"%d" % n for n in range(1_000, 1_100)])
    checkpoint, path = point(log), log.folder / "level-08"
    log.close()
    good = path.read_bytes()
    assert (len(good), judged(log, checkpoint).is_good) == (4 * 32, True)
    path.write_bytes(good[:40] + bytes([good[40] ^ 1]) + good[41:])
    (finding,) = judged(log, checkpoint).findings
    assert finding.text == "level-08 is not what the lines make: it was changed"
    path.unlink()
    assert {f.file for f in judged(log, checkpoint).findings} == {"level-08"}


def test_what_is_remembered_beside_the_keys_is_no_witness(log):
    verified = verify(log.folder, point(log), remembered=[point(log)])
    assert verified.is_good
    assert "the whole state folder" in verified.cannot_exclude[0]
    gone = Checkpoint("demo", 12, leaf_hash(b"another"))
    assert found(verify(log.folder, None, remembered=[gone])) == {(What.TRUNCATED, 9)}


def test_a_file_that_is_gone_is_found(log):
    checkpoint = point(log)
    sorted(log.folder.glob("*.jsonl"))[1].unlink()
    assert What.FILES in {finding.what for finding in judged(log, checkpoint).findings}


hashes = st.lists(st.integers(0, 30), unique=True, max_size=12).map(
    lambda numbers: [b"%d" % n for n in numbers]
)


@given(hashes, hashes)
def test_differences_are_told_exactly_where_there_are_some(left, right):
    told = list(differences(left, right))
    assert bool(told) == (left != right)
    for kind, index, other in told:
        if kind is Kind.MISSING:
            assert index < len(right)
        else:
            assert index < len(left)
            assert kind is not Kind.MOVED or right[other] == left[index]


@given(hashes, st.data())
def test_one_that_was_taken_out_is_named(written, data):
    if not written:
        return
    index = data.draw(st.integers(0, len(written) - 1))
    left = written[:index] + written[index + 1 :]
    assert list(differences(left, written)) == [(Kind.MISSING, index, index)]
    assert list(differences(written, left)) == [(Kind.ADDED, index, index)]
