"""For how long a signed request is good, by the exchange's clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hauberk_plugins.signing.scheme import Scheme
from hauberk_plugins.signing.times import TIMES
from hauberk_plugins.signing.verdict import refuse

_MS: Final = 1_000_000
#: How far in the future a timestamp may be: clocks differ.
AHEAD_NS: Final = 1_000 * _MS
#: For how long a request may say that it is valid, where the venue's own window is no longer.
MAX_WINDOW_NS: Final = 60_000 * _MS


def check_time(
    scheme: Scheme, values: Mapping[str, str], at_ns: int | None
) -> tuple[int | None, int | None]:
    """Return a request's timestamp and expiry, nanoseconds since the epoch, as far as it has them.

    Args:
        scheme: How it is signed.
        values: What was read off it.
        at_ns: The exchange's clock; `None` where every time is as good as another.

    Raises:
        VerificationFailed: It is not good at that time, or would be for too long.
        ValueError: A time is not written as the scheme writes it.
    """
    form = TIMES[scheme.timestamp]
    at = form.read(values["timestamp"]) if "timestamp" in values else None
    expires = form.read(values["expires"]) if "expires" in values else None
    window_ns = scheme.window_ms * _MS
    longest_ns = max(MAX_WINDOW_NS, window_ns)
    if "window_ms" in values:
        window_ns = TIMES["ms"].read(values["window_ms"])
    elif at is not None and expires is not None:
        window_ns = expires - at
    if window_ns > longest_ns:
        refuse("time", "it would be valid for longer than any exchange has it")
    if at_ns is None:
        return at, expires
    is_off = at is not None and not -AHEAD_NS <= at_ns - at <= window_ns
    # What says no more than when it expires may be of any window that an exchange has.
    is_over = expires is not None and not 0 < expires - at_ns <= longest_ns + AHEAD_NS
    if is_off or is_over:
        refuse("time", "its time is too far from the exchange's: look at the clock")
    return at, expires
