"""`Outbox`: messages that are kept, durably, until they were sent: at least once, never for ever.

An entry is a record of its own. Whoever is to send it leases it by compare-and-set, so that of
several processes one does; a process that is killed meanwhile loses its lease, and another sends
it. What was sent is removed. What was tried for long enough is put among the dead, where it stays
until somebody has it sent again, or many others have followed it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final, TypeVar

from attrs import evolve, frozen

from hauberk.errors import StoreConflict, StoreError
from hauberk.ports import Store
from hauberk.records import Incident
from hauberk_plugins.notify import shelf
from hauberk_plugins.notify.entry import Entry, Retrying
from hauberk_plugins.notify.errors import NoSuchEntry, OutboxFailed
from hauberk_plugins.notify.routing import Route
from hauberk_plugins.notify.templates import Message
from hauberk_plugins.notify.window import Window, admitted, after

#: Of one route, how much that is at least as bad may wait before more of it is only counted.
MAX_BACKLOG: Final = 10
_TRIES: Final = 20
_NO_ROUTE: Final = "no route bears its name any more"
_T = TypeVar("_T")


@frozen
class Leased:
    """An entry that is ours to send.

    Attributes:
        entry: As it was leased.
        version: Of its record; `None` where the store took no lease.
    """

    entry: Entry
    version: int | None


class Outbox:
    """Entries in a store, and the windows of routes.

    Args:
        store: Where they are kept; shared with other processes.
        token: Makes an id that nobody has had: hexadecimal digits.
        random: Returns a number from 0 up to 1.
        retrying: How often, and for how long.
    """

    def __init__(
        self,
        store: Store,
        token: Callable[[], str],
        random: Callable[[], float],
        retrying: Retrying,
    ) -> None:
        self._store = store
        self._token = token
        self._random = random
        self.retrying = retrying
        self._lock = threading.Lock()
        #: Sent, but the store would not remove them: not to be sent again.
        self._sent: set[str] = set()
        #: When what the store took no lease for may be tried again by this process.
        self._unleased: dict[str, int] = {}

    def admit(
        self, route: Route, incident: Incident, make: Callable[[], Message], now_ns: int
    ) -> Entry | None:
        """Take an incident up for a route: as an entry, or counted in the route's window.

        Args:
            route: Which.
            incident: What was reported.
            make: Makes the message, where it is told at once.
            now_ns: Wall clock.

        Returns:
            The entry; `None` where it was counted.

        Raises:
            StoreError: The store does not take it.
        """
        return self._retried(lambda store: self._admit(store, route, incident, make, now_ns))

    def flush(self, route: Route, make: Callable[[Window], Message], now_ns: int) -> Entry | None:
        """Put in what a window counted that is over, unless much waits already.

        Args:
            route: Whose window.
            make: Makes the message.
            now_ns: Wall clock.

        Returns:
            The entry, if any.

        Raises:
            StoreError: The store does not take it.
        """
        if not self._is_ripe(shelf.window(self._store, route.name), route, now_ns):
            return None
        return self._retried(lambda store: self._flush(store, route, make, now_ns))

    def lease(self, route: str, now_ns: int) -> Leased | None:
        """Take the first entry of a route that is due, alone; `None` where there is none.

        Raises:
            StoreError: The store cannot be read.
        """
        for entry, version in self._found(shelf.WAITING, route):
            if entry.id in self._sent:
                self._forget(entry.id)
            elif entry.is_due(now_ns, self.retrying):
                leased = evolve(entry, leased_ns=now_ns + self.retrying.lease_ns)
                try:
                    taken = self._store.put(
                        shelf.WAITING + entry.id, leased.to_bytes(), version=version
                    )
                except StoreConflict:
                    continue  # another process has it
                except StoreError:
                    if now_ns >= self._unleased.get(entry.id, 0):
                        self._unleased[entry.id] = now_ns + self.retrying.lease_ns
                        return Leased(entry, None)
                    continue
                return Leased(leased, taken)
        return None

    def sent(self, leased: Leased) -> None:
        """Remove what was sent; where the store fails, this process does not send it again."""
        self._sent.add(leased.entry.id)
        self._forget(leased.entry.id)

    def failed(self, leased: Leased, why: str, now_ns: int) -> Entry | None:
        """Put off what was not sent, or give it up.

        Args:
            leased: What was tried.
            why: Why it was not sent.
            now_ns: Wall clock.

        Returns:
            The entry if it is dead; `None` if it waits.

        Raises:
            StoreError: The store does not take it; its lease ends by itself.
        """
        if leased.version is None:
            return None
        entry = leased.entry.after_failure(why, now_ns, self.retrying, self._random())
        is_over = now_ns >= entry.expires_ns
        try:
            if not is_over:
                name = shelf.WAITING + entry.id
                self._store.put(name, entry.to_bytes(), version=leased.version)
                return None
            with self._store.transaction() as store:
                shelf.bury(store, entry, leased.version)
        except StoreConflict:
            return None  # the lease was over, and somebody else has it
        return entry

    def tidy(self, routes: Collection[str], now_ns: int) -> list[Entry]:
        """Give up what is for no route that there is, once it has expired; return it.

        Raises:
            StoreError: The store does not take it.
        """
        lost = [
            (entry, version)
            for entry, version in self._found(shelf.WAITING)
            if entry.route not in routes and now_ns >= entry.expires_ns
        ]
        for entry, version in lost:
            with suppress(StoreConflict), self._store.transaction() as store:
                shelf.bury(store, evolve(entry, why=_NO_ROUTE), version)
        return [evolve(entry, why=_NO_ROUTE) for entry, _ in lost]

    def retry(self, entry_id: str, now_ns: int) -> Entry:
        """Have an entry sent now, dead or not.

        Raises:
            NoSuchEntry: There is none.
            StoreError: The store does not take it.
        """
        return self._retried(lambda store: self._retry(store, entry_id, now_ns))

    def next_ns(self, routes: Mapping[str, Route], now_ns: int) -> int | None:
        """Say when there is something to do next; `None` where nothing waits.

        Raises:
            StoreError: The store cannot be read.
        """
        found = [
            entry.due_ns(now_ns, self.retrying) for entry in self.entries() if entry.route in routes
        ]
        for route in routes.values():
            window = shelf.window(self._store, route.name)
            if window is not None and window.held:
                found.append(min(window.until_ns, now_ns + route.digest_ns))
        return min(found, default=None)

    def entries(self, *, dead: bool = False) -> list[Entry]:
        """Return what waits, or what is dead, the worst first.

        Raises:
            StoreError: The store cannot be read.
        """
        return [entry for entry, _ in self._found(shelf.DEAD if dead else shelf.WAITING)]

    def held(self, route: Route) -> int:
        """Return how many incidents a route's window has counted."""
        window = shelf.window(self._store, route.name)
        return 0 if window is None else window.count

    def _admit(
        self,
        store: Store,
        route: Route,
        incident: Incident,
        make: Callable[[], Message],
        now_ns: int,
    ) -> Entry | None:
        waiting = [entry for entry, _ in shelf.entries(store, shelf.WAITING)]
        as_bad = sum(
            1 for one in waiting if one.route == route.name and one.severity >= incident.severity
        )
        is_told, window = admitted(
            shelf.window(store, route.name),
            incident,
            now_ns,
            route.digest_ns,
            is_behind=as_bad >= MAX_BACKLOG,
        )
        store.put(shelf.WINDOW + route.name, window.to_bytes())
        return self._put(store, route, make(), now_ns, incident.id) if is_told else None

    def _flush(
        self, store: Store, route: Route, make: Callable[[Window], Message], now_ns: int
    ) -> Entry | None:
        window = shelf.window(store, route.name)
        if window is None or not self._is_ripe(window, route, now_ns):
            return None
        waiting = [
            entry for entry, _ in shelf.entries(store, shelf.WAITING) if entry.route == route.name
        ]
        if len(waiting) >= MAX_BACKLOG or any(not entry.incident for entry in waiting):
            return None  # it goes on counting, in one message
        store.put(shelf.WINDOW + route.name, after(window, now_ns, route.digest_ns).to_bytes())
        return self._put(store, route, make(window), now_ns)

    def _put(
        self, store: Store, route: Route, message: Message, now_ns: int, incident: str = ""
    ) -> Entry:
        entry = Entry(
            id=self._token(),
            route=route.name,
            title=message.title,
            body=message.body,
            severity=message.severity,
            made_ns=now_ns,
            expires_ns=now_ns + self.retrying.expires_ns,
            next_ns=now_ns,
            incident=incident,
        )
        shelf.keep(store, entry)
        return entry

    def _retry(self, store: Store, entry_id: str, now_ns: int) -> Entry:
        for prefix in (shelf.WAITING, shelf.DEAD):
            record = store.get(prefix + entry_id)
            entry = None if record is None else Entry.from_bytes(record.value)
            if record is not None and entry is not None:
                renewed = entry.renewed(now_ns, self.retrying)
                if prefix == shelf.DEAD:
                    store.delete(prefix + entry_id)
                store.put(shelf.WAITING + entry_id, renewed.to_bytes())
                return renewed
        raise NoSuchEntry(entry_id)

    def _forget(self, entry_id: str) -> None:
        """Remove what was sent, whoever holds a lease on it."""
        try:
            self._store.delete(shelf.WAITING + entry_id)
        except StoreError:
            return  # at the next lease
        self._sent.discard(entry_id)
        self._unleased.pop(entry_id, None)

    def _is_ripe(self, window: Window | None, route: Route, now_ns: int) -> bool:
        if window is None or not window.held:
            return False
        return not now_ns < window.until_ns <= now_ns + route.digest_ns

    def _found(self, prefix: str, route: str | None = None) -> list[tuple[Entry, int]]:
        found = [one for one in shelf.entries(self._store, prefix) if route in (None, one[0].route)]
        return sorted(found, key=lambda one: one[0].order)

    def _retried(self, do: Callable[[Store], _T]) -> _T:
        """Do something in a transaction, again where another process was quicker."""
        for _ in range(_TRIES):
            try:
                with self._lock, self._store.transaction() as store:
                    return do(store)
            except StoreConflict:
                continue
        raise OutboxFailed("other processes write to the outbox all the time: try again")
