"""What `hauberk doctor` is told of the sealed records, and of the clock by the store's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from hauberk.command import FAIL, OK, WARN, Check
from hauberk.errors import HauberkError
from hauberk_plugins.storage.claim import Claim
from hauberk_plugins.storage.errors import SealedElsewhere
from hauberk_plugins.storage.sql import SqlStores

#: How far two clocks may be apart, seconds, before it is said.
APART_S: Final = 60
_SET: Final = "set it (NTP): second factors, sessions and signed requests go by it"


def look(stores: SqlStores[Any], claim: Claim, wall_ns: int) -> Iterator[Check]:
    """Look at the store, at whose its sealed records are, and at the clock; unlock nothing."""
    checks = stores.checks()
    yield from checks
    if all(check.status != FAIL for check in checks):
        yield from _sealed(stores, claim)
        yield from _clock(stores, wall_ns)


def _sealed(stores: SqlStores[Any], claim: Claim) -> Iterator[Check]:
    what = "the sealed records"
    try:
        is_here = claim.is_recognised()
    except HauberkError as error:
        yield Check(what, FAIL, str(error))
        return
    if is_here:
        yield Check(what, OK, "they are sealed under the key ring here")
    elif is_here is False:
        told = SealedElsewhere(stores.where)
        yield Check(what, FAIL, f"{told.where}: {told.problem}", told.remedy)


def _clock(stores: SqlStores[Any], wall_ns: int) -> Iterator[Check]:
    at_ns = stores.time_ns()
    if at_ns is not None and at_ns - wall_ns > APART_S * 10**9:
        found = f"it shows {_date(wall_ns)}, and {stores.where} was in use at {_date(at_ns)}"
        yield Check("the clock", WARN, found, _SET)


def _date(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
