"""The same incident again: contained each time, told once; and incidents about incidents end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from hauberk.context import Context
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Event, Incident, Outcome, Severity
from hauberk.request import Request
from hauberk.testing import DEFAULT_URL, make_guard
from hauberk.verdicts import Deny

ORDER = Request("POST", DEFAULT_URL)
LOW, MEDIUM, HIGH, CRITICAL = Severity


class Switch(Plugin):
    """A kill switch that counts how often it acts."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        return None

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome:
        self.incidents.append(incident)
        return Outcome("halted")


class Responder(Plugin):
    """Does as it is told, and remembers what about."""

    def __init__(self, act: Callable[[Incident], object] = lambda _: None) -> None:
        self.incidents: list[Incident] = []
        self._act = act

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome:
        self.incidents.append(incident)
        self._act(incident)
        return Outcome("told")


class Recorder(Plugin):
    """Remembers events; may report upon them."""

    context: Context

    def __init__(self, act: Callable[[Recorder, Event], object] = lambda _, __: None) -> None:
        self.events: list[Event] = []
        self._act = act

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self._act(self, event)


class Book:
    """A book of incidents that a kill switch brings; each answer may be told it."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"same": None, "is_standing": True, "keep": None, "resolve": None,
                        "halted": "", **answers}  # fmt: skip
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(*args: Any) -> Any:
            self.asked.append((name, args))
            told = self.answers[name]
            if isinstance(told, BaseException):
                raise told
            return told

        return answer


def with_book(**answers: Any) -> tuple[Guard, Switch, Responder, Book]:
    switch, responder, book = Switch(), Responder(), Book(**answers)
    switch.incident_book = book  # type: ignore[attr-defined]
    return make_guard(("killswitch", switch), responder), switch, responder, book


def test_the_same_again_is_contained_again_and_counted_and_others_are_not_told_again() -> None:
    switch, responder = Switch(), Responder()
    with make_guard(("killswitch", switch), responder) as guard:
        first = guard.report("leak", CRITICAL, {"n": 1})
        second = guard.report("leak", CRITICAL, {"n": 2})
        assert (first.id, first.count, second.count) == (second.id, 1, 2)
        assert len(switch.incidents) == 2
        assert len(responder.incidents) == 1
        assert [o.plugin for o in second.outcomes] == ["killswitch", "responder"]
        assert guard.incidents == (second,)


@pytest.mark.parametrize("severity", [LOW, MEDIUM, HIGH])
def test_everybody_is_told_when_it_gets_worse_and_not_when_it_is_less_bad_again(
    severity: Severity,
) -> None:
    responder = Responder()
    with make_guard(("killswitch", Switch()), responder) as guard:
        guard.report("leak", severity)
        guard.report("leak", CRITICAL)
        guard.report("leak", severity)
    assert [i.severity for i in responder.incidents] == [severity, CRITICAL]


def test_the_same_after_it_was_resolved_is_another() -> None:
    responder = Responder()
    with make_guard(responder) as guard:
        first = guard.report("leak", LOW)
        guard.resolve(first.id, "mended")
        second = guard.report("leak", LOW)
    assert first.id != second.id
    assert second.count == 1
    assert len(responder.incidents) == 2


def test_the_same_of_another_reporter_is_another() -> None:
    recorder = Recorder()
    with make_guard(recorder, grants={"recorder": ["record"]}) as guard:
        guard.report("leak", LOW)
        recorder.context.report("leak", LOW)
        assert [i.source for i in guard.incidents] == ["bot", "recorder"]


def test_what_is_forgotten_is_another() -> None:
    responder = Responder()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hauberk.incidents.KEPT", 2)
        with make_guard(responder) as guard:
            first = guard.report("leak", LOW)
            guard.report("a", LOW)
            guard.report("b", LOW)
            assert guard.report("leak", LOW).id != first.id


def test_a_guard_that_reports_the_same_twice_is_counted() -> None:
    class Twice(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            guard.report("odd", MEDIUM)
            guard.report("odd", MEDIUM)

    responder = Responder()
    with make_guard(Twice(), responder) as guard:
        guard.clear(ORDER)
        (incident,) = guard.incidents
    assert incident.count == 2
    assert len(responder.incidents) == 1


def test_of_many_threads_that_report_the_same_one_tells_everybody() -> None:
    switch, responder = Switch(), Responder()
    together = threading.Barrier(8)

    def report() -> None:
        together.wait(30)
        guard.report("leak", CRITICAL)

    with make_guard(("killswitch", switch), responder) as guard:
        threads = [threading.Thread(target=report) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (incident,) = guard.incidents
    assert incident.count == 8
    assert len(switch.incidents) == 8
    assert len(responder.incidents) == 1


def test_a_flood_of_the_same_is_a_short_line_each_for_the_recorders() -> None:
    recorder = Recorder()
    with make_guard(recorder, grants={"recorder": ["record"]}) as guard:
        for _ in range(3):
            incident = guard.report("leak", LOW, {"much": "x" * 1_000})
    kinds = [event.kind for event in recorder.events]
    assert kinds == ["incident.reported", "incident.handled", *["incident.repeated"] * 2]
    assert recorder.events[-1].fields == {"incident": incident.id, "count": 3}


def test_what_another_report_of_the_same_says_is_recorded_and_the_last_few_are_kept() -> None:
    recorder = Recorder()
    with make_guard(recorder, grants={"recorder": ["record"]}) as guard:
        for order in range(12):
            incident = guard.report("strange fills", MEDIUM, {"order": order})
    recorded = [e.fields["details"] for e in recorder.events if e.kind == "incident.repeated"]
    assert recorded == [{"order": order} for order in range(1, 12)]
    assert incident.details == {"order": 0}
    assert incident.told()["repeats"] == [{"order": order} for order in range(7, 12)]
    assert incident.latest == {"order": 11}


def test_long_details_of_repeats_are_kept_up_to_a_size_and_the_last_in_any_case() -> None:
    with make_guard() as guard:
        for n in range(9):
            incident = guard.report("leak", LOW, {"n": n, "much": "x" * 10_000})
            assert incident.latest["n"] == n
    assert len(incident.repeats) == 1


def test_a_repeat_that_a_recorder_reports_is_counted_once_in_the_book() -> None:
    def report(recorder: Recorder, event: Event) -> None:
        if event.kind == "odd":
            recorder.context.report("leak", HIGH)

    switch, recorder, book = Switch(), Recorder(report), Book()
    switch.incident_book = book  # type: ignore[attr-defined]
    plugins = ("killswitch", switch), recorder
    with make_guard(*plugins, grants={"recorder": ["record"]}) as guard:
        for _ in range(2):
            guard.kernel.record(guard.kernel.event("kernel", "odd", {}))
        (incident,) = guard.incidents
    assert incident.count == 2
    assert sum(args[1] for name, args in book.asked if name == "keep") == 2


def test_contained_is_what_every_required_responder_acted_on() -> None:
    def fail(_: Incident) -> None:
        raise ValueError("no")

    with make_guard(("killswitch", Switch()), ("pager", Responder(fail))) as guard:
        assert guard.report("leak", CRITICAL).state == "contained"
    plugins = ("killswitch", Switch()), ("pager", Responder(fail))
    with make_guard(*plugins, required=["pager"]) as guard:
        incident = guard.report("leak", CRITICAL)
        assert incident.state == "open"
        assert guard.resolve(incident.id, "mended").state == "resolved"


@pytest.mark.parametrize(
    ("name", "value", "is_masked"),
    [
        ("api_key", "abc", True),
        ("X-MBX-APIKEY", "abc", True),
        ("password", 1234, True),
        ("Client-Secret", ["abc"], True),
        ("tokens", {"a": "abc"}, True),
        ("otp", "123456", True),
        ("secret", None, False),
        ("symbol", "BTCUSDT", False),
        ("key_count", 3, False),
        ("keyboard", "abc", False),
        ("nested", {"deep": [{"passphrase": "abc"}]}, True),
    ],
)
def test_what_stands_under_the_name_of_a_credential_is_masked(
    name: str, value: object, is_masked: bool
) -> None:
    with make_guard() as guard:
        incident = guard.report("leak", LOW, {name: value})
    assert ("[secret]" in incident.details_json) == is_masked
    assert incident.details != {name: value} or not is_masked
    assert not is_masked or "abc" not in incident.details_json


# With a book of incidents.


def test_one_that_the_book_knows_to_be_open_is_the_same() -> None:
    known = Incident("inc-before", "leak", LOW, "bot", 7, count=4)
    guard, _, responder, book = with_book(same=known)
    with guard:
        incident = guard.report("leak", LOW)
    assert (incident.id, incident.count, incident.at_ns) == ("inc-before", 5, 7)
    assert responder.incidents == []
    assert [args[1] for name, args in book.asked if name == "keep"] == [1]


@pytest.mark.parametrize(
    "known",
    [
        Incident("inc-before", "leak", LOW, "bot", 7, resolution="mended"),
        Incident("inc-before", "other", LOW, "bot", 7),
        Incident("inc-before", "leak", HIGH, "bot", 7),
    ],
)
def test_a_book_that_takes_another_for_the_same_is_not_believed(known: Incident) -> None:
    guard, _, responder, _ = with_book(same=known)
    with guard:
        assert guard.report("leak", LOW).count == 1
    assert len(responder.incidents) == 1


def test_everybody_is_told_again_of_what_was_lifted_since() -> None:
    guard, _, responder, book = with_book()
    with guard:
        guard.report("leak", CRITICAL)
        guard.report("leak", CRITICAL)
        book.answers["is_standing"] = False
        again = guard.report("leak", CRITICAL)
    assert again.count == 3
    assert [i.count for i in responder.incidents] == [1, 3]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), RecursionError()])
def test_a_book_that_breaks_keeps_nothing_from_being_contained_and_told(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    guard, switch, responder, _ = with_book(same=error, is_standing=error, keep=error, halted=error)
    with guard:
        guard.report("leak", CRITICAL)
        guard.report("leak", CRITICAL)
        assert guard.kernel.halted() == "the kill switch cannot say"
    assert len(switch.incidents) == 2
    assert len(responder.incidents) == 2, "nobody knows that it still stands"
    assert "the book of incidents failed (keep)" in caplog.text


def test_the_book_is_kept_as_it_stands_then_with_what_everybody_did() -> None:
    guard, _, _, book = with_book()
    with guard:
        guard.report("leak", CRITICAL)
    kept = [args for name, args in book.asked if name == "keep"]
    assert [times for _, times in kept] == [1, 0]
    assert [[o.plugin for o in i.outcomes] for i, _ in kept] == [
        ["killswitch"], ["killswitch", "responder"],
    ]  # fmt: skip


def test_what_only_the_book_knows_can_be_resolved() -> None:
    found = Incident("inc-before", "leak", LOW, "bot", 7, resolution="mended")
    guard, _, _, book = with_book(resolve=found)
    with guard:
        assert guard.resolve("inc-before", "mended") is found
        mine = guard.report("leak", LOW)
        guard.resolve(mine.id, "mended")
    resolved = [args for name, args in book.asked if name == "resolve"]
    assert resolved == [("inc-before", "mended"), (mine.id, "mended")]


def test_hooks_of_bots_are_called_about_incidents_of_other_processes_and_nobody_else_is() -> None:
    guard, switch, responder, _ = with_book()
    other = Incident("inc-elsewhere", "leak", CRITICAL, "bot", 7)
    heard = threading.Semaphore(0)
    bot = Responder(lambda _: heard.release())
    with guard:
        guard.register(bot, name="flattens")
        guard.kernel.pass_on(other)
        assert heard.acquire(timeout=30)
        guard.kernel.pass_on(other)
        guard.kernel.pass_on(evolve(other), again=True)
        assert heard.acquire(timeout=30)
        assert guard.incidents == (other,)
    assert [i.id for i in bot.incidents] == ["inc-elsewhere"] * 2
    assert switch.incidents == responder.incidents == []


# Incidents about incidents.


def test_a_responder_that_reports_another_each_time_comes_to_an_end() -> None:
    titles: list[str] = []

    def report(incident: Incident) -> None:
        titles.append(incident.title)
        guard.report(f"about {incident.title}", LOW)

    plugins = [(f"echo-{n}", Responder(report)) for n in range(3)]
    with make_guard(*plugins) as guard:
        guard.report("leak", LOW)
        assert len(guard.incidents) <= 10
    assert 3 <= len(titles) <= 12


def test_an_async_responder_that_reports_another_each_time_comes_to_an_end() -> None:
    titles: list[str] = []

    class Echo(Plugin):
        @hookimpl
        async def on_incident(self, incident: Incident) -> None:
            titles.append(incident.title)
            await guard.areport(f"about {incident.title}", LOW)

    async def bot() -> None:
        guard.register(Echo())
        await guard.areport("leak", LOW)

    with make_guard() as guard:
        asyncio.run(bot())
    assert titles == ["leak"], "it is not called again before it returns"


def test_a_recorder_that_reports_each_responder_that_failed_comes_to_an_end() -> None:
    def fail(_: Incident) -> None:
        raise ConnectionError("the pager is down")

    def report(recorder: Recorder, event: Event) -> None:
        if event.kind == "incident.handled":
            recorder.context.report(f"a responder failed at {event.fields['incident']}", LOW)

    recorder, responder = Recorder(report), Responder(fail)
    with make_guard(recorder, responder, grants={"recorder": ["record"]}) as guard:
        guard.report("leak", LOW)
        assert len(guard.incidents) <= 5
    assert len(responder.incidents) <= 5
