"""ccxt behind Hauberk beside bare ccxt: the way to the wire, and requests a second over HTTP.

Both run in one process of ccxt's own environment, `.venv-ccxt-newest`, made where it is missing;
the sandbox runs in another. Windows are wide, so that nothing waits, and ccxt's own rate is no
limit either: what is measured is the work.

An order has another price and another id each time, as a bot's has. Caps of an order and of a day
are in force, the day's reserved in blocks in the store. A machine that is busy with something else
does not count as a slow guard, after which every guard would be timed. No recorder is on, but for
the durable path, where the audit forces the intent to the disk before anything is signed: it is
measured beside a bare append with `fdatasync` of as many records.
"""

import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from _rounds import figure, one_by_one

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ".venv-ccxt-newest"
KEY, SECRET = "k" * 64, "s" * 64
CONFIG = """\
state: state
plugins: [{plugins}]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {{venue: binance, key: env:BENCH_KEY, secret: env:BENCH_SECRET, base_url: "{url}"}}
policy: {{max_order: 5000 USDT, max_day: 900000000000 USDT}}
throttle:
  windows:
    binance:
      - {{name: weight, kind: calendar, scope: ip, seconds: 60, size: 100000000, counts: weight}}
      - {{name: orders, kind: rolling, scope: account, seconds: 10, size: 100000000, counts: orders}}
encryption: {{passphrase: env:BENCH_SECRET}}
kernel: {{warn_after_s: 30, deny_after_s: 60}}
"""  # noqa: E501  # fmt: skip
GUARDS = "killswitch, policy, bots, throttle, signing"
SANDBOX = """
import sys
from hauberk_plugins.sandbox import Limit, SandboxExchange, SandboxServer
wide = Limit(10**8, 60)
exchange = SandboxExchange(weight_limit=wide, order_limits=(wide,))
exchange.add_key(sys.argv[1], sys.argv[2])
with SandboxServer(exchange) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
IDS = itertools.count(1)
CALLS, ROUNDS, EACH, DURABLE = 10_000, 15, 60, 200


def order() -> dict[str, str]:
    """Return an order such as no other."""
    number = next(IDS)
    return {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "0.001", "price": f"{60_000 + number % 5_000}.00",
        "newClientOrderId": f"bench-{number}",
    }  # fmt: skip


def main() -> None:
    try:
        import ccxt  # noqa: F401

        import hauberk  # noqa: F401
    except ImportError:
        subprocess.run(["make", "--silent", f"{ENVIRONMENT}/.made"], cwd=ROOT, check=True)
        peer = str(ROOT / ENVIRONMENT / "bin" / "python")
        raise SystemExit(subprocess.run([peer, __file__]).returncode) from None
    os.environ.update(BENCH_KEY=KEY, BENCH_SECRET=SECRET)
    with subprocess.Popen(
        [sys.executable, "-c", SANDBOX, KEY, SECRET],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as sandbox, tempfile.TemporaryDirectory(dir=".") as folder:  # fmt: skip
        url = sandbox.stdout.readline().strip()
        clearing(configured(Path(folder, "plain"), url, GUARDS), url)
        durably(configured(Path(folder, "durable"), url, f"{GUARDS}, audit"), url)
        through_ccxt(configured(Path(folder, "ccxt"), url, GUARDS), url)
        asyncio.run(through_async_ccxt(configured(Path(folder, "async"), url, GUARDS), url))
        sandbox.stdin.close()


def configured(folder: Path, url: str, plugins: str) -> Path:
    folder.mkdir()
    path = folder / "hauberk.yml"
    path.write_text(CONFIG.format(url=url, plugins=plugins), encoding="utf-8")
    return path


def keyed(exchange: Any, url: str) -> Any:
    """Have an exchange of ccxt sign by itself, and go to the sandbox."""
    exchange.apiKey, exchange.secret = KEY, SECRET
    exchange.urls["api"] = {
        name: str(at).replace("https://api.binance.com", url)
        for name, at in exchange.urls["api"].items()
    }
    exchange.rateLimit = 0
    return exchange


def clearing(path: Path, url: str) -> None:
    """An order cleared, beside ccxt's throttle and signature of one."""
    import ccxt

    import hauberk

    bare = keyed(ccxt.binance(), url)

    def throttled_and_signed() -> None:
        asked = order()
        cost = bare.calculate_rate_limiter_cost(["private"], "POST", "order", asked, {})
        bare.throttle(cost)
        bare.set_last_rest_request_timestamp()
        bare.sign("order", ["private"], "POST", asked)

    with hauberk.open(path) as guard:
        value, peer = one_by_one(
            lambda: guard.clear(hauberk.Request("POST", f"{url}/api/v3/order", order())),
            throttled_and_signed,
            CALLS,
        )
    name = "ccxt's throttle + sign"
    figure("an order cleared", value * 1e6, "us", name, peer * 1e6, "<= 1.0")


