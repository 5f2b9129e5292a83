"""`Office`: from where and when somebody may log in. No hook, no clock: easy to test."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network


class Office:
    """From where and when somebody may log in.

    Args:
        networks: From where; from anywhere if there are none.
        days: On which days, 0 is Monday.
        opens: From when on, by the zone's clock.
        closes: Until when; the minute itself is out. Not before `opens`.
        zone: Whose clock.
    """

    def __init__(
        self,
        networks: Iterable[Network],
        days: Collection[int],
        opens: time,
        closes: time,
        zone: tzinfo,
    ) -> None:
        self._networks = tuple(networks)
        self._days = frozenset(days)
        self._opens, self._closes, self._zone = opens, closes, zone

    def knows(self, source: str) -> bool:
        """Say whether a source lies in one of the networks; what is no address lies in none."""
        if not self._networks:
            return True
        try:
            address = ip_address(source)
        except ValueError:
            return False
        # An IPv4 address that came over an IPv6 socket is that address, and no other.
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)

    def opens_in(self, now: datetime) -> timedelta | None:
        """Say in how long somebody may log in again: no time at all where they may.

        Args:
            now: Aware of its zone.

        Returns:
            `None` where no day is among those on which it opens.
        """
        local = now.astimezone(self._zone)
        for ahead in range(8):
            day = local.date() + timedelta(days=ahead)
            if day.weekday() not in self._days:
                continue
            # Compared in UTC: on one wall clock, Python leaves out the hours that a change skips.
            opens, closes = (
                datetime.combine(day, at, self._zone).astimezone(UTC)
                for at in (self._opens, self._closes)
            )
            if now < closes:
                return max(opens - now.astimezone(UTC), timedelta())
        return None
