"""What is changed in the store when sessions begin and end; each within one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from attrs import evolve, frozen

from hauberk.ports import Record, Store
from hauberk_plugins.auth.bearer import Known
from hauberk_plugins.auth.errors import BadRecord
from hauberk_plugins.auth.session_record import (
    PREFIX,
    Instant,
    Session,
    SessionLimits,
    SessionRecord,
    digest_of,
    name_of,
    prefix_of,
    read_record,
)
from hauberk_plugins.auth.shared import State

#: How many records one transaction removes at most where all are to go.
_AT_ONCE: Final = 200


@frozen
class Stored:
    """A session's record as it was found.

    Attributes:
        name: The record's name.
        record: What it says.
        idle_ns: For how long it has been idle; `None` where it is over.
    """

    name: str
    record: SessionRecord
    idle_ns: int | None

    @property
    def shown(self) -> Session:
        """The session, as it may be shown."""
        return self.record.shown(digest_of(self.name))


def stored(
    found: Iterable[tuple[str, Record]], now: Instant, limits: SessionLimits
) -> Iterator[Stored]:
    """Read what a scan found; what another version wrote is left out, and keeps nobody out."""
    for name, kept in found:
        with suppress(BadRecord):
            record = read_record(kept.value)
            yield Stored(name, record, record.idle_ns(now, limits))


def live(sessions: Iterable[Stored]) -> list[Stored]:
    """Return those that are not over, the one that was idle longest first."""
    return sorted(
        (one for one in sessions if one.idle_ns is not None),
        key=lambda one: one.idle_ns or 0,
        reverse=True,
    )


def too_many(sessions: Sequence[Stored], user: str, most: int) -> list[Stored]:
    """Say which sessions end so that there is room for one more of a user.

    The user's own first, so that whoever floods ends nobody else's; then of the user who has most;
    and of those, the one that was idle longest.

    Args:
        sessions: Live ones, the one that was idle longest first.
        user: Whose is to be added.
        most: How many there may be.
    """
    left, gone = list(sessions), []
    while len(left) >= most:
        held = Counter(one.record.user for one in left)
        whose = user if held[user] else held.most_common(1)[0][0]
        gone.append(next(one for one in left if one.record.user == whose))
        left.remove(gone[-1])
    return gone


def add(
    store: Store,
    state: State,
    known: Known,
    record: SessionRecord,
    now: Instant,
    limits: SessionLimits,
) -> tuple[State, list[Stored]]:
    """Put a record, after removing what makes room for it; return that."""
    gone: dict[str, Stored] = {}

    def make_room(prefix: str, most: int) -> None:
        found = stored(store.scan(prefix), now, limits)
        there = [one for one in found if one.name not in gone]
        over = [one for one in there if one.idle_ns is None]
        for one in (*over, *too_many(live(there), record.user, most)):
            gone[one.name] = one

    make_room(prefix_of(state.generation, known.owner), limits.per_user)
    if state.count - len(gone) >= limits.total:
        make_room(prefix_of(state.generation), limits.total)
    for name in gone:
        store.delete(name)
    store.put(name_of(state.generation, known), record.to_bytes(), version=0)
    count = state.count - len(gone) + 1
    after = evolve(state, count=count, endings=state.endings + bool(gone))
    return after, list(gone.values())


def replace(
    store: Store, state: State, old: Known, known: Known, record: SessionRecord
) -> tuple[State, bool]:
    """Put a record in place of another, if that is there; return whether it was."""
    name = name_of(state.generation, old)
    if store.get(name) is None:
        return state, False
    store.delete(name)
    store.put(name_of(state.generation, known), record.to_bytes(), version=0)
    return evolve(state, endings=state.endings + 1), True


def remove(
    store: Store, state: State, owner: str, digest: str
) -> tuple[State, list[tuple[str, Record]]]:
    """Remove every record of an owner whose digest begins so, readable or not; return them.

    Args:
        store: Where.
        state: As it stands.
        owner: As `owner_key` gives it; empty for all.
        digest: Its beginning; empty for all.
    """
    found = store.scan(prefix_of(state.generation, owner))
    gone = [item for item in found if digest_of(item[0]).startswith(digest)]
    for name, _ in gone:
        store.delete(name)
    count = state.count - len(gone)
    return evolve(state, count=count, endings=state.endings + bool(gone)), gone


def end_generation(_: Store, state: State) -> tuple[State, None]:
    """Have no record that stands be found again."""
    return evolve(state, generation=state.generation + 1, count=0), None


def remove_generations(store: Store, before: int) -> list[tuple[str, Record]]:
    """Remove the records of earlier generations, a part at a time; return them."""
    stands = prefix_of(before)
    gone = [item for item in store.scan(PREFIX) if not item[0].startswith(stands)]
    for start in range(0, len(gone), _AT_ONCE):
        with store.transaction() as part:
            for name, _ in gone[start : start + _AT_ONCE]:
                part.delete(name)
    return gone
