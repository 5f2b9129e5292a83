"""What people write is read, and what cannot be is refused with what would be right."""

from __future__ import annotations

import pytest

from hauberk_trading_hours.reading import read_blackout, read_hours, read_zone
from hauberk_trading_hours.schedule import DAY_NS, SECOND_NS

HOUR_NS = 3_600 * SECOND_NS


def test_hours_are_read() -> None:
    assert read_hours("09:30-16:00") == (9.5 * HOUR_NS, 16 * HOUR_NS)
    assert read_hours("22:00-02:00") == (22 * HOUR_NS, 2 * HOUR_NS)
    assert read_hours("22:00-24:00") == (22 * HOUR_NS, 24 * HOUR_NS)


@pytest.mark.parametrize(
    "text",
    ["", "9:30-16:00", "09:30", "09:30-25:00", "09:60-10:00", "24:00-01:00", "09:00-09:00",
     "09:30-16:00 ", "09:30-16:00\n", "24:30-25:00", "\u0660\u0669:30-16:00"],
)  # fmt: skip
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="are no hours: write 09:30-16:00"):
        read_hours(text)


def test_blackouts_are_read() -> None:
    assert read_blackout("1970-01-02") == (DAY_NS, 2 * DAY_NS)
    assert read_blackout("1970-01-02..1970-01-03") == (DAY_NS, 3 * DAY_NS)
    assert read_blackout("1970-01-01T01:00..1970-01-02T00:00") == (HOUR_NS, DAY_NS)


@pytest.mark.parametrize(
    "text",
    ["", "2026-02-30", "2026-1-1", "2026-01-01..", "2026-01-01..2026-01-02T00:00", "christmas",
     "2026-01-01T00:00", "2026-01-01T24:30..2026-01-02T00:00", "20260101", "2026-W01-1"],
)  # fmt: skip
def test_what_is_no_blackout_is_refused(text: str) -> None:
    if text == "2026-01-01..":
        assert read_blackout(text) == read_blackout("2026-01-01")
        return
    with pytest.raises(ValueError, match="is no blackout: write 2026-12-25"):
        read_blackout(text)


@pytest.mark.parametrize("text", ["2026-01-02..2026-01-01", "2026-01-01T10:00..2026-01-01T10:00"])
def test_a_blackout_that_ends_before_it_begins_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        read_blackout(text)


def test_a_zone_that_is_not_there_is_refused_with_one_that_is_near() -> None:
    assert read_zone("Europe/Berlin").key == "Europe/Berlin"
    with pytest.raises(ValueError, match="did you mean Europe/Berlin"):
        read_zone("Europe/Berlni")
    for text in ("", "../../etc/passwd", "/etc/localtime", "x\0y", "qqqqqq"):
        with pytest.raises(ValueError, match="is no time zone"):
            read_zone(text)
