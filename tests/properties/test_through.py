"""A pass in one call comes to what the steps come to, whatever hooks do."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Deny, Incident, Plugin, Request, Severity, Wait, hookimpl
from hauberk.context import Context
from hauberk.drivers import Drivers
from hauberk.frames import Frame
from hauberk.protocol import Cleared, Steps, clearing
from hauberk.request import Operation
from hauberk.testing import DEFAULT_URL, PlainSigner, make_guard

ORDER = Request("POST", DEFAULT_URL, {"symbol": "BTCUSDT"})
PLAIN = PlainSigner()


class Failure(Exception):
    """Stands for whatever a hook may raise."""


@define
class Script:
    """What hooks do, one after the other, and what came of it."""

    acts: Iterator[str]
    trace: list[tuple[Any, ...]] = field(factory=list)

    def next(self, *what: Any) -> str:
        act = next(self.acts, "nothing")
        self.trace.append((*what, act))
        return act


class Acts(Plugin):
    """Does what the script says."""

    def __init__(self, name: str, script: Script) -> None:
        self.name = name
        self.script = script

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    def happen(self, act: str, request: Request) -> Any:
        context = self.context
        happenings: dict[str, Callable[[], Any]] = {
            "recheck": context.recheck,
            "wake": lambda: context.wake(request.id),
            "emit": lambda: context.emit("x"),
            "low": lambda: context.report("low", Severity.LOW),
            "high": lambda: context.report("high", Severity.HIGH),
            "tamper": lambda: object.__setattr__(request, "__class__", Other),
        }
        if act in RAISED:
            raise RAISED[act]
        if act in happenings:
            happenings[act]()
        return 1 if act == "junk" else None


class Judging(Acts):
    @hookimpl
    def on_request(self, request: Request) -> Any:
        act = self.script.next(self.name, "asked", request.params, request.operation)
        if act == "deny":
            return Deny("no")
        if act == "wait":
            return Wait(0.5)
        if act == "wait too long":
            return Wait(1e6)
        if act == "amend":
            return request.amend(params={"symbol": "ETHUSDT"})
        return self.happen(act, request)

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> Any:
        return self.happen(self.script.next(self.name, "end", left, why, type(request)), request)

    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        self.script.trace.append((self.name, incident.title))


class Signing(Acts):
    @hookimpl
    def sign_request(self, request: Request) -> Any:
        act = self.script.next("signing", request.params)
        signed = PLAIN.sign_request(request)
        if act == "deny":  # by the kernel
            return signed.signed(url=f"{signed.url}&x=1", headers=(), body=b"")
        return self.happen(act, request) or (None if act == "junk" else signed)


class Other(Request):
    __slots__ = ()


RAISED: dict[str, BaseException] = {
    "raise": Failure("boom"), "interrupt": KeyboardInterrupt(), "exit": SystemExit(),
}  # fmt: skip
ACTS = [
    *("deny", "wait", "wait too long", "amend", "recheck", "wake", "emit", "low", "high"),
    *("tamper", "junk", *RAISED),
]
acts = st.lists(st.one_of(st.just("nothing"), st.sampled_from(ACTS)), max_size=24)


def in_steps(
    self: Drivers, request: Request, request_id: str, timeout_ns: int, *, off_loop: bool
) -> Cleared | Steps:
    """Stands in for what goes through in one call."""
    stamped = request.stamped(request_id, Operation.UNKNOWN)
    frame = Frame(watch=self._kernel.watch)
    return clearing(stamped, timeout_ns, frame=frame, off_loop=off_loop)


def play(script: list[str], *, on_loop: bool) -> tuple[Any, ...]:
    """Clear twice, with what hooks do in both; return all that can be told of it."""
    made = Script(iter(script))
    plugins = [(name, Judging(name, made)) for name in ("first", "second")]
    guard = make_guard(
        *plugins,
        ("signing", Signing("signing", made)),
        grants={"first": ["amend"], "signing": ["sign"]},
    )
    kernel = guard.kernel
    kernel.id_prefix = "id"
    outcomes = []
    with guard:
        for _ in range(2):
            try:
                if on_loop:
                    cleared = asyncio.run(guard.aclear(ORDER, timeout_s=60))
                else:
                    cleared = guard.clear(ORDER, timeout_s=60)
                outcomes.append(("cleared", cleared.request, cleared.judged))
            except BaseException as error:
                outcomes.append((type(error), str(error)))
        counts = [
            (impl.name, impl.hook, impl.calls, impl.failures)
            for _, hooks in guard.snapshot.parts
            for impl in hooks.values()
        ]
        incidents = [(one.title, one.source) for one in guard.incidents]
        assert kernel.waking._armed == {}
        assert kernel.watch.active == set()
        return outcomes, made.trace, counts, incidents, kernel.epoch, list(guard._unsettled)


def play_in_steps(script: list[str], *, on_loop: bool) -> tuple[Any, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Drivers, "_through", in_steps)
        return play(script, on_loop=on_loop)


@pytest.mark.parametrize("on_loop", [False, True])
@given(acts)
def test_in_one_call_it_comes_to_what_the_steps_come_to(on_loop: bool, script: list[str]) -> None:
    assert play(script, on_loop=on_loop) == play_in_steps(script, on_loop=on_loop)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("moment", range(10))
def test_so_it_does_whatever_happens_at_whatever_moment(moment: int, act: str) -> None:
    script = ["nothing"] * moment + [act]
    assert play(script, on_loop=False) == play_in_steps(script, on_loop=False)
