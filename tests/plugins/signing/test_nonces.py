"""Nonces rise per key: across threads, processes and restarts, whatever the clock does."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hauberk.errors import StoreError
from hauberk.testing import MemoryStore
from hauberk_plugins.signing.noncefile import NonceError
from hauberk_plugins.signing.nonces import AHEAD_NS, WARY_NS, Nonces

MS = 1_000_000
START = 1_700_000_000_000 * MS


class Clock:
    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now


class Counting(MemoryStore):
    """A store that counts its writes."""

    def __init__(self):
        super().__init__()
        self.writes = 0

    def put(self, name, value, *, version=None):
        self.writes += 1
        return super().put(name, value, version=version)


class Restarts(RuleBasedStateMachine):
    """Processes that take nonces of one key, are killed, and are started by any clock."""

    @initialize()
    def begin(self):
        self.clock = Clock()
        self.store = MemoryStore()
        self.process = None
        self.highest = 0

    @rule()
    def start(self):
        self.process = Nonces("key", "ms", self.clock, None, self.store)

    @rule(by=st.integers(-10 * AHEAD_NS, 10 * AHEAD_NS))
    def clock_steps(self, by):
        self.clock.now += by

    @precondition(lambda self: self.process is not None)
    @rule(count=st.integers(1, 50))
    def take(self, count):
        for _ in range(count):
            value = int(self.process.take())
            assert value > self.highest
            self.highest = value


TestRestarts = Restarts.TestCase
TestRestarts.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


class Machines(RuleBasedStateMachine):
    """Machines with a folder each and one store: processes come, go and are killed by any clock."""

    @initialize()
    def begin(self):
        self.store = MemoryStore()
        self.folders = [Path(tempfile.mkdtemp()) for _ in range(3)]
        self.clocks = [Clock() for _ in self.folders]
        self.running = {}
        self.taken = set()
        self.latest = START
        self.starts = 0

    def teardown(self):
        for process, _ in getattr(self, "running", {}).values():
            process.close()
        for folder in getattr(self, "folders", ()):
            shutil.rmtree(folder)

    @rule(machine=st.integers(0, 2), number=st.integers(0, 1))
    def start(self, machine, number):
        if (machine, number) in self.running:
            self.running[machine, number][0].close()
        folder, clock = self.folders[machine], self.clocks[machine]
        self.running[machine, number] = [Nonces("key", "ms", clock, folder, self.store), 0]
        self.starts += 1

    @rule(machine=st.integers(0, 2), by=st.integers(-2 * AHEAD_NS, 3 * AHEAD_NS))
    def clock_steps(self, machine, by):
        self.clocks[machine].now += by
        self.latest = max(self.latest, self.clocks[machine].now)

    @rule(machine=st.integers(0, 2))
    def file_is_lost(self, machine):
        for path in self.folders[machine].iterdir():
            path.unlink()
        self.starts += 2

    @rule(machine=st.integers(0, 2), number=st.integers(0, 1), count=st.integers(1, 30))
    def take(self, machine, number, count):
        if (machine, number) not in self.running:
            return
        process = self.running[machine, number]
        for _ in range(count):
            value = int(process[0].take())
            assert value not in self.taken
            assert value > process[1]
            process[1] = value
            self.taken.add(value)
        # Near the present: a start or a meeting moves them on by a block, and nothing else does.
        most = self.latest // MS + (2 * self.starts + 4) * AHEAD_NS // MS + len(self.taken)
        assert max(self.taken) <= most


TestMachines = Machines.TestCase
TestMachines.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def machines(tmp_path, store, *clocks):
    return [Nonces("key", "ms", clock, tmp_path / str(n), store) for n, clock in enumerate(clocks)]


def test_machines_that_begin_together_never_take_the_same_one_and_rise_in_turn(tmp_path):
    one, other = machines(tmp_path, MemoryStore(), *[clock := Clock()] * 2)
    first = [int(one.take()), int(other.take())]  # that one had a block by then
    clock.now += AHEAD_NS
    found = []
    for _ in range(40):
        found += [int(one.take()), int(other.take())]
        clock.now += 7 * MS
    assert found == sorted(set(found))
    assert not set(first) & set(found)
    assert found[-1] <= (clock.now + 2 * AHEAD_NS) // MS


def test_machines_whose_clocks_differ_rise_in_turn(tmp_path):
    clocks = [Clock(), Clock(START + 900 * MS), Clock(START - 3_000 * MS)]
    running = machines(tmp_path, MemoryStore(), *clocks)
    for one in running:
        one.take()
    for clock in clocks:
        clock.now += AHEAD_NS
    found = [int(one.take()) for _ in range(50) for one in running]
    assert found == sorted(set(found))


def test_a_machine_that_is_alone_again_writes_seldom(tmp_path):
    store, clock = Counting(), Clock()
    one, other = machines(tmp_path, store, clock, clock)
    other.take()
    clock.now += AHEAD_NS
    one.take()
    clock.now += 2 * AHEAD_NS
    other.take()
    clock.now += WARY_NS + AHEAD_NS
    store.writes = 0
    for _ in range(2_000):
        other.take()
        clock.now += 1_000_000  # 2 s in all
    assert store.writes <= 2


def test_processes_of_one_machine_take_none_for_another_machine(tmp_path):
    store, clock = Counting(), Clock()
    running = [Nonces("key", "ms", clock, tmp_path, store) for _ in range(3)]
    for _ in range(1_000):
        for one in running:
            one.take()
        clock.now += 4 * MS  # 4 s in all
    assert store.writes <= 6


def test_many_machines_at_once_never_take_the_same_one(tmp_path):
    store, found = MemoryStore(), []

    def take(one):
        mine = [int(one.take()) for _ in range(100)]
        assert mine == sorted(mine)
        found.extend(mine)

    running = machines(tmp_path, store, *[Clock() for _ in range(5)])
    threads = [threading.Thread(target=take, args=(one,)) for one in running]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == len(found) == 500


def test_of_two_machines_that_move_the_mark_at_once_one_comes_behind_the_other(tmp_path):
    store, clock = MemoryStore(), Clock()
    one, other = machines(tmp_path, store, clock, clock)
    read, found = store.get, []

    def get(name):
        record = read(name)
        if not found:  # the other one moves it between reading and writing
            found.append(None)
            found[0] = int(other.take())
        return record

    store.get = get
    assert int(one.take()) > found[0] >= START // MS


def test_a_file_whose_block_has_no_end_is_not_believed(tmp_path):
    clock, store = Clock(), MemoryStore()
    nonces = Nonces("key", "ms", clock, tmp_path, store)
    nonces.take()
    (path,) = tmp_path.iterdir()
    path.write_bytes(struct.pack(">QQQ", START // MS, 2**62, 0))
    clock.now += 10 * AHEAD_NS
    assert int(nonces.take()) < int(store.get("nonce/ms/key").value)


def test_a_nonce_is_the_time_where_nothing_speaks_against_it(tmp_path):
    nonces = Nonces("key", "ms", Clock(), tmp_path, MemoryStore())
    assert nonces.take() == "1700000000000"
    assert nonces.take() == "1700000000001"
    micro = Nonces("key", "us", Clock(), tmp_path, MemoryStore())
    assert micro.take() == "1700000000000000"


def test_the_mark_costs_a_write_once_in_a_while(tmp_path):
    clock, store = Clock(), Counting()
    nonces = Nonces("key", "us", clock, tmp_path, store)
    for _ in range(2_000):
        nonces.take()
        clock.now += 1_000_000  # 2 s in all
    assert store.writes <= 2


def test_threads_never_get_the_same_one(tmp_path):
    nonces = Nonces("key", "ms", Clock(), tmp_path, MemoryStore())
    found = []

    def take():
        mine = [int(nonces.take()) for _ in range(300)]
        assert mine == sorted(mine)
        found.extend(mine)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == len(found) == 1_800


TAKE_MANY = """
import sys
from pathlib import Path
from hauberk_plugins.signing.nonces import Nonces
nonces = Nonces("key", "ms", lambda: 1_700_000_000_000_000_000, Path(sys.argv[1]), None)
sys.stdin.readline()  # until all are there
print(*[nonces.take() for _ in range(3_000)])
"""


def test_processes_of_a_machine_share_one_sequence(tmp_path):
    line = [sys.executable, "-c", TAKE_MANY, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    running = [subprocess.Popen(line, **pipes) for _ in range(3)]
    for process in running:
        process.stdin.write(b"go\n")
    found = []
    for process in running:
        out, _ = process.communicate(timeout=60)
        mine = [int(word) for word in out.split()]
        assert mine == sorted(mine)
        found += mine
    # All by one stopped clock: any gap or repetition would show.
    assert sorted(found) == list(range(min(found), min(found) + 9_000))


def test_a_second_process_is_above_the_first_at_once(tmp_path):
    store = MemoryStore()
    first = Nonces("key", "ms", Clock(), tmp_path, store)
    second = Nonces("key", "ms", Clock(START - 5_000 * MS), tmp_path, store)
    taken = [int(one.take()) for one in (first, second, first, second, first)]
    assert taken == sorted(set(taken))


def test_a_process_that_forked_shares_nothing_of_its_lock(tmp_path):
    nonces = Nonces("key", "ms", Clock(), tmp_path, None)
    first = int(nonces.take())
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, nonces.take().encode())
        os._exit(0)
    os.waitpid(child, 0)
    second = int(os.read(read, 32))
    os.close(read)
    os.close(write)
    assert first < second < int(nonces.take())


def test_a_file_that_was_removed_is_made_again(tmp_path):
    nonces = Nonces("key", "ms", Clock(), tmp_path, None)
    first = int(nonces.take())
    (path,) = tmp_path.iterdir()
    path.unlink()
    assert int(nonces.take()) > first
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"x", b"garbage!", b"x" * 25])
def test_a_damaged_file_is_told_and_nothing_is_handed_out(tmp_path, content):
    nonces = Nonces("key", "ms", Clock(), tmp_path, MemoryStore())
    nonces.take()
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    with pytest.raises(NonceError, match="remove it, the mark in the store stands in for it"):
        nonces.take()


def test_a_file_that_others_may_write_is_refused(tmp_path):
    nonces = Nonces("key", "ms", Clock(), tmp_path, None)
    nonces.take()
    (path,) = tmp_path.iterdir()
    path.chmod(0o666)
    with pytest.raises(NonceError, match="run: chmod 600"):
        Nonces("key", "ms", Clock(), tmp_path, None).take()


@pytest.mark.parametrize("value", [b"", b"soon", b"-1", b"1" * 21, b"\xd9\xa1"])
def test_a_corrupt_record_is_told_and_nothing_is_handed_out(tmp_path, value):
    store = MemoryStore()
    store.put("nonce/ms/key", value)
    nonces = Nonces("key", "ms", Clock(), tmp_path, store)
    for _ in range(2):
        with pytest.raises(NonceError, match="hauberk nonces reset ACCOUNT"):
            nonces.take()
    nonces.forget()
    assert nonces.take() == "1700000000000"


def test_a_store_that_fails_gives_no_nonce(tmp_path):
    store = MemoryStore()

    def broken(name, value, *, version=None):
        raise StoreError("the disk is full")

    store.put = broken
    nonces = Nonces("key", "ms", Clock(), tmp_path, store)
    with pytest.raises(NonceError, match="the nonce cannot be kept: the disk is full"):
        nonces.take()


def test_keys_do_not_share_nonces(tmp_path):
    store = MemoryStore()
    one = Nonces("one", "ms", Clock(), tmp_path, store)
    other = Nonces("other", "ms", Clock(), tmp_path, store)
    assert one.take() == other.take()


@pytest.mark.parametrize(
    "content", [b"\xff" * 24, b"garbage!" * 3, struct.pack(">QQQ", 9 * START // MS, 0, 0)]
)
def test_a_file_that_holds_what_nobody_handed_out_uses_no_key_up(tmp_path, content):
    clock, store = Clock(), MemoryStore()
    nonces = Nonces("key", "ms", clock, tmp_path, store)
    first = int(nonces.take())
    (path,) = tmp_path.iterdir()
    mark = store.get("nonce/ms/key")
    path.write_bytes(content)
    with pytest.raises(NonceError, match="remove it, the mark in the store stands in for it"):
        nonces.take()
    assert store.get("nonce/ms/key") == mark
    path.unlink()
    assert first < int(nonces.take()) <= first + AHEAD_NS // MS + 2


def test_a_record_far_ahead_of_the_clock_uses_no_key_up(tmp_path):
    store = MemoryStore()
    store.put("nonce/ms/key", b"99999999999999999999")
    nonces = Nonces("key", "ms", Clock(), tmp_path, store)
    for _ in range(2):
        with pytest.raises(NonceError, match="more than a year ahead of the clock"):
            nonces.take()
    assert store.get("nonce/ms/key").value == b"99999999999999999999"


def test_a_process_that_forked_without_a_file_begins_at_the_mark(tmp_path):
    nonces = Nonces("key", "ms", Clock(), None, store := MemoryStore())
    first = int(nonces.take())
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, nonces.take().encode())
        os._exit(0)
    os.waitpid(child, 0)
    second = int(os.read(read, 32))
    os.close(read)
    os.close(write)
    assert first < int(nonces.take()) < int(store.get("nonce/ms/key").value) <= second


def test_a_mark_beyond_what_bitfinex_takes_is_told_with_what_to_do(tmp_path):
    # It takes none from 2^53 on: in microseconds, no clock is there before the year 2255.
    store = MemoryStore()
    store.put("nonce/us/key", b"%d" % (2**53 - 1))
    with pytest.raises(NonceError, match="run: hauberk nonces reset ACCOUNT"):
        Nonces("key", "us", Clock(), tmp_path, store).take()


def test_without_a_store_a_damaged_file_uses_no_key_up(tmp_path):
    nonces = Nonces("key", "ms", Clock(), tmp_path, None)
    nonces.take()
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"garbage!" * 3)
    with pytest.raises(NonceError, match="more than a year ahead of the clock"):
        nonces.take()


def test_a_file_removed_under_two_processes_lets_neither_fall_behind(tmp_path):
    store, clock = MemoryStore(), Clock()
    one, other = (Nonces("key", "ms", clock, tmp_path, store) for _ in range(2))
    taken = [int(one.take())]
    clock.now += 3_499 * MS
    taken.append(int(other.take()))
    clock.now -= 3_499 * MS
    (path,) = tmp_path.iterdir()
    path.unlink()
    taken += [int(one.take()), int(other.take()), int(one.take())]
    assert taken == sorted(set(taken))
