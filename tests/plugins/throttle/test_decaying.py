from __future__ import annotations

import pytest

from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.windows import Kind, Scope, Window

MS = 1_000_000
S = 1_000 * MS


def kraken(jitter: int = 0) -> Meter:
    """15, of which a third drains in a second."""
    return Meter(Window("calls", Kind.DECAYING, Scope.KEY, 45, 15, "calls"), jitter)


def test_it_drains_evenly_and_a_started_one_counts_whole() -> None:
    meter = kraken()
    meter.date(15, 0, None)
    assert [meter.used(at, None) for at in (0, 1, 3 * S - 1, 3 * S, 3 * S + 1)] == [
        15,
        15,
        15,
        14,
        14,
    ]
    assert meter.used(45 * S, None) == 0


def test_a_thousand_charges_drift_by_nothing() -> None:
    meter = kraken()
    for turn in range(1_000):
        assert meter.used(turn * 3 * S, None) == 0
        meter.date(1, turn * 3 * S, None)
    assert meter.used(1_000 * 3 * S, None) == 0


def test_what_is_open_does_not_drain() -> None:
    meter = kraken()
    meter.total += 15
    assert meter.used(1_000 * S, None) == 15


def test_a_jitter_is_what_drains_in_it_more() -> None:
    meter = kraken(jitter=300 * MS)
    meter.date(15, 0, None)
    assert meter.used(0, None) == 16  # a tenth more, rounded up
    assert meter.used(300 * MS, None) == 15
    assert meter.used(45 * S + 299 * MS, None) == 1
    assert meter.used(45 * S + 300 * MS, None) == 0


def test_what_costs_all_there_is_fits_once_it_is_empty() -> None:
    meter = kraken(jitter=300 * MS)
    meter.date(1, 0, None)
    due = meter.when(15, 0, None)
    assert due == 3 * S + 300 * MS
    assert [meter.used(at, None) for at in (due - 1, due)] == [1, 0]


@pytest.mark.parametrize("wanted", [1, 2, 7, 15])
def test_it_foretells_to_the_nanosecond(wanted: int) -> None:
    meter = kraken(jitter=250 * MS)
    meter.date(15, 17, None)
    due = meter.when(wanted, 17, None)
    assert [meter.used(at, None) + wanted > 15 for at in (due - 1, due)] == [True, False]


def test_those_who_come_before_are_foretold_too() -> None:
    meter = kraken()
    meter.date(15, 0, None)
    assert meter.when(30, 0, None) == 90 * S


def test_it_is_idle_once_it_has_drained() -> None:
    meter = kraken()
    meter.date(1, 0, None)
    assert not meter.is_idle(3 * S - 1)
    assert meter.is_idle(3 * S)


@pytest.mark.parametrize("kind", [Kind.ROLLING, Kind.CALENDAR])
def test_another_kind_after_a_reload_keeps_what_was_counted(kind: Kind) -> None:
    meter = kraken()
    meter.date(10, 0, 0)
    meter.reshape(Window("calls", kind, Scope.KEY, 45, 15, "calls"), 0, 0)
    assert meter.used(0, 0) == 10
    meter.reshape(kraken().shape.window, 0, 0)
    assert meter.used(0, 0) == 10
