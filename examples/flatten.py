"""A bot that sells what it holds when something is wrong: `python examples/flatten.py [SEVERITY]`.

A HIGH incident leaves reading, cancelling, and orders that the venue's file knows only to reduce;
`venues/holdings.yml` says that of every sale. A CRITICAL one leaves nothing at all.
"""

from __future__ import annotations

import sys
from decimal import Decimal

import httpx
from quoting import QUANTITY, ROUNDS, SYMBOL
from sandbox_market import guarded_market

import hauberk
import hauberk.clients.httpx


class Holder(hauberk.Plugin):
    """Buys, and sells all of it when something is wrong."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.held = Decimal(0)

    @hauberk.hookimpl
    def on_incident(self, incident: hauberk.Incident) -> hauberk.Outcome | None:
        """Flatten; this runs once the kill switch has acted, and says honestly how it went."""
        if incident.severity < hauberk.Severity.HIGH or not self.held:
            return None
        try:
            return hauberk.Outcome(f"sold {self.sell_all():f} {SYMBOL}")
        except hauberk.Denied as denied:
            return hauberk.Outcome(f"still holds {self.held:f} {SYMBOL}: {denied.reason}", ok=False)

    def buy(self) -> None:
        """Buy a little."""
        self.held += self.trade("BUY", QUANTITY)

    def sell_all(self) -> Decimal:
        """Sell everything; return how much that was."""
        sold = self.trade("SELL", str(self.held))
        self.held -= sold
        return sold

    def trade(self, side: str, quantity: str) -> Decimal:
        """Trade at the market's price; return how much was."""
        order = {"symbol": SYMBOL, "side": side, "type": "MARKET", "quantity": quantity}
        answer = self.client.post("/api/v3/order", data=order).raise_for_status()
        return Decimal(answer.json()["executedQty"])


def main(severity: str = "HIGH") -> None:
    """Buy some rounds, then have a drill."""
    with (
        guarded_market(venue="holdings") as (guard, url),
        hauberk.clients.httpx.client(guard, account="main", base_url=url) as client,
    ):
        holder = Holder(client)
        guard.register(holder)  # while it runs; nothing of it stands in hauberk.yml
        for _ in range(ROUNDS):
            holder.buy()
        print(f"holds {holder.held:f} {SYMBOL}")
        incident = guard.report("a drill", hauberk.Severity[severity])
        for outcome in incident.outcomes:
            print(f"{outcome.plugin}: {outcome.did}")
        try:
            holder.buy()
        except hauberk.Denied as denied:
            print(f"it buys no more: {denied}")
        print(f"holds {holder.held:f} {SYMBOL}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
