"""Symbols, their rules, and a price for every moment."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from hashlib import blake2b
from typing import Final

from attrs import field, frozen

from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.wire import Json, bad_request

#: Seconds between the nodes of each octave of the walk, and its share of the whole swing.
_OCTAVES: Final = tuple((4**n, 2.0 ** (n - 6)) for n in range(6))


@frozen
class SymbolRules:
    """A symbol and the filters that its orders must pass.

    Every amount that can arise fits the eight places that answers have.

    Attributes:
        symbol: Its name.
        base: The asset that is bought and sold.
        quote: The asset that it is priced in.
        price: The price that the walk keeps near.
        tick: The step of prices.
        step: The step of quantities, also the smallest one.
        max_quantity: The largest quantity.
        min_notional: The least that an order must be worth, in quote units.

    Raises:
        ValueError: `tick` times `step` needs more than eight places.
    """

    symbol: str
    base: str
    quote: str
    price: Decimal = field(converter=Decimal)
    tick: Decimal = field(default=Decimal("0.01"), converter=Decimal)
    step: Decimal = field(default=Decimal("0.00001"), converter=Decimal)
    max_quantity: Decimal = field(default=Decimal(9_000), converter=Decimal)
    min_notional: Decimal = field(default=Decimal(5), converter=Decimal)

    def __attrs_post_init__(self) -> None:
        if self.tick * self.step % Decimal("1e-8"):
            raise ValueError(f"{self.symbol}: tick times step needs more than eight places")

    @property
    def max_price(self) -> Decimal:
        """The highest price that an order may name."""
        return self.price * 100

    def describe(self) -> Json:
        """Return it as `exchangeInfo` lists it."""
        return {
            "symbol": self.symbol,
            "status": "TRADING",
            "baseAsset": self.base,
            "baseAssetPrecision": 8,
            "quoteAsset": self.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": money(self.tick),
                    "maxPrice": money(self.max_price),
                    "tickSize": money(self.tick),
                },
                {
                    "filterType": "LOT_SIZE",
                    "minQty": money(self.step),
                    "maxQty": money(self.max_quantity),
                    "stepSize": money(self.step),
                },
                {"filterType": "NOTIONAL", "minNotional": money(self.min_notional)},
                {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_OPEN_ORDERS},
            ],
            "permissions": ["SPOT"],
        }


MAX_OPEN_ORDERS: Final = 200

DEFAULT_SYMBOLS: Final = (
    SymbolRules("BTCUSDT", "BTC", "USDT", "60000"),
    SymbolRules("ETHUSDT", "ETH", "USDT", "3000", step="0.0001"),
    SymbolRules(
        "LTCBTC", "LTC", "BTC", "0.0167", tick="0.00001", step="0.001", min_notional="0.0001"
    ),
)


class Market:
    """The symbols and what each costs now.

    The price is a function of the seed, the symbol and the second, so that every run and every
    order of questions sees the same walk; it stays within one percent of the symbol's price.

    Args:
        symbols: The rules.
        seed: Another seed, another walk.
    """

    def __init__(self, symbols: Iterable[SymbolRules] = DEFAULT_SYMBOLS, seed: int = 0) -> None:
        self._rules = {rules.symbol: rules for rules in symbols}
        self._seed = seed
        self._pinned: dict[str, Decimal] = {}

    def rules(self, symbol: str) -> SymbolRules:
        """Return a symbol's rules, or refuse with -1121."""
        try:
            return self._rules[symbol]
        except KeyError:
            raise bad_request(wire.INVALID_SYMBOL, "Invalid symbol.") from None

    def symbols(self) -> tuple[SymbolRules, ...]:
        """Return every symbol's rules."""
        return tuple(self._rules.values())

    def pin(self, symbol: str, price: Decimal | None) -> None:
        """Hold a symbol at a price, or let it walk again."""
        self.rules(symbol)
        if price is None:
            self._pinned.pop(symbol, None)
        else:
            self._pinned[symbol] = price

    def price(self, symbol: str, at_ms: int) -> Decimal:
        """Return a symbol's price at a moment, a multiple of its tick."""
        rules = self.rules(symbol)
        if symbol in self._pinned:
            return self._pinned[symbol]
        second = at_ms // 1_000
        swing = sum(share * self._noise(symbol, gap, second) for gap, share in _OCTAVES)
        raw = rules.price * (1 + Decimal(swing) / 100)
        return (raw / rules.tick).quantize(Decimal(1), ROUND_HALF_EVEN) * rules.tick

    def _noise(self, symbol: str, gap: int, second: int) -> float:
        # Straight lines between pseudo-random nodes; several octaves of them look like a walk,
        # yet any moment is computed alone.
        node, offset = divmod(second, gap)
        before, after = self._node(symbol, gap, node), self._node(symbol, gap, node + 1)
        return before + (after - before) * offset / gap

    def _node(self, symbol: str, gap: int, node: int) -> float:
        text = f"{self._seed} {symbol} {gap} {node}".encode()
        return int.from_bytes(blake2b(text, digest_size=4).digest()) / 2**31 - 1


def money(amount: Decimal) -> str:
    """Write an amount as Binance does, with eight places."""
    return f"{amount:.8f}"
