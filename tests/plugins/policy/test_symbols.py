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
