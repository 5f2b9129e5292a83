"""`hauberk demo`: a bot trades through Hauberk on a sandbox, and what must not leave does not.

Everything is real but the exchange: HTTP on loopback, signatures, limits, refusals.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict

from hauberk.cli.answer import Answer, table
from hauberk.cli.demo_bot import Bot, Prudence
from hauberk.cli.demo_promises import PROMISES, Exchange, Row, Scale, Story, unkept
from hauberk.cli.options import Options
from hauberk.errors import Denied
from hauberk.records import Incident, Severity
from hauberk.request import Request

if TYPE_CHECKING:
    from hauberk.guard import Guard
    from hauberk_plugins.sandbox import SandboxServer

#: Small, so that pacing is seen.
SCALE: Final = Scale()
_KEY, _SECRET = "demo-key-not-a-real-one", "demo-secret-not-a-real-one"

_CONFIG: Final = """\
state: hauberk-state
plugins: [killswitch, policy, bots, throttle, signing, logs]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {{venue: binance, key: env:DEMO_KEY, secret: env:DEMO_SECRET, base_url: "{url}"}}
keys: {{dotenv: "{dotenv}"}}
throttle:
  jitter_ms: {jitter_ms}
  windows:
    binance:
      - {{name: weight, kind: calendar, scope: ip, seconds: {weight_s}, size: {weight}, counts: weight}}
      - {{name: orders, kind: rolling, scope: account, seconds: {orders_s}, size: {orders}, counts: orders}}
