"""Records as the ledger keeps them: names to whole numbers and short texts."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, TypeAlias

#: A missing number is 0, a missing text empty.
Fields: TypeAlias = "dict[str, int | str]"

_NUMBER: Final = re.compile(r"-?[0-9]{1,16}\Z")


class UnreadableRecord(ValueError):
    """A record holds what the ledger never wrote."""


class Claim(NamedTuple):
    """Somebody waits, and has an amount kept. They sort by who waits longest.

    Attributes:
        ticket: Since when it waits.
        name: Its own.
        amount: How much it wants.
        until: When it is passed over.
    """

    ticket: int
    name: str
    amount: int
    until: int


def number(fields: Fields, name: str) -> int:
    """Read a number.

    Raises:
        UnreadableRecord: It is none.
    """
    value = fields.get(name, 0)
    return value if type(value) is int else _whole(str(value))


def owner_field(owner: str) -> str:
    """Name the field of an owner."""
    return f"@{owner}"


def stamp(fields: Fields, owner: str) -> tuple[int, int]:
    """Read the last call of an owner, and when it was heard of."""
    value = str(fields.get(owner_field(owner), ""))
    if not value:
        return 0, 0
    seq, _, heard = value.partition(":")
    return _whole(seq), _whole(heard)


def claims(fields: Fields) -> list[Claim]:
    """Read who waits for a meter, in order."""
    found = []
    for item in str(fields.get("claims", "")).split(";")[:-1]:
        name, _, rest = item.partition("=")
        ticket, amount, until = _parts(rest, 3)
        found.append(Claim(ticket, name, amount, until))
    return sorted(found)


def put_claims(fields: Fields, kept: list[Claim]) -> None:
    """Write who waits for a meter."""
    fields["claims"] = "".join(f"{c.name}={c.ticket}:{c.amount}:{c.until};" for c in kept)


def freezes(fields: Fields) -> list[tuple[str, int]]:
    """Read what is frozen: the name that records begin with, and until when."""
    found = []
    for item in str(fields.get("frozen", "")).split(";")[:-1]:
        prefix, _, until = item.partition("=")
        found.append((prefix, _whole(until)))
    return found


def put_freezes(fields: Fields, kept: list[tuple[str, int]]) -> None:
    """Write what is frozen."""
    fields["frozen"] = "".join(f"{prefix}={until};" for prefix, until in kept)


def _parts(text: str, count: int) -> list[int]:
    parts = text.split(":")
    if len(parts) != count:
        raise UnreadableRecord(f"{text[:40]!r} has not {count} parts")
    return [_whole(part) for part in parts]


def _whole(text: str) -> int:
    if not _NUMBER.match(text):
        raise UnreadableRecord(f"{text[:40]!r} is no whole number")
    return int(text)
