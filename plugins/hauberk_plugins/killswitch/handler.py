"""`IncidentHandler`: incidents that outlast a restart, the same for every process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import field, frozen

from hauberk.errors import HauberkError, MisuseError, StoreConflict
from hauberk.ports import Store
from hauberk.records import Incident
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


class IncidentHandler:
    """Keeps incidents in a store. May be used from any thread and process.

    Args:
        store: Gives the store; looked up each time.
        wall_ns: The wall clock, nanoseconds since the epoch.
        kept: How many are kept; the oldest resolved are forgotten first, then the oldest.
    """

    def __init__(
        self, store: Callable[[], Store], wall_ns: Callable[[], int], kept: int = KEPT
    ) -> None:
        self._store = store
        self._wall_ns = wall_ns
        self._limit = kept

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
        return _listed(self._store())

    def get(self, incident_id: str) -> Kept:
        """Return one, by its id or another one that it is known by.

        Raises:
            NoSuchIncident: There is none.
            BadIncident: Its record cannot be read.
            StoreError: Nobody can tell.
        """
        return _found(self._store(), incident_id)

    def keep(self, incident: Incident, times: int = 1) -> Kept:
        """Keep an incident as it stands; the same as one that is open is counted there.

        Args:
            incident: With what was done about it.
            times: How often it was reported since it was kept last.

        Raises:
            BadIncident: What stands under its id is none. It is left as evidence.
            StoreError: It cannot be kept.
        """

        def change(store: Store) -> Kept:
            record = store.get(PREFIX + incident.id)
            if record is not None:
                was = _parsed(incident.id, record.value)
            else:
                listed = _listed(store)
                found = listed.known_as(incident.id) or listed.same(incident)
                if found is None:
                    _forget(store, listed, self._limit - 1)
                    fresh = Kept(incident, self._wall_ns())
                    store.put(PREFIX + incident.id, fresh.to_bytes())
                    return fresh
                was = found
            kept = was.again(incident, times, self._wall_ns())
            store.put(PREFIX + was.incident.id, kept.to_bytes())
            return kept

        return self._changed(change)

    def resolve(self, incident_id: str, resolution: str) -> Kept:
        """Mark an incident as resolved; one that is already keeps its first resolution.

        Raises:
            NoSuchIncident, BadIncident, StoreError: As `get`.
            MisuseError: The resolution is empty.
        """
        if type(resolution) is not str or not resolution.strip():
            raise MisuseError("a resolution says what was done: pass text")

        def change(store: Store) -> Kept:
            was = _found(store, incident_id)
            if was.incident.resolution:
                return was
            kept = was.resolved(resolution, self._wall_ns())
            store.put(PREFIX + was.incident.id, kept.to_bytes())
            return kept

        return self._changed(change)

    def _changed(self, change: Callable[[Store], Kept]) -> Kept:
        for _ in range(_TRIES):
            store = self._store()
            stamp = store.get(STAMP)
            version = 0 if stamp is None else stamp.version
            try:
                with store.transaction() as within:
                    # Whoever changed anything since then has changed this too.
                    within.put(STAMP, b"{}", version=version)
                    return change(within)
            except StoreConflict:
                continue
        raise StoreConflict(f"incidents were changed {_TRIES} times in a row")


def _listed(store: Store) -> Incidents:
    kept, unreadable = [], {}
    for name, record in store.scan(PREFIX):
        try:
            kept.append(Kept.from_bytes(record.value))
        except BadIncident as error:
            unreadable[name.removeprefix(PREFIX)] = str(error)
    kept.sort(key=lambda one: (one.incident.at_ns, one.incident.id))
    return Incidents(tuple(kept), unreadable)


def _found(store: Store, incident_id: str) -> Kept:
    record = store.get(PREFIX + incident_id)
    if record is not None:
        return _parsed(incident_id, record.value)
    found = _listed(store).known_as(incident_id)
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


def _forget(store: Store, listed: Incidents, limit: int) -> None:
    """Make room: of the resolved, the oldest first; then of all others. Never what is no record."""
    surplus = len(listed.kept) - limit
    if surplus <= 0:
        return
    by_worth = sorted(listed.kept, key=lambda one: not one.incident.resolution)
    for one in by_worth[:surplus]:
        store.delete(PREFIX + one.incident.id)
