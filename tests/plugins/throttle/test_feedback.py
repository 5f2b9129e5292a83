from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from hauberk import Denied, Request, Response
from hauberk.accounts import Account
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Incident
from hauberk.testing import DEFAULT_URL, GuardFactory, OpenVenue, PlainSigner, Providers
from hauberk_plugins.throttle.feedback import Freeze, retry_after_s
from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.plugin import ThrottleConfig, ThrottlePlugin
from hauberk_plugins.throttle.windows import Kind, Scope, Window

S = 1_000_000_000
WALL = 1_700_000_040 * S
BASE = "https://api.open.test"
READ = Request("GET", f"{BASE}/read/balance")
ORDER = Request("POST", DEFAULT_URL)
FREE = Request("GET", f"{BASE}/read/ping")


def limits(**more: Any) -> dict[str, Any]:
    def window(name: str, scope: str, size: int) -> dict[str, Any]:
        return {
            "name": name, "kind": "rolling", "scope": scope, "seconds": 10, "size": size,
            "counts": name,
        }  # fmt: skip

    return {
        "windows": (window("weight", "ip", 10), window("orders", "account", 10)),
        "costs": {
            "default": {"weight": 1},
            "POST /trade/order": {"weight": 1, "orders": 1},
            "GET /read/ping": {},
        },
        "headers": {
            "X-Used": {"used": "weight"},
            "X-Left": {"left": "orders", "of": "X-Of"},
        },
        **more,
    }


class Witness(Plugin):
    """Remembers what was reported."""

    interface = (1, 1)

    def __init__(self) -> None:
        self.incidents: list[Incident] = []

    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        self.incidents.append(incident)


class Paced:
    """A guard with nothing but the throttle, and what its exchange answers."""

    def __init__(
        self,
        guard: GuardFactory,
        section: dict[str, Any] | None = None,
        signer: Plugin | None = None,
        **config: Any,
    ):
        self.plugin = ThrottlePlugin(ThrottleConfig(**{"jitter_ms": 0, "reserve": 0, **config}))
        self.witness = Witness()
        self.clock = guard.clock
        self.guard: Guard = guard(
            ("throttle", self.plugin),
            ("witness", self.witness),
            ("signing", signer or PlainSigner()),
            providers=Providers(OpenVenue(sections={"limits": section or limits()})),
            accounts={"main": Account("open"), "other": Account("open")},
            grants={"throttle": ["venues"], "signing": ["sign"]},
            order=["killswitch", "bots", "throttle", "signing", "witness"],
        )  # fmt: skip

    def send(self, request: Request, status: int = 200, **headers: str) -> None:
        cleared = self.guard.clear(request, timeout_s=0)
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.guard.settle(cleared, Response(status, named))

    def used(self, window: str) -> int:
        rows = self.plugin.on_status()["budgets"]
        return max((row["used"] for row in rows if row["window"] == window), default=0)

    def denial(self, request: Request) -> Denied:
        with pytest.raises(Denied) as caught:
            self.guard.clear(request, timeout_s=0)
        return caught.value


@pytest.fixture
def paced(guard: GuardFactory) -> Paced:
    return Paced(guard)


def test_what_somebody_else_used_at_the_same_address_counts(paced: Paced) -> None:
    paced.send(READ, X_Used="9")
    assert paced.used("weight") == 9
    paced.send(READ)
    assert paced.denial(READ).retry_after == pytest.approx(10)


def test_what_the_exchange_counts_never_lowers_ours(paced: Paced) -> None:
    for _ in range(5):
        paced.send(READ, X_Used="1")
    assert paced.used("weight") == 5
    paced.send(READ, X_Used="0")
    assert paced.used("weight") == 6


def test_what_is_left_is_told_of_the_limit_that_the_answer_names(paced: Paced) -> None:
    paced.send(ORDER, X_Left="3")
    assert paced.used("orders") == 7
    paced.send(ORDER, X_Left="91", X_Of="100")
    assert paced.used("orders") == 9


