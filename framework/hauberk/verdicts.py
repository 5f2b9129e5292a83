"""What a guard may answer. There is no "allow": `None` means no objection, nothing more."""

from __future__ import annotations

from math import isfinite
from typing import TypeAlias

from attrs import field, frozen

from hauberk.errors import InvalidValue
from hauberk.request import Request


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
        if type(self.reason) is not str or not self.reason:
            return "reason must be text that says why"
        if self.retry_after is not None and not _is_duration(self.retry_after):
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
        return None if _is_duration(self.seconds) else "seconds must be finite and not negative"


Verdict: TypeAlias = Deny | Wait | Request | None


def _is_duration(value: object) -> bool:
    return type(value) in (int, float) and isfinite(value) and value >= 0  # type: ignore[arg-type,operator]
