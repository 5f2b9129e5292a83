"""Guards fail closed, and amend only as granted (DESIGN 2, rules 1 and 4).

Whatever a guard does but object as it may, the request is denied, the denial names the guard and
the reason, and nothing is signed.
"""

import asyncio
import copy
import gc
import math
import pickle
import types
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.accounts import Account
from hauberk.errors import Denied, HauberkError, InvalidValue
from hauberk.guard import Guard
from hauberk.hooks import hookimpl
from hauberk.protocol import MAX_AMENDMENTS, Cleared
from hauberk.records import Event, Identity, Incident, Outcome, Severity
from hauberk.request import Operation, Request, Response
from hauberk.testing import DEFAULT_URL, FakeClock, PlainSigner, make_guard
from hauberk.testing.guards import Providers
from hauberk.testing.ports import OpenVenue
from hauberk.verdicts import Deny, Wait

ORDER = Request("POST", DEFAULT_URL, {"symbol": "BTCUSDT", "qty": "1"})
READ_URL = "https://api.open.test/read/account"


class Mine:
    """A guard that does what a function does, and is told how it ended."""

    def __init__(self, judge: Callable[[Request], Any]) -> None:
        self.judge = judge
        self.ends: list[tuple[bool, str]] = []

    @hookimpl
    def on_request(self, request: Request) -> Any:
        return self.judge(request)

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.ends.append((left, why))


class Seeing:
    """A guard that keeps what it was asked about."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    @hookimpl
    def on_request(self, request: Request) -> None:
        self.requests.append(request)


class CountingSigner(PlainSigner):
    def __init__(self) -> None:
        self.signed = 0

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        self.signed += 1
        return super().sign_request(request)


class World:
    """A guard around `mine`, one that looks on behind it, and a signer that counts."""

    def __init__(self, judge: Callable[[Request], Any], *grants: str, **options: Any) -> None:
        self.mine = Mine(judge)
        self.later = Seeing()
        self.signer = CountingSigner()
        self.guard: Guard = make_guard(
            ("mine", self.mine), ("later", self.later), ("signing", self.signer),
            grants={"mine": grants, "signing": ("sign",)}, **options,
        )  # fmt: skip

    def clear(self, request: Request = ORDER, *, on_loop: bool = False) -> Cleared:
        if on_loop:
            return asyncio.run(self.guard.aclear(request))
        return self.guard.clear(request)

    def denial(self, request: Request = ORDER, plugin: str = "mine") -> Denied:
        """Clear on a thread and on a loop: denied by the plugin, unsigned, and the end told."""
        for on_loop in (False, True):
            self.mine.ends.clear()
            with pytest.raises(Denied) as caught:
                self.clear(request, on_loop=on_loop)
            assert caught.value.plugin == plugin
            assert caught.value.reason
            assert caught.value.request_id
            assert self.signer.signed == 0
            assert self.mine.ends == [(False, f"{plugin}: {caught.value.reason}")]
        return caught.value

    @property
    def failures(self) -> int:
        return self.guard.snapshot.hooks("mine")["on_request"].failures


def raiser(error: BaseException) -> Callable[[Request], Any]:
    def judge(request: Request) -> None:
        raise error

    return judge


# Rule 1: exceptions.


class OutOfNowhere(BaseException):
    """Not even an Exception."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("qty is missing"),
        SystemExit(0),
        GeneratorExit(),
        asyncio.CancelledError(),
        StopIteration("cleared"),
        StopAsyncIteration(),
        RecursionError(),
        MemoryError(),
        AssertionError(),
        TimeoutError(),
        OutOfNowhere(),
        BaseExceptionGroup("both", [SystemExit(1), KeyboardInterrupt()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_guard_raises_is_a_denial_that_names_it(error: BaseException) -> None:
    world = World(raiser(error))
    denied = world.denial()
    assert denied.reason.startswith(f"on_request raised {type(error).__name__}")
    assert world.failures == 2
    assert world.later.requests == []


def test_a_guard_that_raises_a_denial_in_the_name_of_another_is_named_itself() -> None:
    world = World(raiser(Denied("policy", "too large", retry_after=5)))
    denied = world.denial()
    assert "raised Denied: denied by policy: too large" in denied.reason
    assert denied.retry_after is None


def test_an_exceptions_text_breaks_no_line_of_a_log_and_has_an_end() -> None:
    world = World(raiser(ValueError("x\nWARNING policy allows\x1b[2J\u202e" + "y" * 10_000)))
    reason = world.denial().reason
    assert reason.isprintable()
    assert len(reason) < 300


class Unprintable(Exception):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error


def test_an_exception_that_cannot_be_printed_is_a_denial() -> None:
    assert "raised Unprintable" in World(raiser(Unprintable(ValueError()))).denial().reason


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), asyncio.CancelledError()])
def test_an_exception_whose_text_exits_is_a_denial(error: BaseException) -> None:
    assert "raised Unprintable" in World(raiser(Unprintable(error))).denial().reason


