"""A command that a plugin contributes to the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen


@frozen
class Command:
    """One command.

    Attributes:
        name: As typed after `hauberk`, one or two words, for example `budgets`.
        run: A function whose parameters and docstring become the usage; it may take a keyword
            parameter `options: hauberk.cli.Options` for `--config` and `--json`, and returns
            what to print (JSON-able, or `None`).
    """

    name: str
    run: Callable[..., Any]
