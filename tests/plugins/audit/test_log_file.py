"""Appending to the log: durable, in one tree, by several at once; and every fault of the disk."""

from __future__ import annotations

import errno
import json
import os
import threading
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.audit.disk import Disk
from hauberk_plugins.audit.errors import AuditDamaged, AuditUnwritable
from hauberk_plugins.audit.logfile import LogFile
from hauberk_plugins.audit.merkle import EMPTY, leaf_hash, node_hash
from hauberk_plugins.audit.segments import segments


def notice(name, size, digest):
    return json.dumps({"torn": name, "bytes": size, "sha256": digest}).encode()


def opened(folder, **options):
    return LogFile(folder / "audit", notice, **options)


def lines_of(folder):
    audit = folder / "audit"
    return [
        line
        for segment in segments(audit)
        for line in (audit / segment.name).read_bytes().split(b"\n")[:-1]
    ]


def root_of(lines):
    row = [leaf_hash(line) for line in lines]
    if not row:
        return EMPTY

    def of(row):
        if len(row) == 1:
            return row[0]
        k = 1 << (len(row) - 1).bit_length() - 1
        return node_hash(of(row[:k]), of(row[k:]))

    return of(row)


def test_records_have_indices_from_nought_and_a_tree(tmp_path):
    log = opened(tmp_path)
    assert log.append([b"a"]) == 0
    assert log.append([b"b", b"c"]) == 1
    assert log.append([b"d"]) == 3
    assert lines_of(tmp_path) == [b"a", b"b", b"c", b"d"]
    assert log.state().root == root_of([b"a", b"b", b"c", b"d"])
    log.close()
    again = opened(tmp_path)
    assert (again.size, again.state().root) == (4, root_of([b"a", b"b", b"c", b"d"]))
    again.close()


def test_files_are_private(tmp_path):
    log = opened(tmp_path)
    log.append([b"a"])
    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o700
    for path in (tmp_path / "audit").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path.name
    log.close()


@pytest.mark.parametrize("line", [b"", b"a\nb", b"x" * ((1 << 20) + 1)], ids=range(3))
def test_what_is_no_line_is_refused(tmp_path, line):
    log = opened(tmp_path)
    with pytest.raises(AuditUnwritable, match="is none"):
        log.append([b"good", line])
    assert log.size == 0
    log.close()


@given(st.lists(st.lists(st.integers(1, 3), max_size=3), max_size=8), st.integers(1, 40))
def test_two_processes_go_on_with_one_tree(tmp_path_factory, turns, max_bytes):
    folder = tmp_path_factory.mktemp("log")
    logs = [opened(folder, max_bytes=max_bytes) for _ in range(2)]
    written = []
    for turn in turns:
        for number in turn:
            lines = [b"line %d" % (len(written) + k) for k in range(number)]
            assert logs[number % 2].append(lines) == len(written)
            written += lines
    assert lines_of(folder) == written
    assert logs[0].state().root == logs[1].state().root == root_of(written)
    for log in logs:
        log.close()
    again = opened(folder)
    assert again.state().root == root_of(written)
    again.close()


def test_threads_are_told_their_own_index(tmp_path):
    log, told = opened(tmp_path), {}

    def write(number):
        for k in range(20):
            line = b"%d-%d" % (number, k)
            told[line] = log.append([line])

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = lines_of(tmp_path)
    assert len(found) == 160
    assert all(found[index] == line for line, index in told.items())
    log.close()


def test_a_large_segment_is_ended_and_the_tree_goes_on(tmp_path):
    log = opened(tmp_path, max_bytes=10)
    written = [b"line %02d" % n for n in range(20)]
    for line in written:
        log.append([line])
    assert [segment.first for segment in segments(tmp_path / "audit")] == list(range(0, 20, 2))
    assert log.state().root == root_of(written)
    log.rotate()
    log.rotate()
    log.append([b"more"])
    assert segments(tmp_path / "audit")[-1].first == 20
    log.close()


def test_a_torn_tail_is_kept_aside_and_recorded(tmp_path):
    log = opened(tmp_path)
    log.append([b"whole"])
    log.close()
    with (tmp_path / "audit" / "000000000000000.jsonl").open("ab") as file:
        file.write(b'{"half')
    again = opened(tmp_path)
    (whole, told) = lines_of(tmp_path)
    assert whole == b"whole"
    found = json.loads(told)
    assert found["bytes"] == 6
    assert found["sha256"] == sha256(b'{"half').hexdigest()
    assert (tmp_path / "audit" / found["torn"]).read_bytes() == b'{"half'
    assert again.append([b"next"]) == 2
    again.close()


class Stops(Disk):
    """A disk that takes no line any more once a tail was cut off."""

    def __init__(self):
        self.is_cut = False

    def ftruncate(self, descriptor, size):
        os.ftruncate(descriptor, size)
        self.is_cut = True

    def write(self, descriptor, data):
        if self.is_cut:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(descriptor, data)


def test_a_torn_tail_that_nobody_could_record_is_recorded_by_the_next(tmp_path):
    log = opened(tmp_path)
    log.append([b"whole"])
    log.close()
    with (tmp_path / "audit" / "000000000000000.jsonl").open("ab") as file:
        file.write(b"half")
    with pytest.raises(AuditUnwritable, match="no room"):
        opened(tmp_path, disk=Stops())
    assert lines_of(tmp_path) == [b"whole"]
    for _ in range(2):
        opened(tmp_path).close()
    (_, told) = lines_of(tmp_path)
    found = json.loads(told)
    assert (found["bytes"], found["sha256"]) == (4, sha256(b"half").hexdigest())
    assert (tmp_path / "audit" / found["torn"]).read_bytes() == b"half"