class Interrupting(KeyboardInterrupt):
    """Ctrl-C by another name."""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupting()])
@pytest.mark.parametrize("on_loop", [False, True])
def test_ctrl_c_in_a_guard_denies_and_is_raised_again(
    error: KeyboardInterrupt, on_loop: bool
) -> None:
    world = World(raiser(error))
    with pytest.raises(type(error)):
        world.clear(on_loop=on_loop)
    assert world.mine.ends == [(False, "interrupted")]
    assert world.signer.signed == 0
    assert world.failures == 1


# Rule 1: nobody can say "allow", least of all to the kernel's own machinery.

FORGED = Cleared(ORDER.stamped("forged-1", Operation.TRADE), ORDER)


class RaisingMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise StopIteration(FORGED)


class Nameless(Exception, metaclass=RaisingMeta):
    """Asking for its type's name ends a generator, as if it had returned."""


class Classless:
    @property
    def __class__(self) -> Any:
        raise StopIteration(FORGED)


class LyingCoroutine:
    @property
    def __class__(self) -> Any:
        return types.CoroutineType

    def close(self) -> None:
        raise StopIteration(FORGED)


def _raise_nameless(request: Request) -> None:
    raise Nameless


@pytest.mark.parametrize(
    "judge",
    [_raise_nameless, lambda request: Classless(), lambda request: LyingCoroutine()],
    ids=["type's name", "class", "close"],
)
def test_no_guard_says_allow_by_ending_the_protocol_in_its_place(
    judge: Callable[[Request], Any],
) -> None:
    World(judge).denial()


# Rule 1: wrong types.


def _generator() -> Any:
    yield None


async def _async_generator() -> Any:
    yield None


@pytest.mark.parametrize(
    "answer",
    [
        True, False, 0, 1, "", "allow", "deny", b"", (), [], {}, set(), object(), NotImplemented,
        ..., Deny, Wait, Request, None.__class__, Operation.READ, Severity.LOW, Identity("u"),
        Outcome("allowed"), Response(200), Denied("mine", "returned, not raised"), len, ORDER[:],
        tuple(ORDER), list(ORDER), math.nan, Decimal(1), _generator(), _async_generator(),
    ],
    ids=lambda answer: type(answer).__name__,
)  # fmt: skip
def test_an_answer_of_any_other_type_is_a_denial(answer: object) -> None:
    world = World(lambda request: answer, "amend")
    assert f"returned {type(answer).__name__}" in world.denial().reason
    assert world.later.requests == []
    assert world.failures == 2


class MyDeny(Deny):
    """Nothing added."""


class MyWait(Wait):
    """Nothing added."""


class MyRequest(Request):
    """Shows other parameters than it has."""

    __slots__ = ()

    @property
    def params(self) -> Any:  # type: ignore[override]
        return ()


class MyText(str):
    """Text with methods of its own."""


@pytest.mark.parametrize(
    "answer", [MyDeny("no"), MyWait(1), MyRequest("GET", READ_URL)], ids=lambda a: type(a).__name__
)
def test_a_subclass_of_a_verdict_is_no_verdict(answer: object) -> None:
    assert f"returned {type(answer).__name__}" in World(lambda r: answer, "amend").denial().reason


def test_a_subclass_of_text_is_no_reason() -> None:
    with pytest.raises(InvalidValue, match="reason must be text"):
        Deny(MyText("no"))


def test_a_request_of_a_subclass_is_not_even_asked_about() -> None:
    with make_guard() as guard, pytest.raises(HauberkError, match="not MyRequest"):
        guard.clear(MyRequest("POST", DEFAULT_URL))


