"""A guard with the policy plugin at a real venue file, and the doubles of its tests."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from hauberk import Denied, Request, Response
from hauberk.accounts import Account
from hauberk.errors import ConfigError
from hauberk.structure import structure
from hauberk.testing import FakeClock, MemoryStore, make_guard
from hauberk.testing.guards import Providers
from hauberk.testing.ports import FixedPrices
from hauberk.yamlfile import load_yaml
from hauberk_plugins.policy.config import PolicyConfig
from hauberk_plugins.policy.plugin import PolicyPlugin
from hauberk_plugins.venues.catalogue import VenueCatalogue

CATALOGUE = VenueCatalogue()
PORTS = ("store", "venues", "reference_price")
BINANCE = "https://api.binance.com/api/v3/order"


def policy(text: str, folder: Path) -> PolicyConfig:
    """Read a section `policy` as `hauberk.yml` is read."""
    path = folder / "policy.yml"
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return structure(load_yaml(path), PolicyConfig)


class Desk:
    """One account behind policy.

    Args:
        config: The section `policy`.
        venue: Where the account is.
        prices: Reference prices by symbol; `None` where nobody provides any.
        store: Where days are kept.
        clock: What it goes by.
    """

    def __init__(self, config, venue="binance", prices=None, store=None, clock=None):
        self.venue = venue
        self._ids = itertools.count()
        self.clock = clock or FakeClock()
        self.store = store or MemoryStore()
        providers = Providers()
        providers.venues = CATALOGUE
        providers.store.stores["policy"] = self.store
        named = {(venue, symbol): Decimal(price) for symbol, price in (prices or {}).items()}
        providers.reference_price = FixedPrices(named)
        ports = PORTS if prices is not None else PORTS[:2]
        self.plugin = PolicyPlugin(config)
        self.guard = make_guard(
            ("policy", self.plugin),
            providers=providers,
            clock=self.clock,
            accounts={"main": Account(venue), "other": Account(venue)},
            grants={"policy": ports},
        )

    def ask(self, request):
        """Clear a request; return why it was denied, or nothing.

        Elsewhere than at Binance policy alone is asked: the double that signs is none of theirs.
        """
        if self.venue != "binance":
            binding = self.guard.snapshot.bindings[request.account]
            judged = binding.judged(request.stamped(f"id-{next(self._ids)}", request.operation))
            denied = self.plugin.on_request(judged)
            self.plugin.on_end(judged, denied is None, "")
            return "" if denied is None else denied.reason
        try:
            self.cleared = self.guard.clear(request, timeout_s=0)
        except Denied as denied:
            self.denied = denied
            return denied.reason
        return ""

    def order(self, **said):
        """Ask for an order at Binance, of 0.1 BTC at 30000 unless said otherwise."""
        account = said.pop("account", "main")
        return self.ask(Request("POST", BINANCE, spot(**said), account=account))

    def answer(self, status, body=b""):
        """Have the exchange answer what was cleared last."""
        self.guard.settle(self.cleared, Response(status, body=body))


def spot(**said):
    """Return the parameters of an order; `None` leaves one out."""
    given = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "0.1", "price": "30000", **said,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def refused(config, venue="binance"):
    """Return what a guard says that does not open."""
    with pytest.raises(ConfigError) as caught:
        Desk(config, venue)
    return str(caught.value)