logs: {{format: json, file: "{log}"}}
"""  # noqa: E501


def demo(*, options: Options = Options()) -> Answer:
    """Trade on a sandbox exchange for a quarter of a minute and show what Hauberk did.

    Nothing outside this machine is reached and nothing is left behind. For example:
        hauberk demo
    """
    say: Callable[[str], object] = (
        (lambda _: None) if options.json else lambda text: print(text, flush=True)  # noqa: T201
    )
    return perform(SCALE, say)


def perform(scale: Scale, say: Callable[[str], object]) -> Answer:
    """Do it all; the answer is yes only if every promise came true."""
    folder = tempfile.TemporaryDirectory(prefix="hauberk-demo-")
    with folder as name, _exchange(scale) as server:
        from hauberk import open as open_guard

        with open_guard(_configure(Path(name), server.url, scale)) as guard:
            story = _story(scale, guard, server, say)
    broken = unkept(story)
    document: dict[str, Any] = {
        "rows": [asdict(row) for row in story.rows.values()],
        "exchange": asdict(story.exchange),
        "unkept": broken,
    }
    return Answer(document, lambda: _closing(story, broken), not broken)


def _story(
    scale: Scale, guard: Guard, server: SandboxServer, say: Callable[[str], object]
) -> Story:
    bot, prudence = Bot(guard, server.url), Prudence()
    guard.register(prudence, name="prudence")
    say(f"A sandbox exchange listens on {server.url}: {scale.weight} weight in {scale.weight_s} s, "
        f"{scale.orders} orders in {scale.orders_s} s.")  # fmt: skip
    rows = _trade(scale, bot, say)
    rows |= _overreach(bot, say)
    more, incident = _stop(guard, bot, say)
    return Story(
        scale,
        rows | more,
        {outcome.plugin: outcome.did for outcome in incident.outcomes},
        prudence.is_paused,
        _seen(server),
    )


def _trade(scale: Scale, bot: Bot, say: Callable[[str], object]) -> dict[str, Row]:
    loop, burst = f"{scale.loop} orders in a loop", f"{scale.burst} orders at once, asyncio"
    say(f"The bot sends {scale.loop} orders as fast as it can; Hauberk paces them …")
    rows = {"loop": _each(loop, scale.loop, lambda: bot.send(bot.order()))}
    say(f"… and {scale.burst} at once from asyncio, under the same budget …")
    rows["burst"] = _at_once(burst, scale.burst, bot)
    return rows


def _overreach(bot: Bot, say: Callable[[str], object]) -> dict[str, Row]:
    say("It tries what its account may not do, or it should not …")
    withdraw = {"coin": "BTC", "address": "bc1qattacker", "amount": "2"}
    tries = {
        "withdrawal": (
            "a withdrawal", bot.request("POST", "/sapi/v1/capital/withdraw/apply", **withdraw)
        ),
        "unknown": ("an endpoint that no map knows", bot.request("POST", "/sapi/v1/anything")),
        "elsewhere": (
            "the same key at another host",
            Request("GET", "https://api.binance.com.evil.example/api/v3/account"),
        ),
        "large": ("an order of 50 BTC", bot.order("50")),
    }  # fmt: skip
    return {name: _once(what, bot, request) for name, (what, request) in tries.items()}


def _stop(guard: Guard, bot: Bot, say: Callable[[str], object]) -> tuple[dict[str, Row], Incident]:
    say("Something is wrong: the bot reports a HIGH incident …")
    bot.send(bot.request("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="LIMIT",
                         timeInForce="GTC", quantity="0.001", price="30000.00"))  # fmt: skip
    resting = bot.last["orderId"]
    incident = guard.report("runaway loop", Severity.HIGH, {"symbol": "BTCUSDT"})
    for outcome in incident.outcomes:
        say(f"  {outcome.plugin}: {outcome.did} ({outcome.took_ns / 1e6:.2f} ms)")
    cancel = bot.request("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=resting)
    rows = {
        "order": _once("an order after HIGH", bot, bot.order()),
        "cancel": _once("a cancel after HIGH", bot, cancel),
    }
    say("… and then a CRITICAL one: nothing leaves any more.")
    guard.report("key seen in a public repository", Severity.CRITICAL)
    look = bot.request("GET", "/api/v3/openOrders", symbol="BTCUSDT")
    rows["anything"] = _once("anything after CRITICAL", bot, look)
    return rows, incident


def _seen(server: SandboxServer) -> Exchange:
    exchange = server.exchange
    return Exchange(
        # Signing asks for the exchange's time by itself, once in a while.
        requests=sum(one.path != "/api/v3/time" for one in exchange.arrivals),
        orders=len(exchange.orders("main")),
        answered_429=exchange.answered(429) + exchange.answered(418),
        withdrawals=len(exchange.withdrawals),
    )


def _once(what: str, bot: Bot, request: Request) -> Row:
    return _each(what, 1, lambda: bot.send(request))


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
    if status == 200:
        row.answered += 1
    else:
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
def _exchange(scale: Scale) -> Iterator[SandboxServer]:
    from hauberk_plugins.sandbox import Limit, SandboxExchange, SandboxServer

    exchange = SandboxExchange(
        weight_limit=Limit(scale.weight, scale.weight_s),
        order_limits=(Limit(scale.orders, scale.orders_s),),
    )
    # This key could withdraw. That it never does is Hauberk's doing.
    exchange.add_key(_KEY, _SECRET, may=("read", "trade", "withdraw"))
    with SandboxServer(exchange) as server:
        yield server


def _configure(folder: Path, url: str, scale: Scale) -> Path:
    dotenv = folder / ".env"
    dotenv.touch(0o600)
    dotenv.write_text(f"DEMO_KEY={_KEY}\nDEMO_SECRET={_SECRET}\n", encoding="utf-8")
    config = folder / "hauberk.yml"
    config.write_text(
        _CONFIG.format(url=url, dotenv=dotenv, log=folder / "events.jsonl", **asdict(scale)),
        encoding="utf-8",
    )
    return config


def _closing(story: Story, broken: list[str]) -> Any:
    from rich.console import Group
    from rich.text import Text

    rows, exchange = story.rows.values(), story.exchange
    drawn = table(
        "What the bot tried, and what became of it",
        ("what", "tried", "left", "refused", "seconds", "refused by"),
        [(r.what, r.tried, r.left, r.refused, f"{r.seconds:.2f}", r.by) for r in rows],
    )
    reasons = Text("\n".join(f"{r.by}: {r.why}" for r in rows if r.why), style="dim")
    verdict = (
        f"\nThe exchange took {exchange.orders} orders, had to answer 429 or 418 "
        f"{exchange.answered_429} times, and saw {exchange.withdrawals} withdrawals."
    )
    if broken:
        kept = Text("Not as promised: " + "; ".join(broken), style="bold red")
    else:
        kept = Text(f"All {len(PROMISES)} promises were kept.", style="green")
    return Group(Text(), drawn, Text("\nThe reasons given:"), reasons, Text(verdict), kept)
