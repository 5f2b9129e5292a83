from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import strategies as st

from hauberk import (
    ConfigError,
    Denied,
    Plugin,
    Request,
    SigningError,
    StartFailed,
    Wait,
    hookimpl,
)
from hauberk.accounts import Account
from hauberk.context import Context
from hauberk.guard import Guard
from hauberk.plan import Plan
from hauberk.settings import Mode
from hauberk.testing import (
    DEFAULT_URL,
    FakeClock,
    GuardFactory,
    OpenVenue,
    PlainSigner,
    Providers,
    check_plugin,
    make_plan,
)
from hauberk.written import Written
from hauberk_plugins.throttle.plugin import ThrottleConfig, ThrottlePlugin
from hauberk_plugins.throttle.windows import Kind, Scope, Window

GRANTS = {"throttle": ["venues"]}
ORDERED = ["killswitch", "bots", "throttle", "signing"]
BASE = "https://api.open.test"
ORDER = Request("POST", DEFAULT_URL)
READ = Request("GET", f"{BASE}/read/balance")


def limits(
    size: int = 3, seconds: int = 10, orders: int = 1_000, kind: str = "rolling"
) -> dict[str, Any]:
    def window(name: str, kind: str, scope: str, seconds: int, size: int) -> dict[str, Any]:
        return {
            "name": name,
            "kind": kind,
            "scope": scope,
            "seconds": seconds,
            "size": size,
            "counts": name,
        }

    return {
        "windows": (
            window("weight", kind, "ip", seconds, size),
            window("orders", "rolling", "account", 10, orders),
        ),
        "costs": {
            "default": {"weight": 1},
            "POST /trade/order": {"weight": 1, "orders": 1},
            "GET /read/depth": {"weight": 50},
        },
    }


def ports(section: dict[str, Any]) -> Providers:
    return Providers(OpenVenue(sections={"limits": section}))


def paced(
    guard: GuardFactory,
    section: dict[str, Any],
    *plugins: tuple[str, object],
    accounts: dict[str, Account] | None = None,
    mode: Mode = Mode.ENFORCE,
    **config: Any,
) -> Guard:
    plugin = ThrottlePlugin(ThrottleConfig(**{"jitter_ms": 0, **config}))
    return guard(
        ("throttle", plugin), *plugins, providers=ports(section), mode=mode, accounts=accounts,
        grants={**GRANTS, "signing": ["sign"]}, order=ORDERED,
    )  # fmt: skip


def test_it_keeps_the_contract() -> None:
    check_plugin(
        ThrottlePlugin,
        config=ThrottleConfig(),
        grants=["venues"],
        providers=lambda: ports(limits(size=6, orders=4, kind="calendar")),
        requests=st.sampled_from([ORDER, READ, Request("GET", f"{BASE}/read/depth")]),
        examples=3,
    )


def test_what_exceeds_the_budget_waits_for_it(guard: GuardFactory, clock: FakeClock) -> None:
    made = paced(guard, limits(size=3))
    for _ in range(3):
        made.clear(READ)
    assert clock.waits == []
    made.clear(READ)
    assert clock.waits == [10_000_000_001]


def test_every_window_is_widened_by_the_jitter(guard: GuardFactory, clock: FakeClock) -> None:
    made = paced(guard, limits(size=1), jitter_ms=250)
    made.clear(READ)
    made.clear(READ)
    assert clock.waits == [10_250_000_001]


def test_a_wait_beyond_the_time_of_the_request_is_denied_and_gives_its_place_back(
    guard: GuardFactory,
) -> None:
    made = paced(guard, limits(size=1))
    made.clear(READ)
    with pytest.raises(Denied, match="would have to wait 10 s") as caught:
        made.clear(READ, timeout_s=5)
    assert caught.value.plugin == "throttle"
    assert caught.value.retry_after == pytest.approx(10)
    made.clear(READ)


