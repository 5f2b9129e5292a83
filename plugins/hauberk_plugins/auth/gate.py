"""Room for so many logins at once: a flood of them must not take the processor from the bot."""

from __future__ import annotations

import threading
from typing import Final

#: Seconds that one waits for a free place at most; a login takes about 0.3.
PATIENCE_S: Final = 5.0
#: How many may wait for each that is at work.
_WAITING_EACH: Final = 4


class Gate:
    """Lets so many through at once; so many more wait, and the rest are turned away.

    Half of the places to wait in are kept for those from a known device, so that a flood does not
    keep out the operator who wants to stop it. May be used from any thread.

    Args:
        cores: Of the processor; half of them compute, at least one.
        patience_s: How long one waits at most.
    """

    def __init__(self, cores: int, patience_s: float = PATIENCE_S) -> None:
        self.at_once = max(1, cores // 2)
        self.places = self.at_once * _WAITING_EACH
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._inside = 0
        self._waiting = 0

    def enter(self, *, is_known: bool) -> bool:
        """Wait for room, if there is a place to wait in.

        Args:
            is_known: Whether it is for somebody on a known device.

        Returns:
            Whether there is room: call `leave` then, and only then.
        """
        with self._changed:
            places = self.places if is_known else self.places // 2
            if self._inside >= self.at_once and self._waiting >= places:
                return False
            self._waiting += 1
            try:
                has_room = self._changed.wait_for(self._has_room, self._patience_s)
                if has_room:
                    self._inside += 1
                return has_room
            finally:
                self._waiting -= 1

    def leave(self) -> None:
        """Make room."""
        with self._changed:
            self._inside -= 1
            self._changed.notify()

    def _has_room(self) -> bool:
        return self._inside < self.at_once
