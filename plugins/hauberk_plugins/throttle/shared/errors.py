"""Why a request is refused where the shared budget cannot be asked."""

from __future__ import annotations

from hauberk.errors import HauberkError


class BudgetLost(HauberkError):
    """Nothing is granted while the shared budget cannot be asked.

    Attributes:
        reason: Why it cannot, and what to do.
        retry_after_s: After which asking again may succeed.
    """

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason, retry_after_s)
        self.reason = reason
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"the shared budget cannot be asked: {self.reason}"
