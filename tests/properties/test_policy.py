"""Policy against a model of it, and against readers that are more lenient than it is."""

from __future__ import annotations

import json
import unicodedata
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from urllib.parse import quote_plus

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hauberk import Denied, Request, Response
from hauberk.accounts import Account
from hauberk.request import Operation
from hauberk.testing import FakeClock, MemoryStore, make_guard
from hauberk.testing.guards import Providers
from hauberk.testing.ports import FixedPrices
from hauberk_plugins.policy.config import PolicyConfig
from hauberk_plugins.policy.plugin import PolicyPlugin
from hauberk_plugins.venues.catalogue import VenueCatalogue

CATALOGUE = VenueCatalogue()
CAP = 5_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
REFERENCE = {"BTCUSDT": 100, "ETHUSDT": 10}
BINANCE = "https://api.binance.com/api/v3/order"
OKX = "https://www.okx.com/api/v5/trade/batch-orders"


def plugin_at(venue, config, prices=None, store=None, clock=None):
    """Return the plugin of a guard with one account."""
    providers = Providers()
    providers.venues = CATALOGUE
    providers.store.stores["policy"] = store or MemoryStore()
    named = {(venue, name): Decimal(price) for name, price in (prices or {}).items()}
    providers.reference_price = FixedPrices(named)
    plugin = PolicyPlugin(config)
    guard = make_guard(
        ("policy", plugin),
        providers=providers,
        clock=clock or FakeClock(),
        accounts={"main": Account(venue)},
        grants={"policy": ("venues", "store", *(("reference_price",) if prices else ()))},
    )
    return plugin, guard


CAPPED, _CAPPED = plugin_at("binance", PolicyConfig(symbols=SYMBOLS, max_order=f"{CAP} USDT"))
BANDED, _BANDED = plugin_at(
    "binance",
    PolicyConfig(symbols=SYMBOLS, max_order=f"{CAP} USDT", price_band=Decimal("0.5")),
    REFERENCE,
)
BATCHED, _BATCHED = plugin_at(
    "okx", PolicyConfig(symbols=("BTC-USDT", "ETH-*"), max_order=f"{CAP} USDT")
)


def allows(plugin, request):
    """Whether policy has no objection; what the kernel itself refuses counts as refused."""
    binding = plugin._context._kernel.snapshot.bindings["main"]
    try:
        judged = binding.judged(request.stamped("id", Operation.UNKNOWN))
    except Denied:
        return False
    except Exception:
        return False  # the kernel denies what its venue cannot read
    return plugin.on_request(judged) is None


decimals = st.one_of(
    st.decimals(0, 20_000, places=3, allow_nan=False, allow_infinity=False),
    # Where caps and bands decide.
    st.decimals(30, 160, places=1, allow_nan=False, allow_infinity=False),
)


@given(
    symbol=st.sampled_from([*SYMBOLS, "btcusdt", "DOGEUSDT", "ETHUSDTX"]),
    side=st.sampled_from(["BUY", "SELL"]),
    kind=st.sampled_from(["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS"]),
    quantity=st.none() | decimals,
    price=st.none() | decimals,
    amount=st.none() | decimals,
)
@example("BTCUSDT", "SELL", "LIMIT", Decimal(60), Decimal(80), None)
def test_policy_is_what_its_model_says(symbol, side, kind, quantity, price, amount):
    said = {"symbol": symbol, "side": side, "type": kind, "quantity": quantity, "price": price,
            "quoteOrderQty": amount}  # fmt: skip
    request = Request(
        "POST", BINANCE, {name: value for name, value in said.items() if value is not None}
    )
    reference = REFERENCE.get(symbol)
    own = Fraction(price) if price and kind.startswith("LIMIT") else None

    def worth(reference):
        parts = [] if amount is None else [Fraction(amount)]
        if quantity is not None:
            # A sale may fill above its own limit, so that without a reference nobody can tell.
            at = own if reference is not None or side == "BUY" else None
            if reference is not None and (at is None or (side == "SELL" and reference > at)):
                at = Fraction(reference)
            if at is None:
                return None
            parts.append(Fraction(quantity) * at)
        return max(parts, default=None)

    listed = symbol.upper() in SYMBOLS
    without, with_it = worth(None), worth(reference)
    assert allows(CAPPED, request) == (listed and without is not None and without <= CAP)
    in_band = (
        own is not None
        and reference is not None
        and (Fraction(reference, 2) <= own <= Fraction(reference * 3, 2))
    )
    expected = listed and in_band and with_it is not None and with_it <= CAP
    assert allows(BANDED, request) == expected


NAMES = ["symbol", "side", "type", "quantity", "price", "quoteOrderQty", "newClientOrderId",
         "timeInForce"]  # fmt: skip
