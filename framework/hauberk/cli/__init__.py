"""The command line, at the kernel's edge.

Commands, also those that plugins contribute, return an `Answer` or what JSON has; `table` draws one
for people, and `UsageError` says that something was typed wrong.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from hauberk.cli.answer import Answer, table

if TYPE_CHECKING:
    from hauberk.cli.failure import UsageError
    from hauberk.cli.options import Options

__all__ = ["Answer", "Options", "UsageError", "table"]

#: What brings cyclopts and more, and where it is.
_LATE: Final = {"Options": "hauberk.cli.options", "UsageError": "hauberk.cli.failure"}


def __getattr__(name: str) -> Any:
    """Load what brings much when it is first asked for (PEP 562)."""
    if name not in _LATE:
        raise AttributeError(f"module 'hauberk.cli' has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)
