"""Logins that passed every step, until it is known whether they count.

A later guard may deny one, and so may a recorder that cannot record it. Until then nothing of it is
in the store: no session that could be used or that ends another, no device, no failure forgiven.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from attrs import frozen

from hauberk.secret import Secret
from hauberk_plugins.auth.delays import Key
from hauberk_plugins.auth.passwords import Hashed
from hauberk_plugins.auth.users import User

#: How many are kept: whoever calls the plugin by itself may never say how one ended.
MOST: Final = 1_000


@frozen
class Vouched:
    """What a login does once it counts.

    Attributes:
        user: As verified.
        token: Of the session that begins.
        hashed: The hash that takes the place of an outdated one; `None` to keep it.
        device: The token of the device that becomes known.
        source: Where it comes from.
        keys: Whose failures are forgiven.
    """

    user: User
    token: Secret
    hashed: Hashed | None
    device: Secret
    source: str
    keys: tuple[Key, ...]


class VouchedLogins:
    """Keeps them by the id of the attempt. May be used from any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Vouched] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, attempt_id: str, vouched: Vouched) -> None:
        """Keep one; the oldest is forgotten where there are too many."""
        with self._lock:
            self._kept[attempt_id] = vouched
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def take(self, attempt_id: str) -> Vouched | None:
        """Return one, once."""
        with self._lock:
            return self._kept.pop(attempt_id, None)
