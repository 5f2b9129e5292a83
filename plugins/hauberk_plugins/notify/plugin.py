"""The plugin `notify`: tells people of incidents, durably, however the servers behave."""

from __future__ import annotations

import json
import logging
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from hauberk.command import FAIL, OK, WARN, Check, Command
from hauberk.context import Context
from hauberk.environment import VARIABLES
from hauberk.errors import ConfigError, ConfigProblem, HauberkError, safe_text
from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath
from hauberk.memorystore import MemoryStore
from hauberk.records import Event, Incident, Outcome, Severity
from hauberk.sealed import Sealed
from hauberk.secret import Secret
from hauberk.written import Written
from hauberk_plugins.notify.addresses import Addresses
from hauberk_plugins.notify.config import NotifyConfig, RouteConfig, problems
from hauberk_plugins.notify.delivery import Delivery
from hauberk_plugins.notify.desk import STORE_S, Desk
from hauberk_plugins.notify.entry import Entry
from hauberk_plugins.notify.errors import RouteUnusable
from hauberk_plugins.notify.outbox import Outbox
from hauberk_plugins.notify.reference import Places, Reference, resolved
from hauberk_plugins.notify.sender import CourierFailed, CourierSender, Sender
from hauberk_plugins.notify.templates import Message
from hauberk_plugins.notify.worker import Worker

log = logging.getLogger("hauberk.notify")

#: How long the URLs are looked at when a guard starts.
_CHECK_S: Final = 10.0
#: How long the end waits for what is being sent.
_GRACE_S: Final = 1.0