# Rule 1: awaitables.


async def _judge() -> None:
    return None


class Awaitable:
    def __await__(self) -> Any:
        return _judge().__await__()


def _started() -> Any:
    coroutine = _wait_a_little()
    coroutine.send(None)
    return coroutine


@types.coroutine
def _wait_a_little() -> Any:
    yield


@pytest.mark.parametrize("make", [_judge, Awaitable, _started])
def test_an_awaitable_is_a_denial_and_leaves_no_warning_behind(make: Callable[[], Any]) -> None:
    world = World(lambda request: make())
    with warnings.catch_warnings(record=True) as given_warnings:
        warnings.simplefilter("always")
        assert "returned an awaitable" in world.denial().reason
        gc.collect()
    assert [str(warning.message) for warning in given_warnings] == []


def test_a_task_that_a_guard_starts_is_no_answer() -> None:
    world = World(lambda request: asyncio.ensure_future(_judge()))

    async def clear() -> None:
        with pytest.raises(Denied, match="denied by mine: returned an awaitable"):
            await world.guard.aclear(ORDER)

    asyncio.run(clear())


class Unclosable:
    """Passes for a coroutine; closing it raises."""

    @property
    def __class__(self) -> Any:
        return types.CoroutineType

    def close(self) -> None:
        raise RuntimeError("coroutine ignored GeneratorExit")


def test_a_coroutine_that_cannot_be_closed_is_a_denial() -> None:
    World(lambda request: Unclosable()).denial()


# Rule 1: values changed behind their backs.


class Elsewhere(Request):
    """What a hostile guard would turn the shared request into."""

    __slots__ = ()

    @property
    def url(self) -> str:  # type: ignore[override]
        return "https://evil.test/"


@pytest.mark.parametrize("answer", [None, Deny("no"), Wait(1), ORDER])
def test_a_request_whose_class_is_changed_is_put_back_and_denied(answer: Any) -> None:
    kept = []

    def judge(request: Request) -> Any:
        kept.append(request)
        object.__setattr__(request, "__class__", Elsewhere)
        return answer

    world = World(judge, "amend")
    assert world.denial().reason == "changed the request behind its back"
    assert {type(request) for request in kept} == {Request}


@pytest.mark.parametrize("name", ["url", "params", "account", "id", "operation", "extra"])
def test_no_field_of_a_request_can_be_set_even_through_object(name: str) -> None:
    def judge(request: Request) -> None:
        object.__setattr__(request, name, "https://evil.test/")

    assert "raised AttributeError" in World(judge).denial().reason


