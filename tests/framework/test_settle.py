"""What came back (DESIGN 2, "What a bot holds"): who is shown what, once, in the one order."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hauberk import guard as guard_module
from hauberk.dispatch import Interrupts
from hauberk.errors import ClosedError, Denied, MisuseError
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Event, Incident, Outcome, Severity
from hauberk.request import Request, Response
from hauberk.testing import DEFAULT_URL, make_guard

ORDER = Request("POST", DEFAULT_URL, {"q": "1"})


class Sees(Plugin):
    """Notes, in a list that several share, whatever it is told."""

    def __init__(self, name: str, log: list[Any]) -> None:
        self.name, self.log = name, log

    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        self.log.append((self.name, request, response))

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.log.append((self.name, event.kind, event.fields))

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome:
        self.log.append((self.name, "incident"))
        return Outcome("noted")


def guarded(*names: str) -> tuple[Guard, list[Any]]:
    log: list[Any] = []
    grants = {name: ["record"] for name in names}
    return make_guard(*((name, Sees(name, log)) for name in names), grants=grants), log


def test_observers_are_shown_no_credential_header_however_it_came_in() -> None:
    guard, log = guarded("a")
    headers = {"X-Key": "k", "Cookie": "c", "Proxy-Authorization": "p", "authorization": "a",
               "X-Kept": "y"}  # fmt: skip
    with guard:
        cleared = guard.clear(Request("POST", DEFAULT_URL, headers=headers))
        log.clear()
        guard.settle(cleared, Response(200))
    shown = log[0][1]
    assert shown.headers == (("X-Kept", "y"),)
    assert shown.id == cleared.id


def test_observers_are_shown_the_judged_request_and_not_the_signed_one() -> None:
    guard, log = guarded("a")
    with guard:
        cleared = guard.clear(ORDER)
        log.clear()
        guard.settle(cleared, response := Response(200, body=b"ok"))
    assert log[0] == ("a", cleared.judged, response)
    assert "signature" not in str(tuple(log[0][1]))


def test_an_exception_in_the_place_of_an_answer_is_told_by_its_type_alone() -> None:
    guard, log = guarded("a")
    with guard:
        cleared = guard.clear(ORDER)
        log.clear()
        guard.settle(cleared, ConnectionResetError("https://x/?signature=abc"))
    assert log[0][2] == Response(0, error="ConnectionResetError")
    assert "abc" not in repr(log)


def test_recorders_learn_what_came_back() -> None:
    guard, log = guarded("a")
    with guard:
        cleared = guard.clear(ORDER)
        log.clear()
        guard.settle(cleared, Response(418))
    kind, fields = log[1][1:]
    assert kind == "response"
    assert (fields["status"], fields["error"], fields["operation"]) == (418, "", "trade")


def test_every_hook_is_called_in_the_one_order() -> None:
    guard, log = guarded("c", "a", "b")
    with guard:
        cleared = guard.clear(ORDER)
        log.clear()
        guard.settle(cleared, Response(200))
        assert [entry[0] for entry in log] == ["c", "a", "b"] * 2  # on_response, then on_event
        log.clear()
        guard.report("odd", Severity.LOW)
    named = [entry[0] for entry in log if entry[1] == "incident"]
    assert sorted(named) == ["a", "b", "c"]  # each on a thread of its own


def test_optional_responders_begin_in_the_one_order() -> None:
    guard, _ = guarded("c", "a", "b")
    with guard:
        incident = guard.report("odd", Severity.LOW)
    assert [outcome.plugin for outcome in incident.outcomes][-3:] == ["c", "a", "b"]


def test_what_came_back_is_told_once() -> None:
    guard, _ = guarded("a")
    with guard:
        cleared = guard.clear(ORDER)
        guard.settle(cleared, Response(200))
        with pytest.raises(MisuseError, match="settled already"):
            guard.settle(cleared, Response(200))


def test_who_never_settles_costs_a_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "_UNSETTLED", 2)
    guard, _ = guarded()
    with guard:
        first, second, third = (guard.clear(ORDER) for _ in range(3))
        with pytest.raises(MisuseError, match="not cleared here"):
            guard.settle(first, Response(200))
        guard.settle(second, Response(200))
        guard.settle(third, Response(200))


def test_nothing_but_an_answer_is_taken_for_one() -> None:
    guard, log = guarded("a")
    with guard:
        cleared = guard.clear(ORDER)
        log.clear()
        with pytest.raises(MisuseError, match=r"takes a Response .* as `response`, not int"):
            guard.settle(cleared, 200)  # type: ignore[arg-type]
        for wrong in ("text", None, cleared.id, cleared.judged):
            with pytest.raises(MisuseError, match="what clear returned as `cleared`, not "):
                guard.settle(wrong, Response(200))  # type: ignore[arg-type]
        assert log == []
        guard.settle(cleared, Response(200))


def test_a_closed_guard_settles_and_resolves_nothing() -> None:
    guard, _ = guarded("a")
    cleared = guard.clear(ORDER)
    incident = guard.report("odd", Severity.LOW)
    guard.close()
    with pytest.raises(ClosedError):
        guard.settle(cleared, Response(200))
    with pytest.raises(ClosedError):
        guard.resolve(incident.id, "seen")


def test_a_denial_is_recorded_with_who_why_and_until_when() -> None:
    from hauberk.verdicts import Deny

    class Refuses(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> Deny:
            return Deny("too late", retry_after=3.0)

    log: list[Any] = []
    grants = {"a": ["record"]}
    with (
        make_guard(("a", Sees("a", log)), ("r", Refuses()), grants=grants) as guard,
        pytest.raises(Denied),
    ):
        guard.clear(ORDER)
    fields = next(entry[2] for entry in log if entry[1] == "request.denied")
    assert {name: fields[name] for name in ("plugin", "reason", "retry_after")} == {
        "plugin": "r",
        "reason": "too late",
        "retry_after": 3.0,
    }


def test_a_secret_in_the_url_of_a_denied_request_is_masked_for_recorders() -> None:
    guard, log = guarded("a")
    with guard, pytest.raises(Denied):
        guard.clear(Request("GET", "https://api.open.test/read/x?signature=deadbeef"))
    assert [entry[1] for entry in log] == ["request.denied"]
    assert "deadbeef" not in repr(log)


def test_what_was_interrupted_is_recorded_as_abandoned() -> None:
    class Interrupted(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            raise KeyboardInterrupt

    log: list[Any] = []
    guard = make_guard(("a", Sees("a", log)), ("i", Interrupted()), grants={"a": ["record"]})
    with guard, pytest.raises(KeyboardInterrupt):
        guard.clear(ORDER)
    assert log[0][1] == "request.abandoned"
    assert log[0][2]["why"] == "interrupted"


class Interrupted(Plugin):
    """Ctrl-C comes while it is told something of one kind."""

    def __init__(self, log: list[Any], *kinds: str) -> None:
        self.log, self.kinds = log, kinds

    def note(self, kind: str) -> None:
        self.log.append(("interrupted", kind))
        if kind in self.kinds:
            raise KeyboardInterrupt

    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        self.note("on_response")

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.note(event.kind)


def interrupted_at(*kinds: str) -> tuple[Guard, list[Any]]:
    """A guard on which Ctrl-C comes in the first of those that are told."""
    log: list[Any] = []
    plugins = ("interrupted", Interrupted(log, *kinds)), ("a", Sees("a", log))
    return make_guard(*plugins, grants={"interrupted": ["record"], "a": ["record"]}), log


def test_an_interrupt_in_one_observer_keeps_nobody_from_being_told() -> None:
    guard, log = interrupted_at("on_response", "response")
    with guard:
        cleared = guard.clear(ORDER)
        log.clear()
        with pytest.raises(KeyboardInterrupt):
            guard.settle(cleared, Response(200))
        with pytest.raises(MisuseError, match="settled already"):
            guard.settle(cleared, Response(200))
    heard = [entry[0] for entry in log]
    assert heard == ["interrupted", "a", "interrupted", "a"], "observers, then recorders"
    assert log[3][1] == "response"


def test_an_interrupt_in_one_recorder_keeps_no_responder_and_no_recorder_from_an_incident() -> None:
    guard, log = interrupted_at("incident.reported", "incident.handled")
    with guard:
        with pytest.raises(KeyboardInterrupt):
            guard.report("leak", Severity.CRITICAL)
        outcomes = [outcome.plugin for outcome in guard.incidents[0].outcomes]
    assert [entry[:2] for entry in log] == [
        ("interrupted", "incident.reported"),
        ("a", "incident.reported"),
        ("a", "incident"),
        ("interrupted", "incident.handled"),
        ("a", "incident.handled"),
    ]
    assert outcomes == ["killswitch", "a"]


def test_an_interrupt_in_one_recorder_keeps_no_other_from_what_became_of_a_request() -> None:
    guard, log = interrupted_at("request.left")
    with guard, pytest.raises(KeyboardInterrupt):
        guard.clear(ORDER)
    assert [entry[:2] for entry in log[-2:]] == [
        ("interrupted", "request.left"), ("a", "request.left"),
    ]  # fmt: skip


def test_of_several_interrupts_the_first_is_raised_and_no_other_error_is_held_back() -> None:
    first, interrupts = KeyboardInterrupt("first"), Interrupts()
    for error in (first, KeyboardInterrupt("second")):
        with interrupts:
            raise error
    with pytest.raises(SystemExit), interrupts:
        raise SystemExit
    with pytest.raises(KeyboardInterrupt) as raised:
        interrupts.raise_first()
    assert raised.value is first
    Interrupts().raise_first()


def test_a_permission_that_cannot_be_recorded_names_the_request() -> None:
    class Full(Plugin):
        @hookimpl
        def on_event(self, event: Event) -> None:
            if event.permission:
                raise OSError("disk full")

    guard = make_guard(("full", Full()), grants={"full": ["record"]}, required=["full"])
    with guard, pytest.raises(Denied) as caught:
        guard.clear(ORDER)
    assert caught.value.request_id.startswith(guard.kernel.id_prefix)


def test_the_configured_timeout_is_the_default_and_no_other_is_taken() -> None:
    from hauberk.settings import KernelLimits
    from hauberk.verdicts import Wait

    class Waits(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> Wait:
            return Wait(2.0)

    with make_guard(Waits(), limits=KernelLimits(timeout_s=1.5)) as guard:
        with pytest.raises(Denied, match=r"has 1\.5 s left"):
            guard.clear(ORDER)
        for wrong in (-1, float("inf"), float("nan"), 1e9):
            with pytest.raises(MisuseError, match="finite and not negative"):
                guard.clear(ORDER, timeout_s=wrong)
        for odd in ("1", [1], {}, Decimal(1), 1j):
            with pytest.raises(MisuseError, match="timeout_s is a number of seconds, not "):
                guard.clear(ORDER, timeout_s=odd)  # type: ignore[arg-type]
            with pytest.raises(MisuseError, match="timeout_s is a number of seconds, not "):
                asyncio.run(guard.aclear(ORDER, timeout_s=odd))  # type: ignore[arg-type]
