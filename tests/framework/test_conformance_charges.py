"""What `check_plugin` sees of charges: only after many asks, or only in what is still pending."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from hauberk import Deny, Operation, Plugin, Request, hookimpl
from hauberk.accounts import Account
from hauberk.settings import KernelLimits
from hauberk.testing import ConformanceFailed, Rule, check_plugin
from hauberk.testing.conformance.rules import Case, charges_once, gives_back
from hauberk.testing.conformance.scripts import Script
from hauberk.testing.conformance.stage import Setup, Stage
from hauberk.testing.guards import Providers

ROOM = 3
READ = Request("GET", "https://api.open.test/read/x").stamped("r", Operation.READ)


class Budget(Plugin):
    """So many requests a guard, each charged once and given back: keeps the contract."""

    interface = (1, 1)

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.charged: list[str] = []

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        with self.lock:
            if request.id in self.charged:
                self.again(request.id)
                return None
            if len(self.charged) >= ROOM:
                return Deny("the budget is spent")
            self.charged.append(request.id)
            return None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        with self.lock:
            if not left and request.id in self.charged:
                self.give_back(request.id)

    def again(self, request_id: str) -> None:
        """Asked again about what has its charge: free."""

    def give_back(self, request_id: str) -> None:
        """What was charged did not leave."""
        self.charged.remove(request_id)


class ChargesEachTenth(Budget):
    """A lease that ends with the tenth look, and is paid for again."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def again(self, request_id: str) -> None:
        self.looks += 1
        if self.looks % 10 == 0:
            self.charged.append(request_id)

    def give_back(self, request_id: str) -> None:
        self.charged = [charged for charged in self.charged if charged != request_id]


class TakesAnothersPlace(Budget):
    """Renews its charge when asked again, in the place of somebody else's."""

    def again(self, request_id: str) -> None:
        other = next((charged for charged in self.charged if charged != request_id), None)
        if other is not None:
            self.charged[self.charged.index(other)] = f"{other} in place of {request_id}"


class FreesTheOldest(Budget):
    """Gives back as many as it should, and not whose it should."""

    def __init__(self) -> None:
        super().__init__()
        self.owing: set[str] = set()

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        verdict = super().on_request(request)
        if verdict is None:
            self.owing.add(request.id)
        return verdict

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        with self.lock:
            if not left and request.id in self.owing and self.charged:
                self.charged.pop(0)
            self.owing.discard(request.id)


def stage_of(make: Callable[[], object]) -> Stage:
    accounts, none = {"main": Account("open")}, frozenset[Any]()
    limits, timer = KernelLimits(), time.perf_counter_ns
    return Stage(Setup("zoo", make, none, accounts, Providers, limits, none, timer))


def test_the_budget_that_the_others_are_made_from_passes() -> None:
    check_plugin(Budget, requests=st.just(READ), examples=12)


@pytest.mark.parametrize(
    ("plugin", "rule", "why"),
    [
        (ChargesEachTenth, Rule.CHARGES_ONCE, "asked 200 times under one id"),
        (TakesAnothersPlace, Rule.CHARGES_ONCE, "which was pending, was answered None asked once"),
        (FreesTheOldest, Rule.GIVES_BACK, "which was pending, was answered None without it"),
    ],
)
def test_a_mistake_that_shows_late_or_elsewhere_is_caught(
    plugin: Any, rule: Rule, why: str
) -> None:
    with pytest.raises(ConformanceFailed) as caught:
        check_plugin(plugin, requests=st.just(READ), examples=50)
    assert caught.value.rule is rule
    assert why in caught.value.why


@pytest.mark.parametrize(
    ("plugin", "check"), [(TakesAnothersPlace, charges_once), (FreesTheOldest, gives_back)]
)
def test_requests_are_held_so_that_a_charge_that_changes_hands_shows(
    plugin: Any, check: Callable[[Stage, Script, Case], None]
) -> None:
    def case(held: int) -> Case:
        return Case(READ, held=held, repeats=2, twice=True)

    with stage_of(plugin) as stage:
        check(stage, Script(0, ()), case(held=0))
        with pytest.raises(ConformanceFailed, match="request held-0, which was pending"):
            check(stage, Script(0, ()), case(held=1))