class NotifyPlugin(Plugin):
    """Responder, and recorder of incidents. Needs the grants `store`, `sealed` and `record`.

    It contains nothing and holds nothing up: whatever it does has a deadline, and stands last.
    With `record` it hears of incidents that come while it is busy with another. With `store` what
    is to be sent outlasts a restart; with `sealed`, references such as `vault:NAME` work.
    """

    interface = (1, 1)
    Config = NotifyConfig

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say which names stand there twice."""
        return problems(written)

    def __init__(self, config: NotifyConfig, sender: Sender | None = None) -> None:
        self.config = config
        self.routes = {one.name: one.route() for one in config.routes}
        self.sender = sender or CourierSender()
        self._spare_records = MemoryStore()
        self._workers: list[Worker] = []

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Look at every route where the guard stays, and go on with what waits.

        Raises:
            ConfigError: A route leads nowhere, or to what apprise does not know.
        """
        self._context = context
        self.addresses = Addresses(
            {one.name: partial(self._found, one) for one in self.config.routes}
        )
        before = context.predecessor
        if isinstance(before, NotifyPlugin):
            self._spare_records = before._spare_records
        if context.is_resident and (wrong := [*self._problems()]):
            raise ConfigError(wrong)
        store = context.store if context.has("store") else None
        self.durable = None if store is None else self._delivery(store)
        self._spare = self._delivery(self._spare_records)
        self.where = self.config.where or socket.gethostname()
        self.desk = Desk(
            self.routes.values(),
            context.name,
            self.where,
            self.durable,
            self._spare,
            context.clock.wall_ns,
            STORE_S,
        )
        if context.is_resident and self.routes:
            boxes = [self._spare] if self.durable is None else [self._spare, self.durable]
            self._workers = [
                Worker(self.desk, box, self.routes, context.clock.wall_ns) for box in boxes
            ]
            for worker in self._workers:
                worker.start()

    @hookimpl
    def on_stop(self) -> None:
        """End; what is not sent by then waits for the next start."""
        for worker in self._workers:
            worker.stop()
        for box in (self._spare, self.durable):
            if box is not None:
                box.stop()
                box.is_idle(_GRACE_S)
        self.sender.stop()
        for box in (self._spare, self.durable):
            if box is not None:
                box.is_idle(_GRACE_S)  # what was ended is put off before the store is closed

    @hookimpl
    def on_event(self, event: Event) -> None:
        """Hear of incidents, also of those that come while `on_incident` is busy."""
        if event.kind == "incident.reported" and self._workers:
            self._workers[0].offer(_incident(event))

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome:
        """Keep it, send it, and say what came of that so far."""
        clock = self._context.clock
        began_ns = clock.monotonic_ns()
        accepted = self.desk.accept(incident)
        for worker in self._workers:
            worker.wake()
        spent_s = (clock.monotonic_ns() - began_ns) / 1e9
        return self.desk.outcome(accepted, max(self.config.wait_s - spent_s, 0))

    @hookimpl
    def on_status(self) -> Mapping[str, Any]:
        """Say what waits, by route."""
        found: dict[str, Any] = {"routes": list(self.routes)}
        for name, box in (("outbox", self.durable), ("unstored", self._spare)):
            if box is not None:
                found[name] = len(box.outbox.entries())
        return found

    @hookimpl
    def on_doctor(self) -> Sequence[Check]:
        """Look at the routes and at what could not be sent."""
        return tuple(self._checks())

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `notify test`, `outbox`, `retry` and `put`."""
        # Late: it brings the command line, which a bot does not need.
        from hauberk_plugins.notify.commands import COMMANDS

        return COMMANDS

    def attempt(self, route: str, message: Message) -> str:
        """Send one message; return nothing if it was taken, else why not."""
        try:
            url = self.addresses.url(route)
        except HauberkError as error:
            return safe_text(error)
        except Exception as error:  # a store may raise anything
            return type(error).__name__
        return self.sender.send(url, message, self.config.timeout_s)

    def keep(self, name: str, url: Secret) -> int:
        """Seal a URL for `vault:NAME`; return its version.

        Raises:
            NotGranted: The plugin has no `sealed`.
            StoreError: It cannot be kept.
        """
        version = self._context.sealed.put(name, url.reveal())
        self._context.emit("put", {"name": name, "version": version})
        return version

    def _delivery(self, store: Any) -> Delivery:
        outbox = Outbox(
            store,
            lambda: secrets.token_hex(4),
            secrets.SystemRandom().random,
            self.config.retrying(),
        )
        return Delivery(outbox, self.routes, self.attempt, self._context.clock.wall_ns, self._told)

    def _told(self, became: str, entry: Entry, why: str) -> None:
        """Tell the recorders, and nobody else: a report of this would have to be notified."""
        fields = {
            "route": entry.route,
            "entry": entry.id,
            "incident": entry.incident,
            "severity": Severity.LOW.name if became == "dead" else entry.severity.name,
            "why": why,
        }
        with suppress(Exception):  # closed meanwhile, or a recorder that fails
            self._context.emit(became, fields)
        if became == "dead":
            log.warning("given up: message %s for route %s: %s", entry.id, entry.route, why)

    def _found(self, route: RouteConfig) -> Secret:
        if isinstance(route.to, Sealed):
            return self._context.unseal(route.to)
        places = Places(VARIABLES, self._context.folder, self._from_vault)
        return resolved(route.name, Reference.read(route.to), places)

    def _from_vault(self, name: str) -> Secret | None:
        if not self._context.has("sealed"):
            return None
        record = self._context.sealed.get(name)
        return None if record is None else Secret(record.value)

    def _problems(self) -> Iterator[ConfigProblem]:
        for index, why in self.wrong_routes():
            yield self._context.problem(("routes", index, "to"), why)

    def wrong_routes(self) -> Iterator[tuple[int, str]]:
        """Yield which routes lead nowhere, by their place, and why."""
        found: dict[int, Secret] = {}
        for index, route in enumerate(self.config.routes):
            try:
                found[index] = self.addresses.url(route.name)
            except RouteUnusable as error:
                yield index, error.why
            except HauberkError as error:  # of the vault, which may be well tomorrow
                log.warning("route %s is not looked at: %s", route.name, error)
        check = getattr(self.sender, "check", None)
        if not found or check is None:
            return
        try:
            checked = check(list(found.values()), _CHECK_S)
        except CourierFailed as failed:
            yield next(iter(found)), str(failed)
            return
        for (index, url), one in zip(found.items(), checked, strict=True):
            if not one.is_known:
                near = f"; did you mean {one.near!r}?" if one.near else ""
                yield index, f"its URL has the scheme {_scheme(url)}, which apprise lacks{near}"
            elif not one.is_read:
                yield index, f"apprise cannot read its URL, of the scheme {_scheme(url)}"

    def _checks(self) -> Iterator[Check]:
        what = "notify"
        if not self.routes:
            yield Check(what, WARN, "no routes: nobody is told of incidents", "add `notify.routes`")
            return
        wrong = dict(self.wrong_routes())
        for index, name in enumerate(self.routes):
            if index in wrong:
                yield Check(
                    f"route {name}", FAIL, wrong[index], "mend it, then: hauberk notify test"
                )
            else:
                yield Check(f"route {name}", OK, "leads to a URL; to try it: hauberk notify test")
        if self.durable is None:
            yield Check(what, WARN, "no store: a restart loses what waits", "grant it `store`")
            return
        try:
            dead = self.durable.outbox.entries(dead=True)
        except HauberkError as error:
            yield Check(what, FAIL, f"the outbox cannot be read: {error}", "mend what it says")
            return
        if dead:
            remedy = "hauberk notify outbox --dead, then: hauberk notify retry --all"
            yield Check(what, WARN, f"{len(dead)} messages could not be sent", remedy)


def _incident(event: Event) -> Incident:
    """Make the incident again of what recorders are told."""
    told = event.fields
    outcomes = tuple(
        Outcome(one["did"], one["ok"], plugin=one["plugin"], took_ns=one["took_ns"])
        for one in told["outcomes"]
    )

    return Incident(
        told["incident"],
        told["title"],
        Severity[told["severity"]],
        told["source"],
        event.at_ns,
        json.dumps(told["details"]),
        outcomes,
        count=told["count"],
    )


def _scheme(url: Secret) -> str:
    scheme = url.reveal().partition(b"://")[0][:40]
    return repr(scheme.decode("ascii", "replace"))
