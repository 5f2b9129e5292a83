from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Secret, StoreError
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.auth.delays import (
    ACCOUNT,
    SOURCE,
    Delays,
    Key,
    Rule,
    of_account,
    of_device,
    of_source,
)

ALICE = (of_account("alice"),)
KEY = Secret(b"k" * 32)
CAP_S = 30


class Made:
    """Delays over a store and a clock."""

    def __init__(self, slots: int = 64, ways: int = 8) -> None:
        self.store, self.clock = MemoryStore(), FakeClock()
        self.slots, self.ways = slots, ways
        self.delays = self.process()

    def process(self, key: Secret = KEY) -> Delays:
        return Delays(
            lambda: self.store, lambda: key, self.clock.wall_ns, slots=self.slots, ways=self.ways
        )

    def fail(self, *keys: Key, times: int = 1) -> None:
        """Fail so often, waiting each time as long as it takes."""
        for _ in range(times):
            self.clock.advance(self.delays.wait_s(keys))
            assert self.delays.charge(keys) == 0


def test_the_first_failures_cost_nothing_then_it_doubles_up_to_the_cap() -> None:
    made = Made()
    waits = []
    for _ in range(12):
        made.fail(*ALICE)
        waits.append(made.delays.wait_s(ALICE))
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_a_source_has_more_tries_than_an_account() -> None:
    made = Made()
    made.fail(of_source("203.0.113.9"), times=SOURCE.free)
    assert made.delays.wait_s((of_source("203.0.113.9"),)) == 0
    made.fail(of_source("203.0.113.9"))
    assert made.delays.wait_s((of_source("203.0.113.9"),)) == 1
    assert SOURCE.free > ACCOUNT.free


def test_one_source_that_tries_many_names_is_slowed_down() -> None:
    made = Made()
    for n in range(SOURCE.most):
        made.fail(of_account(f"user-{n}"), of_source("203.0.113.9"))
    assert made.delays.wait_s((of_account("somebody"), of_source("203.0.113.9"))) == CAP_S
    assert made.delays.wait_s((of_account("somebody"), of_source("203.0.113.10"))) == 0


def test_trying_while_it_lasts_changes_nothing() -> None:
    made = Made()
    made.fail(*ALICE, times=ACCOUNT.most)
    for _ in range(1_000):
        assert made.delays.charge(ALICE) == CAP_S
    made.clock.advance(CAP_S)
    assert made.delays.charge(ALICE) == 0


@given(st.lists(st.floats(0, 600), max_size=60))
def test_whatever_is_tried_nobody_waits_longer_than_the_cap(pauses: list[float]) -> None:
    made = Made()
    for pause in pauses:
        made.clock.advance(pause)
        made.delays.charge(ALICE)
        assert 0 <= made.delays.wait_s(ALICE) <= CAP_S
    made.clock.advance(CAP_S)
    assert made.delays.wait_s(ALICE) == 0


def test_failures_fade_by_themselves() -> None:
    made = Made()
    made.fail(*ALICE, times=ACCOUNT.most)
    made.clock.advance(CAP_S + ACCOUNT.fade_s * ACCOUNT.most)
    made.fail(*ALICE, times=ACCOUNT.free)
    assert made.delays.wait_s(ALICE) == 0


def test_a_thousand_failures_fade_no_slower_than_those_that_reach_the_cap() -> None:
    made = Made()
    made.fail(*ALICE, times=1_000)
    made.clock.advance(CAP_S + ACCOUNT.fade_s * ACCOUNT.most)
    made.fail(*ALICE, times=ACCOUNT.free)
    assert made.delays.wait_s(ALICE) == 0


def test_a_try_that_succeeds_is_forgiven_but_not_what_others_failed_before() -> None:
    made = Made()
    made.fail(*ALICE, times=ACCOUNT.most)
    made.clock.advance(CAP_S)
    assert made.delays.charge(ALICE) == 0
    made.delays.forgive(ALICE)
    assert made.delays.wait_s(ALICE) > 0
    other = (of_account("bob"),)
    for _ in range(100):
        assert made.delays.charge(other) == 0
        made.delays.forgive(other)
    assert made.delays.wait_s(other) == 0


def test_forgiving_what_was_never_charged_is_nothing() -> None:
    made = Made()
    made.delays.forgive(ALICE)
    made.fail(*ALICE, times=ACCOUNT.free)
    made.delays.forgive((of_account("bob"),))
    assert made.delays.wait_s(ALICE) == 0


def test_of_a_hundred_tries_at_once_only_the_free_ones_get_through() -> None:
    made = Made()
    barrier, let_through = threading.Barrier(20), []

    def attempt() -> None:
        mine = made.process()
        barrier.wait()
        let_through.extend(1 for _ in range(5) if mine.charge(ALICE) == 0)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The clock stands still, so nothing fades: the free ones, and the one whose failure costs.
    assert len(let_through) == ACCOUNT.free + 1


def test_a_restart_and_another_process_do_not_begin_anew() -> None:
    made = Made()
    made.fail(*ALICE, times=ACCOUNT.most)
    assert made.process().wait_s(ALICE) == CAP_S


