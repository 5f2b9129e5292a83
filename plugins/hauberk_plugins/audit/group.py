"""Group commit: callers that come together are served together, by the first of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hauberk_plugins.audit.errors import AuditError


class Ticket:
    """Lines of one caller, on their way."""

    __slots__ = ("error", "first", "lines")

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.lines = lines
        self.first = -1
        self.error: AuditError | None = None


class Group:
    """Those who wait to have lines appended.

    Args:
        commit: Appends what several want, and notes in each ticket where its lines are.
        unknown: Makes the error of whatever else went wrong, from its name.
    """

    def __init__(
        self, commit: Callable[[Sequence[Ticket]], None], unknown: Callable[[str], AuditError]
    ) -> None:
        self._commit = commit
        self._unknown = unknown
        self._mutex = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[Ticket] = []

    def append(self, lines: Sequence[bytes]) -> int:
        """Have lines appended; return the index of the first when all are durable.

        Raises:
            AuditError: None of them is.
        """
        ticket = Ticket(lines)
        with self._mutex:
            self._waiting.append(ticket)
        with self._turn:
            if ticket.first < 0 and ticket.error is None:
                with self._mutex:
                    batch, self._waiting = self._waiting, []
                self._serve(batch)
        if ticket.error is not None:
            raise ticket.error
        return ticket.first

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody append meanwhile."""
        with self._turn:
            yield

    def _serve(self, batch: Sequence[Ticket]) -> None:
        try:
            self._commit(batch)
        except AuditError as error:
            for ticket in batch:
                ticket.error = error
        except BaseException as error:
            # Whatever it is, nobody who waits may be told that it is durable.
            for ticket in batch:
                ticket.error = self._unknown(type(error).__name__)
            raise
