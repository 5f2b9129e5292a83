"""The bot of `hauberk demo`: it trades, sends what it was cleared to, and has hooks of its own."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import define, field

from hauberk.cli.demo_story import Alarm
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Incident, Outcome, Severity
from hauberk.request import Request, Response
from hauberk.verdicts import Deny

if TYPE_CHECKING:
    from hauberk.guard import Guard


class Prudence(Plugin):
    """The bot's own hooks: a limit that is its business alone, and what it does on an incident."""

    def __init__(self) -> None:
        self.is_paused = False
        self.alarms: list[Alarm] = []

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        """No single order above one coin."""
        quantity = dict(request.params).get("quantity", "0")
        return Deny("the bot trades at most 1 BTC an order") if float(quantity) > 1 else None

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome | None:
        """Pause the strategy, where it is bad."""
        did = {outcome.plugin: outcome.did for outcome in incident.outcomes}
        heard = Alarm(incident.source, incident.title, incident.severity.name, did)
        self.alarms.append(heard)
        if incident.severity < Severity.HIGH:
            return None
        self.is_paused = True
        return Outcome("the bot paused its strategy")


@define
class Bot:
    """A small trading bot: builds requests, has them cleared, sends them as they are.

    Attributes:
        guard: What clears them.
        url: Where the exchange is.
        account: Whose requests they are.
        last: The last answer to `send`.
    """

    guard: Guard
    url: str
    account: str = "main"
    last: Any = field(init=False, default=None)

    def request(self, method: str, path: str, **params: Any) -> Request:
        """Build a request."""
        return Request(method, self.url + path, params, account=self.account)

    def order(self, quantity: str = "0.001") -> Request:
        """Build a market order."""
        return self.request(
            "POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity=quantity
        )

    def resting(self) -> Request:
        """Build an order that rests at the exchange: far from the market."""
        return self.request("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="LIMIT",
                            timeInForce="GTC", quantity="0.001", price="30000.00")  # fmt: skip

    def send(self, request: Request) -> int:
        """Have a request cleared, send it, settle it; return the exchange's status."""
        cleared = self.guard.clear(request)
        response = _sent(cleared.request)
        self.guard.settle(cleared, response)
        self.last = json.loads(response.body)
        return response.status

    async def asend(self, request: Request) -> int:
        """The same for asyncio."""
        cleared = await self.guard.aclear(request)
        response = await asyncio.to_thread(_sent, cleared.request)
        self.guard.settle(cleared, response)
        return response.status


def _sent(signed: Request) -> Response:
    parts = urlsplit(signed.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        target = signed.url[len(f"{parts.scheme}://{parts.netloc}") :]
        connection.request(signed.method, target, signed.body, dict(signed.headers))
        answer = connection.getresponse()
        return Response(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()
