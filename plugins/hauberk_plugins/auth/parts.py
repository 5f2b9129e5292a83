"""What the pieces of this plugin need of each other, by protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from hauberk.ports import Store

#: Looked up each time: a reload may put another provider in place.
StoreNow: TypeAlias = Callable[[], Store]
#: A kind of event and its fields, for the recorders.
Tell: TypeAlias = Callable[[str, Mapping[str, Any]], None]
#: Nanoseconds since the epoch; may step.
WallNs: TypeAlias = Callable[[], int]
#: So many random bytes from the operating system.
TokenBytes: TypeAlias = Callable[[int], bytes]

#: The role that may do everything; one user who is not disabled has it, once there is one.
ADMIN: Final = "admin"
