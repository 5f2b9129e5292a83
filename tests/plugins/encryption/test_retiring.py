"""Which old data keys a ring forgets, by how long they have not sealed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.encryption.dates import date, unused_for
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.ringfile import RingFile, WrappedKey
from hauberk_plugins.encryption.wrapping import WrappingKey

DAY = 86_400
NOW = 1_700_000_000


class Clock:
    """The wall clock, in seconds."""

    def __init__(self) -> None:
        self.now = NOW

    def ns(self) -> int:
        return self.now * 10**9


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def process(folder: Path, source: WrappingKey, clock: Clock) -> Callable[[], KeyRing]:
    """Make the ring as one more process has it."""
    return lambda: KeyRing(folder, source, wall_ns=clock.ns)


def test_a_key_goes_once_it_has_not_sealed_for_so_long(
    process: Callable[[], KeyRing], clock: Clock
) -> None:
    ring = process()
    first = ring.sealing().number
    clock.now += 90 * DAY  # how long it sealed does not count
    second = ring.rotate()
    assert ring.retire(unused_s=7 * DAY) == 0
    clock.now += 7 * DAY - 1
    assert ring.retire(unused_s=7 * DAY) == 0
    third = ring.rotate()
    clock.now += 1
    assert ring.retire(unused_s=7 * DAY) == 1
    assert [key.number for key in ring.read().keys] == [second, third]
    again = process()
    assert again.opening(first) is None
    assert again.opening(second) is not None
    assert again.sealing().number == third


def test_a_clock_set_back_keeps_keys(process: Callable[[], KeyRing], clock: Clock) -> None:
    ring = process()
    ring.sealing()
    ring.rotate()
    clock.now -= 365 * DAY
    assert ring.retire(unused_s=DAY) == 0


def test_a_key_of_no_date_is_kept_unless_all_are_to_go() -> None:
    for made in ("", "last week", "2023-11-14"):
        keys = (WrappedKey(1, date(0), b""), WrappedKey(2, made, b""))
        ring = RingFile(b"", None, b"", 2, keys)
        assert unused_for(ring, DAY, NOW * 10**9) == frozenset()
        assert unused_for(ring, 0, NOW * 10**9) == {1}


def test_whichever_key_seals_is_kept() -> None:
    keys = tuple(WrappedKey(number, date(0), b"") for number in (1, 2, 3))
    for active in (1, 2, 3):
        ring = RingFile(b"", None, b"", active, keys)
        for seconds in (0, DAY):
            assert active not in unused_for(ring, seconds, NOW * 10**9)


@given(st.lists(st.integers(0, 10), min_size=1, max_size=6), st.integers(0, 9), st.integers(-5, 40))
def test_the_key_that_seals_never_goes_and_no_key_goes_before_one_that_sealed_earlier(
    gaps: list[int], seconds: int, later: int
) -> None:
    made = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    keys = tuple(WrappedKey(n, date(at * 10**9), b"") for n, at in enumerate(made, 1))
    ring = RingFile(b"", None, b"", len(keys), keys)
    gone = unused_for(ring, seconds, later * 10**9)
    assert gone == set(range(1, len(gone) + 1))
    assert ring.active not in gone
    if seconds:
        assert all(later - made[number] >= seconds for number in gone)


def test_a_process_that_runs_opens_what_it_has_read_before_another_retired_the_key(
    process: Callable[[], KeyRing],
) -> None:
    bot, command = process(), process()
    number = bot.sealing().number
    command.rotate()
    assert command.retire() == 1
    assert bot.sealing().number != number  # it has seen the change
    assert bot.opening(number) is not None
    assert command.opening(number) is None
    assert process().opening(number) is None


def test_what_a_process_remembers_takes_no_room_in_the_ring(
    process: Callable[[], KeyRing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hauberk_plugins.encryption.ring.MAX_KEYS", 2)
    bot, command = process(), process()
    bot.sealing()
    for _ in range(3):
        bot.rotate()
        command.retire()
        bot.sealing()
    assert len(bot.read().keys) == 1