@pytest.mark.parametrize(
    "value", ["", "-1", "1e3", "NaN", "٣", "99999999", "9" * 400, "0x10", "6000, 7"]
)
def test_headers_that_tell_nonsense_are_ignored_and_said_once(
    paced: Paced, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    value = value if value.isascii() else "three"
    with caplog.at_level(logging.WARNING, "hauberk"):
        for _ in range(3):
            paced.send(READ, X_Used=value)
    assert paced.used("weight") == 3
    assert sum("x-used" in record.getMessage() for record in caplog.records) == 1


def test_a_header_that_stands_twice_says_nothing(paced: Paced) -> None:
    cleared = paced.guard.clear(READ)
    paced.guard.settle(cleared, Response(200, [("X-Used", "9"), ("x-used", "1")]))
    assert paced.used("weight") == 1


def test_an_answer_of_the_minute_before_does_not_fill_this_one() -> None:
    limiter = RateLimiter()
    meter = limiter.meter(("w",), Window("w", Kind.CALENDAR, Scope.IP, 60, 100, "x"), 250_000_000)
    now = 0
    for number in range(90):
        limiter.ask(str(number), ((meter, 1),), now, WALL + now)
        limiter.end(str(number), True, now)
    now = 61 * S
    limiter.ask("first", ((meter, 1),), now, WALL + now)
    limiter.end("first", True, now)
    limiter.learn(meter, 90, now, WALL + now)  # it was sent a second ago
    assert meter.used(now, WALL) == 1
    limiter.learn(meter, 95, now, WALL + now)  # more than we know of that minute: safe
    assert meter.used(now, WALL) == 95


def test_what_theirs_has_beyond_the_ordinary_part_is_taken_of_the_reserve() -> None:
    limiter = RateLimiter()
    window = Window("w", Kind.ROLLING, Scope.IP, 10, 10, "x", 3)
    meter = limiter.meter(("w",), window, 0)
    limiter.ask("first", (), 0, WALL)
    limiter.learn(meter, 9, 0, WALL)
    assert limiter.ask("c1", ((meter, 1),), 0, WALL, cancel=True) == 0
    assert limiter.ask("c2", ((meter, 1),), 0, WALL, cancel=True) > 0


# Freezes.


def test_a_throttled_answer_freezes_until_retry_after_and_nobody_is_woken_early(
    paced: Paced,
) -> None:
    paced.send(READ, 429, Retry_After="7")
    for request in (READ, ORDER, FREE, Request("GET", READ.url, account="other")):
        assert paced.denial(request).retry_after == pytest.approx(7)
    paced.clock.advance(6.999)
    assert paced.denial(READ).retry_after == pytest.approx(0.001)
    paced.clock.advance(0.001)
    paced.send(READ)
    assert paced.witness.incidents == []


def test_a_ban_is_denied_with_its_reason_and_reported_once(paced: Paced) -> None:
    cleared = [paced.guard.clear(READ) for _ in range(3)]
    for one in cleared:
        paced.guard.settle(one, Response(418, [("Retry-After", "120")]))
    denied = paced.denial(READ)
    assert "shut this address" in denied.reason
    assert denied.retry_after == pytest.approx(120)
    [incident] = paced.witness.incidents
    assert incident.severity.name == "MEDIUM"
    paced.clock.advance(120)
    paced.send(READ)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 33),
        ("soon", 33),
        ("-5", 33),
        ("nan", 33),
        ("0", 33),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 33),
        ("3155760000", 1_000),
        ("9" * 400, 33),
        ("1.5", 1.5),
    ],
)
def test_a_retry_after_that_is_missing_or_nonsense_is_the_default_and_a_century_the_most(
    guard: GuardFactory, value: str | None, seconds: float
) -> None:
    paced = Paced(guard, banned_s=33, max_freeze_s=1_000)
    headers = {} if value is None else {"Retry_After": value}
    paced.send(READ, 418, **headers)
    assert paced.denial(READ).retry_after == pytest.approx(seconds)


def test_a_freeze_is_never_shortened(paced: Paced) -> None:
    first, second = paced.guard.clear(READ), paced.guard.clear(READ)
    paced.guard.settle(first, Response(429, [("Retry-After", "50")]))
    paced.guard.settle(second, Response(429, [("Retry-After", "1")]))
    assert paced.denial(READ).retry_after == pytest.approx(50)


def test_what_was_granted_and_has_not_left_is_asked_again(paced: Paced) -> None:
    held = READ.stamped("held", READ.operation)
    assert paced.plugin.on_request(held) is None
    paced.send(READ, 418, Retry_After="120")
    assert type(paced.plugin.on_request(held)).__name__ == "Deny"
    paced.plugin.on_end(held, False, "denied")
    paced.clock.advance(120)
    assert paced.used("weight") == 0


def test_an_answer_freezes_the_scope_that_the_venue_file_names(guard: GuardFactory) -> None:
    paced = Paced(guard, limits(freeze={"throttled": {"scope": "account", "seconds": 9}}))
    paced.send(ORDER, 429)
    assert paced.denial(ORDER).retry_after == pytest.approx(9)
    paced.send(READ)  # it costs nothing of the account's
    paced.send(Request("POST", DEFAULT_URL, account="other"))


def test_an_answer_may_say_until_when_in_a_header_of_its_own(guard: GuardFactory) -> None:
    paced = Paced(guard, limits(freeze={"throttled": {"until_ms": "X-Until"}}))
    until = paced.clock.wall_ns() // 1_000_000 + 4_000
    paced.send(READ, 429, X_Until=str(until))
    assert paced.denial(READ).retry_after == pytest.approx(4, abs=0.01)


