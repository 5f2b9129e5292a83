"""A market-making bot on aiohttp: `python examples/mm_aiohttp.py`."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import aiohttp
from quoting import QUANTITY, ROUNDS, SYMBOL, quotes
from sandbox_market import guarded_market

import hauberk
import hauberk.clients.aiohttp


class Maker(hauberk.Plugin):
    """Quotes on both sides, and takes its quotes back when something is wrong."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.is_stopped = False

    @hauberk.hookimpl
    def on_request(self, request: hauberk.Request) -> hauberk.Deny | None:
        """Let no order pass that this bot would not place."""
        if request.operation is hauberk.Operation.TRADE:
            quantity = dict(request.params).get("quantity", "")
            if quantity != QUANTITY:
                return hauberk.Deny(f"this bot trades {QUANTITY} at a time")
        return None

    @hauberk.hookimpl
    async def on_incident(self, incident: hauberk.Incident) -> hauberk.Outcome | None:
        """Flatten: cancels pass in a restricted guard."""
        if incident.severity < hauberk.Severity.HIGH:
            return None
        self.is_stopped = True
        return hauberk.Outcome(f"cancelled {await self.cancel_all()} orders")

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """Ask the exchange."""
        async with self.session.request(method, path, **options) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def quote(self) -> None:
        """Replace both quotes."""
        book = await self.call("GET", "/api/v3/depth", params={"symbol": SYMBOL, "limit": 5})
        bid, ask = Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0])
        await self.cancel_all()
        for side, price in quotes(bid, ask).items():
            order = {"symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": "GTC",
                     "quantity": QUANTITY, "price": str(price)}  # fmt: skip
            await self.call("POST", "/api/v3/order", data=order)

    async def cancel_all(self) -> int:
        """Cancel what is open; return how many there were."""
        open_orders = await self.call("GET", "/api/v3/openOrders", params={"symbol": SYMBOL})
        for order in open_orders:
            names = {"symbol": SYMBOL, "orderId": order["orderId"]}
            await self.call("DELETE", "/api/v3/order", params=names)
        return len(open_orders)


async def main() -> None:
    """Quote some rounds, then have a drill."""
    with guarded_market() as (guard, url):
        async with hauberk.clients.aiohttp.session(guard, "main", base_url=url) as session:
            maker = Maker(session)
            guard.register(maker)
            for number in range(ROUNDS):
                await maker.quote()
                print(f"round {number + 1}: quoted on both sides")
            incident = await guard.areport("a drill", hauberk.Severity.HIGH)
            for outcome in incident.outcomes:
                print(f"{outcome.plugin}: {outcome.did}")
            try:
                await maker.quote()
            except hauberk.Denied as denied:
                print(f"the bot stopped: {denied}")


if __name__ == "__main__":
    asyncio.run(main())
