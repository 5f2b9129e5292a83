"""The port `sealed` as a plugin sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from attrs import define, field

from hauberk.errors import StoreConflict
from hauberk.ports import Record
from hauberk.secret import Secret
from hauberk_plugins.storage.errors import RecordConflict, StoreBusy, StoreMisused
from hauberk_plugins.storage.exchange import Exchanging
from hauberk_plugins.storage.knowledge import Tentative
from hauberk_plugins.storage.ledger import Ledger
from hauberk_plugins.storage.names import to_key

_T = TypeVar("_T")
#: How often a write is tried that meets others' in a store that does not keep them apart.
TRIES: Final = 20


@define(eq=False)
class Block:
    """One `with` block of a transaction.

    Attributes:
        ledger: What it reads and writes through.
        is_writing: Whether its records and their sums may differ at this moment, as only a
            signal's handler could see.
        is_over: Whether it has ended.
        thread: Whose it is.
    """

    ledger: Ledger
    is_writing: bool = False
    is_over: bool = False
    thread: int = field(factory=threading.get_ident)


class Namespace:
    """What all views of one plugin's sealed records share.

    Args:
        ledger: Reads them outside of a transaction.
        wall_ns: The wall clock, nanoseconds since the epoch.
        hold: Called before anything is sealed: refuses where what is there opens elsewhere.
    """

    def __init__(
        self, ledger: Ledger, wall_ns: Callable[[], int], hold: Callable[[], None]
    ) -> None:
        self.ledger = ledger
        self.wall_ns = wall_ns
        self._hold = hold
        self._exchanging = ledger.bare if isinstance(ledger.bare, Exchanging) else None
        self._local = threading.local()

    def current(self) -> Ledger:
        """Return what this thread reads through: its transaction, if it is in one."""
        block = self._block()
        return self.ledger if block is None else block.ledger

    @contextmanager
    def transaction(self) -> Iterator[Block]:
        """All or nothing; within another of the same thread, a part of that one."""
        outer = self._block()
        if outer is None:
            self._hold()
        around = self.ledger if outer is None else outer.ledger
        memory = Tentative(around.memory)
        block: Block | None = None
        try:
            with around.bare.transaction() as bare:
                block = Block(around.within(bare, memory))
                self._local.block = block
                yield block
        finally:
            self._local.block = outer
            if block is not None:
                block.is_over = True
        memory.happened()

    def change(self, change: Callable[[Ledger], _T]) -> _T:
        """Make a change: in this thread's transaction, or in one of its own."""
        block = self._block()
        if block is not None:
            block.is_writing = True
            try:
                return change(block.ledger)
            finally:
                block.is_writing = False
        for _ in range(TRIES):
            try:
                with self.transaction() as block:
                    block.is_writing = True  # until it has ended
                    return change(block.ledger)
            except RecordConflict:
                raise
            except StoreConflict:
                continue
        raise StoreBusy(self.ledger.seals.where, "other processes keep writing there", "try again")

    def put(self, name: str, value: Secret, version: int | None, now_ns: int) -> int:
        """Write a record and return its version, in one statement if that can be."""
        if self._exchanging is not None and self._block() is None:
            written = self.ledger.exchange(self._exchanging, name, value, version, now_ns)
            if written is not None:
                return written
        return self.change(lambda ledger: ledger.put(name, value, version, now_ns))

    def _block(self) -> Block | None:
        block: Block | None = getattr(self._local, "block", None)
        if block is not None and block.is_writing:
            raise StoreBusy(
                self.ledger.seals.where,
                "a signal came in the middle of a write, and its handler may not use them",
                "do it when the handler has returned",
            )
        return block


class SealedStore:
    """Sealed records of one plugin; see `hauberk.ports.Store`.

    Beside what each method of a store raises, reading raises a `SealError` where a record is not
    as it was left; its subclass says in which way.
    """

    def __init__(self, namespace: Namespace, block: Block | None = None) -> None:
        self._namespace = namespace
        self._block = block

    def get(self, name: str) -> Record | None:
        """Return a record, or `None`."""
        ledger = self._current()
        sealed = ledger.read_one(name)
        return None if sealed is None else ledger.seals.open(name, sealed.value)

    def get_many(self, names: Iterable[str]) -> dict[str, Record]:
        """Return those records that are there, as they stood at one moment."""
        ledger = self._current()
        found = ledger.read(names)
        return {name: ledger.seals.open(name, sealed.value) for name, sealed in found.items()}

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        """Seal and write a record, and return its version."""
        if not isinstance(value, bytes):
            raise TypeError(f"a record's value is bytes, not {type(value).__name__}")
        hidden = Secret(bytes(value))
        del value  # a traceback that shows locals shows those of this frame
        self._current()
        now_ns = self._namespace.wall_ns()
        return self._namespace.put(name, hidden, version, now_ns)

    def delete(self, name: str, *, version: int | None = None) -> None:
        """Remove a record if it is there."""
        self._current()
        self._namespace.change(lambda ledger: ledger.delete(name, version))

    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        """Yield records by name, all as they stood at one moment."""
        to_key(prefix)
        ledger = self._current()
        found = ledger.everything()
        names = sorted(name for name in found if name.startswith(prefix))
        return ((name, ledger.seals.open(name, found[name].value)) for name in names)

    @contextmanager
    def transaction(self) -> Iterator[SealedStore]:
        """All or nothing, on an exception nothing."""
        self._current()
        with self._namespace.transaction() as block:
            yield SealedStore(self._namespace, block)

    def written_ns(self, name: str) -> int | None:
        """Return when a record was written, nanoseconds since the epoch; `None` if there is none.

        Raises:
            StoreError: It cannot be read.
            SealError: It is not as it was left.
        """
        ledger = self._current()
        record = ledger.read_one(name)
        return None if record is None else ledger.seals.written(name, record.value)[1]

    def written(self, prefix: str = "") -> list[tuple[str, int, int]]:
        """Return name, version and time of writing of the records of a prefix, by name.

        Raises: as `written_ns`.
        """
        to_key(prefix)
        ledger = self._current()
        found = ledger.everything()
        names = sorted(name for name in found if name.startswith(prefix))
        return [(name, *ledger.seals.written(name, found[name].value)) for name in names]

    def _current(self) -> Ledger:
        block = self._block
        if block is not None and block.is_over:
            raise self._misused("the transaction has ended", "begin another")
        if block is not None and block.thread != threading.get_ident():
            raise self._misused("the transaction is another thread's", "begin one in this thread")
        return self._namespace.current()

    def _misused(self, problem: str, remedy: str) -> StoreMisused:
        return StoreMisused(self._namespace.ledger.seals.where, problem, remedy)