def test_a_testnet_is_not_frozen_with_its_exchange() -> None:
    limiter = RateLimiter()
    window = Window("w", Kind.ROLLING, Scope.IP, 10, 10, "x")
    live = limiter.meter(("v", "", "ip", "", "w"), window, 0)
    test = limiter.meter(("v", "https://t", "ip", "", "w"), window, 0)
    limiter.freeze(("v", ""), 5 * S, 0)
    assert limiter.ask("a", ((live, 1),), 0, WALL) == 5 * S
    assert limiter.ask("b", ((test, 1),), 0, WALL) == 0


def test_those_who_wait_out_a_freeze_keep_their_order() -> None:
    limiter = RateLimiter()
    window = Window("w", Kind.ROLLING, Scope.IP, 10, 1, "x")
    meter = limiter.meter(("v", "", "ip", "", "w"), window, 0)
    limiter.freeze(("v",), 5 * S, 0)
    assert [limiter.ask(name, ((meter, 1),), 0, WALL) for name in "ab"] >= [5 * S, 5 * S]
    assert limiter.ask("b", ((meter, 1),), 5 * S, WALL + 5 * S) > 0
    assert limiter.ask("a", ((meter, 1),), 5 * S, WALL + 5 * S) == 0


def test_a_meter_that_is_made_while_its_scope_is_frozen_is_frozen() -> None:
    limiter = RateLimiter()
    limiter.freeze(("v",), 5 * S, 0)
    window = Window("w", Kind.ROLLING, Scope.KEY, 10, 1, "x")
    meter = limiter.meter(("v", "", "key", "k", "w"), window, 0)
    assert limiter.ask("a", ((meter, 1),), 0, WALL) == 5 * S


DATES = "Tue, 14 Nov 2023 22:15:00 GMT, Tuesday, 14-Nov-23 22:14:30 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Retry-After", "10"), ("Retry-After", "259200")], 259_200),
        ([("Retry-After", "259200"), ("retry-after", "10")], 259_200),
        ([("Retry-After", "10, 259200")], 259_200),
        ([("Retry-After", "nonsense"), ("Retry-After", "7")], 7),
        ([("Retry-After", DATES)], 60),
        ([("Retry-After", "90, Tue, 14 Nov 2023 22:15:00 GMT")], 90),
        ([("Retry-After", "Tue, 14 Nov 2023 22:15:00 GMT")], 60),
        ([("Retry-After", "-5")], None),
        ([], None),
        ([("X-Until", f"{WALL // 10**6 + 5_000}"), ("X-Until", f"{WALL // 10**6 + 9_000}")], 9),
    ],
)
def test_of_several_times_to_stay_away_the_longest_counts(
    headers: list[tuple[str, str]], seconds: float | None
) -> None:
    asked = Freeze(until_ms="x-until").asked_s(tuple(headers), WALL)
    assert asked == (None if seconds is None else pytest.approx(seconds, abs=0.01))


def test_retry_after_is_read_as_the_standard_has_it() -> None:
    assert retry_after_s("120", WALL) == 120
    assert retry_after_s("Tue, 14 Nov 2023 22:15:00 GMT", WALL) == pytest.approx(60)
    assert retry_after_s("", WALL) is None


def test_what_is_said_of_budgets_is_what_json_can_say(paced: Paced) -> None:
    paced.send(ORDER, X_Used="4")
    said = paced.plugin.on_status()
    assert json.loads(json.dumps(said)) == said
    by_window = {row["window"]: row for row in said["budgets"]}
    weight = by_window["weight"]
    assert (weight["used"], weight["theirs"], weight["size"]) == (4, 4, 10)
    assert (weight["venue"], weight["scope"], weight["sharer"]) == ("open", "ip", "ip")
    assert by_window["orders"]["sharer"] == "main"
    assert by_window["orders"]["left"] == 9
    assert by_window["orders"]["theirs"] is None


def test_what_left_in_the_minute_before_is_remembered_while_its_answers_may_come() -> None:
    limiter = RateLimiter()
    meter = limiter.meter(("w",), Window("w", Kind.CALENDAR, Scope.IP, 60, 100, "x"), 0)
    limiter.ask("last", ((meter, 90),), 59 * S, WALL + 59 * S)
    limiter.end("last", True, 59 * S)
    for number in range(3):
        now = 60 * S + number
        limiter.ask(str(number), ((meter, 1),), now, WALL + now)
        limiter.end(str(number), True, now)
    limiter.learn(meter, 90, 61 * S, WALL + 61 * S)
    assert meter.used(61 * S, WALL) == 3


def test_who_was_granted_before_the_exchange_refused_is_asked_again_before_leaving(
    guard: GuardFactory,
) -> None:
    """The refusal comes while another request is being signed."""
    answered: list[Paced] = []

    class Slow(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            if answered:
                one = answered.pop()
                one.plugin.on_response(READ, Response(418, [("Retry-After", "120")]))
            return super().sign_request(request)

    paced = Paced(guard, signer=Slow())
    answered.append(paced)
    assert "shut this address" in paced.denial(READ).reason
    assert answered == []
