"""Which valid name a misspelt one was probably meant to be, for messages to people."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, valid: Iterable[str]) -> str:
    """Say which valid name is near, to be put behind a message.

    Args:
        name: What was written.
        valid: What could have been.

    Returns:
        For example `; did you mean 'venue'?`; empty if nothing is near.
    """
    # Matching takes quadratic time, and what stands in a file may be of any length.
    close = get_close_matches(name[:80], valid, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
