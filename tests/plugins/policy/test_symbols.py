from __future__ import annotations

import pytest

from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.symbols import Symbols, SymbolSet, checked_symbol

SUFFIXED = Symbols(quotes=["USDT", "USDC", "USD", "TUSD", "BTC", "ZUSD"], aliases={"ZUSD": "USD"})


@pytest.mark.parametrize(
    ("symbol", "parts"),
    [("BTCUSDT", ("BTC", "USDT")), ("ethbtc", ("ETH", "BTC")), ("XXBTZUSD", ("XXBT", "USD"))],
)
def test_a_quote_is_read_off_the_end(symbol: str, parts: tuple[str, str]) -> None:
    assert SUFFIXED.split(symbol) == parts


@pytest.mark.parametrize("symbol", ["BTCTUSD", "USDT", "BTCDOGE", "BTC-USDT-260626"])
def test_what_could_be_two_quotes_or_none_is_not_guessed(symbol: str) -> None:
    with pytest.raises(Unreadable, match=r"what .* is quoted in cannot be told"):
        SUFFIXED.split(symbol)


def test_a_separator_tells_the_two_apart_and_what_follows_says_more() -> None:
    symbols = Symbols(separator="-")
    assert symbols.split("BTC-USDT-SWAP") == symbols.split("btc-usdt") == ("BTC", "USDT")
    assert symbols.joined("BTC", "USDT") == "BTC-USDT"
    for odd in ("-USDT", "BTC-", "BTCUSDT"):
        with pytest.raises(Unreadable):
            symbols.split(odd)


@pytest.mark.parametrize(
    "symbol",
    ["", " BTCUSDT", "BTC USDT", "BTCUSDT\n", "\uff22TCUSDT", "BTC%2DUSDT", '["BTCUSDT"]',
     "BTCUSDT,ETHUSDT", "B" * 65],
)  # fmt: skip
def test_a_symbol_with_characters_that_servers_read_otherwise_is_none(symbol: str) -> None:
    with pytest.raises(Unreadable, match="no symbol"):
        checked_symbol(symbol, "symbol")


def test_a_list_takes_names_and_patterns_in_any_case() -> None:
    listed = SymbolSet(["BTCUSDT", "ETH*", "*-USD"])
    assert all(one in listed for one in ("btcusdt", "ETHBTC", "ETH", "XRP-USD"))
    assert not any(one in listed for one in ("BTCUSDT1", "XETH", "XRP-USDT", "BTC"))


def test_a_pattern_is_no_regular_expression() -> None:
    assert "BTCXUSDT" not in SymbolSet(["BTC.USDT*"])


KRAKEN = Symbols(
    separator="/",
    quotes=["USD", "ZUSD", "USDT"],
    aliases={"XBT": "BTC", "XXBT": "BTC", "ZUSD": "USD"},
)


@pytest.mark.parametrize(
    "spelt", ["XBTUSD", "XXBTZUSD", "XBT/USD", "BTC/USD", "BTC-USD", "xbtzusd"]
)
@pytest.mark.parametrize("asked", ["XBTUSD", "XXBTZUSD", "XBT/USD", "btcusd"])
def test_a_market_is_the_same_however_it_is_spelt(spelt: str, asked: str) -> None:
    assert SymbolSet([spelt]).holds(asked, KRAKEN)
    assert SymbolSet([spelt]).lists(asked, KRAKEN)
    assert SymbolSet([f"{spelt[:-1]}*"]).holds(asked, KRAKEN)
    assert not SymbolSet([spelt]).holds("XBTUSDT", KRAKEN)
    assert not SymbolSet([spelt]).holds("ETHUSD", KRAKEN)


def test_another_kind_of_market_is_another_market() -> None:
    okx = Symbols(separator="-")
    assert not SymbolSet(["BTC-USDT"]).holds("BTC-USDT-SWAP", okx)
    assert not SymbolSet(["BTC-USDT-SWAP"]).lists("BTC-USDT", okx)
    assert SymbolSet(["BTC/USDT"]).lists("BTC-USDT", okx)
    bybit = Symbols(quotes=["USDC", "PERP"], aliases={"PERP": "USDC"}, kinds=frozenset({"PERP"}))
    assert not SymbolSet(["BTCUSDC"]).holds("BTCPERP", bybit)
    assert not SymbolSet(["BTCPERP"]).lists("BTCUSDC", bybit)
    assert bybit.split("BTCPERP") == ("BTC", "USDC")


def test_a_symbol_that_nobody_can_take_apart_is_in_no_list_and_may_be_under_any_rule() -> None:
    listed = SymbolSet(["XBTUSD"])
    assert not listed.lists("XBTODD", KRAKEN)
    with pytest.raises(Unreadable):
        listed.holds("XBTODD", KRAKEN)
    assert SymbolSet(["xbtodd"]).lists("XBTODD", KRAKEN)


@pytest.mark.parametrize(
    ("symbols", "good", "bad"),
    [
        (
            Symbols(quotes=["USDT"]),
            ["BTCUSDT", "BTC/USDT", "btc-usdt"],
            ["BTCUSDTT", "BTC", "BTC/EUR"],
        ),
        (Symbols(separator="-"), ["BTC-USDT-SWAP", "BTC/USDT"], ["BTCUSDT", "BTC-"]),
        (Symbols(fixed="USDC", numbered=True), ["0", "10107"], ["BTC", "00", "1.5"]),
        (KRAKEN, ["XBTUSD", "XBT/USD"], ["XBT", "XBTODD"]),
    ],
)
def test_what_a_venue_has_no_such_symbol_as_can_be_told(
    symbols: Symbols, good: list[str], bad: list[str]
) -> None:
    assert all(map(symbols.can_be, good))
    assert not any(map(symbols.can_be, bad))


def test_two_lists_meet_whatever_stands_between_base_and_quote() -> None:
    assert SymbolSet(["BTC/USDT"]).meets(SymbolSet(["BTCUSDT"]))
    assert SymbolSet(["*-USDT"]).meets(SymbolSet(["BTCUSDT"]))
    assert not SymbolSet(["BTC/USDT"]).meets(SymbolSet(["ETHUSDT"]))


def test_what_a_venue_quotes_in_is_known_where_it_lists_that() -> None:
    assert KRAKEN.quoted_in is None
    assert SUFFIXED.quoted_in == {"USDT", "USDC", "USD", "TUSD", "BTC"}
    assert Symbols(fixed="USDC").quoted_in == {"USDC"}
