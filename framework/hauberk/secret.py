"""`Secret`: the wrapper that every secret lives in, so that showing one takes a deliberate call."""

from __future__ import annotations

from typing import Any, ClassVar, Final, NoReturn

from hauberk.errors import InvalidValue

HIDDEN: Final = "[secret]"
_FIXED: Final = "a Secret cannot be changed"


class Secret:
    """A string or bytes that no repr, str, format, pickle or traceback shows.

    `reveal()` is the only way to the value; a reviewer finds every use by searching for that
    word. Comparison is constant-time in the length of the longer value. It cannot be changed.

    Args:
        value: The secret, `str` (kept as UTF-8) or `bytes`.

    Raises:
        TypeError: The value is neither `str` nor `bytes`.
        InvalidValue: It is `str` with a lone surrogate.
    """

    __slots__ = ("__value",)
    __value: bytes
    # hash() of a secret would be an oracle for guessing it.
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, value: str | bytes) -> None:
        kind = type(value)
        raw = _raw(value)
        # A traceback that shows locals shows those of this frame.
        del value
        if raw is None:
            raise (
                InvalidValue("a Secret wraps str without lone surrogates, or bytes")
                if kind is str
                else TypeError(f"a Secret wraps str or bytes, not {kind.__name__}")
            )
        if hasattr(self, "_Secret__value"):
            del raw
            raise AttributeError(_FIXED)
        object.__setattr__(self, "_Secret__value", raw)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        del value
        raise AttributeError(_FIXED)

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(_FIXED)

    def reveal(self) -> bytes:
        """Return the secret's bytes."""
        return self.__value

    def reveal_text(self) -> str:
        """Return the secret as text.

        Raises:
            InvalidValue: It is not UTF-8.
        """
        text = _text(self.__value)
        if text is None:
            raise InvalidValue("the secret is not UTF-8 text: use reveal()")
        return text

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # Imported late: it brings OpenSSL, which `import hauberk` would otherwise wait for.
        from hmac import compare_digest

        return compare_digest(self.__value, other.__value)

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied: pass the object or its reference")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret has no state to show")


# The errors of these two quote what they could not convert: none may leave, not even as the
# context of another.
def _raw(value: object) -> bytes | None:
    if type(value) is bytes:
        return value
    try:
        return value.encode() if type(value) is str else None
    except UnicodeEncodeError:
        return None


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
