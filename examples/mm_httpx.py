"""A market-making bot on httpx: `python examples/mm_httpx.py`."""

from __future__ import annotations

from decimal import Decimal

import httpx
from quoting import QUANTITY, ROUNDS, SYMBOL, quotes
from sandbox_market import guarded_market

import hauberk
import hauberk.clients.httpx


class Maker(hauberk.Plugin):
    """Quotes on both sides, and takes its quotes back when something is wrong."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
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
    def on_incident(self, incident: hauberk.Incident) -> hauberk.Outcome | None:
        """Flatten: cancels pass in a restricted guard."""
        if incident.severity < hauberk.Severity.HIGH:
            return None
        self.is_stopped = True
        return hauberk.Outcome(f"cancelled {self.cancel_all()} orders")

    def quote(self) -> None:
        """Replace both quotes."""
        book = self.client.get("/api/v3/depth", params={"symbol": SYMBOL, "limit": 5})
        top = book.raise_for_status().json()
        bid, ask = Decimal(top["bids"][0][0]), Decimal(top["asks"][0][0])
        self.cancel_all()
        for side, price in quotes(bid, ask).items():
            order = {"symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": "GTC",
                     "quantity": QUANTITY, "price": str(price)}  # fmt: skip
            self.client.post("/api/v3/order", data=order).raise_for_status()

    def cancel_all(self) -> int:
        """Cancel what is open; return how many there were."""
        open_orders = self.client.get("/api/v3/openOrders", params={"symbol": SYMBOL}).json()
        for order in open_orders:
            names = {"symbol": SYMBOL, "orderId": order["orderId"]}
            self.client.delete("/api/v3/order", params=names).raise_for_status()
        return len(open_orders)


def main() -> None:
    """Quote some rounds, then have a drill."""
    with (
        guarded_market() as (guard, url),
        hauberk.clients.httpx.client(guard, account="main", base_url=url) as client,
    ):
        maker = Maker(client)
        guard.register(maker)
        for number in range(ROUNDS):
            maker.quote()
            print(f"round {number + 1}: quoted on both sides")
        incident = guard.report("a drill", hauberk.Severity.HIGH)
        for outcome in incident.outcomes:
            print(f"{outcome.plugin}: {outcome.did}")
        try:
            maker.quote()
        except hauberk.Denied as denied:
            print(f"the bot stopped: {denied}")


if __name__ == "__main__":
    main()