def durably(path: Path, url: str) -> None:
    """The same with the audit on, beside what forces two records to the disk."""
    import hauberk

    bare = os.open(path.parent / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append() -> None:
        for _ in range(2):  # the intent, and that it left
            os.write(bare, b"x" * 512)
            os.fdatasync(bare)

    with hauberk.open(path) as guard:
        value, peer = one_by_one(
            lambda: guard.clear(hauberk.Request("POST", f"{url}/api/v3/order", order())),
            append,
            DURABLE,
        )
    os.close(bare)
    name = "two records forced to the disk"
    figure("an order cleared, durably", value * 1e6, "us", name, peer * 1e6, "reported")


def through_ccxt(path: Path, url: str) -> None:
    """Requests a second, one after the other."""
    import ccxt

    import hauberk
    import hauberk.clients.ccxt

    bare = keyed(ccxt.binance(), url)
    bare.enableRateLimit = False
    with hauberk.open(path) as guard:
        guarded = hauberk.clients.ccxt.guarded(ccxt.binance(), guard)
        for what, call in (
            (
                "signed GETs through ccxt",
                lambda one: one.privateGetOpenOrders({"symbol": "BTCUSDT"}),
            ),
            ("test orders through ccxt", lambda one: one.privatePostOrderTest(order())),
        ):
            ours, theirs = rates(lambda: call(guarded), lambda: call(bare))  # noqa: B023
            figure(what, ours, "requests/s", "bare ccxt", theirs, ">= 0.9")


async def through_async_ccxt(path: Path, url: str) -> None:
    """Requests a second, many at once."""
    from ccxt import async_support

    import hauberk
    import hauberk.clients.ccxt

    bare = keyed(async_support.binance(), url)
    bare.enableRateLimit = False
    with hauberk.open(path) as guard:
        guarded = hauberk.clients.ccxt.guarded(async_support.binance(), guard)
        ours, theirs = await rates_together(
            lambda: guarded.privatePostOrderTest(order()),
            lambda: bare.privatePostOrderTest(order()),
        )
        await guarded.close()
    await bare.close()
    name = "test orders through async ccxt"
    figure(name, ours, "requests/s", "bare ccxt", theirs, ">= 0.9")


def rates(subject: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for function, rounds in zip((subject, peer), took, strict=True):
            began = time.perf_counter()
            for _ in range(EACH):
                function()
            rounds.append(EACH / (time.perf_counter() - began))
    return statistics.median(took[0]), statistics.median(took[1])


async def rates_together(
    subject: Callable[[], Awaitable[object]], peer: Callable[[], Awaitable[object]]
) -> tuple[float, float]:
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for function, rounds in zip((subject, peer), took, strict=True):
            began = time.perf_counter()
            await asyncio.gather(*[function() for _ in range(EACH)])
            rounds.append(EACH / (time.perf_counter() - began))
    return statistics.median(took[0]), statistics.median(took[1])


if __name__ == "__main__":
    main()
