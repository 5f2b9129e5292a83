from __future__ import annotations

from hauberk_plugins.throttle.shared.advance import MOST_AHEAD, SOON_NS, Advance
from hauberk_plugins.throttle.shared.shape import Shape
from hauberk_plugins.throttle.shared.tally import Tally

TALLY = Tally(Shape("a/", "rolling", 1_000_000, 0, 100))
AMOUNTS = ()
PARTS = ((TALLY, 2),)


def test_more_is_asked_for_the_more_often_it_is_needed() -> None:
    advance = Advance()
    assert [advance.wanted(AMOUNTS, 0) for _ in range(8)] == [0, 1, 3, 7, 15, 31, 31, 31]
    assert MOST_AHEAD == 31


def test_who_asks_seldom_asks_for_no_more_than_it_needs() -> None:
    advance = Advance()
    assert [advance.wanted(AMOUNTS, at * SOON_NS) for at in range(4)] == [0, 0, 0, 0]


def test_each_is_used_once() -> None:
    advance = Advance()
    advance.wanted(AMOUNTS, 0)
    advance.put(AMOUNTS, PARTS, 2)
    assert [advance.take(AMOUNTS) for _ in range(3)] == [PARTS, PARTS, None]


def test_what_is_not_used_between_two_beats_is_taken_out() -> None:
    advance = Advance()
    advance.wanted(AMOUNTS, 0)
    advance.put(AMOUNTS, PARTS, 3)
    advance.take(AMOUNTS)
    assert advance.unused() == []
    assert advance.unused() == [(TALLY, 4)]
    assert advance.take(AMOUNTS) is None


def test_what_is_granted_to_who_was_forgotten_meanwhile_is_kept() -> None:
    advance = Advance()
    advance.wanted(AMOUNTS, 0)
    advance.unused()
    advance.put(AMOUNTS, PARTS, 3)
    assert advance.all() == [(TALLY, 6)]
