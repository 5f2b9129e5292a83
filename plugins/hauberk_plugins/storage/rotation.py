"""`Rotation`: everything that is sealed, sealed anew under a fresh key, and old keys retired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from attrs import evolve, frozen

from hauberk_plugins.storage.errors import ValuesNotSealed
from hauberk_plugins.storage.secure_storage import SecureStorage

#: How long a key must not have sealed before it is retired, seconds: longer than any process can
#: have kept something that it has sealed and not stored yet, and than an edit of hauberk.yml lies
#: about elsewhere.
UNUSED_S: Final = 7 * 86_400


class Keys(Protocol):
    """The data keys: the provider of the port `vault`."""

    def rotate(self) -> int:
        """Put a fresh key in place."""

    def retire(self, *, unused_s: float = 0) -> int:
        """Forget keys that have not sealed for so long; return how many."""


class Values(Protocol):
    """The sealed values of one file."""

    def outdated(self) -> int:
        """Return how many are sealed under another key than the present one."""

    def reseal(self) -> int:
        """Seal those anew, all or none; return how many."""


@frozen
class Rotated:
    """What a rotation has done.

    Attributes:
        fresh_key: Whether it put a fresh key in place; else it ended one that was stopped.
        records: How many records it sealed anew.
        values: How many sealed values of configurations.
        keys_retired: How many keys it retired.
    """

    fresh_key: bool
    records: int = 0
    values: int = 0
    keys_retired: int = 0


class Rotation:
    """Seals everything anew. Stopped anywhere, everything opens, and doing it again goes on.

    An old key is retired last, once nothing is seen that needs it, and not before it has been out
    of use for `unused_s`: another process may have sealed something under it and not stored that
    yet. Such a process seals within the transaction that stores it, or stores it only if its
    bucket's sum stands as before, which sealing anew changes; so one that stands still for that
    long is what a store ends, or holds up every other writer meanwhile.

    Args:
        storage: The sealed records of every plugin.
        keys: The data keys.
        values: The files in which values are sealed.
        retires: Whether old keys are retired at all.
        unused_s: See above, seconds.
    """

    def __init__(
        self,
        storage: SecureStorage,
        keys: Keys,
        values: Sequence[Values] = (),
        *,
        retires: bool = True,
        unused_s: float = UNUSED_S,
    ) -> None:
        self._storage = storage
        self._keys = keys
        self._values = values
        self._retires = retires
        self._unused_s = unused_s
        self.done = Rotated(fresh_key=False)

    def begin(self) -> int:
        """Put a fresh key in place, unless a rotation was stopped: that one is ended first.

        Returns:
            How many records are to be sealed anew.

        Raises:
            SealError: The key ring cannot be used, or records are not as they were left.
            StoreError: Records cannot be read.
            ConfigError: A file with sealed values cannot be read.
        """
        # Another fresh key would have all to be done again by whoever was stopped.
        records = self._storage.outdated()
        is_fresh = not records and not self._outdated_values()
        if is_fresh:
            self._keys.rotate()
            records = self._storage.outdated()
        self.done = Rotated(is_fresh, records)
        return records

    def steps(self) -> Iterator[int]:
        """Seal everything anew; then retire what nothing needs.

        Yields:
            How many records are left to look at, after each step.

        Raises:
            ValuesNotSealed: A file with sealed values cannot be written.
            CannotEdit: One cannot be changed as it would have to be.
            FileChanged: Somebody else is changing one.
            SealError, StoreError, ConfigError: As `begin`.
        """
        yield from self._storage.reseal()
        for one in self._values:
            self.done = evolve(self.done, values=self.done.values + _resealed(one))
        # Looked at anew: others may have put another key in place, or changed a file.
        if self._retires and self._storage.is_settled() and not self._outdated_values():
            retired = self._keys.retire(unused_s=self._unused_s)
            self.done = evolve(self.done, keys_retired=retired)

    def _outdated_values(self) -> int:
        return sum(one.outdated() for one in self._values)


def _resealed(values: Values) -> int:
    try:
        return values.reseal()
    except OSError as error:
        why = f"{error.filename} cannot be written: {error.strerror}"
    raise ValuesNotSealed(why)
