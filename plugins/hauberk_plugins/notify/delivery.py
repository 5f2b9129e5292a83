"""`Delivery`: sends what an outbox has, a thread a route, so that none waits for another."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from hauberk.errors import HauberkError, StoreError
from hauberk_plugins.notify.entry import Entry
from hauberk_plugins.notify.outbox import Outbox
from hauberk_plugins.notify.routing import Route
from hauberk_plugins.notify.templates import Message

#: Called with a route's name and the message; returns nothing if it was sent, else why not.
Attempt = Callable[[str, Message], str]
#: Called with what became of an entry, `sent`, `failed` or `dead`, the entry, and why.
Told = Callable[[str, Entry, str], object]

_KEPT: Final = 1_000


class Delivery:
    """The attempts of one outbox.

    Args:
        outbox: What is to be sent.
        routes: By name.
        attempt: Sends; bounded in time, never raises.
        wall_ns: The wall clock.
        told: Told what became of each attempt; must not raise.
    """

    def __init__(
        self,
        outbox: Outbox,
        routes: Mapping[str, Route],
        attempt: Attempt,
        wall_ns: Callable[[], int],
        told: Told,
    ) -> None:
        self.outbox = outbox
        self._routes = routes
        self._attempt = attempt
        self._wall_ns = wall_ns
        self._told = told
        self._changed = threading.Condition()
        #: The routes at work; `True` where there may be more for it than it has looked for.
        self._at_work: dict[str, bool] = {}
        #: Until when a route whose server failed is left alone, wall clock.
        self._paused: dict[str, int] = {}
        self._results: OrderedDict[str, str] = OrderedDict()
        self._is_stopped = False

    def hurry(self, route: str) -> None:
        """Send what is due of a route, at once, on a thread; nothing is waited for."""
        with self._changed:
            if self._is_stopped:
                return
            if route in self._at_work:
                self._at_work[route] = True
                return
            self._at_work[route] = False
        thread = threading.Thread(
            target=self._work, args=(route,), name=f"hauberk-notify-{route}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads to be had: the next look begins it again
            with self._changed:
                del self._at_work[route]

    def send_due(self) -> None:
        """Begin whatever is due, of routes that are not paused.

        Raises:
            StoreError: The store cannot be read.
        """
        now_ns = self._wall_ns()
        for route in {entry.route for entry in self.outbox.entries()}:
            until_ns = self._paused.get(route, 0)
            is_paused = now_ns < until_ns <= now_ns + self.outbox.retrying.longest_ns
            if route in self._routes and not is_paused:
                self.hurry(route)

    def give_up_lost(self) -> None:
        """Give up what is for no route that there is, once it has expired.

        Raises:
            StoreError: The store does not take it.
        """
        for entry in self.outbox.tidy(self._routes, self._wall_ns()):
            self._told("dead", entry, entry.why)

    def results(self, entries: Iterable[str], timeout_s: float) -> dict[str, str]:
        """Wait for attempts.

        Args:
            entries: The ids of what was put in.
            timeout_s: For how long at most.

        Returns:
            By id, nothing if it was sent, else why not; an id of which nothing is known yet is
            missing.
        """
        wanted = list(entries)
        with self._changed:
            self._changed.wait_for(
                lambda: all(one in self._results for one in wanted) or self._is_stopped, timeout_s
            )
            return {one: self._results[one] for one in wanted if one in self._results}

    def stop(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def is_idle(self, timeout_s: float = 0.0) -> bool:
        """Whether nothing is under way, or ends within so long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._at_work, timeout_s)

    def _work(self, route: str) -> None:
        while True:
            try:
                is_more = self._send_one(route)
            except Exception:  # of the store: whatever it is, the entry is still there
                is_more = False
            with self._changed:
                if self._is_stopped or not (is_more or self._at_work[route]):
                    del self._at_work[route]
                    self._changed.notify_all()
                    return
                self._at_work[route] = False

    def _send_one(self, route: str) -> bool:
        """Send the first that is due; say whether to go on."""
        leased = self.outbox.lease(route, self._wall_ns())
        if leased is None:
            return False
        why = self._attempt(route, leased.entry.message)
        if not why:
            self._paused.pop(route, None)
            self.outbox.sent(leased)
            self._note(leased.entry, "sent", "")
            return True
        now_ns = self._wall_ns()
        self._paused[route] = now_ns + self.outbox.retrying.pause_ns(leased.entry.attempts + 1, 0)
        try:
            dead = self.outbox.failed(leased, why, now_ns)
        except StoreError:
            dead = None
        self._note(leased.entry, "failed" if dead is None else "dead", why)
        return False

    def _note(self, entry: Entry, became: str, why: str) -> None:
        with self._changed:
            self._results[entry.id] = why
            while len(self._results) > _KEPT:
                self._results.popitem(last=False)
            self._changed.notify_all()
        self._told(became, entry, why)


class Bounded:
    """Calls what may hang, one at a time, each for so long at most.

    What has not returned is left behind on its thread; until it returns, further calls fail at
    once, so that threads do not pile up.

    Args:
        failed: What is raised, made of one text.
        timeout_s: How long a call may take.
    """

    def __init__(self, failed: Callable[[str], HauberkError], timeout_s: float) -> None:
        self._failed = failed
        self._timeout_s = timeout_s
        self._turn = threading.Lock()
        self._left_behind: threading.Thread | None = None

    def __call__(self, function: Callable[[], object]) -> None:
        """Call a function.

        Raises:
            HauberkError: It has not returned in time, or one before it has not.
            Exception: As it raised.
        """
        raised: list[Exception] = []

        def call() -> None:
            try:
                function()
            except Exception as error:
                raised.append(error)

        with self._turn:
            if self._left_behind is not None and self._left_behind.is_alive():
                raise self._failed("the store has not answered yet")
            thread = threading.Thread(target=call, name="hauberk-notify-store", daemon=True)
            thread.start()
            thread.join(self._timeout_s)
            if thread.is_alive():
                self._left_behind = thread
                raise self._failed(f"the store did not answer within {self._timeout_s:g} s")
        if raised:
            raise raised[0]
