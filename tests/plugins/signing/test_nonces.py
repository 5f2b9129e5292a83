"""Nonces rise per key: across threads, processes and restarts, whatever the clock does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hauberk.errors import StoreError
from hauberk.testing import MemoryStore
from hauberk_plugins.signing.nonces import AHEAD_NS, NonceError, Nonces

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


@pytest.mark.parametrize("content", [b"x", b"123456789"])
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
    "content", [b"\xff" * 8, b"garbage!", (START * 9 // MS).to_bytes(8, "big")]
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
    with pytest.raises(NonceError, match="more than a year ahead of the clock"):
        Nonces("key", "ms", Clock(), tmp_path, store).take()


def test_without_a_store_a_damaged_file_uses_no_key_up(tmp_path):
    nonces = Nonces("key", "ms", Clock(), tmp_path, None)
    nonces.take()
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"garbage!")
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
