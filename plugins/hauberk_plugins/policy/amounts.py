"""Numbers as exchanges read them: plain decimals, computed exactly, rounded up."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Final

from attrs import frozen

from hauberk_plugins.policy.errors import Unreadable

#: A product of two numbers that `number` takes is exact in it; a quotient is rounded up.
EXACT: Final = Context(
    prec=160,
    rounding=ROUND_UP,
    Emin=-999_999,
    Emax=999_999,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[InvalidOperation, DivisionByZero, Overflow],
)
#: A day's notional is counted in whole units of 10**-8, so that sums are exact.
UNITS: Final = Decimal(10**8)

# No exponent, sign, leading zero or digit beyond ASCII: what servers read in two ways.
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,30})?\Z", re.ASCII)
_AMOUNT: Final = re.compile(r"((?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?) ([A-Z0-9]{2,12})\Z")


@frozen
class Amount:
    """So much of a currency.

    Attributes:
        value: Above zero.
        currency: In capitals, as `USDT`.
    """

    value: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{plain(self.value)} {self.currency}"


#: Whether text is a plain decimal number, not negative.
is_number: Final = _NUMBER.match


def number(text: str, what: str) -> Decimal:
    """Read a plain decimal number, not negative.

    Args:
        text: As the exchange is sent it.
        what: The parameter's name, for the message.

    Raises:
        Unreadable: It is anything else, or could be read in two ways.
    """
    if _NUMBER.match(text) is None:
        raise Unreadable(f"`{what}` is {cut(text)}, no plain decimal number such as 0.25")
    return Decimal(text)


def read_amount(text: str) -> Amount:
    """Read `5000 USDT`.

    Raises:
        ValueError: It is not of that form, or zero.
    """
    match = _AMOUNT.match(text)
    if match is None:
        raise ValueError("must be an amount and a currency in capitals, as 5000 USDT")
    value = Decimal(match[1])
    if not value:
        raise ValueError("must be above zero: it would deny every order. To deny, use `rules`")
    return Amount(value, match[2])


def to_units(value: Decimal) -> int:
    """Return whole units of 10**-8, rounded up."""
    scaled = EXACT.multiply(value, UNITS)
    whole = int(scaled)
    return whole if whole == scaled else whole + 1


def from_units(units: int) -> str:
    """Write units of 10**-8 out."""
    return plain(Decimal(units).scaleb(-8))


def plain(value: Decimal) -> str:
    """Write a number without an exponent and without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def cut(text: object) -> str:
    """Show what somebody else wrote: escaped, and not long."""
    return ascii(text if isinstance(text, str) else type(text).__name__)[:40]
