"""What `hauberk doctor` is told of the key ring and its wrapping key; makes neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from hauberk.command import FAIL, OK, WARN, Check
from hauberk.errors import UnsafeFile
from hauberk_plugins.encryption.dates import ahead, date
from hauberk_plugins.encryption.errors import EncryptionError
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.ringfile import RingFile
from hauberk_plugins.encryption.wrapping import (
    Passphrase,
    Unnamed,
    WrappingKey,
    fetched_first,
)

_RING = "key ring"
_KEY = "wrapping key"
_SET = "set it (NTP): second factors, sessions and signed requests go by it"


def look(ring: KeyRing, wall_ns: Callable[[], int]) -> Iterator[Check]:
    """Look at a key ring, at where its wrapping key is, and at the clock by its dates."""
    if isinstance(ring.source, Unnamed) and not ring.was_made():
        yield Check(_KEY, OK, "none is named, and nothing is sealed")
        return
    was_made = ring.was_made()
    yield _checked(_KEY, lambda: _source(ring.source, was_made))
    if not was_made:
        yield Check(_RING, OK, "none yet: it is made when something is first sealed")
        return
    yield _checked(_RING, lambda: _ring(ring))
    yield from _clock(ring, wall_ns())


def _clock(ring: KeyRing, wall_ns: int) -> Iterator[Check]:
    with suppress(EncryptionError, UnsafeFile):  # said already
        if made := ahead(ring.read(), wall_ns):
            found = f"it shows {date(wall_ns)}, and {ring.path} holds a key of {made}"
            yield Check("the clock", WARN, found, _SET)


def _source(source: WrappingKey, was_made: bool) -> Check:
    if isinstance(source, Passphrase) and source.is_asked_for:
        found = f"{source.reference}: asked for on a terminal, and not tried here"
        return Check(_KEY, WARN, found, "for what runs by itself, set `passphrase: env:NAME`")
    if was_made:
        source.fetch()
    else:
        fetched_first(source)
    return Check(_KEY, OK, source.reference)


def _ring(ring: KeyRing) -> Check:
    file = ring.read()
    source = ring.source
    if isinstance(source, Passphrase) and source.is_asked_for:
        return Check(_RING, OK, f"{_described(ring, file)}; not unlocked here")
    ring.unlock()
    return Check(_RING, OK, f"{_described(ring, file)}; it unlocks")


def _described(ring: KeyRing, file: RingFile) -> str:
    under = "a key" if file.kdf is None else f"a passphrase (scrypt, n={file.kdf.n})"
    active = next(key for key in file.keys if key.number == file.active)
    since = f" since {active.made}" if active.made else ""
    keys = "1 data key" if len(file.keys) == 1 else f"{len(file.keys)} data keys"
    return f"{ring.path}, {keys} under {under}; {active.number:08x} seals{since}"


def _checked(what: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except EncryptionError as error:
        return Check(what, FAIL, error.problem, error.remedy)
    except UnsafeFile as error:
        return Check(what, FAIL, f"{error.path}: {error.problem}", error.remedy)
