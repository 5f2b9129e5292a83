"""`DayLedger`: what an account has ordered on a day, kept so that nothing gives it back."""

from __future__ import annotations

import json
import threading
from datetime import date
from typing import Any, Final

from hauberk.errors import StoreConflict, StoreError
from hauberk.ports import Store
from hauberk_plugins.policy.errors import DayRecordError, DaySpent

#: A day in nanoseconds; days are counted from the epoch, in UTC.
DAY_NS: Final = 86_400 * 1_000_000_000
_EPOCH: Final = date(1970, 1, 1).toordinal()
_TRIES: Final = 50
#: A block reserved ahead is a cap's `1 / _BLOCKS`, or `_AHEAD` times what is asked for, and never
#: more than `1 / _SHARE` of what is left: other processes are to find some, too.
_BLOCKS, _AHEAD, _SHARE = 32, 4, 4
_MOST: Final = 10**40
#: No day begins sooner after another: clocks are put right by less than the hour that is missing.
_BETWEEN_NS: Final = DAY_NS - 3_600 * 1_000_000_000
_BUSY: Final = "the day's record is changed by other processes all the time"


class DayLedger:
    """The notional of one account and currency, in units of 10**-8.

    Processes reserve blocks in the store and spend them in memory: most orders cost no write.
    What a process had reserved when it was killed counts as spent until the day is over.

    The day never goes back: neither a clock that was set back nor a restart makes a spent one
    fresh.

    Args:
        record: The record's name.
    """

    def __init__(self, record: str) -> None:
        self.record = record
        self._lock = threading.Lock()
        self._day = -1
        self._cap = -1
        #: Reserved in the store for this process, and not spent.
        self._free = 0

    def charge(self, units: int, cap: int, today: int, store: Store) -> int:
        """Count an order.

        Args:
            units: What it is worth.
            cap: What a day may hold.
            today: The day by the clock, days since the epoch.
            store: Where the record is kept.

        Returns:
            The day that it was counted on.

        Raises:
            DaySpent: It would go over the cap; nothing was counted.
            DayRecordError: The record cannot be read or written.
        """
        with self._lock:
            if today > self._day:
                self._day, self._free = today, 0
            if cap != self._cap:
                if self._free:  # reserved under another cap
                    self._return(self._free, store)
                self._cap = cap
            if units > self._free:
                self._reserve(units, store)
            self._free -= units
            return self._day

    def spend(self, units: int, cap: int, today: int) -> int | None:
        """Do as `charge` where what is reserved is enough; else return `None`, and count nothing.

        Needs no store.
        """
        with self._lock:
            if today > self._day or cap != self._cap or units > self._free:
                return None
            self._free -= units
            return self._day

    def give_back(self, units: int, day: int, store: Store) -> None:
        """Take back what was counted on a day, if it is not over.

        Raises:
            DayRecordError: As `charge`; what was given back is kept for this process then.
        """
        with self._lock:
            if day != self._day:
                return
            self._free += units
            # What this process does not need soon is for others.
            spare = self._free - 2 * max(self._cap // _BLOCKS, units)
            if spare > 0:
                self._return(spare, store)

    def close(self, store: Store) -> None:
        """Give back what is reserved and not spent.

        Raises:
            DayRecordError: As `charge`.
        """
        with self._lock:
            if self._free:
                self._return(self._free, store)

    def left(self, cap: int, today: int, store: Store) -> tuple[int, int]:
        """Return what is left for whoever asks first, and the day; changes nothing.

        Raises:
            DayRecordError: As `charge`.
        """
        with self._lock:
            record = self._read(store)
            day = max(today, self._day, record[0])
            reserved = record[1] if record[0] == day else 0
            own = self._free if self._day == day else 0
            return max(cap - reserved, 0) + own, day

    def forget(self, store: Store) -> None:
        """Begin the day anew, whatever the record says.

        Raises:
            DayRecordError: The record cannot be removed.
        """
        with self._lock:
            try:
                store.delete(self.record)
            except StoreError as error:
                raise DayRecordError(f"the day cannot be begun anew: {error}") from None
            self._day, self._free = -1, 0

    def _reserve(self, units: int, store: Store) -> None:
        """Make `_free` at least so much."""
        for _ in range(_TRIES):
            day, reserved, version = self._read(store)
            if day > self._day:  # another process's clock, or ours before it was set back
                self._day, self._free = day, 0
            reserved = reserved if day == self._day else 0
            needed, left = units - self._free, self._cap - reserved
            if needed > left:
                raise DaySpent(max(left, 0) + self._free, self._day)
            ahead = max(self._cap // _BLOCKS, units * _AHEAD)
            taken = max(needed, min(ahead, left // _SHARE))
            if self._write(reserved + taken, version, store):
                self._free += taken
                return
        raise DayRecordError(_BUSY)

    def _return(self, units: int, store: Store) -> None:
        for _ in range(_TRIES):
            day, reserved, version = self._read(store)
            if day != self._day:
                self._free -= units
                return
            if self._write(max(reserved - units, 0), version, store):
                self._free -= units
                return
        raise DayRecordError(_BUSY)

    def _write(self, reserved: int, version: int, store: Store) -> bool:
        value = json.dumps({"day": day_text(self._day), "reserved": reserved}).encode()
        try:
            store.put(self.record, value, version=version)
        except StoreConflict:
            return False
        except StoreError as error:
            raise DayRecordError(f"the day's notional cannot be kept: {error}") from None
        return True

    def _read(self, store: Store) -> tuple[int, int, int]:
        """Return day, units reserved and version; no day is before every other."""
        try:
            record = store.get(self.record)
        except StoreError as error:
            raise DayRecordError(f"the day's notional cannot be read: {error}") from None
        if record is None:
            return -1, 0, 0
        day, reserved = _parsed(record.value)
        return day, reserved, record.version


class Calendar:
    """Tells the day, and does not believe a clock that begins one after the other.

    Between two days that begin lie 24 hours. A clock that is set ahead may begin one at any time,
    as midnight may come at any time after a start; each further step would give the cap once more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._day = -1
        #: The monotonic time before which no other day begins.
        self._next_ns: int | None = None

    def today(self, wall_ns: int, now_ns: int) -> int:
        """Return the day, days since the epoch.

        Args:
            wall_ns: The wall clock.
            now_ns: The monotonic clock.
        """
        day = day_of(wall_ns)
        if day <= self._day:
            return day
        with self._lock:
            if self._next_ns is not None and now_ns < self._next_ns:
                return self._day
            if self._day >= 0:
                self._next_ns = now_ns + _BETWEEN_NS
            self._day = day
        return day


def day_text(day: int) -> str:
    """Write a day as `2026-11-24`."""
    return date.fromordinal(_EPOCH + day).isoformat()


def day_of(wall_ns: int) -> int:
    """Return the day of a wall clock's time; the first one for a time before it."""
    return max(wall_ns // DAY_NS, 0)


def _parsed(value: bytes) -> tuple[int, int]:
    try:
        found: Any = json.loads(value)
        if type(found) is dict and set(found) == {"day", "reserved"}:
            day, reserved = found["day"], found["reserved"]
            if type(day) is str and type(reserved) is int and 0 <= reserved < _MOST:
                number = date.fromisoformat(day).toordinal() - _EPOCH
                if number >= 0 and day_text(number) == day:
                    return number, reserved
    except (ValueError, RecursionError):
        pass
    raise DayRecordError(
        "the record of the day's notional is not what was written: it was changed by other means. "
        "Find out how; then begin the day anew: hauberk policy reset ACCOUNT"
    )
