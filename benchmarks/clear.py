"""`guard.clear` of a Binance order beside the signing core alone, and where the time goes.

The guard is opened from a file with kill switch, policy, throttle and signing; no recorder is on.
Windows are wide, so that nothing waits. Two figures: a ready `Request` cleared, beside the same one
signed; and an order made from its fields, as a bot makes each, on both sides. They are called in
turn, one by one, as a bot would: neither runs in a loop of its own.
"""

import itertools
import os
import tempfile
import time
from pathlib import Path

import hauberk
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner

from _rounds import figure, one_by_one

CONFIG = """\
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {venue: binance, key: env:BENCH_KEY, secret: env:BENCH_SECRET}
throttle:
  windows:
    binance:
      - {name: weight, kind: calendar, scope: ip, seconds: 60, size: 100000000, counts: weight}
      - {name: orders, kind: rolling, scope: account, seconds: 10, size: 100000000, counts: orders}
"""
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "60000.00",
    "newClientOrderId": "bench-1",
}
CALLS = 10_000


def main() -> None:
    os.environ.update(BENCH_KEY="k" * 64, BENCH_SECRET="s" * 64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hauberk.yml")
        path.write_text(CONFIG, encoding="utf-8")
        with hauberk.open(path, transient=True) as guard:
            measure(guard)


def measure(guard: hauberk.Guard) -> None:
    request = hauberk.Request("POST", "https://api.binance.com/api/v3/order", ORDER)
    plugins = {part.name: part.plugin for part, _ in guard.snapshot.parts}
    credentials = plugins["keys"].manager.credentials("main")
    venue = plugins["venues"].catalogue.venue("binance")
    core = RequestSigner(read_scheme(venue))
    judged = guard.clear(request).judged

    def order() -> hauberk.Request:
        return hauberk.Request("POST", "https://api.binance.com/api/v3/order", ORDER)

    value, peer = one_by_one(
        lambda: guard.clear(order()),
        lambda: core.sign(order(), credentials, time.time_ns()),
        CALLS,
    )
    figure("an order cleared", value * 1e6, "us", "the order signed", peer * 1e6, "reported")
    value, peer = one_by_one(
        lambda: guard.clear(request), lambda: core.sign(judged, credentials, time.time_ns()), CALLS
    )
    figure("guard.clear", value * 1e6, "us", "RequestSigner.sign", peer * 1e6, "<= 4")
    ids = itertools.count()
    for part, hooks in guard.snapshot.parts:
        calls = [
            (hooks[hook].function, (True, "") if hook == "on_end" else ())
            for hook in ("on_request", "sign_request", "on_end")
            if hook in hooks
        ]

        def whole(calls=calls):
            fresh = judged.stamped(f"bench-{next(ids)}", judged.operation)
            for function, rest in calls:
                function(fresh, *rest)

        if calls:
            alone, clear = one_by_one(whole, lambda: guard.clear(request), CALLS)
            name = f"share of {part.name}"
            figure(name, alone * 1e6, "us", "guard.clear", clear * 1e6, "reported")


if __name__ == "__main__":
    main()
