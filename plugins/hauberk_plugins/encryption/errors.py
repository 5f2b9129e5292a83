"""What keeps something from being sealed or opened: each error says what, where and what to do.

None holds a plaintext, a key or a passphrase, nor does what it was raised from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hauberk.errors import Altered, SealError, StoreError

_SHOWN: Final = 80
_RESTORE: Final = "put it back from a backup"
_LOOK: Final = f"{_RESTORE}, and find out who changed it"


class EncryptionError(SealError):
    """Something cannot be sealed or opened.

    Attributes:
        problem: What is wrong, and where.
        remedy: What to do.
    """

    def __init__(self, problem: str, remedy: str, *given: object) -> None:
        super().__init__(*(given or (problem, remedy)))
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


class RecordError(EncryptionError):
    """A sealed record cannot be opened; the subclass says why.

    Attributes:
        namespace: Whose it is, for example a plugin's name.
        name: The record's name.
    """

    def __init__(self, namespace: str, name: str, why: str, remedy: str, *given: object) -> None:
        problem = f"{record_shown(namespace, name)} cannot be opened: {why}"
        super().__init__(problem, remedy, *(given or (namespace, name, why, remedy)))
        self.namespace = namespace
        self.name = name

    def renamed(self, namespace: str, name: str) -> RecordError:
        """Return the same of the name by which whoever keeps the record knows it."""
        return type(self)(namespace, name, *self.args[2:])


class Swapped(RecordError, Altered):
    """What stands in the record's place was sealed under another name or namespace."""

    def __init__(self, namespace: str, name: str) -> None:
        why = "what stands there was sealed under another name"
        super().__init__(namespace, name, why, _LOOK, namespace, name)


class Replayed(RecordError, Altered):
    """What stands in the record's place was sealed as another version of it.

    Attributes:
        sealed: The version as which it was sealed.
        wanted: The version that belongs there.
    """

    def __init__(self, namespace: str, name: str, sealed: int, wanted: int) -> None:
        why = f"it was sealed as version {sealed}, and version {wanted} belongs there"
        super().__init__(namespace, name, why, _LOOK, namespace, name, sealed, wanted)
        self.sealed = sealed
        self.wanted = wanted


class Truncated(RecordError, Altered):
    """The record is shorter than it was when it was sealed: it was cut off."""

    def __init__(self, namespace: str, name: str, is_bytes: int, was_bytes: int) -> None:
        why = f"it is cut off after {is_bytes} bytes of {was_bytes}"
        super().__init__(namespace, name, why, _RESTORE, namespace, name, is_bytes, was_bytes)


class Tampered(RecordError, Altered):
    """The record is not what it was when it was sealed: a person or the disk changed it."""

    def __init__(self, namespace: str, name: str) -> None:
        super().__init__(
            namespace, name, "it was changed since it was sealed", _LOOK, namespace, name
        )


class UnknownKey(RecordError):
    """The data key under which the record was sealed is not in the key ring.

    Attributes:
        key: The number of the data key.
        ring: The key ring's file.
    """

    def __init__(self, namespace: str, name: str, key: int, ring: object) -> None:
        why = f"its data key {key:08x} is not in {ring}: it was retired, or this is another ring"
        remedy = "put back the key ring that it was sealed with"
        super().__init__(namespace, name, why, remedy, namespace, name, key, str(ring))
        self.key = key
        self.ring = str(ring)


class UnknownFormat(EncryptionError):
    """A later version of Hauberk wrote it, or the byte that says so was changed.

    Attributes:
        what: What has the format.
        found: The format that it says to be of.
        known: The only one that is known here.
        is_record: Whether it is a sealed record.
    """

    def __init__(self, what: str, found: int, known: int, is_record: bool = False) -> None:
        problem = f"{what} is of format {found}, and this version of Hauberk knows format {known}"
        remedy = f"use the version that wrote it or, if none did, {_RESTORE}"
        super().__init__(problem, remedy, what, found, known, is_record)
        self.what = what
        self.found = found
        self.known = known
        self.is_record = is_record

    def renamed(self, namespace: str, name: str) -> UnknownFormat:
        """Return the same of the name by which whoever keeps the record knows it."""
        what = record_shown(namespace, name) if self.is_record else self.what
        return UnknownFormat(what, self.found, self.known, self.is_record)


class NoKey(EncryptionError):
    """The wrapping key is not where the configuration says.

    Attributes:
        reference: Where it should be, for example `file:/etc/hauberk/wrapping.key`.
        looked_in: The places that were searched.
    """

    def __init__(
        self, reference: str, looked_in: Sequence[str], why: str, remedy: str, first: str = ""
    ) -> None:
        places = f" (looked in {', '.join(looked_in)})" if looked_in else ""
        problem = f"no wrapping key from {reference}: {why}{places}"
        super().__init__(problem, remedy, reference, tuple(looked_in), why, remedy, first)
        self.reference = reference
        self.looked_in = tuple(looked_in)
        self._why = why
        self._first = first

    def before_first_use(self) -> NoKey:
        """Return what to raise where nothing is wrapped yet: it may say how to make a key.

        Where something is, making another would be the end of it.
        """
        remedy = self._first or self.remedy
        return NoKey(self.reference, self.looked_in, self._why, remedy)


class WrongKey(EncryptionError):
    """The wrapping key or passphrase is not the one that the key ring is wrapped under.

    Attributes:
        ring: The key ring's file.
        reference: Where the wrapping key came from.
    """

    def __init__(self, ring: object, reference: str, why: str) -> None:
        problem = f"key ring {ring} cannot be unlocked with {reference}: {why}"
        remedy = "name the right one in the section `encryption` of hauberk.yml"
        super().__init__(problem, remedy, str(ring), reference, why)
        self.ring = str(ring)
        self.reference = reference


class WeakPassphrase(EncryptionError):
    """A passphrase is too short, or too long, to put a key ring under."""


class BadRing(EncryptionError):
    """The key ring cannot be used as it stands; nothing was written.

    Attributes:
        ring: The key ring's file.
    """

    def __init__(self, ring: object, why: str, remedy: str = _RESTORE) -> None:
        super().__init__(f"key ring {ring}: {why}", remedy, str(ring), why, remedy)
        self.ring = str(ring)


class MissingRing(BadRing):
    """There is no key ring where there must be one."""


class RingNotWritten(EncryptionError, StoreError):
    """The key ring could not be written, for example to a full disk; it is whole all the same.

    Attributes:
        ring: The key ring's file.
    """

    def __init__(
        self, ring: object, why: str, remedy: str = "check the disk", *given: object
    ) -> None:
        problem = f"key ring {ring} cannot be written: {why}"
        super().__init__(problem, remedy, *(given or (str(ring), why, remedy)))
        self.ring = str(ring)


class RingBusy(RingNotWritten):
    """Another process has been writing the key ring for too long."""

    def __init__(self, ring: object, turn: object, waited_s: float) -> None:
        why = f"another process has had the turn for more than {waited_s:g} s"
        remedy = f"try again, or see which it is (fuser {turn}) and end it"
        super().__init__(ring, why, remedy, str(ring), str(turn), waited_s)


def record_shown(namespace: str, name: str) -> str:
    """Name a record; any text may be a name, of any length."""
    short, of = (repr(t if len(t) <= _SHOWN else f"{t[:_SHOWN]}…") for t in (name, namespace))
    return f"record {short} of {of}"