def test_a_request_that_is_not_signed_costs_nothing(guard: GuardFactory, clock: FakeClock) -> None:
    class Forgetful(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            if request.url == DEFAULT_URL:
                raise SigningError("no key")
            return super().sign_request(request)

    made = paced(guard, limits(size=1), ("signing", Forgetful()))
    for _ in range(5):
        with pytest.raises(Denied, match="no key"):
            made.clear(ORDER)
    made.clear(READ)
    assert clock.waits == []


def test_accounts_share_what_counts_by_address_and_nothing_else(
    guard: GuardFactory, clock: FakeClock
) -> None:
    accounts = {"main": Account("open"), "other": Account("open")}
    made = paced(guard, limits(size=3, orders=1), accounts=accounts)
    made.clear(ORDER)
    made.clear(Request("POST", DEFAULT_URL, account="other"))
    assert clock.waits == []
    made.clear(READ)
    made.clear(Request("GET", READ.url, account="other"))
    assert clock.waits == [10_000_000_001]


def test_a_testnet_has_budgets_of_its_own(guard: GuardFactory, clock: FakeClock) -> None:
    accounts = {
        "main": Account("open"),
        "test": Account("open", base_url="https://testnet.open.test"),
    }
    made = paced(guard, limits(size=1), accounts=accounts)
    made.clear(READ)
    made.clear(Request("GET", "https://testnet.open.test/read/balance", account="test"))
    assert clock.waits == []


def test_what_costs_more_than_a_window_holds_is_denied_at_once(guard: GuardFactory) -> None:
    made = paced(guard, limits(size=3))
    with pytest.raises(Denied, match="costs 50 of window 'weight', which never holds more than 3"):
        made.clear(Request("GET", f"{BASE}/read/depth"))


def test_the_line_is_bounded_and_says_when_to_come_again(guard: GuardFactory) -> None:
    made = paced(guard, limits(size=1), max_waiting=0)
    made.clear(READ)
    with pytest.raises(Denied, match="0 requests wait for window 'weight' already") as caught:
        made.clear(READ)
    assert caught.value.retry_after == pytest.approx(10)


def test_windows_of_the_configuration_stand_in_place_of_the_venues(
    guard: GuardFactory, clock: FakeClock
) -> None:
    tiny = Window("tiny", Kind.ROLLING, Scope.IP, 1, 1, "weight")
    made = paced(guard, limits(size=1_000), windows={"open": (tiny,)})
    made.clear(READ)
    made.clear(READ)
    assert clock.waits == [pytest.approx(1_000_000_001, abs=2)]


@pytest.mark.parametrize(
    ("key", "base_url", "is_one"),
    [
        ("env:K", "", True),
        ("env:K", BASE, True),
        ("env:L", "", False),
        ("", "", False),
        ("env:K", "https://testnet.open.test", False),
    ],
)
def test_two_accounts_with_one_key_share_what_the_exchange_counts_by_account(
    guard: GuardFactory, key: str, base_url: str, is_one: bool
) -> None:
    accounts = {
        "main": Account("open", key=key and "env:K"),
        "careful": Account("open", key=key, base_url=base_url),
    }
    made = paced(guard, limits(size=10, orders=1), accounts=accounts)
    made.clear(ORDER)
    url = f"{base_url or BASE}/trade/order"
    other = Request("POST", url, account="careful")
    if is_one:
        with pytest.raises(Denied, match="wait"):
            made.clear(other, timeout_s=1)
    else:
        made.clear(other, timeout_s=1)


@pytest.mark.parametrize(
    ("section", "at"),
    [
        ({"shared": {"url": "env:R"}}, ("shared",)),
        ({"store": "memory", "shared": {"lease_s": 10}}, ("shared",)),
        ({"store": "store", "shared": {"url": "env:R"}}, ("shared", "url")),
        ({"store": "store", "shared": {"lease_s": 10}}, None),
        ({"store": "redis", "shared": {"url": "env:R"}}, None),
        ({"shared": {}}, None),
        ({}, None),
    ],
)
def test_a_budget_that_looks_shared_and_is_not_is_a_mistake(
    section: dict[str, Any], at: tuple[str, ...] | None
) -> None:
    found = list(ThrottlePlugin.config_problems(Written(name="throttle", section=section)))
    assert [path for path, _ in found] == ([] if at is None else [("throttle", *at)])
    assert all("store: redis" in message for _, message in found)


@pytest.mark.parametrize("max_freeze_s", [0.000001, 0.5, 0, -1])
def test_a_freeze_that_is_over_at_once_is_none_and_refused(max_freeze_s: float) -> None:
    with pytest.raises(ValueError, match="max_freeze_s"):
        ThrottleConfig(max_freeze_s=max_freeze_s)


@pytest.mark.parametrize("required", [(), ("throttle",)])
@pytest.mark.parametrize(
    ("section", "windows", "told"),
    [
        ({**limits(), "costs": {}}, {}, "venue open: limits.costs: 'default' is missing"),
        (
            {**limits(), "costs": {"default": {"weight": 1}}},
            {},
            "venue open: limits.windows.1.counts: no endpoint costs any 'orders'",
        ),
        (
            limits(),
            {"open": (Window("w", Kind.ROLLING, Scope.IP, 1, 1, "wieght"),)},
            "the configuration: throttle.windows.open.0.counts: no endpoint costs any 'wieght', "
            "so nothing would be paced; did you mean 'weight'?",
        ),
        (
            {**limits(), "costs": {**limits()["costs"], "POST /trad/order": {"weight": 5}}},
            {},
            'venue open: limits.costs."POST /trad/order": no endpoint in `operations` is called '
            "so, and the default is charged",
        ),
        (
            {},
            {"open": (Window("w", Kind.ROLLING, Scope.IP, 1, 1, "weight"),)},
            "the configuration: throttle.windows.open.0.counts: no endpoint costs any 'weight'",
        ),
        (
            limits(),
            {"open": (Window("w", Kind.ROLLING, Scope.IP, 1, 1, "weight"),) * 2},
            "the configuration: throttle.windows.open.1.name: the name 'w' stands twice",
        ),
        (
            limits(),
            {"opne": (Window("w", Kind.ROLLING, Scope.IP, 1, 1, "weight"),)},
            "the configuration: throttle.windows.opne: no account is at venue 'opne', so nothing "
            "would be paced; did you mean 'open'?",
        ),
        (
            limits(),
            {"open": ()},
            "the configuration: throttle.windows.open: names no window, so nothing would be paced",
        ),
    ],
)
def test_limits_that_would_pace_nothing_stop_the_start_whether_it_is_required_or_not(
    guard: GuardFactory,
    section: dict[str, Any],
    windows: dict[str, tuple[Window, ...]],
    told: str,
    required: tuple[str, ...],
) -> None:
    plugin = ThrottlePlugin(ThrottleConfig(windows=windows))
    with pytest.raises(ConfigError) as caught:
        guard(
            ("throttle", plugin), order=ORDERED, grants=GRANTS, required=required,
            providers=ports(section),
        )  # fmt: skip
    [problem] = caught.value.problems
    assert str(problem).startswith(told)


def test_what_is_wrong_with_every_venue_and_every_window_is_told_at_once(
    guard: GuardFactory,
) -> None:
    window = Window("w", Kind.ROLLING, Scope.IP, 1, 1, "wieght")
    broken = {**limits(), "costs": {"default": {"weight": -1, "orders": 1}}}
    venues = OpenVenue(sections={"limits": limits()}), OpenVenue("b", sections={"limits": broken})
    with pytest.raises(ConfigError) as caught:
        guard(
            ("throttle", ThrottlePlugin(ThrottleConfig(windows={"open": (window,), "c": ()}))),
            accounts={"main": Account("open"), "other": Account("b")},
            providers=Providers(*venues), order=ORDERED, grants=GRANTS,
        )  # fmt: skip
    assert [problem.path for problem in caught.value.problems] == [
        *("throttle.windows.c", "throttle.windows.open.0.counts", "limits.costs.default.weight")
    ]


def test_a_venue_that_a_reload_brings_is_not_passed_unpaced(clock: FakeClock) -> None:
    plugin = throttle()
    fine, broken = ({"limits": limits(size=1)}, {"limits": {**limits(), "costs": {}}})
    plans = [
        make_plan(
            ("throttle", plugin), grants=GRANTS, order=ORDERED, accounts={"main": Account(name)},
            providers=Providers(OpenVenue(sections=fine), OpenVenue("b", sections=broken)),
        )
        for name in ("open", "b")
    ]  # fmt: skip
    with Guard(plans[0], clock=clock, replan=lambda: plans[1]) as made:
        made.reload()
        with pytest.raises(Denied, match="'default' is missing"):
            made.clear(READ)


def test_a_venue_without_limits_is_not_paced(guard: GuardFactory, clock: FakeClock) -> None:
    made = paced(guard, {})
    for _ in range(100):
        made.clear(READ)
    assert clock.waits == []


def test_in_shadow_mode_nobody_waits(guard: GuardFactory, clock: FakeClock) -> None:
    made = paced(guard, limits(size=1), mode=Mode.SHADOW)
    for _ in range(3):
        made.clear(READ)
    assert clock.waits == []


def test_a_cancelled_waiter_leaves_the_line_and_wakes_the_next(guard: GuardFactory) -> None:
    clock = guard.clock
    clock.auto = False
    made = paced(guard, limits(size=1))
    made.clear(READ)

    async def until_waiting(times: int) -> None:
        async with asyncio.timeout(30):
            while len(clock.waits) < times:
                await asyncio.sleep(0)

    async def bots() -> None:
        first = asyncio.create_task(made.aclear(READ))
        await until_waiting(1)
        second = asyncio.create_task(made.aclear(READ))
        await until_waiting(2)
        first.cancel()
        # The second is woken, asks again and is told the turn that was the first's.
        await until_waiting(3)
        clock.advance(10.1)
        await second

    asyncio.run(bots())
    assert clock.waits == [10_000_000_001, 11_000_000_002, 10_000_000_001]


def test_threads_and_a_loop_together_are_paced_as_one(guard: GuardFactory) -> None:
    made = paced(guard, limits(size=5, seconds=1))
    left: list[int] = []

    def bot() -> None:
        for _ in range(10):
            made.clear(READ)
            left.append(guard.clock.monotonic_ns())

    async def loop() -> None:
        for _ in range(10):
            await made.aclear(READ)
            left.append(guard.clock.monotonic_ns())

    threads = [threading.Thread(target=bot) for _ in range(3)]
    threads.append(threading.Thread(target=lambda: asyncio.run(loop())))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 40
    assert guard.clock.monotonic_ns() >= 7 * 1_000_000_000


def reloading(clock: FakeClock, before: ThrottlePlugin, *after: tuple[str, Plugin]) -> Guard:
    """Make a guard that a reload gives other plugins, the last of them required."""
    providers = ports(limits(size=2))

    def plan(*plugins: tuple[str, Plugin]) -> Plan:
        return make_plan(
            *plugins, providers=providers, grants=GRANTS, required=[plugins[-1][0]],
            order=["killswitch", "bots", *(name for name, _ in plugins), "signing"],
        )  # fmt: skip

    first, then = plan(("throttle", before)), plan(*after)
    return Guard(first, clock=clock, replan=lambda: then)


def throttle(*windows: Window, **config: Any) -> ThrottlePlugin:
    override = {"open": windows} if windows else {}
    return ThrottlePlugin(ThrottleConfig(**{"jitter_ms": 0, "windows": override, **config}))


SMALLER = Window("weight", Kind.ROLLING, Scope.IP, 10, 1, "weight")


def test_a_reload_with_another_configuration_keeps_what_was_charged(clock: FakeClock) -> None:
    with reloading(clock, throttle(), ("throttle", throttle(jitter_ms=500))) as made:
        made.clear(READ)
        made.clear(READ)
        made.reload()
        made.clear(READ)
    assert clock.waits == [10_500_000_001]


def test_a_reload_that_makes_a_window_smaller_keeps_what_was_charged(clock: FakeClock) -> None:
    with reloading(clock, throttle(), ("throttle", throttle(SMALLER))) as made:
        made.clear(READ)
        made.reload()
        made.clear(READ)
    assert clock.waits == [10_000_000_001]


def test_a_reload_that_fails_changes_no_window(clock: FakeClock) -> None:
    class Broken(Plugin):
        interface = (1, 1)

        @hookimpl
        def on_start(self, context: Context) -> None:
            raise RuntimeError("it does not start")

    after = ("throttle", throttle(SMALLER))
    with reloading(clock, throttle(), after, ("broken", Broken())) as made:
        made.clear(READ)
        with pytest.raises(StartFailed):
            made.reload()
        made.clear(READ)
    assert clock.waits == []


def test_a_pass_that_began_before_a_reload_does_not_undo_it(clock: FakeClock) -> None:
    before, after = throttle(), throttle(SMALLER)
    with reloading(clock, before, ("throttle", after)) as made:
        made.reload()
        made.clear(READ)
        assert type(before.on_request(READ.stamped("late", READ.operation))) is Wait
        assert type(after.on_request(READ.stamped("later", READ.operation))) is Wait


def test_a_reload_with_another_lease_goes_by_it(clock: FakeClock) -> None:
    after = throttle(lease_s=3)
    with reloading(clock, throttle(), ("throttle", after)) as made:
        made.reload()
        made.clear(READ)
        made.clear(READ)
        waits = [after.on_request(READ.stamped(name, READ.operation)) for name in "abc"]
    assert [wait.seconds for wait in waits if type(wait) is Wait] == [
        pytest.approx(10), pytest.approx(10), pytest.approx(13),
    ]  # fmt: skip


@pytest.mark.parametrize("moved", [Account("wide"), Account("open", base_url="https://t.test")])
def test_a_reload_that_moves_an_account_goes_by_where_it_is_then(
    clock: FakeClock, moved: Account
) -> None:
    plugin = throttle()
    narrow, wide = ({"limits": limits(size=size)} for size in (1, 5))
    providers = Providers(OpenVenue(sections=narrow), OpenVenue(name="wide", sections=wide))
    plans = [
        make_plan(
            ("throttle", plugin), providers=providers, grants=GRANTS, order=ORDERED,
            accounts={"main": account},
        )
        for account in (Account("open"), moved)
    ]  # fmt: skip
    with Guard(plans[0], clock=clock, replan=lambda: plans[1]) as made:
        made.clear(READ)
        made.reload()
        made.clear(READ.amend(url=f"{moved.base_url or BASE}/read/balance"))
    assert clock.waits == []


def test_a_request_that_waits_across_a_reload_is_charged_once(clock: FakeClock) -> None:
    after = throttle(max_waiting=20)
    clock.auto = False
    with reloading(clock, throttle(), ("throttle", after)) as made:
        made.clear(READ)
        made.clear(READ)
        bot = threading.Thread(target=made.clear, args=(READ,))
        bot.start()
        clock.await_waiters(1)
        made.reload()
        clock.advance(10.1)
        bot.join()
        assert after.on_request(READ.stamped("next", READ.operation)) is None
        assert type(after.on_request(READ.stamped("last", READ.operation))) is Wait


def test_a_base_url_spelt_out_is_the_same_budget_per_address(clock: FakeClock) -> None:
    venue = OpenVenue(sections={"limits": limits(size=3)})
    accounts = {"main": Account("open"), "other": Account("open", base_url=f"{BASE}/")}
    plan = make_plan(
        ("throttle", ThrottlePlugin(ThrottleConfig(jitter_ms=0))),
        grants=GRANTS, order=ORDERED, accounts=accounts, providers=Providers(venue),
    )  # fmt: skip
    with Guard(plan, clock=clock) as guard:
        for account in ("main", "other", "main"):
            guard.clear(Request("GET", READ.url, account=account), timeout_s=0)
        for account in accounts:
            with pytest.raises(Denied, match="would have to wait"):
                guard.clear(Request("GET", READ.url, account=account), timeout_s=0)
