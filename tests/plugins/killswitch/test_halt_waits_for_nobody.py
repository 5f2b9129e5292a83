"""Nothing that hangs or fails delays a halt: told by the order of what happens, by no clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import hauberk
from hauberk import Denied, Guard, Incident, Request, Severity
from hauberk.files import REAL
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Event
from hauberk.testing import MemoryStore, make_guard
from hauberk_plugins.killswitch.folder import StateFolder
from hauberk_plugins.killswitch.plugin import KillSwitchPlugin

ACCOUNT = Request("GET", "https://api.binance.com/api/v3/account")
CRITICAL = Severity.CRITICAL
PATIENCE_S = 30


@pytest.fixture
def bot(config: Path) -> Iterator[Guard]:
    config.write_text(config.read_text() + "kernel: {responders_s: 0.05}\n")
    with hauberk.open(config) as guard:
        yield guard


class Hangs(Plugin):
    """A notifier that returns when it is let go."""

    def __init__(self, let_go: threading.Event) -> None:
        self.let_go = let_go
        self.called = threading.Event()

    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        self.called.set()
        assert self.let_go.wait(PATIENCE_S)


def is_halted(guard: Guard) -> bool:
    try:
        guard.clear(ACCOUNT)
    except Denied as denied:
        return denied.plugin == "killswitch"
    return False


def test_responders_that_hang_are_called_when_nothing_leaves_any_more(bot: Guard) -> None:
    let_go = threading.Event()
    halted_by_then: list[bool] = []

    class Looks(Hangs):
        @hookimpl
        def on_incident(self, incident: Incident) -> None:
            halted_by_then.append(is_halted(bot))
            super().on_incident(incident)

    responders = [Looks(let_go) for _ in range(4)]
    for number, responder in enumerate(responders):
        bot.register(responder, name=f"notifier-{number}")
    try:
        incident = bot.report("worst", CRITICAL)
        assert all(responder.called.is_set() for responder in responders)
        assert halted_by_then == [True] * 4
        abandoned = [o for o in incident.outcomes if "abandoned" in o.did]
        assert len(abandoned) == 4
        assert incident.is_contained
    finally:
        let_go.set()


def test_every_hook_of_bots_is_called_whatever_the_others_do(bot: Guard) -> None:
    called: list[str] = []

    class Bot(Plugin):
        def __init__(self, name: str, error: BaseException | None) -> None:
            self.name, self.error = name, error

        @hookimpl
        def on_incident(self, incident: Incident) -> None:
            called.append(self.name)
            if self.error is not None:
                raise self.error

    errors = {"a": ValueError("no"), "b": None, "c": SystemExit(3), "d": KeyboardInterrupt(),
              "e": None}  # fmt: skip
    for name, error in errors.items():
        bot.register(Bot(name, error), name=f"bot-{name}")
    with suppress(KeyboardInterrupt):
        bot.report("worst", CRITICAL)
    assert sorted(called) == sorted(errors)
    assert is_halted(bot)


def test_a_recorder_that_hangs_holds_up_no_halt() -> None:
    let_go, entered = threading.Event(), threading.Event()

    class Audit(Plugin):
        @hookimpl
        def on_event(self, event: Event) -> None:
            if event.kind == "incident.reported":
                entered.set()
                assert let_go.wait(PATIENCE_S)

    guard = make_guard(
        ("killswitch", KillSwitchPlugin()), ("audit", Audit()), grants={"audit": ["record"]}
    )
    report = threading.Thread(target=guard.report, args=("worst", CRITICAL))
    report.start()
    try:
        assert entered.wait(PATIENCE_S)
        with pytest.raises(Denied, match="halted since 'worst'"):
            guard.clear(Request("POST", "https://api.open.test/trade/order"))
    finally:
        let_go.set()
        report.join()
        guard.close()


def test_a_request_that_is_being_signed_as_the_store_hangs_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Leaving is refused from the moment that the switch rises, not from when it is stored."""
    let_go, signing, go_on = threading.Event(), threading.Event(), threading.Event()

    class Signer(Plugin):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            signing.set()
            assert go_on.wait(PATIENCE_S)
            return request

    def hangs(self: MemoryStore, name: str) -> None:
        assert let_go.wait(PATIENCE_S)

    guard = make_guard(
        ("killswitch", KillSwitchPlugin()), ("signing", Signer()),
        grants={"killswitch": ["store"], "signing": ["sign"]},
    )  # fmt: skip
    outcome: list[object] = []

    def clear() -> None:
        try:
            outcome.append(guard.clear(Request("POST", "https://api.open.test/trade/order")))
        except Denied as denied:
            outcome.append(denied.plugin)

    clearing = threading.Thread(target=clear)
    clearing.start()
    assert signing.wait(PATIENCE_S)
    with monkeypatch.context() as broken:
        broken.setattr(MemoryStore, "get", hangs)
        before, patience = guard.kernel.epoch, threading.Event()
        report = threading.Thread(target=guard.report, args=("worst", CRITICAL))
        report.start()
        # Asked again from then on, while the report is on its way into a store that hangs.
        while guard.kernel.epoch == before and not patience.wait(0.001):
            pass
        assert not guard.incidents[0].outcomes, "the kill switch has not returned yet"
        assert guard.snapshot.part("killswitch").plugin._switch.level  # type: ignore[union-attr]
        go_on.set()
        clearing.join(PATIENCE_S)
        assert outcome == ["killswitch"]
        let_go.set()
        report.join()
    guard.close()


@pytest.mark.parametrize("operation", ["open", "write", "fsync", "rename", "replace", "stat"])
def test_a_disk_on_which_an_operation_fails_holds_up_no_halt(
    bot: Guard, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            def fail(*_: object, **__: object) -> None:
                raise OSError(5, "Input/output error")

            return fail if name == operation else getattr(REAL, name)

    part = bot.snapshot.part("killswitch")
    assert part is not None
    folder: StateFolder = part.plugin._folder
    monkeypatch.setattr(folder, "_files", Broken())
    if operation == "stat":
        monkeypatch.setattr(folder, "_stat", Broken().stat)  # type: ignore[attr-defined]
    assert bot.report("worst", CRITICAL).outcomes[0].did.startswith("halted")
    assert is_halted(bot)


def test_many_incidents_at_once_are_all_contained_and_one_halt(bot: Guard) -> None:
    threads = [
        threading.Thread(target=bot.report, args=(f"worst {number}", CRITICAL))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_halted(bot)
    assert all(incident.is_contained for incident in bot.incidents)
