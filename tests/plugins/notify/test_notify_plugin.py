"""The plugin in a guard: people are told, and nothing about that can hold containment up."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from notify_servers import PATIENCE_S, MailServer, Webhook

from hauberk import ConfigError, Denied, Outcome, Plugin, Request, Severity, StoreError, hookimpl
from hauberk.guard import Guard
from hauberk.records import Event, Incident
from hauberk.secret import Secret
from hauberk.settings import KernelLimits
from hauberk.testing import (
    DEFAULT_URL,
    FakeClock,
    MemoryStore,
    Providers,
    check_plugin,
    make_plan,
)
from hauberk_plugins.notify.config import Least, NotifyConfig, RouteConfig
from hauberk_plugins.notify.plugin import NotifyPlugin
from hauberk_plugins.notify.templates import Message

#: Of the machine that runs the tests, not of the deadline.
PATIENT = KernelLimits(responders_s=PATIENCE_S)


class Told:
    """A sender that takes everything, or says why not, and waits where a test wants it to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []
        self.why: dict[str, str] = {}
        self.hangs: dict[str, threading.Event] = {}
        self.changed = threading.Condition()

    def send(self, url: Secret, message: Message, timeout_s: float) -> str:
        name = url.reveal_text().rpartition("/")[2]
        if name in self.hangs:
            self.hangs[name].wait(PATIENCE_S)
        with self.changed:
            if why := self.why.get(name, ""):
                return why
            self.sent.append((name, message))
            self.changed.notify_all()
        return ""

    def stop(self) -> None:
        for event in self.hangs.values():
            event.set()

    def wait(self, count: int) -> list[tuple[str, Message]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.sent) >= count, PATIENCE_S)
            return list(self.sent)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def urls(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pager", "mail", "chat"):
        monkeypatch.setenv(f"{name.upper()}_URL", f"json://127.0.0.1:9/{name}")


def route(name: str = "pager", **more: Any) -> RouteConfig:
    return RouteConfig(name, f"env:{name.upper()}_URL", **more)


def config(*routes: RouteConfig, wait_s: float = PATIENCE_S, **more: Any) -> NotifyConfig:
    return NotifyConfig(routes or (route(),), wait_s=wait_s, where="bot-1", **more)


@contextmanager
def opened(
    plugin: NotifyPlugin,
    *others: object,
    store: MemoryStore | None = None,
    clock: FakeClock | None = None,
    resident: bool = True,
    limits: KernelLimits = PATIENT,
) -> Iterator[Guard]:
    """A guard that stays, as a bot's."""
    ports = Providers()
    ports.store.stores["notify"] = store or MemoryStore()
    grants = {"notify": ["store", "record"], "hears": ["record"]}
    plan = make_plan(("notify", plugin), *others, grants=grants, providers=ports, limits=limits)
    with Guard(plan, clock=clock or FakeClock(), resident=resident) as made:
        yield made


class Hears(Plugin):
    """A recorder."""

    interface = (1, 1)

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.changed = threading.Condition()

    @hookimpl
    def on_event(self, event: Event) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def wait(self, kind: str) -> Event:
        def found() -> list[Event]:
            return [event for event in self.events if event.kind == kind]

        with self.changed:
            assert self.changed.wait_for(found, PATIENCE_S)
            return found()[0]


def did(incident: Incident) -> str:
    return outcome(incident).did


def outcome(incident: Incident) -> Outcome:
    return next(one for one in incident.outcomes if one.plugin == "notify")


def test_it_keeps_the_contract(urls: None) -> None:
    check_plugin(lambda: NotifyPlugin(config(), Told()), grants=["store", "record"], examples=5)


def test_an_incident_reaches_a_real_webhook_and_a_real_mail_server(
    webhook: Webhook, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER_URL", webhook.url())
    monkeypatch.setenv("MAIL_URL", mail.url())
    with opened(NotifyPlugin(config(route(), route("mail")))) as guard:
        incident = guard.report("keys were used from elsewhere", Severity.HIGH, {"user": "alice"})
    got = webhook.take()
    assert got["title"] == "Hauberk HIGH: keys were used from elsewhere"
    assert "killswitch: halted" in got["message"]
    assert "user: alice" in got["message"]
    assert "where: bot-1" in got["message"]
    assert incident.id in got["message"]
    assert mail.take()["subject"] == got["title"]
    assert did(incident) == "sent to pager, mail"


def test_only_the_routes_of_an_incident_are_told(urls: None, told: Told) -> None:
    routes = (
        route(severity=Least.CRITICAL),
        route("mail", titles=("LOGIN*",)),
        route("chat", plugins=("monitor",)),
    )
    with opened(NotifyPlugin(config(*routes), told)) as guard:
        assert did(guard.report("logins from elsewhere", Severity.MEDIUM)) == "sent to mail"
        incident = guard.report("nothing that matters", Severity.LOW)
        assert did(incident) == "no route is for it"
        assert did(guard.report("keys are gone", Severity.CRITICAL)) == "sent to pager"


def test_a_hung_route_holds_up_neither_the_halt_nor_the_other_routes(
    urls: None, told: Told
) -> None:
    told.hangs["pager"] = threading.Event()
    plugin = NotifyPlugin(config(route(), route("mail"), wait_s=0.0), told)
    with opened(plugin) as guard:
        incident = guard.report("keys are gone", Severity.CRITICAL)
        with pytest.raises(Denied):
            guard.clear(Request("POST", DEFAULT_URL))
        assert [name for name, _ in told.wait(1)] == ["mail"]
        assert did(incident).startswith(("queued for pager", "sent to mail; queued for pager"))
        told.hangs["pager"].set()
        assert sorted(name for name, _ in told.wait(2)) == ["mail", "pager"]


def test_what_was_not_sent_says_so_and_is_sent_by_the_next_process(
    urls: None, told: Told, store: MemoryStore, clock: FakeClock
) -> None:
    told.why["pager"] = "the connection was refused"
    with opened(NotifyPlugin(config(), told), store=store, clock=clock) as guard:
        incident = guard.report("keys are gone", Severity.CRITICAL)
    assert outcome(incident).ok is False
    assert did(incident) == (
        "not sent to pager, and kept to be tried again: the connection was refused"
    )
    assert told.sent == []
    told.why.clear()
    clock.advance(3_600)
    with opened(NotifyPlugin(config(), told), store=store, clock=clock):
        ((_, message),) = told.wait(1)
    assert message.title == "Hauberk CRITICAL: keys are gone"
    assert list(store.scan("entry/")) == []


def test_a_store_that_fails_keeps_nobody_from_being_told(
    urls: None, told: Told, store: MemoryStore
) -> None:
    store.error = StoreError("the disk is full")
    with opened(NotifyPlugin(config(), told), store=store) as guard:
        incident = guard.report("keys are gone", Severity.CRITICAL)
        assert did(incident) == (
            "sent to pager; a restart would lose it: not stored: the disk is full"
        )
        told.why["pager"] = "refused"
        guard.report("other keys are gone", Severity.CRITICAL)
    assert len(told.sent) == 1


def test_a_store_that_hangs_keeps_nobody_from_being_told(
    urls: None, told: Told, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()
    monkeypatch.setattr(store, "scan", lambda prefix="": freed.wait(PATIENCE_S) and iter(()))
    monkeypatch.setattr(store, "transaction", lambda: freed.wait(PATIENCE_S) and None)
    monkeypatch.setattr("hauberk_plugins.notify.plugin.STORE_S", 0.05)
    with opened(NotifyPlugin(config(), told), store=store) as guard:
        first = guard.report("keys are gone", Severity.HIGH)
        second = guard.report("all keys are gone", Severity.CRITICAL)
        freed.set()
    assert "sent to pager; a restart would lose it: not stored: the store did not" in did(first)
    assert did(second).startswith("sent to pager")
    assert [message.severity for _, message in told.sent] == [Severity.HIGH, Severity.CRITICAL]


def test_without_the_grant_of_a_store_they_are_told_too(urls: None, told: Told) -> None:
    plan = make_plan(("notify", NotifyPlugin(config(), told)), grants={"notify": ["record"]})
    with Guard(plan, clock=FakeClock(), resident=True) as guard:
        assert did(guard.report("keys are gone", Severity.CRITICAL)).startswith("sent to pager; ")


def test_an_incident_that_comes_while_it_is_busy_with_another_is_not_lost(
    urls: None, told: Told
) -> None:
    told.hangs["pager"] = threading.Event()
    limits = KernelLimits(responders_s=0.01)
    with opened(NotifyPlugin(config(), told), limits=limits) as guard:
        guard.report("keys are gone", Severity.HIGH)
        second = guard.report("all keys are gone", Severity.CRITICAL)
        assert did(second) == "not called: it has not returned yet"
        told.hangs["pager"].set()
        assert {message.severity for _, message in told.wait(2)} == {
            Severity.HIGH,
            Severity.CRITICAL,
        }


def test_what_happens_again_after_it_was_lifted_is_told_again(urls: None, told: Told) -> None:
    with opened(NotifyPlugin(config(), told)) as guard:
        first = guard.report("keys are gone", Severity.CRITICAL)
        guard.resolve(first.id, "replaced")
        guard.report("keys are gone", Severity.CRITICAL)
        assert len(told.sent) == 1  # counted: it was told within the minute
        assert did(guard.report("others", Severity.HIGH)).startswith("counted for pager")


def test_a_message_that_is_given_up_is_an_event_and_no_incident(
    urls: None, told: Told, store: MemoryStore, clock: FakeClock
) -> None:
    told.why["pager"] = "the connection was refused"
    hears = Hears()
    plugin = NotifyPlugin(config(expires_h=0.001), told)
    with opened(plugin, ("hears", hears), store=store, clock=clock) as guard:
        guard.report("keys are gone", Severity.CRITICAL)
        for _ in range(3):
            clock.advance(3_600)
            plugin.durable.hurry("pager")  # type: ignore[union-attr]
            assert plugin.durable.is_idle(PATIENCE_S)  # type: ignore[union-attr]
        event = hears.wait("notify.dead")
        assert event.fields["route"] == "pager"
        assert event.fields["severity"] == "LOW"
        assert event.source == "notify"
        assert len(guard.incidents) == 1
    assert list(store.scan("entry/")) == []
    assert len(list(store.scan("dead/"))) == 1


def test_an_incident_about_notification_notifies_nobody(urls: None, told: Told) -> None:
    plugin = NotifyPlugin(config(), told)
    with opened(plugin):
        incident = plugin._context.report("nobody can be told", Severity.CRITICAL)
        assert incident.source == "notify"
        assert did(incident) == "no route is for it"
    assert told.sent == []


def test_a_flood_is_few_messages(urls: None, told: Told, clock: FakeClock) -> None:
    plugin = NotifyPlugin(config(wait_s=0.0), told)
    with opened(plugin, clock=clock) as guard:
        for number in range(500):
            guard.report(f"login {number} failed", Severity.MEDIUM, {"n": number})
        assert len(told.sent) == 1
        clock.advance(61)
        plugin._workers[1].wake()
        _, message = told.wait(2)[1]
    assert len(told.sent) == 2
    assert message.title == "Hauberk MEDIUM: 499 incidents in 0 s"


def test_the_url_is_nowhere_but_in_the_sender(
    told: Told,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PAGER_URL", "json://127.0.0.1:9/hunter2")
    told.why["hunter2"] = "the connection was refused"
    hears = Hears()
    with (
        caplog.at_level(logging.DEBUG),
        opened(NotifyPlugin(config(), told), ("hears", hears), store=store) as guard,
    ):
        incident = guard.report("keys are gone", Severity.CRITICAL)
    seen = [repr(config()), repr(incident), caplog.text, repr(hears.events)]
    seen += [repr(record.value) + name for name, record in store.scan()]
    assert "hunter2" not in "".join(seen)
    assert "pager" in seen[-1] + seen[-2]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (None, "the variable of its reference env:… is not set"),
        ("hunter2", "no URL of apprise's"),
        ("mailot://u:hunter2@host", "scheme 'mailot', which apprise lacks; did you mean 'mailto'?"),
        ("twilio://hunter2", "apprise cannot read its URL, of the scheme 'twilio'"),
    ],
)
def test_a_route_that_leads_nowhere_stops_the_start(
    url: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url is None:
        monkeypatch.delenv("PAGER_URL", raising=False)
    else:
        monkeypatch.setenv("PAGER_URL", url)
    with pytest.raises(ConfigError) as caught, opened(NotifyPlugin(config())):
        pass
    assert why in str(caught.value)
    assert "notify.routes.0.to: " in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_what_is_held_in_memory_outlasts_a_reload(
    urls: None, told: Told, store: MemoryStore, clock: FakeClock
) -> None:
    store.error = StoreError("the disk is full")
    told.why["pager"] = "refused"
    old = NotifyPlugin(config(), told)
    with opened(old, store=store, clock=clock) as guard:
        guard.report("keys are gone", Severity.CRITICAL)
        new = NotifyPlugin(config(), told)
        context = SimpleNamespace(
            name="notify", clock=clock, predecessor=old, is_resident=True, folder=Path(),
            has=lambda _: False, emit=lambda *_: None, problem=None,
        )  # fmt: skip
        new.on_start(context)  # type: ignore[arg-type]
        try:
            told.why.clear()
            clock.advance(60)
            new._workers[0].wake()
            assert told.wait(1)[0][1].title == "Hauberk CRITICAL: keys are gone"
        finally:
            new.on_stop()


def test_a_command_begins_with_nothing_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAGER_URL", raising=False)
    plugin = NotifyPlugin(config())
    with opened(plugin, resident=False) as guard:
        assert plugin._workers == []
        assert "is not set" in did(guard.report("keys are gone", Severity.CRITICAL))


def test_a_guard_that_stays_sends_what_a_command_has_left(
    urls: None, told: Told, store: MemoryStore
) -> None:
    plugin = NotifyPlugin(config(), told)
    with opened(plugin, store=store):
        other = Told()
        other.why["pager"] = "refused"
        clock = FakeClock()
        with opened(
            NotifyPlugin(config(), other), store=store, resident=False, clock=clock
        ) as guard:
            guard.report("keys are gone", Severity.CRITICAL)
        ((name, record),) = store.scan("entry/")
        entry = json.loads(record.value)
        store.put(name, json.dumps({**entry, "next_ns": 0}).encode())
        plugin._workers[1].wake()
        assert told.wait(1)[0][1].title == "Hauberk CRITICAL: keys are gone"