def test_names_are_kept_by_keyed_hash_alone() -> None:
    made = Made()
    made.fail(*ALICE, of_source("203.0.113.9"))
    for name, record in made.store.scan():
        assert b"alice" not in record.value
        assert "alice" not in name
    assert made.process(Secret(b"other key")).wait_s(ALICE) == 0


def test_kinds_do_not_meet() -> None:
    made = Made()
    made.fail(of_account("x"), times=ACCOUNT.most)
    assert made.delays.wait_s((of_source("x"), of_device("x"))) == 0


# The size of the table.


def test_the_table_keeps_its_size_under_a_million_keys() -> None:
    full = os.environ.get("HAUBERK_SWEEP") == "full"
    made = Made(slots=16, ways=8)
    for n in range(1_000_000 if full else 20_000):
        made.delays.charge((of_account(f"user-{n}"),))
    records = list(made.store.scan())
    assert len(records) == 16
    assert sum(len(record.value) for _, record in records) == 16 * 8 * 24


def test_a_full_slot_forgets_what_failed_longest_ago() -> None:
    made = Made(slots=1, ways=4)
    made.fail(*ALICE, times=ACCOUNT.most)
    for n in range(3):
        made.clock.advance(1)
        made.fail(of_account(f"user-{n}"))
    assert made.delays.wait_s(ALICE) > 0
    made.clock.advance(1)
    made.fail(of_account("one more"))
    assert made.delays.wait_s(ALICE) == 0


def test_what_failed_often_and_lately_outlasts_a_flood_of_what_failed_before_it() -> None:
    made = Made(slots=1, ways=4)
    for n in range(1_000):
        made.fail(of_account(f"user-{n}"))
        if n % 3 == 0:
            made.fail(*ALICE)
    assert made.delays.wait_s(ALICE) == CAP_S


# Clocks.


@pytest.mark.parametrize("behind_s", [0.001, 0.5, 1.0])
def test_trying_on_two_machines_whose_clocks_differ_spares_no_delay(behind_s: float) -> None:
    made = Made()
    made.fail(*ALICE, times=ACCOUNT.most)
    made.clock.step_wall(-behind_s)
    wait_s = made.delays.charge(ALICE)
    assert wait_s == pytest.approx(CAP_S + behind_s)
    made.clock.advance(wait_s)
    assert made.delays.charge(ALICE) == 0


def test_a_step_of_the_clock_makes_nobody_wait_who_need_not() -> None:
    made = Made()
    made.fail(*ALICE, times=ACCOUNT.free)
    made.clock.step_wall(-0.5)
    assert made.delays.charge(ALICE) == 0


@pytest.mark.parametrize("back_s", [2, 3_600, 86_400 * 365])
def test_a_clock_set_back_locks_nobody_out_and_forgets_no_failure(back_s: int) -> None:
    made = Made()
    made.fail(*ALICE, times=ACCOUNT.most)
    made.clock.step_wall(-back_s)
    assert made.delays.wait_s(ALICE) == 0
    assert made.delays.charge(ALICE) == 0
    assert made.delays.wait_s(ALICE) == CAP_S


def test_a_clock_before_1970_is_only_a_clock() -> None:
    made = Made()
    made.clock.step_wall(-made.clock.wall_ns() / 1e9 - 1_000)
    made.fail(*ALICE)


def test_what_a_clock_ahead_has_dated_is_forgotten_before_what_comes_after() -> None:
    made = Made(slots=1, ways=4)
    made.clock.step_wall(86_400)
    for n in range(4):
        made.fail(of_account(f"ahead-{n}"))
    made.clock.step_wall(-86_400)
    for n in range(4):
        made.fail(of_account(f"user-{n}"), times=ACCOUNT.free + 1)
    assert all(made.delays.wait_s((of_account(f"user-{n}"),)) > 0 for n in range(4))


@given(st.integers(0, 10**6))
def test_no_number_of_failures_is_too_many(failures: int) -> None:
    assert 0 <= Rule(free=3).delay_s(failures) <= CAP_S


# Sources.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:1:2:3"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:DB8::1", "2001:db8:0:0::1"),
    ],
)
def test_sources_that_one_host_may_have_are_one(one: str, other: str) -> None:
    assert of_source(one) == of_source(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("203.0.113.9", "203.0.113.10"), ("2001:db8::1", "2001:db8:1::1"), ("a", "b"), ("\ud800", "")],
)
def test_others_are_two(one: str, other: str) -> None:
    made = Made()
    made.fail(of_source(one), times=SOURCE.most)
    assert made.delays.wait_s((of_source(other),)) == 0


# The store.


def test_a_slot_that_was_cut_short_keeps_nobody_out() -> None:
    made = Made(slots=1)
    made.fail(*ALICE, times=ACCOUNT.most)
    ((name, record),) = made.store.scan()
    made.store.put(name, record.value[:-5])
    assert made.delays.wait_s(ALICE) == 0
    made.fail(*ALICE)
    made.store.put(name, b"")
    made.fail(*ALICE)


def test_a_store_that_cannot_be_written_lets_nobody_try() -> None:
    made = Made()
    made.store.error = StoreError("disk full")
    with pytest.raises(StoreError):
        made.delays.charge(ALICE)
