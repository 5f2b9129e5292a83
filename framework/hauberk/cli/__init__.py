"""The command line, at the kernel's edge.

Commands, also those that plugins contribute, return an `Answer` or what JSON has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hauberk.cli.answer import Answer

if TYPE_CHECKING:
    from hauberk.cli.options import Options

__all__ = ["Answer", "Options"]


def __getattr__(name: str) -> Any:
    """Load `Options`, and cyclopts with it, when it is first asked for (PEP 562)."""
    if name != "Options":
        raise AttributeError(f"module 'hauberk.cli' has no attribute {name!r}")
    from hauberk.cli.options import Options

    return Options
