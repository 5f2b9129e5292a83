"""`Secret`: the wrapper that every secret lives in, so that showing one takes a deliberate call."""

from __future__ import annotations

import hmac
from typing import Any, ClassVar, Final, NoReturn

HIDDEN: Final = "[secret]"


class Secret:
    """A string or bytes that no repr, str, format, pickle or traceback shows.

    `reveal()` is the only way to the value; a reviewer finds every use by searching for that
    word. Comparison is constant-time in the length of the longer value.

    Args:
        value: The secret, `str` (kept as UTF-8) or `bytes`.

    Raises:
        TypeError: The value is neither `str` nor `bytes`.
    """

    __slots__ = ("__value",)
    # hash() of a secret would be an oracle for guessing it.
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, value: str | bytes) -> None:
        if type(value) is str:
            value = value.encode()
        if type(value) is not bytes:
            raise TypeError(f"a Secret wraps str or bytes, not {type(value).__name__}")
        self.__value: bytes = value

    def reveal(self) -> bytes:
        """Return the secret's bytes."""
        return self.__value

    def reveal_text(self) -> str:
        """Return the secret as text (UTF-8)."""
        return self.__value.decode()

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value, other.__value)

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied: pass the object or its reference")
