"""Asking n no-op guards, with everything on, beside pluggy's own call of the same plugins."""

import time

import pluggy

from hauberk.dispatch import ask
from hauberk.frames import Frame
from hauberk.hooks import Plugin, hookimpl
from hauberk.registry import Part, implementations
from hauberk.request import Request
from hauberk.watch import Watch

from _rounds import figure, in_turn

GOALS = {1: "reported", 5: "<= 0.7", 10: "<= 0.6"}


class NoObjection(Plugin):
    @hookimpl
    def on_request(self, request):
        return None


def main() -> None:
    request = Request("POST", "https://api.binance.com/api/v3/order", {"symbol": "BTCUSDT"})
    watch = Watch(time.monotonic_ns, warn_ns=10**8, deny_ns=2 * 10**9)
    for count, goal in GOALS.items():
        names = [f"guard{n}" for n in range(count)]
        guards = tuple(implementations(Part(name, NoObjection()))["on_request"] for name in names)
        manager = pluggy.PluginManager("hauberk")
        manager.add_hookspecs(Plugin)
        for name in names:
            manager.register(NoObjection(), name)
        frame = Frame()
        value, peer = in_turn(
            lambda guards=guards, frame=frame: ask(guards, request, frame, watch),
            lambda manager=manager: manager.hook.on_request(request=request),
            20_000,
        )
        figure(f"ask {count} guards", value * 1e6, "us", "pm.hook.on_request", peer * 1e6, goal)


if __name__ == "__main__":
    main()
