from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hauberk.errors import StoreError
from hauberk.testing import MemoryStore
from hauberk_plugins.policy.day import DayLedger
from hauberk_plugins.policy.errors import DayRecordError, DaySpent

CAP = 10_000


class Counting(MemoryStore):
    """A store that counts its writes."""

    def __init__(self):
        super().__init__()
        self.writes = 0

    def put(self, name, value, *, version=None):
        self.writes += 1
        return super().put(name, value, version=version)


class Days(RuleBasedStateMachine):
    """Processes that spend one cap, are killed or stopped, and go by clocks that step."""

    @initialize()
    def begin(self):
        self.store = MemoryStore()
        self.today = 20_000
        self.running = [DayLedger("day/USDT/main")]
        #: Day to what was counted on it and not given back, as a list of units.
        self.counted = {}

    @rule(by=st.integers(-3, 3))
    def clock_steps(self, by):
        self.today += by

    @rule()
    def start(self):
        self.running = [*self.running, DayLedger("day/USDT/main")][-4:]

    @rule(which=st.integers(0, 3))
    def stop(self, which):
        if len(self.running) > 1:
            self.running.pop(which % len(self.running)).close(self.store)

    @rule(which=st.integers(0, 3), units=st.integers(0, CAP + 1), off=st.integers(-1, 1))
    def charge(self, which, units, off):
        ledger = self.running[which % len(self.running)]
        try:
            day = ledger.charge(units, CAP, self.today + off, self.store)
        except DaySpent:
            return
        self.counted.setdefault(day, []).append((ledger, units))

    @rule(which=st.integers(0, 50))
    def give_back(self, which):
        pairs = [(day, one) for day, some in self.counted.items() for one in some]
        if pairs:
            day, one = pairs[which % len(pairs)]
            if one[0] in self.running:
                one[0].give_back(one[1], day, self.store)
                self.counted[day].remove(one)

    @invariant()
    def no_day_holds_more_than_its_cap(self):
        for some in self.counted.values():
            assert sum(units for _, units in some) <= CAP


TestDays = Days.TestCase
TestDays.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def test_small_orders_cost_a_write_once_in_a_while():
    store, ledger = Counting(), DayLedger("day")
    for _ in range(1_000):
        ledger.charge(5, CAP, 1, store)
    assert store.writes < 40


def test_all_of_the_cap_can_be_spent_and_no_more():
    store, ledger = MemoryStore(), DayLedger("day")
    for _ in range(CAP // 5):
        ledger.charge(5, CAP, 1, store)
    with pytest.raises(DaySpent) as caught:
        ledger.charge(1, CAP, 1, store)
    assert (caught.value.left, caught.value.day) == (0, 1)


def test_a_killed_process_gives_nothing_back_and_a_stopped_one_what_it_did_not_spend():
    store = MemoryStore()
    DayLedger("day").charge(4_000, CAP, 1, store)  # killed
    second = DayLedger("day")
    second.charge(1_000, CAP, 1, store)
    second.close(store)
    left, _ = DayLedger("day").left(CAP, 1, store)
    assert left <= CAP - 5_000
    assert left >= CAP - 5_000 - 1_500


def test_a_clock_that_is_set_back_does_not_make_a_spent_day_fresh():
    store = MemoryStore()
    DayLedger("day").charge(CAP, CAP, 10, store)
    for today in (9, 0, 10):
        with pytest.raises(DaySpent):
            DayLedger("day").charge(1, CAP, today, store)
    assert DayLedger("day").charge(CAP, CAP, 11, store) == 11


def test_a_cap_that_is_lowered_counts_at_once():
    store, ledger = MemoryStore(), DayLedger("day")
    ledger.charge(1_000, CAP, 1, store)
    with pytest.raises(DaySpent):
        ledger.charge(1, 1_000, 1, store)


def test_what_is_given_back_too_late_changes_nothing():
    store, ledger = MemoryStore(), DayLedger("day")
    ledger.charge(CAP, CAP, 1, store)
    ledger.charge(CAP, CAP, 2, store)
    ledger.give_back(CAP, 1, store)
    with pytest.raises(DaySpent):
        ledger.charge(1, CAP, 2, store)


@pytest.mark.parametrize(
    "record",
    [b"", b"{}", b"[]", b"\xff", b'{"day": "2026-11-24"}', b'{"day": "2026-11-24", "reserved": -1}',
     b'{"day": "2026-11-24", "reserved": 1.5}', b'{"day": "2026-11-24", "reserved": true}',
     b'{"day": "24.11.2026", "reserved": 1}', b'{"day": "20261124", "reserved": 1}',
     b'{"day": "1969-12-31", "reserved": 1}', b'{"day": 1, "reserved": 1}', b"[" * 100_000],
)  # fmt: skip
def test_a_record_that_cannot_be_read_denies_and_says_what_to_do(record):
    store, ledger = MemoryStore(), DayLedger("day")
    store.put("day", record)
    with pytest.raises(DayRecordError, match="hauberk policy reset ACCOUNT"):
        ledger.charge(1, CAP, 1, store)
    ledger.forget(store)
    assert ledger.charge(1, CAP, 1, store) == 1


def test_a_store_that_cannot_be_used_denies():
    store = MemoryStore()
    store.error = StoreError("the disk is full")
    with pytest.raises(DayRecordError, match="the disk is full"):
        DayLedger("day").charge(1, CAP, 1, store)


def test_threads_share_one_cap():
    store, ledger, passed = MemoryStore(), DayLedger("day"), []

    def spend():
        for _ in range(200):
            try:
                ledger.charge(17, CAP, 1, store)
            except DaySpent:
                return
            passed.append(17)

    threads = [threading.Thread(target=spend) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert CAP - 17 < sum(passed) <= CAP


SPEND = """
import sys
import hauberk
from hauberk.command import started
from hauberk_plugins.policy.day import DayLedger
from hauberk_plugins.policy.errors import DaySpent
with started(sys.argv[1], "policy", is_recorded=False) as running:
    store, spent = running.plugin._context.store, 0
    ledger = DayLedger("day/USDT/shared")
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        while True:
            ledger.charge(7, 10_000, 20_000, store)
            spent += 7
    except DaySpent:
        print(spent, flush=True)
"""


def test_processes_share_one_cap(tmp_path):
    config = tmp_path / "hauberk.yml"
    config.write_text(
        "state: state\nplugins: [killswitch, policy, bots, signing]\n"
        "required: [killswitch]\ngrants: {policy: [store, venues]}\n"
        "accounts: {main: {venue: binance, key: env:K, secret: env:S}}\n",
        "utf-8",
    )
    config.chmod(0o600)
    (tmp_path / "state").mkdir(mode=0o700)
    line = [sys.executable, "-c", SPEND, str(config)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(line, **pipes) for _ in range(3)]
    assert [one.stdout.readline() for one in running] == ["ready\n"] * 3
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    spent = [int(process.communicate(timeout=60)[0]) for process in running]
    assert sum(spent) <= 10_000
    assert sum(spent) > 9_000