tricky_name = st.sampled_from(NAMES).flatmap(
    lambda name: st.sampled_from(
        [name] * 6 + [name.upper(), name.title(), f" {name}", f"{name} ", f"{name}[]", f"{name}\0",
                      name.replace("t", "\uff54"), f"{name}[0]", f"{name}.", name.replace("i", "İ")]
    )
)  # fmt: skip
tricky_value = st.sampled_from(
    ["BTCUSDT", "BUY", "LIMIT", "MARKET", "1", "40", "100", "4000", "5001", "1e4", "1E4", "+9000",
     "-1", "NaN", "Infinity", "9_000", "9,000", "\uff19000", "٩٠٠٠", "0x2710", " 9000", "9000 ",
     "1.", ".5", "00009000", "0.1", "limit", "GTC", "", "0"]
)  # fmt: skip


def lenient(text):
    """Read a number as the most lenient server might."""
    plain = unicodedata.normalize("NFKC", text).strip().replace(",", "").replace("_", "")
    for read in (Decimal, lambda value: Decimal(int(value, 16))):
        try:
            found = read(plain)
        except (InvalidOperation, ValueError):
            continue
        return found if not found.is_nan() else Decimal("Infinity")
    return None


def folded(name):
    """Read a name as the most lenient server might."""
    return unicodedata.normalize("NFKC", name).strip(" .\0").casefold().partition("[")[0]


@given(
    changed=st.dictionaries(st.sampled_from(NAMES), tricky_value, max_size=2),
    params=st.lists(st.tuples(tricky_name, tricky_value), max_size=2),
    body=st.lists(st.tuples(tricky_name, tricky_value), max_size=2),
)
@example({}, [], [("Quantity", "9000")])
@example({}, [("QUOTEORDERQTY", "9000")], [])
@example({"quantity": "1e4"}, [], [])
@settings(max_examples=400)
def test_no_spelling_passes_what_a_lenient_server_reads_as_more(changed, params, body):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "1"}
    pairs = [*{**order, **changed}.items(), *params]
    text = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in body)
    if not allows(CAPPED, Request("POST", BINANCE, pairs, body=text)):
        return
    seen = {}
    for name, value in pairs + body:
        seen.setdefault(folded(name), []).append(value)
    quantities = [lenient(one) or 0 for one in seen.get("quantity", ["0"])]
    prices = [lenient(one) or 0 for one in seen.get("price", ["0"])]
    amounts = [lenient(one) or 0 for one in seen.get("quoteorderqty", ["0"])]
    assert max(max(quantities) * max(prices), *amounts, 0) <= CAP
    assert seen["symbol"] == [SYMBOLS[0]]


okx_item = st.fixed_dictionaries(
    {
        "instId": st.sampled_from(
            ["BTC-USDT", "ETH-USDT", "DOGE-USDT", "ETH-BTC", "BTC-USDT-SWAP"]
        ),
        "tdMode": st.sampled_from(["cash", "cross"]),
        "side": st.sampled_from(["buy", "sell"]),
        "ordType": st.sampled_from(["limit", "market", "post_only"]),
        "sz": st.sampled_from(["1", "10", "100", "1e9", 5, 1.5]),
    },
    optional={
        "px": st.sampled_from(["1", "100", "4999", "1e9", 40, None]),
        "tgtCcy": st.sampled_from(["base_ccy", "quote_ccy"]),
        "clOrdId": st.just("c"),
    },
)


@given(st.lists(okx_item, min_size=1, max_size=5))
def test_a_batch_passes_exactly_if_each_item_would_alone(items):
    alone = [allows(BATCHED, Request("POST", OKX, body=json.dumps([item]))) for item in items]
    together = allows(BATCHED, Request("POST", OKX, body=json.dumps(items)))
    assert together == all(alone)
    assert allows(BATCHED, Request("POST", OKX, body=json.dumps(items[::-1]))) == together


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("order"), st.integers(1, 60)),
            st.tuples(st.just("refused"), st.integers(0, 9)),
            st.tuples(st.just("lost"), st.integers(0, 9)),
            st.tuples(st.just("restart"), st.booleans()),
            st.tuples(st.just("clock"), st.integers(-200_000, 60_000)),
        ),
        max_size=40,
    )
)
def test_a_day_never_holds_more_than_its_cap(steps):
    config, store, clock = PolicyConfig(max_day="100 USDT"), MemoryStore(), FakeClock()
    _, guard = plugin_at("binance", config, store=store, clock=clock)
    waiting, counted, highest = [], {}, 0
    for what, how in steps:
        if what == "order":
            said = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "price": "1",
                    "quantity": str(how)}  # fmt: skip
            try:
                cleared = guard.clear(Request("POST", BINANCE, said), timeout_s=0)
            except Denied:
                continue
            highest = max(highest, clock.wall_ns() // 86_400_000_000_000)
            counted[highest] = counted.get(highest, 0) + how
            waiting.append((cleared, highest, how))
        elif what in ("refused", "lost") and waiting:
            cleared, day, worth = waiting.pop(how % len(waiting))
            guard.settle(cleared, Response(400 if what == "refused" else 502))
            counted[day] -= worth if what == "refused" else 0
        elif what == "restart":
            if how:  # else it is killed
                guard.close()
            waiting = []
            _, guard = plugin_at("binance", config, store=store, clock=clock)
        elif what == "clock":
            clock.step_wall(how)
        assert all(worth <= 100 for worth in counted.values())
