"""`check_plugin` finds what each plugin of a zoo does wrong, and passes those that do it right."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import itertools
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from secrets import token_bytes
from typing import Any, ClassVar

import pytest
from attrs import field, frozen
from hypothesis import strategies as st

import hauberk
from hauberk import (
    Deny,
    Event,
    Identity,
    Incident,
    Login,
    Operation,
    Outcome,
    Plugin,
    Request,
    Response,
    Wait,
    hookimpl,
)
from hauberk.accounts import Account
from hauberk.batch import SignedBatch
from hauberk.cli.scaffold import write_plugin
from hauberk.command import Command
from hauberk.context import Context
from hauberk.errors import MisuseError, SigningError
from hauberk.settings import KernelLimits
from hauberk.testing import ConformanceFailed, PlainSigner, Rule, check_plugin, strategies
from hauberk.testing.conformance.racing import race
from hauberk.testing.conformance.rules import safe_from_threads
from hauberk.testing.conformance.scripts import Script
from hauberk.testing.conformance.stage import Setup, Stage
from hauberk.testing.guards import HaltOnHigh, Providers

ROOM = 3
FEW = 12

READ = Request("GET", "https://api.open.test/read/x").stamped("r", Operation.READ)
ORDER = Request("POST", "https://api.open.test/trade/order", {"symbol": "BTCUSDT", "quantity": 1})
#: Quicker to draw than all that a request may be, for plugins that do not care.
TWO = st.sampled_from([READ, ORDER.stamped("o", Operation.TRADE)])


class Guard(Plugin):
    interface = (1, 1)

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context


class Budget(Guard):
    """So many requests a guard: the good plugin from which most of the bad ones are made."""

    room: ClassVar[int] = ROOM

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.charged: set[str] = set()

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        with self.lock:
            if request.id in self.charged:
                return None
            if len(self.charged) >= self.room:
                return Deny("the budget is spent")
            self.charged.add(request.id)
            return None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        if not left:
            with self.lock:
                self.charged.discard(request.id)


def broken(plugin: Any, rule: Rule, hook: str = "", **options: Any) -> ConformanceFailed:
    with pytest.raises(ConformanceFailed) as caught:
        check_plugin(plugin, **{"examples": FEW, "requests": TWO, **options})
    failed = caught.value
    assert (failed.rule, failed.hook) == (rule, hook)
    return failed


# Those that do it right.


class Clamp(Guard):
    @hookimpl
    def on_request(self, request: Request) -> Request | None:
        kept = tuple(pair for pair in request.params if pair[0] != "leverage")
        return None if kept == request.params else request.amend(params=kept)


class Pacer(Guard):
    """One request a second, by a slot for each."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.slots: dict[str, int] = {}

    @hookimpl
    def on_request(self, request: Request) -> Wait | None:
        now = self.context.clock.monotonic_ns()
        with self.lock:
            if request.id not in self.slots:
                taken = set(self.slots.values())
                slots = itertools.count(now // 10**9)
                self.slots[request.id] = next(slot for slot in slots if slot not in taken)
            due = self.slots[request.id] * 10**9
        return Wait((due - now) / 1e9) if due > now else None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        with self.lock:
            if not left:
                del self.slots[request.id]


class Everything(Guard):
    """Every hook that is neither guard nor responder."""

    @hookimpl
    def on_login(self, login: Login) -> Deny | Identity | None:
        if not login.user:
            return Deny("no name", retry_after=1)
        if login.password is None:
            return None
        return Identity(login.user, session=hauberk.Secret(token_bytes(8)))

    @hookimpl
    def on_login_end(self, login: Login, granted: bool, why: str) -> Deny | None:
        if not login.id or bool(why) is granted or login.password is not None:
            raise ValueError
        return Deny("the store is full") if granted and len(login.user) > 3 else None

    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        if response.status == 429:
            self.context.report("slow down", hauberk.Severity.MEDIUM)

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.context.store.put("last", event.fields_json.encode("utf-8", "replace"))

    @hookimpl
    def on_commands(self) -> tuple[Command, ...]:
        return (Command("zoo", lambda: None),)

    @hookimpl
    def verify_batch(self, batch: SignedBatch) -> bytes | None:
        if batch.algorithm != "hmac-sha256":
            return None
        spans = zip(
            itertools.pairwise(batch.message_offsets),
            itertools.pairwise(batch.signature_offsets),
            batch.key_indices,
            strict=True,
        )
        return bytes(
            hmac.compare_digest(
                hmac.digest(batch.keys[key], batch.messages[a:b], hashlib.sha256),
                batch.signatures[c:d],
            )
            for (a, b), (c, d), key in spans
        )

    @hookimpl
    def on_stop(self) -> None:
        self.context.store.delete("last")


class Async(Guard):
    @hookimpl
    async def on_incident(self, incident: Incident) -> Outcome:
        return Outcome(f"noted {incident.title}")

    @hookimpl
    async def on_response(self, request: Request, response: Response) -> None:
        return None


class Function:
    """Hooks for a bot to register: it inherits nothing and declares nothing."""

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        return Deny("no") if request.operation is Operation.WITHDRAW else None


class Refusing(PlainSigner):
    @hookimpl
    def sign_request(self, request: Request) -> Request:
        if request.operation is Operation.PUBLIC:
            raise SigningError("public requests are not signed")
        return super().sign_request(request)


class Configured(Guard):
    @frozen
    class Config:
        symbols: tuple[str, ...] = ("BTCUSDT",)

    def __init__(self, config: Config) -> None:
        self.config = config

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        symbol = dict(request.params).get("symbol", "")
        return None if symbol in self.config.symbols else Deny(f"{symbol} is not traded")


EVERY_GRANT = ("authenticate", "record", "verify", "store")


@pytest.mark.parametrize(
    ("plugin", "options"),
    [
        (Budget, {}),
        (Clamp, {"grants": ["amend"]}),
        (Pacer, {}),
        (Everything, {"grants": EVERY_GRANT}),
        (Async, {}),
        (Function, {}),
        (PlainSigner, {"grants": ["sign"]}),
        (Refusing, {"grants": ["sign"]}),
        (HaltOnHigh, {}),
        (Configured, {}),
        (Configured, {"config": Configured.Config(symbols=())}),
        (lambda: Configured(Configured.Config(("ETHUSDT",))), {}),
    ],
)
def test_a_plugin_that_keeps_the_contract_passes(plugin: Any, options: Any) -> None:
    check_plugin(plugin, examples=FEW, **options)


# Loading.


class Unwilling(Guard):
    @hookimpl
    def on_start(self, context: Context) -> None:
        raise OSError("no such device")


class Ambitious(Guard):
    @hookimpl
    def on_event(self, event: Event) -> None:
        return None


class Misspelt(Guard):
    @hookimpl
    def on_requset(self, request: Request) -> None:
        return None


class Undeclared(Plugin):
    @hookimpl
    def on_request(self, request: Request) -> None:
        return None


class OfTheFuture(Undeclared):
    interface = (7, 9)


class Nosy(Guard):
    @hookimpl
    def on_start(self, context: Context) -> None:
        context.store.get("x")


def raising() -> object:
    raise ValueError("no such venue")


@pytest.mark.parametrize(
    ("plugin", "why"),
    [
        (Unwilling, "on_start raised OSError: no such device"),
        (Ambitious, "on_event needs the grant 'record'"),
        (Misspelt, "on_requset is no hook"),
        (Undeclared, "declares no `interface`"),
        (OfTheFuture, "`interface` must be (lowest, highest) around 1, not (7, 9)"),
        (Nosy, "may not use 'store'"),
        (raising, "making it raised ValueError: no such venue"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named_with_the_reason(plugin: Any, why: str) -> None:
    failed = broken(plugin, Rule.LOADS)
    assert why in failed.why
    assert str(failed).startswith(f"{plugin.__name__} breaks the rule: it can be loaded")


# What each call may do.


class Trusting(Guard):
    """Parses what the bot wrote as if it were a number."""

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        quantity = float(dict(request.params).get("quantity", "0"))
        return Deny("too much") if quantity > 1_000 else None


class TrustingTheExchange(Guard):
    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        int(response.header("retry-after") or 0)


class AsyncTrusting(Guard):
    @hookimpl
    async def on_response(self, request: Request, response: Response) -> None:
        int(response.header("retry-after") or 0)


class Exiting(Guard):
    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        raise SystemExit(1)


class Leaking(Guard):
    @hookimpl
    def on_login(self, login: Login) -> None:
        if login.user:
            raise ValueError(login.user)


class Careless(Guard):
    @hookimpl
    def on_request(self, request: Request) -> None:
        return None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        if not left:
            why.split(": ")[2]


class Forgetful(Guard):
    """Begins at its end what it was asked about, and has not kept it."""

    @hookimpl
    def on_login(self, login: Login) -> None:
        """No objection."""

    @hookimpl
    def on_login_end(self, login: Login, granted: bool, why: str) -> None:
        if granted:
            {}[login.id]


class TrustingTheEnd(Guard):
    """Takes every end for one that counts."""

    def __init__(self) -> None:
        self.begun: dict[str, str] = {}

    @hookimpl
    def on_login(self, login: Login) -> Deny | None:
        if "a" not in login.user:
            return Deny("no")
        self.begun[login.id] = login.user
        return None

    @hookimpl
    def on_login_end(self, login: Login, granted: bool, why: str) -> None:
        self.begun.pop(login.id)


@pytest.mark.parametrize(
    ("plugin", "hook", "error"),
    [
        (Forgetful, "on_login_end", "KeyError"),
        (TrustingTheEnd, "on_login_end", "KeyError"),
        (Trusting, "on_request", "could not convert string to float"),
        (TrustingTheExchange, "on_response", "invalid literal for int()"),
        (AsyncTrusting, "on_response", "invalid literal for int()"),
        (Exiting, "on_incident", "SystemExit"),
        (Leaking, "on_login", "ValueError"),
        (Careless, "on_end", "IndexError"),
    ],
)
def test_a_hook_that_raises_on_a_valid_value_is_caught(plugin: Any, hook: str, error: str) -> None:
    failed = broken(plugin, Rule.NEVER_RAISES, hook, examples=100, requests=None)
    assert "it raised" in failed.why
    assert error in failed.why
    assert failed.given is not None


class Subclass(Request):
    __slots__ = ()


class Meddling(Guard):
    @hookimpl
    def on_request(self, request: Request) -> None:
        object.__setattr__(request, "__class__", Subclass)


class Rewriting(Guard):
    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        object.__setattr__(incident, "severity", hauberk.Severity.LOW)


class RewritingDeep(Guard):
    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        for outcome in incident.outcomes:
            object.__setattr__(outcome, "ok", not outcome.ok)


class RewritingBatch(Guard):
    @hookimpl
    def verify_batch(self, batch: SignedBatch) -> None:
        object.__setattr__(batch, "algorithm", "none")


@pytest.mark.parametrize(
    ("plugin", "hook", "options"),
    [
        (Meddling, "on_request", {}),
        (Rewriting, "on_incident", {}),
        (RewritingDeep, "on_incident", {"examples": 50}),
        (RewritingBatch, "verify_batch", {"grants": ["verify"]}),
    ],
)
def test_a_hook_that_changes_what_it_was_given_is_caught(
    plugin: Any, hook: str, options: Any
) -> None:
    assert "changed" in broken(plugin, Rule.CHANGES_NOTHING, hook, **options).why


def guard_that_returns(answer: Callable[[Request], Any]) -> type:
    class Returning(Guard):
        @hookimpl
        def on_request(self, request: Request) -> Any:
            return answer(request)

    return Returning


def hook_that_returns(name: str, answer: Any) -> type:
    def on_response(self: Any, request: Request, response: Response) -> Any:
        return answer

    def on_incident(self: Any, incident: Incident) -> Any:
        return answer

    def on_login(self: Any, login: Login) -> Any:
        return answer

    def on_login_end(self: Any, login: Login, granted: bool, why: str) -> Any:
        return answer

    def verify_batch(self: Any, batch: SignedBatch) -> Any:
        return answer

    def sign_request(self: Any, request: Request) -> Any:
        return answer(request)

    def on_commands(self: Any) -> Any:
        return answer

    hooks = {name: hookimpl(locals()[name])}
    if name == "on_login_end":
        hooks["on_login"] = hookimpl(lambda self, login: Identity("eve"))
    return type("Returning", (Guard,), hooks)


async def _soon() -> None:
    return None


def _grown(request: Request) -> Request:
    return request.amend(params=(*request.params, ("n", str(len(request.params)))))


@pytest.mark.parametrize(
    ("answer", "grants", "why"),
    [
        (lambda r: True, (), "returned bool"),
        (lambda r: "denied", (), "returned str"),
        (lambda r: _soon(), (), "an awaitable"),
        (lambda r: tuple.__new__(Request, r[:2]), ("amend",), "Request"),
        (_grown, (), "without the grant 'amend'"),
        (_grown, ("amend",), "amended its own amendment 3 times"),
        (lambda r: r.amend(url="https://evil.test/trade/order"), ("amend",), "host"),
        (
            lambda r: r.amend(url=f"{r.url}?a=b"),
            ("amend",),
            "denies: account 'main': the URL has a query",
        ),
        (
            lambda r: Request(r.method, r.url, account="other").stamped(r.id, r.operation),
            ("amend",),
            "account",
        ),
    ],
)
def test_a_guard_that_answers_what_it_may_not_is_caught(answer: Any, grants: Any, why: str) -> None:
    failed = broken(guard_that_returns(answer), Rule.RETURNS, "on_request", grants=grants)
    assert why in failed.why


class Odd:
    algorithm = "none"


@pytest.mark.parametrize(
    ("hook", "answer", "grants", "why"),
    [
        ("on_response", True, (), "returned bool, and should return nothing"),
        ("on_incident", "done", (), "returned str, which on_incident may not"),
        ("on_login", Identity("eve"), (), "without the grant 'authenticate'"),
        ("on_login", True, ("authenticate",), "returned bool"),
        ("on_login_end", True, ("authenticate",), "returned bool"),
        ("on_login_end", Deny("where it does not count"), ("authenticate",), "returned Deny"),
        ("verify_batch", [True], ("verify",), "returned list"),
        ("verify_batch", b"", ("verify",), "for 1 rows"),
        ("verify_batch", b"c", ("verify",), "returned b'c'"),
        ("sign_request", lambda r: None, ("sign",), "returned NoneType instead of a Request"),
        ("sign_request", lambda r: r.amend(method="PUSH"), ("sign",), "changed method"),
        ("sign_request", lambda r: r.amend(url=f"{r.url}?x=1", params=()), ("sign",), "'x'"),
        ("on_commands", "sign", (), "other than a sequence of Command"),
        ("on_commands", [Odd()], (), "other than a sequence of Command"),
        ("on_commands", 5, (), "other than a sequence of Command"),
    ],
)
def test_any_other_hook_that_answers_what_it_may_not_is_caught(
    hook: str, answer: Any, grants: Any, why: str
) -> None:
    failed = broken(hook_that_returns(hook, answer), Rule.RETURNS, hook, grants=grants, examples=60)
    assert why in failed.why


def test_a_plugin_that_takes_too_long_is_caught_by_the_median_of_its_calls() -> None:
    now = 0

    class Slow(Budget):
        @hookimpl
        def on_request(self, request: Request) -> Deny | None:
            nonlocal now
            now += 200_000_000
            return super().on_request(request)

    failed = broken(Slow, Rule.IN_TIME, timer=lambda: now)
    assert "took 0.200 s" in failed.why
    check_plugin(Slow, examples=2, timer=lambda: now, limits=KernelLimits(warn_after_s=0.3))
    check_plugin(Slow, examples=2, timer=lambda: now, skip=[Rule.IN_TIME])


# Determinism.


class Fickle(Guard):
    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        return Deny("bad luck") if token_bytes(1) < b"\x80" else None


class Watching(Guard):
    """Reads the machine's clock: two runs a microsecond apart answer alike all the same."""

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        return Deny("it is too early") if datetime.now(UTC).year < 2020 else None


class WatchingTime(Guard):
    @hookimpl
    def on_event(self, event: Event) -> None:
        self.last = time.time()


class OfOneInstance(Guard):
    made: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        self.number = next(self.made)

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome:
        return Outcome(f"{self.number} has noted it")


@pytest.mark.parametrize(
    ("plugin", "why", "options"),
    [
        (Fickle, "answered None and Deny(|answered Deny(", {}),
        (Watching, r"reads the machine's clock: datetime\.now", {}),
        (WatchingTime, r"reads the machine's clock: time\.time", {"grants": ["record"]}),
        (OfOneInstance, "has noted it", {}),
    ],
)
def test_a_plugin_that_is_not_deterministic_is_caught(plugin: Any, why: str, options: Any) -> None:
    assert re.search(re.sub(r"\($|\((?=\|)", r"\\(", why), broken(
        plugin, Rule.DETERMINISTIC, **options
    ).why)  # fmt: skip


def test_the_kernel_and_libraries_may_read_clocks_of_their_own() -> None:
    class Logging(Budget):
        @hookimpl
        def on_request(self, request: Request) -> Deny | None:
            import logging

            logging.getLogger("zoo").info("judging")
            return super().on_request(request)

    check_plugin(Logging, examples=FEW)


# Charges.


class ChargesAgain(Budget):
    """Counts calls, not requests."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        with self.lock:
            if self.count >= ROOM:
                return Deny("the budget is spent")
            self.count += 1
            return None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        if not left:
            with self.lock:
                self.count = max(self.count - 1, 0)


class ForgetsThatItCharged(Budget):
    """Free when asked again, but it costs another place all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        with self.lock:
            if self.count >= ROOM and request.id not in self.charged:
                return Deny("the budget is spent")
            self.count += 1
            self.charged.add(request.id)
            return None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        if not left and request.id in self.charged:
            with self.lock:
                self.count -= 1
                self.charged.discard(request.id)


class QueuesAgain(Pacer):
    """A waiting request that asks again loses its place to itself."""

    @hookimpl
    def on_request(self, request: Request) -> Wait | None:
        with self.lock:
            if request.id in self.slots:
                number = len(self.slots)
                self.slots[f"{request.id}-{number}"] = self.slots[request.id]
                del self.slots[request.id]
        return super().on_request(request)

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        with self.lock:
            if not left:
                self.slots.pop(request.id, None)


class RefusesReplays(Budget):
    """Takes a second look for a second request; nobody else notices."""

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        with self.lock:
            replayed = request.id in self.charged
        return Deny("seen before") if replayed else super().on_request(request)


@pytest.mark.parametrize(
    "plugin", [ChargesAgain, ForgetsThatItCharged, QueuesAgain, RefusesReplays]
)
def test_a_plugin_that_charges_each_time_it_is_asked_is_caught(plugin: Any) -> None:
    failed = broken(plugin, Rule.CHARGES_ONCE, "on_request")
    assert "keep charges in a dict by request.id" in str(failed)
    assert failed.script.startswith("from 2023-11-14T22:13:20Z")


def test_an_objection_to_what_had_none_before_is_told_as_such() -> None:
    failed = broken(RefusesReplays, Rule.CHARGES_ONCE, "on_request")
    assert failed.why.startswith("asked again under its id, it answered Deny(reason='seen before'")


class Keeps(Budget):
    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        return None


class GivesBackTheWrongOne(Budget):
    """The sum is right, and somebody else's charge is gone: it shows when that one asks again."""

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        with self.lock:
            if not left and request.id in self.charged:
                self.charged.discard(sorted(self.charged)[-1])


class CountsDenials(Budget):
    """A breaker: refusals count, on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        return Deny("broken off") if self.refused >= 2 else super().on_request(request)

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        super().on_end(request, left, why)
        if not left:
            self.refused += 1


@pytest.mark.parametrize("plugin", [Keeps, GivesBackTheWrongOne, CountsDenials])
def test_a_plugin_that_keeps_what_did_not_leave_is_caught(plugin: Any) -> None:
    failed = broken(plugin, Rule.GIVES_BACK, "on_request", examples=50)
    assert "that did not leave" in failed.why


@pytest.fixture(scope="module")
def scaffolded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The plugin that `hauberk plugin new` writes."""
    folder = tmp_path_factory.mktemp("scaffold") / "it"
    write_plugin("hauberk-zoo-spacing", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "src"))
        module = importlib.import_module("hauberk_zoo_spacing.plugin")
        yield next(v for k, v in vars(module).items() if k.endswith("SpacingPlugin"))
    for name in [name for name in sys.modules if name.startswith("hauberk_zoo_spacing")]:
        del sys.modules[name]


@pytest.mark.parametrize("mistake", ["it does nothing", "it takes left as true"])
def test_a_scaffold_whose_on_end_is_wrong_is_not_blamed_on_threads(
    scaffolded: Any, mistake: str
) -> None:
    def on_end(self: Any, request: Request, left: bool, why: str) -> None:
        if mistake != "it does nothing":
            scaffolded.on_end(self, request, True, why)

    wrong = type("Wrong", (scaffolded,), {"on_end": hookimpl(on_end)})
    with pytest.raises(ConformanceFailed, match="forget all that on_request noted") as caught:
        check_plugin(wrong)  # as its own test does
    assert caught.value.rule is Rule.GIVES_BACK
    assert "that did not leave" in caught.value.why


def test_what_a_plugin_meets_on_its_own_too_is_not_blamed_on_threads() -> None:
    class Filling(Guard):
        """Holds what its threads' script brings, and no more."""

        def __init__(self) -> None:
            self.seen = 0

        @hookimpl
        def on_event(self, event: Event) -> None:
            self.seen += 1
            if self.seen > 8:
                raise RuntimeError("full")

    failed = broken(Filling, Rule.NEVER_RAISES, "on_event", grants=["record"], examples=64)
    assert "several threads" not in failed.why


def test_a_rule_that_a_plugin_means_to_break_is_skipped() -> None:
    check_plugin(CountsDenials, examples=FEW, requests=TWO, skip=[Rule.GIVES_BACK])
    check_plugin(Watching, examples=FEW, requests=TWO, skip=[Rule.DETERMINISTIC])
    check_plugin(Trusting, examples=FEW, skip=[Rule.NEVER_RAISES])


# Threads.


class Unlocked(Budget):
    """Looks, then charges, with time between for another to look."""

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        if request.id in self.charged:
            return None
        if len(self.charged) >= ROOM:
            return Deny("the budget is spent")
        self.charged.add(request.id)
        return None


class IteratesUnlocked(Budget):
    room = 80

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        for charged in self.charged:
            if charged == request.id:
                return None
        return super().on_request(request)


class LosesUpdates(Budget):
    """Nothing is overrun, but what is given back at once is given back half."""

    def __init__(self) -> None:
        super().__init__()
        self.free = 60

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        with self.lock:
            if request.id not in self.charged:
                if not self.free:
                    return Deny("the budget is spent")
                self.free -= 1
                self.charged.add(request.id)
            return None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        if not left and request.id in self.charged:
            self.charged.discard(request.id)
            free = self.free
            self.free = free + 1


class RacyRecorder(Guard):
    def __init__(self) -> None:
        self.open: Event | None = None

    @hookimpl
    def on_event(self, event: Event) -> None:
        if self.open is not None:
            raise RuntimeError("two at once")
        self.open = event
        self.open = None


@pytest.mark.parametrize(
    ("plugin", "hook", "options"),
    [
        (Unlocked, "on_request", {}),
        (IteratesUnlocked, "on_request", {"skip": [Rule.CHARGES_ONCE]}),
        (LosesUpdates, "on_request", {}),
        (RacyRecorder, "on_event", {"grants": ["record"]}),
    ],
)
def test_a_plugin_that_races_is_caught(plugin: Any, hook: str, options: Any) -> None:
    failed = broken(plugin, Rule.THREADS, hook, examples=120, **options)
    assert "hold one lock" in str(failed)


def test_threads_that_wait_for_each_other_are_reported_and_not_waited_for() -> None:
    class Deadlocking(Budget):
        def __init__(self) -> None:
            super().__init__()
            self.met = threading.Barrier(2)

        @hookimpl
        def on_request(self, request: Request) -> Deny | None:
            if threading.current_thread() is not threading.main_thread():
                with self.lock:
                    self.met.wait(20)
            return None

        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            return None

    made: list[Deadlocking] = []

    def make() -> Deadlocking:
        made.append(Deadlocking())
        return made[-1]

    with Stage(_setup(make)) as stage, pytest.raises(ConformanceFailed, match="a deadlock"):
        safe_from_threads(stage, Script(0, ()), READ, 0, patience_s=0.05)
    for plugin in made:
        plugin.met.abort()


def _setup(make: Callable[[], object]) -> Any:
    return Setup(
        "zoo", make, frozenset(), {"main": Account("open")}, Providers, KernelLimits(),
        frozenset(), time.perf_counter_ns,
    )  # fmt: skip


def test_a_race_switches_threads_between_the_lines_it_is_told_to() -> None:
    trail: list[int] = []

    def job(name: int) -> None:
        for _ in range(50):
            trail.append(name)

    here = globals()["__name__"]
    assert race(
        [lambda n=n: job(n) for n in range(2)],
        lambda frame: frame.f_globals.get("__name__") == here,
    ) == []  # fmt: skip
    assert sum(a != b for a, b in itertools.pairwise(trail)) > 5


def test_a_race_returns_what_threads_raised() -> None:
    def fail() -> None:
        raise KeyError("x")

    assert [type(error) for error in race([fail, list], lambda frame: False)] == [KeyError]


# How it is called, and what it says.


def test_an_instance_is_refused_because_many_are_made() -> None:
    with pytest.raises(MisuseError, match="pass the class Budget"):
        check_plugin(Budget())  # type: ignore[arg-type]


def test_a_config_without_defaults_is_asked_for() -> None:
    @frozen
    class NeedsSymbols:
        symbols: tuple[str, ...]
        limit: int = field(default=5)

    class Needing(Budget):
        Config = NeedsSymbols

    with pytest.raises(MisuseError, match=r"Config needs symbols: pass check_plugin\(…, config="):
        check_plugin(Needing)


def test_a_factory_brings_its_own_config() -> None:
    with pytest.raises(MisuseError, match="its own config"):
        check_plugin(lambda: Budget(), config=object())


def test_the_requests_are_those_that_the_author_names() -> None:
    seen: set[str] = set()

    class Seeing(Guard):
        @hookimpl
        def on_request(self, request: Request) -> None:
            seen.add(request.account)

    check_plugin(
        Seeing,
        accounts={"a": Account("open"), "b": Account("open")},
        requests=strategies.requests(account_names=["b"], operation=st.just(Operation.TRADE)),
        examples=FEW,
    )
    assert seen == {"b"}
    check_plugin(Seeing, accounts={"a": Account("open")}, examples=FEW)
    assert seen == {"a", "b"}


def test_a_failure_says_who_broke_what_given_what_and_what_to_do() -> None:
    failed = broken(Careless, Rule.NEVER_RAISES, "on_end")
    first, seen, given, after, step, todo = str(failed).splitlines()
    assert failed.__notes__ == []  # hypothesis would say it all again
    assert first == "Careless.on_end breaks the rule: it never raises on a valid value"
    assert seen == "  seen:  it raised IndexError: list index out of range"
    request = "Request('GET', 'https://api.open.test/read/x', operation=read)"
    assert given == f"  given: {request}, False, 'kernel: halted'"
    assert after == "  after: from 2023-11-14T22:13:20Z"
    assert step == f"         {request}, which does not leave"
    assert todo.startswith("  to do: return Deny with a reason")


def test_the_smallest_example_is_told() -> None:
    failed = broken(Keeps, Rule.GIVES_BACK, "on_request", examples=50)
    assert failed.script == "from 2023-11-14T22:13:20Z"
    assert isinstance(failed.given, Request)


def test_what_a_plugin_reports_from_a_guard_is_sent() -> None:
    class Reporting(Guard):
        @hookimpl
        def on_request(self, request: Request) -> None:
            self.context.report("seen", hauberk.Severity.LOW)
            self.context.emit("seen")

    check_plugin(Reporting, examples=3, requests=TWO)
