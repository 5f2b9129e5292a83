"""What a guard is made from: settings, and each plugin before it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from hauberk import offloop
from hauberk.errors import ConfigProblem
from hauberk.registry import Impl, Part, has_async
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

    @property
    def is_async(self) -> bool:
        """Whether it has `async def` hooks: it is then to be made where an event loop runs."""
        return has_async(self.cls)

    def make(self, before: Part | None = None) -> Part:
        """Make the plugin.

        Args:
            before: What it takes over from, in a reload.
        """
        plugin = self.cls() if self.config is None else self.cls(self.config)
        loop = _loop(before)
        return Part(self.name, plugin, self.grants, self.required, self.origin, self, loop)

    def keep(self, part: Part, hooks: Mapping[str, Impl]) -> Part | None:
        """Return the part with its instance and state if nothing about it changed.

        One with `async def` hooks whose event loop has ended goes over to the one that runs here.
        """
        was = part.config
        if not isinstance(was, Planned) or (was.cls, was.config) != (self.cls, self.config):
            return None
        is_async = any(impl.is_async for impl in hooks.values())
        loop = (_loop(part) if is_async else None) or part.loop
        if was == self and loop is part.loop:
            return part
        return evolve(
            part, grants=self.grants, required=self.required, origin=self.origin, config=self,
            loop=loop,
        )  # fmt: skip


def _loop(before: Part | None) -> asyncio.AbstractEventLoop | None:
    """Return the loop of the part before while it runs, else the one that runs here.

    Where neither does, a loop that may run again will do.
    """
    loop = None if before is None else before.loop
    if loop is not None and loop.is_running():
        return loop
    return offloop.running_loop() or (None if loop is None or loop.is_closed() else loop)


def somewhere(path: tuple[str | int, ...], message: str) -> ConfigProblem:
    """Make a problem where there is no file, so that no line is known."""
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
        default=somewhere, eq=False, repr=False
    )
