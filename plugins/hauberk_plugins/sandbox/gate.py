"""The gate: what an arriving request costs, and whether it may come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.limits import Bans, CalendarCounter, Limit, seconds_until
from hauberk_plugins.sandbox.wire import Json, Refused

DEFAULT_WEIGHT_LIMIT: Final = Limit(6_000, 60)
DEFAULT_ORDER_LIMITS: Final = (Limit(100, 10), Limit(200_000, 86_400))


class Gate:
    """Weight per address, orders per account, bans.

    Args:
        weight: The limit of request weight per address.
        orders: The limits of orders per account, all of which hold.
        bans: What happens to those who go on.
    """

    def __init__(self, weight: Limit, orders: Sequence[Limit], bans: Bans) -> None:
        self.bans = bans
        self._weight = CalendarCounter(weight)
        self._orders = tuple(CalendarCounter(limit) for limit in orders)

    def set_weight_limit(self, limit: Limit) -> None:
        """Replace the limit; what was counted in a window of the same length stays counted."""
        self._weight.limit = limit

    def set_order_limits(self, limits: Sequence[Limit]) -> None:
        """Replace the limits of orders; counting starts afresh."""
        self._orders = tuple(CalendarCounter(limit) for limit in limits)

    def refuse_banned(self, ip: str, now_ns: int) -> None:
        """Let nobody in who is banned.

        Raises:
            Refused: 418 with `Retry-After`.
        """
        until_ns = self.bans.until_ns(ip, now_ns)
        if until_ns is not None:
            raise Refused(
                418,
                wire.TOO_MANY_REQUESTS,
                f"Way too much request weight used; IP banned until {until_ns // 1_000_000}. "
                "Please use WebSocket Streams for live updates to avoid bans.",
                _retry_after(until_ns, now_ns),
            )

    def charge_weight(self, ip: str, weight: int, now_ns: int) -> dict[str, str]:
        """Charge a request to its address; one that is refused is counted too, as at Binance.

        Returns:
            The headers that report it.

        Raises:
            Refused: 429 or 418, with `Retry-After`.
        """
        used = self._weight.add(ip, weight, now_ns)
        limit = self._weight.limit
        headers = {"X-MBX-USED-WEIGHT": str(used), f"X-MBX-USED-WEIGHT-{limit.suffix}": str(used)}
        if used > limit.size:
            number, unit = limit.interval
            self._turn_away(
                ip,
                wire.TOO_MANY_REQUESTS,
                f"Too much request weight used; current limit is {limit.size} request weight "
                f"per {number} {unit}. Please use WebSocket Streams for live updates to avoid "
                "polling the API.",
                limit.end_ns(now_ns),
                now_ns,
                headers,
            )
        return headers

    def charge_order(self, ip: str, account: str, now_ns: int) -> dict[str, str]:
        """Charge an order to its account, in every window or in none.

        Returns:
            The headers that report it.

        Raises:
            Refused: 429 or 418, with `Retry-After`.
        """
        for counter in self._orders:
            limit = counter.limit
            if counter.used(account, now_ns) >= limit.size:
                number, unit = limit.interval
                self._turn_away(
                    ip,
                    wire.TOO_MANY_ORDERS,
                    f"Too many new orders; current limit is {limit.size} orders "
                    f"per {number} {unit}.",
                    limit.end_ns(now_ns),
                    now_ns,
                    self._order_headers(account, now_ns),
                )
        for counter in self._orders:
            counter.add(account, 1, now_ns)
        return self._order_headers(account, now_ns)

    def describe(self) -> list[Json]:
        """Return the limits as `exchangeInfo` lists them."""
        return [
            {"rateLimitType": kind, "interval": unit, "intervalNum": number, "limit": limit.size}
            for kind, limit in (
                ("REQUEST_WEIGHT", self._weight.limit),
                *(("ORDERS", counter.limit) for counter in self._orders),
            )
            for number, unit in (limit.interval,)
        ]

    def _order_headers(self, account: str, now_ns: int) -> dict[str, str]:
        return {
            f"X-MBX-ORDER-COUNT-{counter.limit.suffix}": str(counter.used(account, now_ns))
            for counter in self._orders
        }

    def _turn_away(
        self,
        ip: str,
        code: int,
        message: str,
        retry_at_ns: int,
        now_ns: int,
        headers: dict[str, str],
    ) -> None:
        self.bans.strike(ip, retry_at_ns, now_ns)
        self.refuse_banned(ip, now_ns)
        retry = _retry_after(retry_at_ns, now_ns)
        raise Refused(429, code, message, (*headers.items(), *retry))


def _retry_after(at_ns: int, now_ns: int) -> tuple[tuple[str, str], ...]:
    return (("Retry-After", str(seconds_until(at_ns, now_ns))),)
