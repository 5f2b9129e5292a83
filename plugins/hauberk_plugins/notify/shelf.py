"""Which records an outbox is made of, and how they are read, put and buried.

Each function takes the store, or what a transaction gives in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve

from hauberk.ports import Store
from hauberk_plugins.notify.entry import Entry
from hauberk_plugins.notify.window import Window

#: How many wait, and how many dead are kept, whatever happens.
MAX_WAITING: Final = 500
MAX_DEAD: Final = 500
CROWDED: Final = "too many waited: it was given up for worse or later ones"

#: What the names of records begin with.
WAITING: Final = "entry/"
DEAD: Final = "dead/"
WINDOW: Final = "window/"


def entries(store: Store, prefix: str) -> Iterator[tuple[Entry, int]]:
    """Yield entries with the versions of their records; what is none is passed over."""
    for _, record in store.scan(prefix):
        entry = Entry.from_bytes(record.value)
        if entry is not None:
            yield entry, record.version


def window(store: Store, route: str) -> Window | None:
    """Return the window of a route, if one is open."""
    record = store.get(WINDOW + route)
    return None if record is None else Window.from_bytes(record.value)


def keep(store: Store, entry: Entry) -> None:
    """Put an entry in; where too many wait, the mildest and oldest of them is buried."""
    store.put(WAITING + entry.id, entry.to_bytes(), version=0)
    waiting = sorted(entries(store, WAITING), key=_mildest_and_oldest)
    for crowded, version in waiting[:-MAX_WAITING]:
        bury(store, evolve(crowded, why=CROWDED), version)


def bury(store: Store, entry: Entry, version: int) -> None:
    """Put an entry among the dead; where there are too many of those, the oldest are forgotten.

    Raises:
        StoreConflict: Its record is at another version: somebody else has it.
    """
    store.delete(WAITING + entry.id, version=version)
    store.put(DEAD + entry.id, evolve(entry, leased_ns=0).to_bytes())
    dead = sorted(entries(store, DEAD), key=lambda found: found[0].made_ns)
    for old, _ in dead[:-MAX_DEAD]:
        store.delete(DEAD + old.id)


def _mildest_and_oldest(found: tuple[Entry, int]) -> tuple[int, int]:
    return found[0].severity, found[0].made_ns
