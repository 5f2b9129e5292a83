"""One meter of the ledger: how what has left counts, and for how long.

A meter's record has these fields, all numbers but the claims: `grain`, `total` of its sub-windows,
`first` and `last` of them, `#<index>` for each, `tat` of a decaying one (when it will have lost
everything), `open`, `@<owner>` for each owner's part of it, `sweep` (when to look for dead owners
again), `lost` (the last forgetting that it accounts for), `theirs` and `told` (what the exchange
said, and until when that means anything), and `claims`.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from hauberk_plugins.throttle.shared.fields import Fields, UnreadableRecord, number
from hauberk_plugins.throttle.shared.shape import Shape

#: More than any window's widened length has.
MOST_SUBWINDOWS: Final = 1_000_000


@frozen
class Moment:
    """When it is.

    Attributes:
        now: The ledger's time.
        shift: What the ledger's time is ahead of the clock that calendars go by.
        is_doubtful: Whether that clock has stepped, so that boundaries may be anywhere.
        jumped: When that clock last went so far ahead that records may be gone; 0 if it never did.
    """

    now: int
    shift: int
    is_doubtful: bool
    jumped: int = 0


def expiry(shape: Shape, index: int, moment: Moment) -> int:
    """When nothing that left in a sub-window counts any more."""
    end, length, jitter = (index + 1) * shape.grain_us, shape.length_us, shape.jitter_us
    if shape.kind != "calendar":
        return end + length + jitter
    if moment.is_doubtful:
        return end + length + 2 * jitter
    # The first boundary that it cannot reach beyond, when nothing that leaves can reach before it.
    boundary = -(-(end + jitter - moment.shift) // length) * length
    return boundary + jitter + moment.shift


def regrain(meter: Fields, shape: Shape, moment: Moment) -> None:
    """Take another length or kind: what counted has left now, or all of it where that is not known.

    Safe, and for the length of a window too strict.
    """
    if "grain" in meter:
        is_alike = bool(shape.grain_us) and bool(number(meter, "grain"))
        counted = number(meter, "total") if is_alike else shape.size
        for name in [name for name in meter if name[0] == "#" or name in ("total", "tat")]:
            del meter[name]
        meter["grain"] = shape.grain_us
        date(meter, shape, moment, moment.now, counted)
    elif moment.jumped:
        date(meter, shape, moment, moment.jumped, shape.size)
    meter["grain"] = shape.grain_us


def expire(meter: Fields, shape: Shape, moment: Moment) -> None:
    """Forget sub-windows that have ended."""
    total, first, last = number(meter, "total"), number(meter, "first"), number(meter, "last")
    if total and not 0 <= last - first <= MOST_SUBWINDOWS:
        raise UnreadableRecord("its sub-windows have no order")
    while total > 0 and expiry(shape, first, moment) <= moment.now:
        total -= number(meter, f"#{first}")
        meter.pop(f"#{first}", None)
        first += 1
        if total > 0 and first > last:
            raise UnreadableRecord("its sub-windows do not add up")
    meter["total"], meter["first"] = total, first


def date(meter: Fields, shape: Shape, moment: Moment, left: int, amount: int) -> None:
    """Count what left at a time."""
    if amount == 0:
        return
    if shape.grain_us == 0:
        meter["tat"] = max(number(meter, "tat"), left) + shape.cost_us(amount)
        return
    index = left // shape.grain_us
    if expiry(shape, index, moment) <= moment.now:
        return
    total = number(meter, "total")
    if total == 0:
        meter["first"] = meter["last"] = index
    else:
        meter["first"] = min(number(meter, "first"), index)
        meter["last"] = max(number(meter, "last"), index)
    meter["total"] = total + amount
    meter[f"#{index}"] = number(meter, f"#{index}") + amount


def lacking(meter: Fields, shape: Shape, moment: Moment, wanted: int) -> int:
    """How much too much it is: amounts, or microseconds of a decaying window; else 0 or less."""
    open_ = number(meter, "open")
    if shape.grain_us == 0:
        return _debt(meter, shape, moment) + shape.cost_us(open_ + wanted) - shape.length_us
    return number(meter, "total") + open_ + wanted - shape.size


def when(meter: Fields, shape: Shape, moment: Moment, wanted: int) -> int:
    """Foretell when an amount that lacks room will have found it.

    What is open is taken to leave now.
    """
    lack = lacking(meter, shape, moment, wanted)
    if shape.grain_us == 0:
        return moment.now + lack
    if number(meter, "total") > 0:
        for index in range(number(meter, "first"), number(meter, "last") + 1):
            lack -= number(meter, f"#{index}")
            if lack <= 0:
                return expiry(shape, index, moment)
    # What is granted as room appears is in the way of the rest for one more window.
    turns = max(lack - number(meter, "open") - 1, 0) // shape.size
    return expiry(shape, moment.now // shape.grain_us, moment) + turns * shape.length_us


def used(meter: Fields, shape: Shape, moment: Moment) -> int:
    """Return all that counts, rounded up."""
    open_ = number(meter, "open")
    if shape.grain_us == 0:
        return open_ - (-_debt(meter, shape, moment) * shape.size // shape.length_us)
    return number(meter, "total") + open_


def is_told_of_this(shape: Shape, moment: Moment, age: int) -> bool:
    """Whether an answer that old speaks of the cell of the calendar that it is, beyond doubt."""
    if shape.kind != "calendar" or moment.is_doubtful:
        return True
    wall, jitter, length = moment.now - moment.shift, shape.jitter_us, shape.length_us
    return (wall - age - 2 * jitter) // length == (wall + jitter) // length


def _debt(meter: Fields, shape: Shape, moment: Moment) -> int:
    return max(0, number(meter, "tat") + shape.jitter_us - moment.now)
