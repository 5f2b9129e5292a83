"""Peppers: what a thief of the user records alone lacks to guess a password."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any, Final

from attrs import frozen

from hauberk.errors import StoreConflict
from hauberk.secret import Secret
from hauberk_plugins.auth.errors import BadRecord, PepperMissing
from hauberk_plugins.auth.parts import StoreNow, TokenBytes
from hauberk_plugins.auth.quiet import quietly

RECORD: Final = "peppers"
_BYTES: Final = 32
_ID_BYTES: Final = 4
_TRIES: Final = 5


@frozen
class Pepper:
    """A pepper and the random name that hashes refer to it by.

    Random, not counted: were the record lost and another made, a number would refer to a pepper
    that it never meant, and every password would silently be wrong.
    """

    id: str
    value: Secret


@frozen
class _Ring:
    current: str
    peppers: dict[str, Secret]

    def to_bytes(self) -> bytes:
        peppers = {name: b64encode(p.reveal()).decode() for name, p in self.peppers.items()}
        return json.dumps({"current": self.current, "peppers": peppers}).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> _Ring:
        found: Any = json.loads(value)
        peppers = {
            str(name): Secret(b64decode(text, validate=True))
            for name, text in found["peppers"].items()
        }
        if found["current"] not in peppers:
            raise ValueError("its current pepper is not in it")
        return cls(found["current"], peppers)


class Peppers:
    """Every pepper of this installation, in one sealed record.

    Args:
        sealed: The sealed store.
        token_bytes: Randomness.
    """

    def __init__(self, sealed: StoreNow, token_bytes: TokenBytes) -> None:
        self._sealed = sealed
        self._token_bytes = token_bytes
        # A pepper never changes, so one that was read once need not be read again.
        self._known: dict[str, Pepper] = {}

    def current(self) -> Pepper:
        """Return the one to hash with; the first is made when it is first asked for."""
        ring, _ = self._load()
        if ring is None:
            ring = self._add(only_first=True)
        return self._seen(ring.current, ring)

    def get(self, pepper_id: str) -> Pepper:
        """Return the one that a hash refers to.

        Raises:
            PepperMissing: It is not there.
        """
        if pepper_id not in self._known:
            ring, _ = self._load()
            if ring is None or pepper_id not in ring.peppers:
                raise PepperMissing(
                    f"pepper {pepper_id!r} is not in the sealed state: restore it from a backup, "
                    "or set the password anew"
                )
            return self._seen(pepper_id, ring)
        return self._known[pepper_id]

    def rotate(self) -> Pepper:
        """Put a fresh one in place; older ones stay, until each user has logged in once."""
        ring = self._add(only_first=False)
        return self._seen(ring.current, ring)

    def _seen(self, pepper_id: str, ring: _Ring) -> Pepper:
        return self._known.setdefault(pepper_id, Pepper(pepper_id, ring.peppers[pepper_id]))

    def _add(self, *, only_first: bool) -> _Ring:
        """Add a pepper, unless another process was quicker with the first."""
        for turn in range(_TRIES):
            ring, version = self._load()
            if ring is not None and only_first:
                return ring
            pepper_id = self._token_bytes(_ID_BYTES).hex()
            before = {} if ring is None else ring.peppers
            made = _Ring(pepper_id, {**before, pepper_id: Secret(self._token_bytes(_BYTES))})
            try:
                quietly("keeping a pepper", lambda: self._put(made, version))  # noqa: B023
            except StoreConflict:
                if turn == _TRIES - 1:
                    raise
            else:
                return made
        raise StoreConflict("peppers are being made elsewhere all the time: try again")

    def _put(self, ring: _Ring, version: int) -> int:
        return self._sealed().put(RECORD, ring.to_bytes(), version=version)

    def _load(self) -> tuple[_Ring | None, int]:
        return quietly("reading the peppers", self._loaded)

    def _loaded(self) -> tuple[_Ring | None, int]:
        record = self._sealed().get(RECORD)
        if record is None:
            return None, 0
        try:
            return _Ring.from_bytes(record.value), record.version
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise BadRecord(
                f"the record {RECORD!r} is not what this version writes: restore it from a backup"
            ) from None
