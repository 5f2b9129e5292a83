"""ccxt's exchanges behind a guard, on the sandbox; runs where ccxt is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ccxt.pro
import pytest

import hauberk
import hauberk.clients.ccxt
from hauberk_plugins.sandbox import Limit, SandboxExchange, SandboxServer

KEY, SECRET = "canarykey" + "k" * 55, "canarysecret" + "s" * 52
KINDS = {"sync": ccxt.binance, "async": ccxt.async_support.binance, "pro": ccxt.pro.binance}
#: What the sandbox has.
OPTIONS = {"fetchMargins": False, "fetchCurrencies": False, "fetchMarkets": {"types": ["spot"]}}
CONFIG = """\
state: state
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {{venue: binance, key: env:CANARY_KEY, secret: env:CANARY_SECRET, base_url: "{url}"}}
throttle:
  jitter_ms: 0
  windows:
    binance:
      - {{name: weight, kind: rolling, scope: ip, seconds: {seconds}, size: 90000, counts: weight}}
      - {{name: orders, kind: rolling, scope: account, seconds: {seconds}, size: {orders}, counts: orders}}
signing: {{sample_clock: false}}
"""  # noqa: E501


class Market(NamedTuple):
    exchange: SandboxExchange
    server: SandboxServer

    @property
    def url(self) -> str:
        return self.server.url

    def paths(self) -> list[tuple[str, str, int]]:
        return [(one.method, one.path, one.code) for one in self.exchange.arrivals]


@pytest.fixture
def market() -> Iterator[Market]:
    exchange = SandboxExchange(weight_limit=Limit(100_000, 60), order_limits=(Limit(10_000, 60),))
    exchange.add_key(KEY, SECRET, may=("read", "trade", "withdraw"))
    with SandboxServer(exchange) as server:
        yield Market(exchange, server)


@pytest.fixture
def open_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., hauberk.Guard]]:
    monkeypatch.setenv("CANARY_KEY", KEY)
    monkeypatch.setenv("CANARY_SECRET", SECRET)
    opened: list[hauberk.Guard] = []

    def make(url: str, clock: Any = None, *, orders: int = 9_000, seconds: int = 60) -> Any:
        path = tmp_path / "hauberk.yml"
        path.write_text(CONFIG.format(url=url, orders=orders, seconds=seconds))
        opened.append(hauberk.open(path, clock=clock))
        return opened[-1]

    yield make
    for guard in opened:
        guard.close()


class Bot:
    """An exchange of ccxt, asked in the same words whether it is of asyncio or not."""

    def __init__(self, kind: str, guard: hauberk.Guard, **options: Any) -> None:
        self.runner = asyncio.Runner()
        self.is_async = kind != "sync"
        made = KINDS[kind]({"options": OPTIONS, **options})
        made.has["fetchCurrencies"] = False
        made.timeout_on_exit = 0
        self.exchange = hauberk.clients.ccxt.guarded(made, guard)
        self("load_markets")

    def __call__(self, method: str, *args: Any, **options: Any) -> Any:
        called = getattr(self.exchange, method)
        if not self.is_async:
            return called(*args, **options)

        async def go() -> Any:
            return await called(*args, **options)

        return self.runner.run(go())

    def order(self, price: float = 30_000) -> Any:
        return self("create_order", "BTC/USDT", "limit", "buy", 0.001, price)

    def close(self) -> None:
        if self.is_async:
            self.runner.run(self.exchange.close())
        self.runner.close()


@pytest.fixture(params=list(KINDS))
def bot(request: pytest.FixtureRequest) -> Iterator[Callable[..., Bot]]:
    made: list[Bot] = []

    def make(guard: hauberk.Guard, **options: Any) -> Bot:
        made.append(Bot(request.param, guard, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