def test_a_request_whose_class_a_later_hook_changes_is_denied_too() -> None:
    class Signer(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            signed = super().sign_request(request)
            object.__setattr__(request, "__class__", Elsewhere)
            return signed

    with (
        make_guard(("signing", Signer())) as guard,
        pytest.raises(Denied, match="denied by signing: changed what it was given"),
    ):
        guard.clear(ORDER)


DURATIONS = [
    math.nan, math.inf, -math.inf, -1, -0.001, True, False, "1", None, b"1", Decimal(1), 10**400,
    -(10**400), 1j, MyText("1"), object(),
]  # fmt: skip


@pytest.mark.parametrize("seconds", DURATIONS, ids=lambda s: type(s).__name__)
def test_a_wait_that_is_no_duration_is_refused_and_a_tampered_one_is_a_denial(
    seconds: Any,
) -> None:
    with pytest.raises(InvalidValue, match="finite and not negative"):
        Wait(seconds)

    def judge(request: Request) -> Wait:
        wait = Wait(1)
        object.__setattr__(wait, "seconds", seconds)
        return wait

    assert World(judge).denial().reason == "Wait: seconds must be finite and not negative"


@pytest.mark.parametrize("retry_after", [d for d in DURATIONS if d is not None])
def test_a_denial_with_a_tampered_delay_is_a_denial_without_it(retry_after: Any) -> None:
    with pytest.raises(InvalidValue, match="finite and not negative"):
        Deny("no", retry_after=retry_after)

    def judge(request: Request) -> Deny:
        deny = Deny("no", retry_after=1)
        object.__setattr__(deny, "retry_after", retry_after)
        return deny

    denied = World(judge).denial()
    assert "retry_after must be seconds" in denied.reason
    assert denied.retry_after is None


@pytest.mark.parametrize("reason", ["", None, b"no", 5, MyText("no"), ["no"]])
def test_a_denial_with_a_tampered_reason_is_still_one(reason: Any) -> None:
    def judge(request: Request) -> Deny:
        deny = Deny("no")
        object.__setattr__(deny, "reason", reason)
        return deny

    assert World(judge).denial().reason == "Deny: reason must be text that says why"


@pytest.mark.parametrize("kind", [Deny, Wait])
def test_a_verdict_without_fields_is_a_denial(kind: type) -> None:
    World(lambda request: object.__new__(kind)).denial()


def test_a_verdict_whose_fields_were_deleted_is_a_denial() -> None:
    def judge(request: Request) -> Deny:
        deny = Deny("no", retry_after=1)
        object.__delattr__(deny, "retry_after")
        return deny

    World(judge).denial()


class Changing:
    """Keeps the verdict it gave, and changes it while the incident it reported is handled."""

    def __init__(self, verdict: Any, change: Callable[[Any], None]) -> None:
        self.verdict = verdict
        self.change = change

    @hookimpl
    def on_start(self, context: Any) -> None:
        self.context = context

    @hookimpl
    def on_request(self, request: Request) -> Any:
        self.context.report("look here", Severity.LOW)
        return self.verdict

    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        self.change(self.verdict)


def test_a_verdict_changed_after_it_was_given_is_what_it_was() -> None:
    changing = Changing(Wait(1), lambda wait: object.__setattr__(wait, "seconds", math.nan))
    with make_guard(changing, required=["changing"]) as guard, pytest.raises(Denied) as caught:
        guard.clear(ORDER, timeout_s=0)
    assert caught.value.plugin == "changing"


# Rule 1, for what the other hooks are given: nobody changes it for the next.


class Liar(str):
    """Text that equals whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


def _set(value: object) -> Callable[[Event], None]:
    return lambda event: object.__setattr__(event, "fields_json", value)


@pytest.mark.parametrize(
    "change",
    [
        _set("{}"),
        _set(Liar("{}")),
        lambda event: object.__delattr__(event, "fields_json"),
    ],
    ids=["changed", "changed to a liar", "deleted"],
)
def test_a_recorder_cannot_change_what_the_audit_behind_it_records(
    change: Callable[[Event], None],
) -> None:
    class Forger:
        @hookimpl
        def on_event(self, event: Event) -> None:
            change(event)

    class Audit:
        def __init__(self) -> None:
            self.lines: list[str] = []

        @hookimpl
        def on_event(self, event: Event) -> None:
            self.lines.append(event.fields_json)

    audit = Audit()
    with make_guard(
        ("forger", Forger()), ("audit", audit),
        grants={"forger": ["record"], "audit": ["record"]}, required=["audit"],
    ) as guard:  # fmt: skip
        guard.clear(ORDER)
        failures = guard.snapshot.hooks("forger")["on_event"].failures
    assert len(audit.lines) == 2
    assert all("BTCUSDT" in line and type(line) is str for line in audit.lines)
    assert failures == 2


def test_a_guard_is_told_the_end_whatever_those_before_it_answer_there() -> None:
    class Awkward:
        @hookimpl
        def on_request(self, request: Request) -> None: ...

        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> Any:
            return Classless()

    charging = Mine(lambda request: Deny("no"))
    with make_guard(Awkward(), ("charging", charging)) as guard, pytest.raises(Denied):
        guard.clear(ORDER)
    assert charging.ends == [(False, "charging: no")]


# Rule 1: requests forged past the constructor.


def _forged(*fields: object) -> Request:
    return tuple.__new__(Request, fields)


def _replaced(request: Request, **changes: object) -> Request:
    """What `_replace` would make if it did not check."""
    return _forged(*{**request._asdict(), **changes}.values())


FORGERIES: list[tuple[str, Callable[[Request], Request]]] = [
    ("params in lists", lambda r: _replaced(r, params=[["symbol", "ETHUSDT"]])),
    ("a pair that is a list", lambda r: _replaced(r, params=(["symbol", "ETHUSDT"],))),
    ("a mapping", lambda r: _replaced(r, params={"symbol": "ETHUSDT"})),
    ("three in a pair", lambda r: _replaced(r, params=(("symbol", "ETHUSDT", "x"),))),
    ("a number", lambda r: _replaced(r, params=(("qty", 1),))),
    ("text of one's own", lambda r: _replaced(r, params=(("qty", MyText("1")),))),
    ("half a character", lambda r: _replaced(r, params=(("qty", "\ud800"),))),
    ("a mutable body", lambda r: _replaced(r, body=bytearray(b"x"))),
    ("a mutable url", lambda r: _replaced(r, url=[DEFAULT_URL])),
    ("a line's end in the url", lambda r: _replaced(r, url=f"{DEFAULT_URL} HTTP/1.1\r\nHost: e")),
    ("a space in the url", lambda r: _replaced(r, url=f"{DEFAULT_URL} ")),
    ("no url", lambda r: _replaced(r, url="")),
    ("a long url", lambda r: _replaced(r, url=DEFAULT_URL + "x" * 10_000)),
    ("a method in small letters", lambda r: _replaced(r, method="post")),
    ("a method and a line's end", lambda r: _replaced(r, method="POST\n")),
    ("a header and a line's end", lambda r: _replaced(r, headers=(("X", "y\r\nHost: evil.test"),))),
    ("a header name with a colon", lambda r: _replaced(r, headers=(("X: y", "z"),))),
    ("an operation in text", lambda r: _replaced(r, operation="public")),
    ("no account", lambda r: _replaced(r, account="")),
    ("no id", lambda r: _replaced(r, id=None)),
    ("too short", lambda r: _forged(*r[:7])),
    ("too long", lambda r: _forged(*r, "more")),
    ("empty", lambda r: _forged()),
]


@pytest.mark.parametrize("forge", [f for _, f in FORGERIES], ids=[name for name, _ in FORGERIES])
def test_an_amendment_forged_past_the_constructor_is_a_denial(
    forge: Callable[[Request], Request],
) -> None:
    world = World(forge, "amend")
    assert "returned a Request whose" in world.denial().reason
    assert world.failures == 2


@pytest.mark.parametrize("forge", [f for _, f in FORGERIES], ids=[name for name, _ in FORGERIES])
def test_a_signed_request_forged_past_the_constructor_is_a_denial(
    forge: Callable[[Request], Request],
) -> None:
    class Signer(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            return forge(request)

    with (
        make_guard(("signing", Signer())) as guard,
        pytest.raises(Denied, match=r"denied by signing: (the signer|a signed request has no)"),
    ):
        guard.clear(ORDER)


@pytest.mark.parametrize("forge", [f for _, f in FORGERIES], ids=[name for name, _ in FORGERIES])
def test_a_forged_request_does_not_come_out_of_a_pickle_or_a_copy(
    forge: Callable[[Request], Request],
) -> None:
    forged = forge(ORDER)
    with pytest.raises(InvalidValue):
        pickle.loads(pickle.dumps(forged))  # noqa: S301 - our own bytes
    with pytest.raises(InvalidValue):
        copy.copy(forged)


def test_the_ways_round_the_constructor_that_a_tuple_has_check_like_it() -> None:
    for forge in (
        lambda: ORDER._replace(params=[["symbol", "BTCUSDT"]]),  # type: ignore[arg-type]
        lambda: Request._make([*ORDER[:2], [["qty", "1"]], *ORDER[3:]]),
    ):
        with pytest.raises(InvalidValue, match="params must be a tuple"):
            forge()


def test_a_request_that_a_bot_forged_is_seen_by_no_guard() -> None:
    seeing = Seeing()
    with make_guard(seeing) as guard, pytest.raises(HauberkError):
        guard.clear(ORDER._replace(params=[["symbol", "BTCUSDT"]]))
    assert seeing.requests == []


# Rule 2, at run time: nothing outvotes a denial.


def test_a_denial_stands_whatever_those_after_it_would_say_and_stops_the_asking() -> None:
    world = World(lambda request: Deny("no", retry_after=5))
    denied = world.denial()
    assert (denied.reason, denied.retry_after) == ("no", 5)
    assert world.later.requests == []


def test_no_objection_before_a_denial_does_not_weigh_against_it() -> None:
    late = Mine(lambda request: Deny("last of five"))
    quiet = [(f"quiet{n}", Seeing()) for n in range(4)]
    with make_guard(*quiet, ("late", late)) as guard, pytest.raises(Denied, match="last of five"):
        guard.clear(ORDER)


# Rule 4: amendments.


def test_amending_without_the_grant_is_a_denial() -> None:
    world = World(lambda request: request.amend(params={"qty": "0.1"}))
    assert world.denial().reason == "amended the request without the grant 'amend'"


def test_even_returning_the_request_as_it_is_needs_the_grant() -> None:
    assert "without the grant" in World(lambda request: request).denial().reason


def test_returning_the_request_as_it_is_is_no_amendment() -> None:
    world = World(lambda request: request.amend(), "amend")
    world.clear()
    assert len(world.later.requests) == 1


def _once(change: Callable[[Request], Request]) -> Callable[[Request], Request | None]:
    changed: set[str] = set()

    def judge(request: Request) -> Request | None:
        if request.id in changed:
            return None
        changed.add(request.id)
        return change(request)

    return judge


def test_what_was_amended_is_what_everyone_is_asked_from_then_on_under_the_same_id() -> None:
    before = Seeing()
    mine = Mine(_once(lambda request: request.amend(params={"symbol": "BTCUSDT", "qty": "0.1"})))
    after = Seeing()
    with make_guard(
        ("before", before), ("mine", mine), ("after", after), grants={"mine": ["amend"]}
    ) as guard:
        cleared = guard.clear(ORDER)
    assert [dict(request.params)["qty"] for request in before.requests] == ["1", "0.1"]
    assert [dict(request.params)["qty"] for request in after.requests] == ["0.1"]
    assert {request.id for request in [*before.requests, *after.requests]} == {cleared.id}
    assert "qty=0.1&" in cleared.request.url
    assert dict(cleared.judged.params)["qty"] == "0.1"


def test_an_amended_request_is_denied_by_those_who_had_no_objection_to_the_first() -> None:
    policy = Mine(lambda r: Deny("too large") if dict(r.params)["qty"] == "1000" else None)
    mine = Mine(_once(lambda request: request.amend(params={"qty": "1000"})))
    with (
        make_guard(("policy", policy), ("mine", mine), grants={"mine": ["amend"]}) as guard,
        pytest.raises(Denied, match="denied by policy: too large"),
    ):
        guard.clear(ORDER)


def test_the_operation_is_derived_again_whatever_the_amending_guard_claims() -> None:
    def disguise(request: Request) -> Request:
        url = "https://api.open.test/withdraw/apply"
        return request.amend(url=url).stamped(request.id, Operation.READ)

    world = World(_once(disguise), "amend")
    world.clear()
    assert [request.operation for request in world.later.requests] == [Operation.WITHDRAW]


def test_an_operation_that_is_claimed_for_what_is_unchanged_is_not_taken_over() -> None:
    world = World(_once(lambda r: r.stamped(r.id, Operation.PUBLIC)), "amend")
    world.clear()
    assert [request.operation for request in world.later.requests] == [Operation.TRADE]


@pytest.mark.parametrize(
    "url",
    [
        f"{DEFAULT_URL}?qty=1000",
        f"{DEFAULT_URL}#x",
        "https://api.open.test/trade/../withdraw/apply",
        "https://api.open.test//trade/order",
        "https://api.open.test/trade%2Forder",
        "https://api.open.test/",
    ],
)
def test_the_url_of_an_amended_request_is_checked_like_the_first(url: str) -> None:
    denied = World(_once(lambda request: request.amend(url=url)), "amend").denial(plugin="kernel")
    assert "URL" in denied.reason or "path" in denied.reason


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/trade/order",
        "https://api.open.test:8443/trade/order",
        "https://api.open.test@evil.test/trade/order",
        "https://user@api.open.test/trade/order",
        "https://api.open.test.evil.test/trade/order",
        "http://api.open.test/trade/order",
        "HTTPS://api.open.test/trade/order",
        "https://API.OPEN.TEST/trade/order",
        "https://api.open.test./trade/order",
        "https://other.open.test/trade/order",
        "https:/api.open.test/trade/order",
        "//api.open.test/trade/order",
        "/trade/order",
    ],
)
def test_no_amendment_changes_the_host_even_to_another_of_the_same_venue(url: str) -> None:
    venue = OpenVenue("two", bases=("https://api.open.test", "https://other.open.test"))
    world = World(
        lambda request: request.amend(url=url), "amend",
        accounts={"main": Account("two")}, providers=Providers(venue),
    )  # fmt: skip
    assert world.denial().reason == "changed the request's host"


def test_no_amendment_changes_the_account() -> None:
    accounts = {"main": Account("open"), "rich": Account("open")}
    world = World(lambda r: _replaced(r, account="rich"), "amend", accounts=accounts)
    assert world.denial().reason == "changed the request's account or id"


def test_no_amendment_changes_the_id_under_which_charges_are_kept() -> None:
    world = World(lambda r: r.amend(params={}).stamped("another-1", r.operation), "amend")
    assert world.denial().reason == "changed the request's account or id"


def test_a_request_of_an_earlier_clear_is_no_amendment_of_this_one() -> None:
    kept: list[Request] = []

    def judge(request: Request) -> Request:
        kept.append(request)
        return kept[0]

    world = World(judge, "amend")
    world.clear()
    with pytest.raises(Denied, match="account or id"):
        world.clear()


def _amending(times: int) -> Callable[[Request], Request | None]:
    def judge(request: Request) -> Request | None:
        done = int(dict(request.params).get("done", "0"))
        return None if done == times else request.amend(params={"done": done + 1})

    return judge


def test_three_amendments_are_heeded() -> None:
    assert dict(World(_amending(3), "amend").clear().judged.params) == {"done": "3"}


def test_the_fourth_amendment_is_a_denial() -> None:
    assert World(_amending(4), "amend").denial().reason == "amended the request more than 3 times"


def test_two_guards_that_amend_in_turn_for_ever_are_stopped_at_the_fourth() -> None:
    one = Mine(lambda r: r.amend(params={"qty": "1"}) if r.params != (("qty", "1"),) else None)
    two = Mine(lambda r: r.amend(params={"qty": "2"}) if r.params != (("qty", "2"),) else None)
    with (
        make_guard(
            ("one", one), ("two", two), grants={"one": ["amend"], "two": ["amend"]}
        ) as guard,
        pytest.raises(Denied, match="denied by two: amended the request more than 3 times"),
    ):
        guard.clear(ORDER)


def test_waiting_between_amendments_does_not_reset_their_count() -> None:
    times = 0

    def judge(request: Request) -> Request | Wait:
        nonlocal times
        times += 1
        return Wait(0.001) if times % 2 else request.amend(params={"times": times})

    with (
        make_guard(("mine", Mine(judge)), grants={"mine": ["amend"]}, clock=FakeClock()) as guard,
        pytest.raises(Denied, match="more than 3 times"),
    ):
        guard.clear(ORDER)
    assert times == 2 * (MAX_AMENDMENTS + 1)


# All of it at once: whatever a guard makes of a handful of values, nothing but silence passes.

ANSWERS = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.floats(),
    st.builds(Deny, st.text(min_size=1)),
    st.builds(Wait, st.floats(0, 90)),
    st.lists(st.none()),
    st.builds(lambda fields: tuple.__new__(Request, fields), st.lists(st.text(), max_size=9)),
    st.builds(lambda qty: ORDER.amend(params={"qty": qty}), st.integers()),
)


def _leaves(answers: list[object]) -> bool:
    left_ns = 60_000_000_000
    for answer in answers:
        if type(answer) is not Wait:
            return answer is None
        ns = max(math.ceil(answer.seconds * 1e9), 1_000_000)
        if ns > left_ns:
            return False
        left_ns -= ns
    return False


@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_a_request_leaves_only_when_its_guard_is_silent_after_waits_that_fit(
    answers: list[object],
) -> None:
    expected = _leaves(answers)
    world = World(lambda request: answers.pop(0) if answers else Deny("asked too often"))
    with world.guard:
        try:
            world.clear()
        except Denied as denied:
            left, plugin = False, denied.plugin
        else:
            left, plugin = True, "mine"
    assert (left, plugin) == (expected, "mine")
    assert world.signer.signed == expected
