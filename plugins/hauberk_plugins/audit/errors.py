"""What can be wrong with an audit log."""

from __future__ import annotations

from pathlib import Path

from hauberk.errors import HauberkError


class AuditError(HauberkError):
    """The audit log cannot be used.

    Attributes:
        path: Which file or folder.
        why: What is wrong with it.
        remedy: What to do.
    """

    def __init__(self, path: Path, why: str, remedy: str) -> None:
        super().__init__(path, why, remedy)
        self.path = path
        self.why = why
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.why}; {self.remedy}"


class AuditUnwritable(AuditError):
    """A record could not be made durable: what it permits is not given."""


class AuditDamaged(AuditError):
    """What stands there is not what was written."""
