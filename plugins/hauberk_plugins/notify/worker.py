"""`Worker`: the thread of a guard that stays: sends what is due, tells what was counted."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Final

from hauberk.errors import safe_text
from hauberk.records import Incident
from hauberk_plugins.notify.delivery import Delivery
from hauberk_plugins.notify.desk import Desk
from hauberk_plugins.notify.routing import Route

log = logging.getLogger("hauberk.notify")

#: How often it looks, at least: other processes put in things too.
OFTEN_S: Final = 5.0
#: Not more often either: what is due may have to wait for its route.
_LEAST_S: Final = 1.0
#: How many incidents may wait to be taken up.
MAX_OFFERED: Final = 10_000


class Worker:
    """Looks after one outbox.

    Args:
        desk: Takes incidents up.
        delivery: Sends.
        routes: By name.
        wall_ns: The wall clock.
    """

    def __init__(
        self,
        desk: Desk,
        delivery: Delivery,
        routes: Mapping[str, Route],
        wall_ns: Callable[[], int],
    ) -> None:
        self._desk = desk
        self._delivery = delivery
        self._routes = routes
        self._wall_ns = wall_ns
        # Not an Event: what is reported in a signal's handler may come in the middle of anything.
        self._offered: queue.SimpleQueue[Incident | None] = queue.SimpleQueue()
        self._is_over = False
        self._is_well = True
        self._thread = threading.Thread(target=self._run, name="hauberk-notify", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Have it look now."""
        if self._offered.empty():
            self._offered.put(None)

    def offer(self, incident: Incident) -> None:
        """Have an incident taken up, unless it is already."""
        if self._offered.qsize() < MAX_OFFERED:
            self._offered.put(incident)

    def stop(self) -> None:
        """End it; what was offered is taken up first."""
        self._is_over = True
        self._offered.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(1.0)  # the store may hang

    def look(self) -> float:
        """Do what is due; return after how many seconds to look again."""
        try:
            self._desk.flush(self._delivery)
            now_ns = self._wall_ns()
            self._delivery.give_up_lost()
            self._delivery.send_due()
            next_ns = self._delivery.outbox.next_ns(self._routes, now_ns)
        except Exception as error:  # of the store, which may be well again later
            if self._is_well:
                log.warning("the outbox cannot be looked at: %s", safe_text(error))
            self._is_well = False
            return OFTEN_S
        self._is_well = True
        if next_ns is None:
            return OFTEN_S
        return min(max((next_ns - now_ns) / 1e9, _LEAST_S), OFTEN_S)

    def _run(self) -> None:
        pause_s = 0.0
        while True:
            try:
                incident = self._offered.get(timeout=pause_s) if pause_s else None
                while True:
                    if incident is not None:
                        self._desk.accept(incident)
                    incident = self._offered.get_nowait()
            except queue.Empty:
                pass
            except Exception as error:
                log.warning("an incident was not taken up: %s", safe_text(error))
            if self._is_over:
                return
            pause_s = self.look()
