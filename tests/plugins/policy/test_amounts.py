from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.policy.amounts import Amount, number, read_amount, to_units
from hauberk_plugins.policy.errors import Unreadable

#: What `float`, `Decimal`, `int` or a lenient server takes for a number, or trims to one.
TRICKS = [
    "", " 1", "1 ", "1\n", "+1", "-1", "-0", "1e3", "1E3", "1e-9", "1_000", "1,000", "0x10", "1.",
    ".5", "01", "00", "1.2.3", "NaN", "nan", "sNaN", "Infinity", "-Infinity", "inf",
    "\u0661\u0662", "\uff11",
    "1\u0660", "²", "1/2", "#5%", "5%", "$5", "true", "null", "1\x00", "9" * 31, "0." + "1" * 31,
]  # fmt: skip


@pytest.mark.parametrize("text", TRICKS)
def test_what_is_no_plain_decimal_is_no_number(text: str) -> None:
    with pytest.raises(Unreadable, match="`quantity` is"):
        number(text, "quantity")


@given(st.text())
def test_whatever_is_read_is_what_every_reader_reads(text: str) -> None:
    try:
        found = number(text, "price")
    except Unreadable:
        return
    assert text.isascii()
    assert found == Decimal(text)
    assert found.is_finite()
    assert found >= 0
    assert float(text) == pytest.approx(float(found))


@given(st.decimals(0, 10**20, allow_nan=False, allow_infinity=False))
def test_units_are_never_fewer_than_what_they_stand_for(value: Decimal) -> None:
    units = to_units(value)
    assert Decimal(units).scaleb(-8) >= value
    assert Decimal(units - 1).scaleb(-8) < value or not units


@pytest.mark.parametrize(
    "text",
    ["5000", "5000USDT", "5000 usdt", "5000  USDT", " 5000 USDT", "5000 USDT ", "5,000 USDT",
     "1e3 USDT", "-1 USDT", "5000 U", "NaN USDT", "5000 USDT USDT"],
)  # fmt: skip
def test_an_amount_of_another_shape_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="as 5000 USDT"):
        read_amount(text)


def test_an_amount_of_zero_is_told() -> None:
    with pytest.raises(ValueError, match="above zero: it would deny every order"):
        read_amount("0.00 USDT")


def test_an_amount_is_shown_as_it_was_written() -> None:
    assert str(read_amount("5000 USDT")) == "5000 USDT"
    assert read_amount("0.5 BTC") == Amount(Decimal("0.5"), "BTC")
