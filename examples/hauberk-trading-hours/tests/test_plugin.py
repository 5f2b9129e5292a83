"""The plugin keeps Hauberk's contract, and does what it is for in a guard."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from attrs import evolve
from hauberk import Denied, Operation, Request
from hauberk.accounts import Account
from hauberk.errors import ConfigError
from hauberk.testing import FakeClock, GuardFactory, MemoryStore, check_plugin
from hypothesis import given
from hypothesis import strategies as st

from hauberk_trading_hours.plugin import Hours, TradingHoursConfig, TradingHoursPlugin

HOURS: tuple[str, ...] = ("09:30-16:00",)
CONFIG = TradingHoursConfig(
    timezone="America/New_York",
    weekly=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), HOURS),
    blackouts=("2024-07-04",),
    accounts={"crypto": Hours(allow_reduce=True, blackouts=("2024-07-01..2024-07-31",))},
)
ACCOUNTS = {"main": Account("open"), "crypto": Account("open")}


def request(operation: Operation, account: str = "main") -> Request:
    return Request("POST", f"https://api.open.test/{operation}/x", account=account)


def set_clock(clock: FakeClock, moment: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    clock.step_wall(at.timestamp() - clock.wall_ns() // 10**9)


def test_it_keeps_the_contract() -> None:
    check_plugin(TradingHoursPlugin, config=CONFIG, accounts=ACCOUNTS)


@pytest.mark.parametrize("operation", Operation)
def test_only_reads_and_cancels_pass_while_it_is_closed(
    guard: GuardFactory, clock: FakeClock, operation: Operation
) -> None:
    set_clock(clock, "2024-07-04T15:00")
    armed = guard(TradingHoursPlugin(CONFIG), accounts=ACCOUNTS)
    if operation in (Operation.PUBLIC, Operation.READ, Operation.CANCEL):
        armed.clear(request(operation))
        return
    with pytest.raises(Denied) as denied:
        armed.clear(request(operation))
    assert denied.value.retry_after == 22.5 * 3_600
    assert "which begin Fri 2024-07-05 09:30:00 America/New_York" in denied.value.reason
    clock.advance(denied.value.retry_after)
    armed.clear(request(operation))


def test_an_account_may_have_hours_of_its_own(guard: GuardFactory, clock: FakeClock) -> None:
    set_clock(clock, "2024-07-02T15:00")
    armed = guard(TradingHoursPlugin(CONFIG), accounts=ACCOUNTS)
    armed.clear(request(Operation.TRADE))
    with pytest.raises(
        Denied, match=r"of account 'crypto', which begin Thu 2024-08-01 00:00:00 UTC"
    ):
        armed.clear(request(Operation.TRADE, "crypto"))
    armed.clear(request(Operation.REDUCE, "crypto"))


def test_an_account_without_hours_is_told_so(guard: GuardFactory) -> None:
    armed = guard(TradingHoursPlugin(TradingHoursConfig(weekly={})))
    with pytest.raises(Denied, match="account 'main' has no trading hours") as denied:
        armed.clear(request(Operation.TRADE))
    assert denied.value.retry_after is None


def test_hours_for_an_account_that_is_not_there_stop_the_start(guard: GuardFactory) -> None:
    with pytest.raises(ConfigError, match=r"trading_hours\.accounts\.crypto: there is no such"):
        guard(("trading_hours", TradingHoursPlugin(CONFIG)), required=["trading_hours"])


@given(st.integers(0, 14 * 86_400), st.integers(0, 10**9 - 1))
def test_waiting_as_long_as_it_says_is_long_enough_and_not_a_second_too_long(
    seconds: int, ns: int
) -> None:
    start_ns = 1_720_000_000 * 10**9 + seconds * 10**9 + ns
    clock = FakeClock(wall_ns=start_ns)
    plugin = TradingHoursPlugin(evolve(CONFIG, accounts={}))
    with GuardFactory(clock, MemoryStore()) as guard:
        armed = guard(plugin)
        try:
            armed.clear(request(Operation.TRADE))
            return
        except Denied as error:
            denied = error
        assert denied.retry_after is not None
        clock.advance(denied.retry_after - 1e-3)
        with pytest.raises(Denied):
            armed.clear(request(Operation.TRADE))
        clock.advance(1e-3)
        armed.clear(request(Operation.TRADE))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"timezone": "Mars/Olympus"}, "is no time zone"),
        ({"weekly": {"monday": ("09:00-10:00",)}}, "is no day of the week: write one of mon"),
        ({"weekly": {"mon": ("9-10",)}}, "are no hours"),
        ({"blackouts": ("tomorrow",)}, "is no blackout"),
    ],
)
def test_a_wrong_configuration_is_refused_with_what_to_write(
    wrong: dict[str, object], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        TradingHoursConfig(**wrong)  # type: ignore[arg-type]
