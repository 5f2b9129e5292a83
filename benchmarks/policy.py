"""What policy costs a Binance limit order: symbols, a cap of an order and one of a day.

Beside it, in turn, the same plugin with nothing but capabilities to judge by. Both are called as
the kernel calls them, with a request of another id each time, and told that it left. The
days are kept in a store in memory: blocks are reserved ahead, so that the store hardly counts.
"""

import itertools

from hauberk import Operation, Request
from hauberk.accounts import Account
from hauberk.testing import make_guard
from hauberk.testing.guards import Providers
from hauberk_plugins.policy.config import PolicyConfig
from hauberk_plugins.policy.plugin import PolicyPlugin
from hauberk_plugins.venues.catalogue import VenueCatalogue

from _rounds import figure, in_turn

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "60000.00",
    "newClientOrderId": "bench-1",
}
CALLS = 5_000


def started(config: PolicyConfig) -> PolicyPlugin:
    """Return the plugin of a guard that is open."""
    providers = Providers()
    providers.venues = VenueCatalogue()
    plugin = PolicyPlugin(config)
    make_guard(
        ("policy", plugin),
        providers=providers,
        accounts={"main": Account("binance")},
        grants={"policy": ("venues", "store")},
    )
    return plugin


def main() -> None:
    judging = started(
        PolicyConfig(
            symbols=("BTCUSDT", "ETHUSDT"), max_order="5000 USDT", max_day="900000000000 USDT"
        )
    )
    bare = started(PolicyConfig())
    ids = itertools.count()
    order = Request("POST", "https://api.binance.com/api/v3/order", ORDER)

    def asked(plugin: PolicyPlugin) -> None:
        request = order.stamped(str(next(ids)), Operation.TRADE)
        assert plugin.on_request(request) is None  # else it measures denials
        plugin.on_end(request, True, "")

    value, peer = in_turn(lambda: asked(judging), lambda: asked(bare), CALLS)
    figure(
        "policy of a Binance order: symbols, order cap, day cap",
        (value - peer) * 1e6, "us more than capabilities alone",
        "capabilities alone, with the making of the request", peer * 1e6, "under 6 us more",
    )  # fmt: skip


if __name__ == "__main__":
    main()
