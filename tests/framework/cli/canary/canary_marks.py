"""Marked secrets, and every form in which one would be seen."""

from __future__ import annotations

import json
import re
from base64 import b32encode, b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from urllib.parse import quote

#: Bytes; a shorter form is found by chance.
_SHORTEST = 10
_CORE = re.compile(rb"[0-9a-f]{24}")


def core(name: str) -> str:
    """Text that stands nowhere by chance, and that no escaping changes."""
    return sha256(f"canary {name}".encode()).hexdigest()[:24]


def awkward(name: str) -> str:
    """A secret with characters that are written otherwise in URLs, JSON, YAML and shells."""
    return f"{core(name)}/+=%&ü"


def forms(value: bytes) -> Iterator[bytes]:
    """A secret as it may be written: as it is, escaped, in hexadecimal, base64 or base32.

    Of base64 those characters that depend on nothing but the secret, wherever it begins in what
    was encoded.
    """
    yield value
    yield value.hex().encode()
    yield value.hex().upper().encode()
    yield repr(value)[2:-1].encode()
    yield quote(value, safe="").encode()
    yield b32encode(value)[: len(value) * 8 // 5]
    text = value.decode("utf-8", "replace")
    yield json.dumps(text)[1:-1].encode()
    yield repr(text)[1:-1].encode()
    for before in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            encoded = encode(b"\0" * before + value).rstrip(b"=")
            yield encoded[(8 * before + 5) // 6 : len(encoded) - (before + len(value)) % 3]


class Marks:
    """The secrets there are, by name."""

    def __init__(self) -> None:
        self._needles: dict[str, set[bytes]] = {}
        self.values: dict[str, bytes] = {}

    def add(self, name: str, value: str | bytes) -> str:
        """Look for a secret from here on; return it as text."""
        raw = value.encode() if isinstance(value, str) else value
        if raw:
            self.values[name] = raw
            # However the rest of it is written, its core is not.
            core = _CORE.search(raw)
            needles = self._needles.setdefault(name, set())
            needles.update(n for n in forms(core[0] if core else raw) if len(n) >= _SHORTEST)
        return raw.decode("utf-8", "replace")

    def only(self, names: Iterable[str]) -> None:
        """Forget all others."""
        for name in self.values.keys() - set(names):
            del self.values[name], self._needles[name]

    def mark(self, name: str) -> str:
        """Make a secret of plain characters."""
        return self.add(name, core(name))

    def awkward(self, name: str) -> str:
        """Make a secret of characters of all kinds."""
        return self.add(name, awkward(name))

    def key(self, name: str) -> bytes:
        """Make a secret of 32 bytes that are no text."""
        made = sha256(f"canary key {name}".encode()).digest()
        self.add(name, made)
        return made

    def found(self, seen: str | bytes, but: Iterable[str] = ()) -> set[str]:
        """Return the names of the secrets that are seen in something, but for some."""
        data = seen.encode("utf-8", "surrogatepass") if isinstance(seen, str) else seen
        return {
            name
            for name, needles in self._needles.items()
            if name not in but and any(needle in data for needle in needles)
        }

    def around(self, seen: str | bytes, name: str) -> str:
        """Return what stands around a secret, for a message."""
        data = seen.encode("utf-8", "surrogatepass") if isinstance(seen, str) else seen
        at = min(found for n in self._needles[name] if (found := data.find(n)) >= 0)
        return data[max(at - 300, 0) : at + 60].decode("utf-8", "replace")
