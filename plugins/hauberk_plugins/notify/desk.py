"""`Desk`: takes incidents up, whatever works of what it needs, and says what came of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from attrs import field, frozen

from hauberk.errors import safe_text
from hauberk.records import Incident, Outcome
from hauberk_plugins.notify.delivery import Bounded, Delivery
from hauberk_plugins.notify.entry import Entry
from hauberk_plugins.notify.errors import OutboxFailed
from hauberk_plugins.notify.routing import Route, routes_for
from hauberk_plugins.notify.templates import digest_message, incident_message

#: How long the store may take to keep an incident, before it is sent without being kept.
STORE_S: Final = 0.75
_KEPT: Final = 20_000


@frozen
class TakenUp:
    """What was begun for one route.

    Attributes:
        route: The route's name.
        delivery: Who sends it.
        entry: What is sent; `None` where it was counted.
    """

    route: str
    delivery: Delivery = field(repr=False)
    entry: Entry | None


@frozen
class Accepted:
    """What was begun for an incident.

    Attributes:
        taken: For each route.
        problem: Why it is not kept durably; empty if it is.
    """

    taken: tuple[TakenUp, ...] = ()
    problem: str = ""


class Desk:
    """Takes each incident up once.

    Args:
        routes: In the order of the configuration.
        ours: The name under which notification itself reports.
        where: Which machine and bot messages are from.
        durable: What sends from the store; `None` where there is none.
        spare: What sends from memory, while the store does not work.
        wall_ns: The wall clock.
        store_s: How long the store may take.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        ours: str,
        where: str,
        durable: Delivery | None,
        spare: Delivery,
        wall_ns: Callable[[], int],
        store_s: float,
    ) -> None:
        self.routes = tuple(routes)
        self._ours = ours
        self._where = where
        self.durable = durable
        self.spare = spare
        self._wall_ns = wall_ns
        self._bounded = Bounded(OutboxFailed, store_s)
        self._lock = threading.Lock()
        self._accepted: OrderedDict[tuple[str, int], Accepted] = OrderedDict()

    def accept(self, incident: Incident) -> Accepted:
        """Take an incident up, and begin to send it; the second time nothing is done.

        Never raises because of the store: what it does not take in time is held in memory.
        """
        # What happens again after it was lifted bears the same id, and a higher count.
        which = incident.id, incident.count
        with self._lock:
            if (known := self._accepted.get(which)) is not None:
                return known
            accepted = self._accept(incident)
            self._accepted[which] = accepted
            while len(self._accepted) > _KEPT:
                self._accepted.popitem(last=False)
        for one in accepted.taken:
            if one.entry is not None:
                one.delivery.hurry(one.route)
        return accepted

    def outcome(self, accepted: Accepted, timeout_s: float) -> Outcome:
        """Say what came of it, after waiting for attempts that are under way.

        Args:
            accepted: What was begun.
            timeout_s: How long is waited at most.
        """
        if not accepted.taken:
            return Outcome("no route is for it")
        results: dict[str, str] = {}
        deliveries = dict.fromkeys(one.delivery for one in accepted.taken)
        for delivery in deliveries:
            ids = [
                one.entry.id
                for one in accepted.taken
                if one.entry is not None and one.delivery is delivery
            ]
            results |= delivery.results(ids, timeout_s / len(deliveries))
        parts = [*_parts(accepted, results)]
        failed = any(results.values()) or bool(accepted.problem)
        return Outcome("; ".join(parts), ok=not failed)

    def flush(self, delivery: Delivery) -> None:
        """Put in what windows have counted, where they are over.

        Raises:
            StoreError: The store does not take it.
        """
        now_ns = self._wall_ns()
        for route in self.routes:
            make = partial(digest_message, where=self._where, max_chars=route.max_chars)
            delivery.outbox.flush(route, make, now_ns)

    def _accept(self, incident: Incident) -> Accepted:
        routes = routes_for(incident, self.routes, self._ours)
        if not routes:
            return Accepted()
        problem, kept = "", list[TakenUp]()
        durable = self.durable
        if durable is not None:
            try:
                self._bounded(lambda: self._take(durable, routes, incident, kept))
            except Exception as error:  # whatever the store does, the message leaves
                problem = safe_text(error)
        else:
            problem = "there is no store"
        taken = list(kept)  # the store may still be at it
        names = {one.route for one in taken}
        left = tuple(route for route in routes if route.name not in names)
        self._take(self.spare, left, incident, taken)
        return Accepted(tuple(taken), problem if left else "")

    def _take(
        self, delivery: Delivery, routes: Iterable[Route], incident: Incident, into: list[TakenUp]
    ) -> None:
        for route in routes:
            make = partial(incident_message, incident, self._where, route.max_chars)
            entry = delivery.outbox.admit(route, incident, make, self._wall_ns())
            into.append(TakenUp(route.name, delivery, entry))


def _parts(accepted: Accepted, results: dict[str, str]) -> Iterator[str]:
    sent, queued, counted = [], [], []
    for one in accepted.taken:
        if one.entry is None:
            counted.append(one.route)
        elif (why := results.get(one.entry.id)) is None:
            queued.append(one.route)
        elif why:
            yield f"not sent to {one.route}, and kept to be tried again: {why}"
        else:
            sent.append(one.route)
    if sent:
        yield f"sent to {', '.join(sent)}"
    if queued:
        yield f"queued for {', '.join(queued)}"
    if counted:
        yield f"counted for {', '.join(counted)}, which is told how many"
    if accepted.problem:
        yield f"a restart would lose it: not stored: {accepted.problem}"
