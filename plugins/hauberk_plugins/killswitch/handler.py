"""`IncidentHandler`: incidents that outlast a restart, the same for every process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from attrs import evolve, field, frozen

from hauberk.errors import HauberkError, MisuseError, StoreConflict
from hauberk.ports import Store
from hauberk.records import Incident, Severity
from hauberk_plugins.killswitch.incident_record import BadIncident, Kept

PREFIX: Final = "incident/"
#: Its version rises with every change to any incident.
STAMP: Final = "incidents"
#: How many are kept unless told otherwise.
KEPT: Final = 1_000
_TRIES: Final = 20


class NoSuchIncident(HauberkError):
    """No incident has that id."""


@frozen
class Incidents:
    """What is kept.

    Attributes:
        kept: Incidents, the oldest first.
        unreadable: What is wrong with records that cannot be read, by id.
    """

    kept: tuple[Kept, ...] = ()
    unreadable: Mapping[str, str] = field(factory=dict)

    def known_as(self, incident_id: str) -> Kept | None:
        """Return the one that is known by an id."""
        return next((one for one in self.kept if incident_id in one.ids), None)

    def same(self, incident: Incident) -> Kept | None:
        """Return the open one that this is another report of."""
        return next(
            (
                one
                for one in self.kept
                if not one.incident.resolution and one.incident.sameness == incident.sameness
            ),
            None,
        )

    def having(self, kept: Kept, without: Collection[str] = ()) -> Incidents:
        """Return them after a change.

        Args:
            kept: One that was added, or that changed.
            without: Ids of those that were forgotten.
        """
        gone = {kept.incident.id, *without}
        left = [one for one in self.kept if one.incident.id not in gone]
        return evolve(self, kept=tuple(sorted((*left, kept), key=_age)))


class IncidentHandler:
    """Keeps incidents in a store. May be used from any thread and process.

    Args:
        store: Gives the store; looked up each time.
        wall_ns: The wall clock, nanoseconds since the epoch.
        kept: How many are kept; the oldest resolved are forgotten first, then the oldest
            that stop nothing, then the oldest.
    """

    def __init__(
        self, store: Callable[[], Store], wall_ns: Callable[[], int], kept: int = KEPT
    ) -> None:
        self._store = store
        self._wall_ns = wall_ns
        self._limit = kept
        #: What was listed last, and what the stamp was then: one look for many changes.
        self._last = (-1, Incidents())
        self._read: dict[str, tuple[bytes, Kept]] = {}

    def stamp(self) -> int:
        """Return a number that rises with every change to any incident.

        Raises:
            StoreError: Nobody can tell.
        """
        record = self._store().get(STAMP)
        return 0 if record is None else record.version

    def list(self) -> Incidents:
        """Return all of them.

        Raises:
            StoreError: They cannot be read.
        """
        return self._scanned(self._store())

    def listed(self, stamp: int) -> Incidents:
        """Return all of them as they were when the stamp was this, or later.

        Raises:
            StoreError: They cannot be read.
        """
        return self._listed(self._store(), stamp)

    def get(self, incident_id: str) -> Kept:
        """Return one, by its id or another one that it is known by.

        Raises:
            NoSuchIncident: There is none.
            BadIncident: Its record cannot be read.
            StoreError: Nobody can tell.
        """
        store = self._store()
        record = store.get(PREFIX + incident_id)
        if record is not None:
            return _parsed(incident_id, record.value)
        return _known(self._scanned(store), incident_id)

    def keep(self, incident: Incident, times: int = 1) -> Kept:
        """Keep an incident as it stands; the same as one that is open is counted there.

        Args:
            incident: With what was done about it.
            times: How often it was reported since it was kept last.

        Raises:
            BadIncident: What stands under its id is none. It is left as evidence.
            StoreError: It cannot be kept.
        """

        def change(store: Store, listed: Incidents) -> Incidents:
            record = store.get(PREFIX + incident.id)
            if record is None:
                found = listed.known_as(incident.id) or listed.same(incident)
            else:
                found = _parsed(incident.id, record.value)
            if found is not None:
                return _put(store, listed, found.again(incident, times, self._wall_ns()))
            surplus = _surplus(listed, self._limit - 1)
            for name in surplus:
                store.delete(PREFIX + name)
            return _put(store, listed, Kept(incident, self._wall_ns()), surplus)

        return _known(self._changed(change), incident.id)

    def resolve(self, incident_id: str, resolution: str) -> Kept:
        """Mark an incident as resolved; one that is already keeps its first resolution.

        Raises:
            NoSuchIncident, BadIncident, StoreError: As `get`.
            MisuseError: The resolution is empty.
        """
        if type(resolution) is not str or not resolution.strip():
            raise MisuseError("a resolution says what was done: pass text")

        def change(store: Store, listed: Incidents) -> Incidents:
            record = store.get(PREFIX + incident_id)
            if record is None:
                was = _known(listed, incident_id)
            else:
                was = _parsed(incident_id, record.value)
            if was.incident.resolution:
                return listed
            return _put(store, listed, was.resolved(resolution, self._wall_ns()))

        return _known(self._changed(change), incident_id)

    def _changed(self, change: Callable[[Store, Incidents], Incidents]) -> Incidents:
        for _ in range(_TRIES):
            store = self._store()
            record = store.get(STAMP)
            version = 0 if record is None else record.version
            try:
                with store.transaction() as within:
                    # Whoever changed anything since then has changed this too.
                    stamp = within.put(STAMP, b"{}", version=version)
                    changed = change(within, self._listed(within, version))
            except StoreConflict:
                continue
            self._last = stamp, changed
            return changed
        raise StoreConflict(f"incidents were changed {_TRIES} times in a row")

    def _listed(self, store: Store, stamp: int) -> Incidents:
        """List them, unless that is known: or each of a flood would cost as much as all."""
        known, listed = self._last
        if known != stamp:
            listed = self._scanned(store)
            self._last = stamp, listed
        return listed

    def _scanned(self, store: Store) -> Incidents:
        kept, unreadable, before = [], {}, self._read
        read: dict[str, tuple[bytes, Kept]] = {}
        for name, record in store.scan(PREFIX):
            was = before.get(name)
            try:
                if was is None or was[0] != record.value:
                    was = record.value, Kept.from_bytes(record.value)
            except BadIncident as error:
                unreadable[name.removeprefix(PREFIX)] = str(error)
            else:
                read[name] = was
                kept.append(was[1])
        self._read = read
        return Incidents(tuple(sorted(kept, key=_age)), unreadable)


def _age(kept: Kept) -> tuple[int, str]:
    return kept.incident.at_ns, kept.incident.id


def _put(store: Store, listed: Incidents, kept: Kept, without: Collection[str] = ()) -> Incidents:
    store.put(PREFIX + kept.incident.id, kept.to_bytes())
    return listed.having(kept, without)


def _known(listed: Incidents, incident_id: str) -> Kept:
    found = listed.known_as(incident_id)
    if found is None:
        raise NoSuchIncident(
            f"no incident {incident_id[:80]!r} is known: `hauberk incident list` has them all"
        )
    return found


def _parsed(incident_id: str, value: bytes) -> Kept:
    try:
        return Kept.from_bytes(value)
    except BadIncident as error:
        raise BadIncident(f"the record of incident {incident_id}: {error}") from None


def _worth(kept: Kept) -> tuple[bool, bool]:
    return not kept.incident.resolution, kept.incident.severity >= Severity.HIGH


def _surplus(listed: Incidents, limit: int) -> list[str]:
    """Name what makes room: of the resolved, the oldest first; then of what stops nothing.

    Of all others last, and never what is no record.
    """
    surplus = len(listed.kept) - limit
    if surplus <= 0:
        return []
    by_worth = sorted(listed.kept, key=_worth)
    return [one.incident.id for one in by_worth[:surplus]]
