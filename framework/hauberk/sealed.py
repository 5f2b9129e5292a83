"""`Sealed`: a value of a configuration that only the vault can open.

In the file it is a scalar with the tag `!sealed`. In a plugin's `Config` it is a field of this
type, opened by `context.unseal(...)`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from attrs import field, frozen

from hauberk.errors import SealError

TAG: Final = "!sealed"
#: Of the vault: values of configurations are sealed for no plugin.
NAMESPACE: Final = "config"
#: Beside hauberk.yml, if anything: sealed values of a configuration that was taken over.
TAKEN_OVER: Final = "config.sealed.yml"


@frozen
class Sealed:
    """A sealed value, and where it stands.

    Attributes:
        path: Its path in the file, as `hauberk.keypath.path_text` writes it. The value is bound to
            it: moved elsewhere, it does not open.
        blob: What the vault made of it.
    """

    path: str
    blob: bytes = field(repr=False)

    @classmethod
    def read(cls, path: str, text: str) -> Sealed | None:
        """Read it from base64, or return `None` where that is none."""
        try:
            blob = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return None
        return cls(path, blob) if blob else None

    def text(self) -> str:
        """Write it in base64, as it stands after the tag."""
        return base64.b64encode(self.blob).decode()


class Unreadable(SealError):
    """A sealed value is there and does not open: the cause says why.

    Attributes:
        file: The file.
        line: Counted from 1.
        path: Its path.
    """

    def __init__(self, file: str, line: int, path: str, reason: str) -> None:
        super().__init__(file, line, path, reason)
        self.file = file
        self.line = line
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.reason}"


def sealed_in(value: object) -> Iterator[Sealed]:
    """Yield the sealed values in plain data."""
    if isinstance(value, Sealed):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from sealed_in(item)
