"""What a guard is made from: settings, and each plugin before it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import evolve, field, frozen

from hauberk.errors import ConfigProblem
from hauberk.registry import Part
from hauberk.settings import Settings


@frozen
class Planned:
    """A plugin that is to be made, or kept if it is there already and unchanged.

    Attributes:
        name: Its name.
        cls: Called with `config`, or with nothing when that is `None`.
        config: An instance of its `Config`.
        grants: What it may do beyond objecting.
        required: Whether the guard may not run without it.
        origin: `built-in`, or its distribution with the version.
    """

    name: str
    cls: Callable[..., Any]
    config: object = None
    grants: frozenset[str] = frozenset()
    required: bool = False
    origin: str = "built-in"

    def make(self) -> Part:
        """Make the plugin."""
        plugin = self.cls() if self.config is None else self.cls(self.config)
        return Part(self.name, plugin, self.grants, self.required, self.origin, self)

    def keep(self, part: Part) -> Part | None:
        """Return the part with its instance and state if nothing about it changed."""
        was = part.config
        if not isinstance(was, Planned) or (was.cls, was.config) != (self.cls, self.config):
            return None
        if was == self:
            return part
        return evolve(
            part, grants=self.grants, required=self.required, origin=self.origin, config=self
        )


def _somewhere(path: tuple[str | int, ...], message: str) -> ConfigProblem:
    return ConfigProblem("the configuration", 0, ".".join(map(str, path)), message)


@frozen
class Plan:
    """Everything that a guard is made from.

    Attributes:
        settings: The kernel's own.
        order: The names of `plugins:`, `bots` included.
        planned: Every plugin, in order, providers of ports first.
        skipped: Those left out, with the reason.
        reserved: Names that hooks registered at run time may not take.
        problem: Makes a problem of a path in the configuration and what is wrong there.
    """

    settings: Settings
    order: Sequence[str]
    planned: Sequence[Planned]
    skipped: Sequence[tuple[str, str]] = ()
    reserved: frozenset[str] = field(default=frozenset())
    problem: Callable[[tuple[str | int, ...], str], ConfigProblem] = field(
        default=_somewhere, eq=False, repr=False
    )
