"""Connections: each is one thread's at a time, and none crosses a fork."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from attrs import define

from hauberk_plugins.storage.errors import StoreMisused

_C = TypeVar("_C")
#: How many connections are kept for the next caller.
IDLE: Final = 8
#: How long a fork waits for calls that are under way in other threads.
FORK_WAIT_S: Final = 5.0

_pools: weakref.WeakSet[Pool[Any]] = weakref.WeakSet()
#: What this process may not use, since it was forked in the middle of its parent's call.
_inherited: set[str] = set()
_INHERITED: Final = (
    "this process was forked while its parent was in the middle of a call to it",
    "use it from the parent, or begin the child when no call is under way",
)
_CLOSED: Final = ("it was closed", "open the configuration again")


@define(eq=False)
class Loan(Generic[_C]):
    """A connection in a thread's hands.

    Attributes:
        connection: The connection; `None` where there is nothing to connect to.
        thread: Whose it is.
    """

    connection: _C | None
    thread: int


class Pool(Generic[_C]):
    """Lends connections.

    Before a fork, those that nobody uses are closed, so that the child inherits none. One that is
    in use crosses all the same: the child never touches it, not even to close it, which would
    end the parent's session or roll back its transaction.

    Args:
        connect: Opens a connection; its argument says whether to make what is to be connected to
            where it is not there. Returns `None` where it is not, and was not to be made.
        close: Closes one.
        is_usable: Whether one that was kept may still be used.
        where: What is connected to, for errors.
        fork_wait_s: How long a fork waits for calls under way in other threads, seconds; after
            that, the child is refused the store for good. `None` where a child loses nothing by
            a call of its parent's.
    """

    def __init__(
        self,
        connect: Callable[[bool], _C | None],
        close: Callable[[_C], object],
        is_usable: Callable[[_C], bool],
        where: str,
        fork_wait_s: float | None = FORK_WAIT_S,
    ) -> None:
        self._connect = connect
        self._close = close
        self._is_usable = is_usable
        self._where = where
        self._fork_wait_s = fork_wait_s
        self._idle: list[_C] = []
        self._is_forking = False
        self._refusal = _INHERITED if where in _inherited else None
        self._begin()
        _pools.add(self)

    def _begin(self) -> None:
        # Reentrant, since a signal's handler may report, and a report is stored.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._loans: set[Loan[_C]] = set()

    def take(self, making: bool) -> Loan[_C]:
        """Lend a connection to this thread; it is given back, or dropped.

        Raises:
            StoreError: It cannot be opened.
            StoreMisused: The pool is closed.
        """
        loan: Loan[_C] = Loan(None, threading.get_ident())
        with self._lock:
            if self._is_forking:
                self._changed.wait_for(lambda: not self._is_forking)
            if self._refusal is not None:
                raise StoreMisused(self._where, *self._refusal)
            self._loans.add(loan)
            if self._idle:
                loan.connection = self._idle.pop()
        try:
            if loan.connection is not None and not self._is_usable(loan.connection):
                self._close_quietly(loan.connection)
                loan.connection = None
                self.forget_idle()
            if loan.connection is None:
                loan.connection = self._connect(making)
        except BaseException:
            self.drop(loan)
            raise
        return loan

    def give(self, loan: Loan[_C]) -> None:
        """Take back what was lent, for the next caller."""
        with self._lock:
            if self._refusal is None and len(self._idle) < IDLE and loan in self._loans:
                if loan.connection is not None:
                    self._idle.append(loan.connection)
                self._returned(loan)
                return
        self.drop(loan)

    def drop(self, loan: Loan[_C]) -> None:
        """Take back what was lent and failed: nobody uses it again."""
        # What was lent before a fork is the parent's to close.
        if loan.connection is not None and loan in self._loans:
            self._close_quietly(loan.connection)
        with self._lock:
            self._returned(loan)

    def forget_idle(self) -> None:
        """Close every connection that nobody uses, since what they lead to is gone."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            self._close_quietly(connection)

    def close(self) -> None:
        """Close what nobody uses, and the rest as it is given back; lend nothing more."""
        self._refusal = self._refusal or _CLOSED
        self.forget_idle()

    def _returned(self, loan: Loan[_C]) -> None:
        self._loans.discard(loan)
        if self._is_forking:
            self._changed.notify_all()

    def _close_quietly(self, connection: _C) -> None:
        with suppress(Exception):  # it is of no use any more, whatever closing it says
            self._close(connection)

    def before_fork(self) -> None:
        """Wait for other threads' calls and close the rest; the lock is held until after."""
        self._lock.acquire()
        self._is_forking = True
        mine = threading.get_ident()
        if self._fork_wait_s is not None:
            self._changed.wait_for(
                lambda: all(loan.thread == mine for loan in self._loans), self._fork_wait_s
            )
        self.forget_idle()

    def after_fork_in_parent(self) -> None:
        """Let others go on."""
        self._is_forking = False
        self._changed.notify_all()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin with nothing; what was in use at the fork is the parent's."""
        for loan in self._loans:
            # Never freed: freeing it would close it.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(loan.connection))
        if self._loans and self._fork_wait_s is not None:
            _inherited.add(self._where)
            self._refusal = _INHERITED
        self._is_forking = False
        self._begin()


def _before() -> None:
    _fork_lock.acquire()
    _forking[:] = _pools
    for pool in _forking:
        pool.before_fork()


def _in_parent() -> None:
    for pool in _forking:
        pool.after_fork_in_parent()
    _forking.clear()
    _fork_lock.release()


def _in_child() -> None:
    global _fork_lock
    for pool in _forking:
        pool.after_fork_in_child()
    _forking.clear()
    _fork_lock = threading.Lock()


_fork_lock = threading.Lock()
_forking: list[Pool[Any]] = []
os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
