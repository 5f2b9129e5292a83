"""What a guard may answer. There is no "allow": `None` means no objection, nothing more."""

from __future__ import annotations

from sys import float_info
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import field, frozen

from hauberk.errors import InvalidValue

if TYPE_CHECKING:
    from hauberk.request import Request

_LONGEST_S: Final = float_info.max


@frozen
class Deny:
    """The request or login may not proceed.

    Attributes:
        reason: Why, for a person; it is put into the error the bot sees and into records.
        retry_after: Seconds after which it may, if that is known.
    """

    reason: str
    retry_after: float | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if (problem := self.problem()) is not None:
            raise InvalidValue(f"Deny: {problem}")

    def problem(self) -> str | None:
        """Say what is wrong with the fields; asked again when a hook returns one."""
        # `object.__new__` makes one without fields.
        reason = getattr(self, "reason", None)
        if type(reason) is not str or not reason:
            return "reason must be text that says why"
        retry_after = getattr(self, "retry_after", "")
        if retry_after is not None and not _is_duration(retry_after):
            return "retry_after must be seconds, finite and not negative"
        return None


@frozen
class Wait:
    """Not yet: ask again after so many seconds, or when the request is woken.

    Attributes:
        seconds: Finite, not negative.
    """

    seconds: float

    def __attrs_post_init__(self) -> None:
        if (problem := self.problem()) is not None:
            raise InvalidValue(f"Wait: {problem}")

    def problem(self) -> str | None:
        """Say what is wrong with the fields; asked again when a hook returns one."""
        seconds = getattr(self, "seconds", None)
        return None if _is_duration(seconds) else "seconds must be finite and not negative"


Verdict: TypeAlias = "Deny | Wait | Request | None"


def _is_duration(value: object) -> bool:
    # NaN fails both comparisons; an integer beyond any float is not converted to one.
    return type(value) in (int, float) and 0 <= value <= _LONGEST_S  # type: ignore[operator]