def test_a_tail_that_is_torn_while_another_process_has_it_open_is_seen(tmp_path):
    log = opened(tmp_path)
    log.append([b"whole"])
    with (tmp_path / "audit" / "000000000000000.jsonl").open("ab") as file:
        file.write(b"half")
    assert log.append([b"next"]) == 2
    assert [line[:7] for line in lines_of(tmp_path)] == [b"whole", b'{"torn"', b"next"]
    log.close()


def test_hashes_that_are_lost_are_made_again(tmp_path):
    log = opened(tmp_path, max_bytes=100)
    written = [b"line %03d" % n for n in range(600)]
    for at in range(0, 600, 7):
        log.append(written[at : at + 7])
    log.close()
    kept = {path.name: path.read_bytes() for path in (tmp_path / "audit").glob("level-*")}
    assert [len(kept[f"level-{n:02}"]) // 32 for n in (0, 8)] == [600, 2]
    for name in kept:
        (tmp_path / "audit" / name).unlink()
    again = opened(tmp_path)
    assert again.state().root == root_of(written)
    assert {path.name: path.read_bytes() for path in (tmp_path / "audit").glob("level-*")} == kept
    again.close()


def test_a_line_that_was_changed_is_named_and_its_old_hash_stays(tmp_path):
    log = opened(tmp_path)
    log.append([b"line %d" % n for n in range(5)])
    log.close()
    path, kept = tmp_path / "audit" / "000000000000000.jsonl", tmp_path / "audit" / "level-00"
    path.write_bytes(path.read_bytes().replace(b"line 3", b"LINE 3"))
    before = kept.read_bytes()
    with pytest.raises(AuditDamaged, match="record 3 was changed"):
        opened(tmp_path, trusted=5)
    assert kept.read_bytes() == before


def test_a_hash_beside_that_is_cut_off_is_made_again_and_no_line_is_blamed(tmp_path):
    log = opened(tmp_path)
    log.append([b"line %d" % n for n in range(5)])
    log.close()
    kept = tmp_path / "audit" / "level-00"
    good = kept.read_bytes()
    kept.write_bytes(good[:70])
    opened(tmp_path, trusted=5).close()
    assert kept.read_bytes() == good


def test_records_that_are_gone_are_noticed(tmp_path):
    log = opened(tmp_path)
    log.append([b"a", b"b"])
    os.truncate(tmp_path / "audit" / "000000000000000.jsonl", 2)
    with pytest.raises(AuditDamaged, match="are gone"):
        log.append([b"c"])
    log.close()


def test_a_log_without_its_beginning_is_not_begun_anew(tmp_path):
    log = opened(tmp_path, max_bytes=1)
    log.append([b"a"])
    log.append([b"b"])
    log.close()
    (tmp_path / "audit" / "000000000000000.jsonl").unlink()
    with pytest.raises(AuditDamaged, match="not there"):
        opened(tmp_path)


class Failing(Disk):
    """One call fails, or writes only a part."""

    def __init__(self):
        self.after = None
        self.what = None
        self.part = False

    def _fail(self, name):
        if self.what == name and self.after is not None:
            self.after -= 1
            if self.after < 0:
                raise OSError(errno.ENOSPC, "No space left on device")

    def write(self, descriptor, data):
        if self.part and self.what == "write" and self.after == 0:
            os.write(descriptor, bytes(data)[: len(data) // 2])
        self._fail("write")
        return os.write(descriptor, data)

    def fdatasync(self, descriptor):
        self._fail("fdatasync")
        os.fdatasync(descriptor)

    def pwrite(self, descriptor, data, offset):
        self._fail("pwrite")
        return os.pwrite(descriptor, data, offset)

    def ftruncate(self, descriptor, size):
        self._fail("ftruncate")
        os.ftruncate(descriptor, size)


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("what", ["write", "fdatasync"])
def test_a_full_disk_refuses_and_loses_nothing_and_goes_on_when_there_is_room(tmp_path, what, part):
    disk = Failing()
    log = opened(tmp_path, disk=disk)
    log.append([b"before"])
    disk.what, disk.after, disk.part = what, 0, part
    for _ in range(2):
        with pytest.raises(AuditUnwritable, match="no room"):
            log.append([b"refused"])
        disk.after = 0
    disk.after = None
    assert log.append([b"after"]) == 1
    assert lines_of(tmp_path) == [b"before", b"after"]
    assert log.state().root == root_of([b"before", b"after"])
    log.close()


def test_hashes_that_could_not_be_written_are_written_later(tmp_path):
    disk = Failing()
    log = opened(tmp_path, disk=disk)
    disk.what, disk.after = "pwrite", 0
    assert log.append([b"a"]) == 0, "the record is durable"
    disk.after = None
    log.append([b"b"])
    assert (tmp_path / "audit" / "level-00").read_bytes() == leaf_hash(b"a") + leaf_hash(b"b")
    log.close()


def test_who_waits_with_one_that_fails_is_told_too(tmp_path):
    disk = Failing()
    log = opened(tmp_path, disk=disk)
    disk.what, disk.after = "fdatasync", 0
    told = []

    def write(number):
        try:
            told.append(log.append([b"%d" % number]))
        except AuditUnwritable:
            told.append(None)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [None] * 4
    log.close()


def test_the_longest_record_is_no_torn_tail_to_whoever_reads_on(tmp_path):
    one, other = opened(tmp_path), opened(tmp_path)
    one.append([b"x" * (1 << 20), b"y"])
    assert other.append([b"z"]) == 2
    one.close()
    other.close()
    assert [len(line) for line in lines_of(tmp_path)] == [1 << 20, 1, 1]
