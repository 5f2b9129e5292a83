"""The watchdog's turns: the counts of a running guard are left for `hauberk plugins`."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from attrs import evolve

from hauberk import counts, process
from hauberk.guard import Guard
from hauberk.process import PUBLISH_EVERY_S
from hauberk.request import Request
from hauberk.settings import KernelLimits
from hauberk.testing import DEFAULT_URL, FakeClock, make_plan

ORDER = Request("POST", DEFAULT_URL)
PATIENCE_S = 30
#: The watchdog's thread does not come by unless a test says so.
SELDOM = KernelLimits(warn_after_s=80_000.0, deny_after_s=80_000.0)


def running(folder: Path, clock: FakeClock, limits: KernelLimits = SELDOM) -> Guard:
    plan = make_plan(limits=limits)
    settings = evolve(plan.settings, state_dir=folder)
    guard = Guard(evolve(plan, settings=settings), clock=clock, resident=True)
    guard.kernel.watchdog.stop()
    return guard


def calls(folder: Path) -> int | None:
    """How often the kill switch was asked, as far as anybody outside can know."""
    for _, rows in counts.published(folder):
        return next(row.calls for row in rows if row.hook == "on_request")
    return None


def test_a_running_guard_leaves_its_counts_every_few_seconds(tmp_path: Path) -> None:
    clock, seen = FakeClock(), []
    with running(tmp_path, clock) as guard:
        for seconds in (0, PUBLISH_EVERY_S - 0.001, 0.001, PUBLISH_EVERY_S - 0.001, 0.001):
            guard.clear(ORDER)
            clock.advance(seconds)
            guard.kernel.watchdog.turn(guard.kernel)
            seen.append(calls(tmp_path))
    assert seen == [None, None, 3, 3, 5]
    assert calls(tmp_path) == 5


def test_few_are_five() -> None:
    assert PUBLISH_EVERY_S == 5.0


def test_the_watchdogs_thread_takes_turns_however_patient_the_configuration_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PUBLISH_EVERY_S", 0.01)
    clock, published = FakeClock(), threading.Semaphore(0)
    plan = make_plan(limits=SELDOM)
    settings = evolve(plan.settings, state_dir=tmp_path)
    with Guard(evolve(plan, settings=settings), clock=clock, resident=True) as guard:
        monkeypatch.setattr(guard.kernel, "publish_counts", published.release)
        for _ in range(2):
            clock.advance(0.01)
            assert published.acquire(timeout=PATIENCE_S)
