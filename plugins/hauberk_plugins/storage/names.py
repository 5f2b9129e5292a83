"""Names as stores keep them: bytes, so that any text is only a name and sorts by code points."""

from __future__ import annotations

from hauberk_plugins.storage.errors import BadName


def to_key(name: str) -> bytes:
    """Return a name's bytes, whose order is that of the code points.

    Raises:
        BadName: It has lone surrogates.
    """
    try:
        return name.encode()
    except UnicodeEncodeError:
        pass
    raise BadName(name)


def beyond(prefix: bytes) -> bytes | None:
    """Return a key above all that begin with a prefix, and below all others; `None` for none.

    A wildcard would have to be escaped, and sorted by what a database makes of a collation.
    """
    # No byte of UTF-8 is 0xff.
    return prefix + b"\xff" if prefix else None
