"""ccxt behind Hauberk beside bare ccxt: the way to the wire, and requests a second over HTTP.

Both run in one process of ccxt's own environment, `.venv-ccxt`, made where it is missing; the
sandbox runs in another. Windows are wide, so that nothing waits, and ccxt's own rate is no limit
either: what is measured is the work. No recorder is on.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _rounds import figure, one_by_one

ROOT = Path(__file__).parents[1]
KEY, SECRET = "k" * 64, "s" * 64
CONFIG = """\
state: state
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {{venue: binance, key: env:BENCH_KEY, secret: env:BENCH_SECRET, base_url: "{url}"}}
throttle:
  windows:
    binance:
      - {{name: weight, kind: calendar, scope: ip, seconds: 60, size: 100000000, counts: weight}}
      - {{name: orders, kind: rolling, scope: account, seconds: 10, size: 100000000, counts: orders}}
"""  # noqa: E501  # fmt: skip
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
ORDER = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
    "quantity": "0.001", "price": "60000.00", "newClientOrderId": "bench-1",
}  # fmt: skip
CALLS, ROUNDS, EACH = 10_000, 15, 60


def main() -> None:
    try:
        import ccxt  # noqa: F401
    except ImportError:
        subprocess.run(["make", "--silent", ".venv-ccxt/.made"], cwd=ROOT, check=True)
        peer = str(ROOT / ".venv-ccxt" / "bin" / "python")
        raise SystemExit(subprocess.run([peer, __file__]).returncode) from None
    os.environ.update(BENCH_KEY=KEY, BENCH_SECRET=SECRET)
    with subprocess.Popen(
        [sys.executable, "-c", SANDBOX, KEY, SECRET],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as sandbox, tempfile.TemporaryDirectory() as folder:  # fmt: skip
        path = Path(folder, "hauberk.yml")
        url = sandbox.stdout.readline().strip()
        path.write_text(CONFIG.format(url=url), encoding="utf-8")
        measure(path, url)
        sandbox.stdin.close()


def measure(path: Path, url: str) -> None:
    import ccxt

    import hauberk
    import hauberk.clients.ccxt

    bare = ccxt.binance({"apiKey": KEY, "secret": SECRET})
    bare.urls["api"] = {
        name: str(at).replace("https://api.binance.com", url)
        for name, at in bare.urls["api"].items()
    }
    bare.rateLimit = 0
    with hauberk.open(path) as guard:
        guarded = hauberk.clients.ccxt.guarded(ccxt.binance(), guard)
        order_url = f"{url}/api/v3/order"

        def throttled_and_signed() -> None:
            cost = bare.calculate_rate_limiter_cost(["private"], "POST", "order", ORDER, {})
            bare.throttle(cost)
            bare.set_last_rest_request_timestamp()
            bare.sign("order", ["private"], "POST", dict(ORDER))

        value, peer = one_by_one(
            lambda: guard.clear(hauberk.Request("POST", order_url, ORDER)),
            throttled_and_signed,
            CALLS,
        )
        name = "ccxt's throttle + sign"
        figure("an order cleared", value * 1e6, "us", name, peer * 1e6, "<= 1.0")
        bare.enableRateLimit = False
        seen = {"symbol": "BTCUSDT"}
        for what, call in (
            ("signed GETs through ccxt", lambda one: one.privateGetOpenOrders(dict(seen))),
            ("test orders through ccxt", lambda one: one.privatePostOrderTest(dict(ORDER))),
        ):
            ours, theirs = rates(lambda: call(guarded), lambda: call(bare))  # noqa: B023
            figure(what, ours, "requests/s", "bare ccxt", theirs, ">= 0.9")


def rates(subject: object, peer: object) -> tuple[float, float]:
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for function, rounds in zip((subject, peer), took, strict=True):
            began = time.perf_counter()
            for _ in range(EACH):
                function()
            rounds.append(EACH / (time.perf_counter() - began))
    return statistics.median(took[0]), statistics.median(took[1])


if __name__ == "__main__":
    main()
