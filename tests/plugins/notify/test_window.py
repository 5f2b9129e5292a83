"""One message for the first, one for how many followed; what is worse is never held back."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Severity
from hauberk.records import Incident
from hauberk_plugins.notify.window import MAX_KINDS, Held, Window, admitted, after

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
MINUTE = 60 * SECOND


def incident(severity: Severity = Severity.MEDIUM, title: str = "login failed") -> Incident:
    return Incident("inc-1", title, severity, "monitor", NOW)


def admit(
    window: Window | None, one: Incident, now: int = NOW, behind: bool = False
) -> tuple[bool, Window]:
    return admitted(window, one, now, MINUTE, is_behind=behind)


def test_the_first_is_told_at_once_and_what_follows_is_counted() -> None:
    is_told, window = admit(None, incident())
    assert is_told
    for _ in range(3):
        is_told, window = admit(window, incident(), NOW + 59 * SECOND)
        assert not is_told
    assert window.held == (Held("login failed", Severity.MEDIUM, "monitor", 3),)
    assert (window.until_ns, window.count) == (NOW + MINUTE, 3)


def test_after_a_quiet_window_the_next_is_told_at_once_again() -> None:
    _, window = admit(None, incident())
    assert admit(window, incident(), NOW + MINUTE)[0]


def test_what_goes_on_after_a_digest_is_counted_on() -> None:
    _, window = admit(None, incident())
    _, window = admit(window, incident())
    following = after(window, NOW + MINUTE, MINUTE)
    assert not admit(following, incident(), NOW + MINUTE + 1)[0]


@pytest.mark.parametrize("behind", [False, True])
def test_what_is_worse_is_told_at_once_unless_as_much_of_it_waits(behind: bool) -> None:
    _, window = admit(None, incident(Severity.MEDIUM))
    for severity in (Severity.HIGH, Severity.CRITICAL):
        is_told, window = admit(window, incident(severity), behind=behind)
        assert is_told is not behind


def test_an_old_flood_holds_nothing_back_that_is_worse_than_itself() -> None:
    _, window = admit(None, incident(Severity.CRITICAL))
    _, window = admit(window, incident(Severity.LOW))
    window = after(window, NOW + MINUTE, MINUTE)
    assert admit(window, incident(Severity.CRITICAL), NOW + MINUTE)[0]


@pytest.mark.parametrize("step", [-86_400, -61])
def test_a_clock_that_is_set_back_makes_no_window_longer(step: int) -> None:
    _, window = admit(None, incident())
    now = NOW + step * SECOND
    _, window = admit(window, incident(), now)
    assert window.until_ns == now + MINUTE


def test_thousands_of_made_up_names_do_not_hide_what_matters() -> None:
    window = Window(NOW, told=4)
    for number in range(1_000):
        window = window.holding(incident(Severity.LOW, f"{number}"))
    window = window.holding(incident(Severity.HIGH, "keys are gone"))
    assert len(window.held) == MAX_KINDS
    assert Held("keys are gone", Severity.HIGH, "monitor") in window.held
    assert window.count == 1_001


titles = st.text(max_size=5)
reports = st.lists(st.tuples(st.sampled_from(Severity), titles, st.integers(0, 100)), max_size=60)


@given(reports)
def test_what_is_told_and_what_is_counted_are_all_there_is(
    given_: list[tuple[Severity, str, int]],
) -> None:
    window, told, now = None, 0, NOW
    for severity, title, seconds in given_:
        now += seconds * SECOND
        one = evolve(incident(severity, title), at_ns=now)
        is_told, window = admit(window, one, now)
        told += is_told
        if window.held and now >= window.until_ns:
            told += window.count
            window = after(window, now, MINUTE)
    assert told + (window.count if window else 0) == len(given_)


@given(reports)
def test_it_is_read_as_it_was_written(given_: list[tuple[Severity, str, int]]) -> None:
    window = Window(NOW)
    for severity, title, _ in given_:
        window = window.holding(incident(severity, title))
    assert Window.from_bytes(window.to_bytes()) == window
