"""A market-making bot on ccxt: `python examples/mm_ccxt.py`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt  # type: ignore[import-not-found,unused-ignore]
from quoting import QUANTITY, ROUNDS, quotes
from sandbox_market import guarded_market

import hauberk
import hauberk.clients.ccxt

SYMBOL = "BTC/USDT"
#: The sandbox trades spot and has nothing else.
OPTIONS = {"fetchMargins": False, "fetchMarkets": {"types": ["spot"]}}


class Maker(hauberk.Plugin):
    """Quotes on both sides, and takes its quotes back when something is wrong."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange
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
        book = self.exchange.fetch_order_book(SYMBOL, 5)
        bid, ask = (Decimal(str(book[side][0][0])) for side in ("bids", "asks"))
        self.cancel_all()
        for side, price in quotes(bid, ask).items():
            amount = float(QUANTITY)
            self.exchange.create_order(SYMBOL, "limit", side.lower(), amount, float(price))

    def cancel_all(self) -> int:
        """Cancel what is open; return how many there were."""
        open_orders = self.exchange.fetch_open_orders(SYMBOL)
        for order in open_orders:
            self.exchange.cancel_order(order["id"], SYMBOL)
        return len(open_orders)


def main() -> None:
    """Quote some rounds, then have a drill."""
    with guarded_market() as (guard, _):
        exchange = ccxt.binance({"options": OPTIONS})
        exchange.has["fetchCurrencies"] = False
        maker = Maker(hauberk.clients.ccxt.guarded(exchange, guard, account="main"))
        guard.register(maker)
        for number in range(ROUNDS):
            maker.quote()
            print(f"round {number + 1}: quoted on both sides")
        incident = guard.report("a drill", hauberk.Severity.HIGH)
        for outcome in incident.outcomes:
            print(f"{outcome.plugin}: {outcome.did}")
        try:
            maker.quote()
        except ccxt.PermissionDenied as denied:
            print(f"the bot stopped: {denied}")


if __name__ == "__main__":
    main()
