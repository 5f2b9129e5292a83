"""`mode: shadow` (DESIGN 2): what would be denied is logged, loudly, and passes; nothing more."""

import asyncio
import logging
from typing import Any

import pytest

from hauberk.errors import Denied
from hauberk.hooks import Plugin, blocking, hookimpl
from hauberk.records import Event, Incident, Outcome, Severity
from hauberk.request import Request
from hauberk.settings import Mode
from hauberk.testing import DEFAULT_URL, FakeClock, PlainSigner, make_guard
from hauberk.verdicts import Deny, Wait

ORDER = Request("POST", DEFAULT_URL, {"symbol": "BTCUSDT"})


class Answers(Plugin):
    """A guard with one answer, and its ends."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.asked = 0
        self.ends: list[tuple[bool, str]] = []

    @hookimpl
    def on_request(self, request: Request) -> Any:
        self.asked += 1
        return self.answer(request) if callable(self.answer) else self.answer

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.ends.append((left, why))


class Recorder(Plugin):
    def __init__(self, fail_on: str = "") -> None:
        self.events: list[Event] = []
        self.fail_on = fail_on

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == self.fail_on:
            raise OSError("disk full")

    @property
    def stopped(self) -> list[tuple[str, str]]:
        """Plugin and verdict of what would have been stopped."""
        return [
            (event.fields["plugin"], event.fields["verdict"])
            for event in self.events
            if event.kind == "request.would_stop"
        ]


def shadowed(*plugins: object, **options: Any) -> Any:
    return make_guard(*plugins, mode=Mode.SHADOW, **options)


def fail(request: Request) -> None:
    raise ValueError("boom")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Deny("too dear"), "deny: too dear"),
        (Wait(1.5), "wait 1.5 s"),
        (fail, "deny: on_request raised ValueError: boom"),
        ("yes", "deny: returned str, which on_request may not"),
    ],
)
@pytest.mark.parametrize("form", ["clear", "aclear"])
def test_what_a_guard_would_stop_passes_and_is_logged_loudly_and_recorded(
    answer, verdict, form, caplog
) -> None:
    clock, strict, audit = FakeClock(), Answers(answer), Recorder()
    plugins = ("strict", strict), ("audit", audit)
    with shadowed(*plugins, clock=clock, grants={"audit": ["record"]}) as guard:
        cleared = guard.clear(ORDER) if form == "clear" else asyncio.run(guard.aclear(ORDER))
    assert clock.waits == []
    assert audit.stopped == [("strict", verdict)]
    assert [event.kind for event in audit.events] == [
        "request.would_stop", "request.intent", "request.left",
    ]  # fmt: skip
    warning = next(r for r in caplog.records if "shadow mode" in r.getMessage())
    assert warning.levelno == logging.WARNING
    assert cleared.id in warning.getMessage()
    assert "strict" in warning.getMessage()
    assert strict.ends == [(True, "")]


def test_every_guard_is_asked_so_that_each_says_what_it_would_have_done() -> None:
    audit = Recorder()
    guards = [("a", Answers(Deny("a"))), ("b", Answers()), ("c", Answers(Wait(9)))]
    with shadowed(*guards, ("audit", audit), grants={"audit": ["record"]}) as guard:
        guard.clear(ORDER)
    assert [one.asked for _, one in guards] == [1, 1, 1]
    assert audit.stopped == [("a", "deny: a"), ("c", "wait 9 s")]


def test_a_blocking_guard_is_only_noted_too() -> None:
    class Blocks(Answers):
        @blocking
        @hookimpl
        def on_request(self, request: Request) -> Any:
            return Deny("no")

    audit = Recorder()
    plugins = ("first", Answers(Deny("a"))), ("blocks", Blocks()), ("audit", audit)
    with shadowed(*plugins, grants={"audit": ["record"]}) as guard:
        asyncio.run(guard.aclear(ORDER))
    assert audit.stopped == [("first", "deny: a"), ("blocks", "deny: no")]


def test_an_amendment_is_noted_and_not_applied_beside_a_running_bot() -> None:
    amends, audit = Answers(lambda request: request.amend(params={"symbol": "X"})), Recorder()
    plugins = ("amends", amends), ("audit", audit)
    grants = {"amends": ["amend"], "audit": ["record"]}
    with shadowed(*plugins, grants=grants) as guard:
        cleared = guard.clear(ORDER)
    assert cleared.judged.params == ORDER.params
    assert audit.stopped == [("amends", "amend")]


def test_what_overran_the_hard_limit_is_only_noted() -> None:
    clock, audit = FakeClock(), Recorder()
    slow = Answers(lambda request: clock.advance(5))
    plugins = ("slow", slow), ("audit", audit)
    with shadowed(*plugins, clock=clock, grants={"audit": ["record"]}) as guard:
        for wary in (True, False):
            guard.kernel.watch.is_wary = wary
            guard.clear(ORDER)
    assert [plugin for plugin, _ in audit.stopped] == ["slow", "slow"]


def test_a_halt_is_only_noted() -> None:
    audit = Recorder()
    with shadowed(("audit", audit), grants={"audit": ["record"]}) as guard:
        guard.report("leak", Severity.CRITICAL)
        guard.clear(ORDER)
    assert audit.stopped == [("killswitch", "deny: halted: leak")]


def test_a_required_responder_that_failed_is_only_noted() -> None:
    class Broken(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            """No objection."""

        @hookimpl
        def on_incident(self, incident: Incident) -> Outcome:
            raise OSError("broken")

    audit = Recorder()
    plugins = ("killswitch", Broken()), ("audit", audit)
    with shadowed(*plugins, grants={"audit": ["record"]}) as guard:
        guard.report("leak", Severity.CRITICAL)
        guard.clear(ORDER)
    assert audit.stopped[0][0] == "killswitch"
    assert "failed to act" in audit.stopped[0][1]


def test_an_audit_that_cannot_record_the_intent_is_only_noted(caplog) -> None:
    audit, other = Recorder("request.intent"), Recorder()
    plugins = ("audit", audit), ("other", other)
    grants = {"audit": ["record"], "other": ["record"]}
    with shadowed(*plugins, grants=grants, required=["audit"]) as guard:
        guard.clear(ORDER)
    assert other.stopped == [
        ("audit", "it could not record request.intent: raised OSError: disk full")
    ]
    assert "shadow mode" in caplog.text


# What shadow mode does not let pass: keys sign for their venue and nothing else.


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/trade/order",
        "http://api.open.test/trade/order",
        "https://api.open.test/trade/../withdraw",
        "https://api.open.test/trade/order?x=1",
        "https://user@api.open.test/trade/order",
    ],
)
def test_a_url_that_is_not_of_its_venue_is_denied_all_the_same(url) -> None:
    with shadowed() as guard, pytest.raises(Denied) as denied:
        guard.clear(Request("POST", url))
    assert denied.value.plugin == "kernel"


def test_an_unknown_account_is_denied_all_the_same() -> None:
    with shadowed() as guard, pytest.raises(Denied):
        guard.clear(Request("POST", DEFAULT_URL, account="nobody"))


def test_a_signer_that_changes_what_was_judged_is_denied_all_the_same() -> None:
    class Forges(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            return PlainSigner.sign_request(self, request.amend(params={"symbol": "ETHUSDT"}))

    asked = Answers()
    guard = shadowed(("asked", asked), ("signing", Forges()))
    with guard, pytest.raises(Denied, match="changed a judged parameter") as denied:
        guard.clear(ORDER)
    assert denied.value.plugin == "signing"
    assert [left for left, _ in asked.ends] == [False]


def test_a_signer_that_fails_is_denied_all_the_same() -> None:
    class Broken(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            raise ValueError("no key")

    with shadowed(("signing", Broken())) as guard, pytest.raises(Denied):
        guard.clear(ORDER)


def test_an_interrupt_in_a_guard_is_raised_all_the_same() -> None:
    def interrupt(request: Request) -> None:
        raise KeyboardInterrupt

    asked = Answers(interrupt)
    with shadowed(("asked", asked)) as guard, pytest.raises(KeyboardInterrupt):
        guard.clear(ORDER)
    assert asked.ends == [(False, "interrupted")]
