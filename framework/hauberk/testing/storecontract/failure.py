"""How a rule of the store's contract says that it was broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_LONGEST: Final = 300


class BrokenStore(AssertionError):
    """A store breaks a rule of the contract.

    Attributes:
        rule: Which rule.
        what: What was called.
        seen: What came of it.
        wanted: What should have come of it.
    """

    def __init__(self, what: str, seen: object, wanted: object) -> None:
        super().__init__(what, seen, wanted)
        self.rule = ""
        self.what = what
        self.seen = seen
        self.wanted = wanted

    def __str__(self) -> str:
        lines = [f"the store breaks the rule: {self.rule}"] if self.rule else []
        lines.append(f"  {self.what}")
        lines.append(f"  gave:   {_shown(self.seen)}")
        lines.append(f"  wanted: {_shown(self.wanted)}")
        return "\n".join(lines)


def same(seen: object, wanted: object, what: str) -> None:
    """Raise unless what was seen is what was wanted.

    Raises:
        BrokenStore: It is not.
    """
    if seen != wanted:
        raise BrokenStore(what, seen, wanted)


def raises(
    kind: type[Exception], call: Callable[..., object], *arguments: object, **named: object
) -> None:
    """Raise unless a call raises an error of a kind.

    Raises:
        BrokenStore: It returned, or raised something else.
    """
    try:
        seen: object = call(*arguments, **named)
    except kind:
        return
    except Exception as error:
        seen = error
    given = [_shown(one) for one in arguments] + [f"{k}={v!r}" for k, v in named.items()]
    raise BrokenStore(f"{call.__name__}({', '.join(given)})", seen, kind)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
