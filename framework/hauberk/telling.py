"""Saying what somebody's code raised or answered, whatever it is: in one line, and no secret."""

from __future__ import annotations

import re
from typing import Final

from hauberk.errors import HauberkError

_CREDENTIAL: Final = re.compile(
    r"(?i)(\b\w*(?:signature|secret|api_?key|token|password|passphrase)\w*=|//(?=[^\s/]*@))[^\s&@]+"
)
_TYPE_NAME: Final = type.__dict__["__name__"].__get__
#: How much of an exception's text is told: of one of our own, and of any other.
_OWN_TEXT: Final = 2_000
_TEXT: Final = 200


def told(error: BaseException) -> str:
    """Describe an exception in one line that cannot break out of a log.

    An error of our own says what to do, often at its end: it is cut much later than any other.
    """
    limit = _OWN_TEXT if issubclass(type(error), HauberkError) else _TEXT
    try:
        text = str(error)[:limit]
    except KeyboardInterrupt:
        raise
    except BaseException:  # a hostile __str__
        text = ""
    return f"{kind(error)}: {masked(text)}" if text else kind(error)


def masked(text: str) -> str:
    """Put a mask over what stands behind `signature=` and its like, and escape what is no text."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return _CREDENTIAL.sub(r"\1[secret]", shown)


def kind(answer: object) -> str:
    """The name of a type, whatever its metaclass says when it is asked."""
    name: str = _TYPE_NAME(type(answer))
    return name
