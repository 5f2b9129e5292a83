"""What is made so far while a guard starts or reloads, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from attrs import define, field, frozen

from hauberk.context import Context
from hauberk.errors import ConfigError, ConfigProblem, StartFailed
from hauberk.frames import Frame
from hauberk.pacing import Pacing
from hauberk.plan import somewhere
from hauberk.registry import Part
from hauberk.settings import Settings
from hauberk.snapshot import Hooks

if TYPE_CHECKING:
    from hauberk.keypath import KeyPath
    from hauberk.plan import Planned


@frozen(eq=False)
class View:
    """The plugins and settings that contexts look ports and accounts up in.

    Attributes:
        settings: Which plugin provides which port.
        parts: Grows while plugins start, so that providers serve those after them.
        problem: Makes a problem of a path in the configuration and what is wrong there.
    """

    settings: Settings
    parts: dict[str, tuple[Part, Hooks]] = field(factory=dict)
    problem: Callable[[KeyPath, str], ConfigProblem] = field(default=somewhere, repr=False)

    def provider(self, port: str) -> object | None:
        """What provides a port, or `None`."""
        name = self.settings.ports.get(port)
        if name is None or name not in self.parts:
            return None
        plugin = self.parts[name][0].plugin
        attribute = getattr(plugin, "provides", {}).get(port)
        return None if attribute is None else cast(object, getattr(plugin, attribute))

    def pacing(self) -> Pacing | None:
        """What paces requests that plugins send by themselves, or `None`: the first that does."""
        brought = (getattr(part.plugin, "pacing", None) for part, _ in self.parts.copy().values())
        return cast("Pacing | None", next((one for one in brought if one is not None), None))


@define(eq=False)
class Starting:
    """A crew in the making.

    Attributes:
        view: What is made so far.
        skipped: What is left out, with the reason.
        problems: What plugins found wrong with the configuration.
        failed: Required ones that did not start, with the reason and what was raised.
        absent: Those that failed so, and those that wait for their ports.
        started: What is to be stopped again if the rest fails.
        contexts: Of what was made, by name.
        frame: What `on_start` hooks reported and emitted, sent when all is in place.
    """

    view: View
    skipped: list[tuple[str, str]]
    problems: list[ConfigProblem] = field(factory=list)
    failed: list[tuple[str, str, BaseException]] = field(factory=list)
    absent: set[str] = field(factory=set)
    started: list[tuple[Part, Hooks]] = field(factory=list)
    contexts: dict[str, Context] = field(factory=dict)
    frame: Frame = field(factory=Frame)

    def waits(self, planned: Planned) -> bool:
        """Whether what provides one of its ports failed, so that its own failure tells nothing."""
        ports = self.view.settings.ports
        return any(ports.get(grant) in self.absent for grant in planned.grants)

    def check(self, order: Sequence[str]) -> None:
        """Raise what was found.

        Raises:
            ConfigError: There are problems; with them, what did not start.
            StartFailed: Required plugins did not start: all of them.
        """
        failed = [(name, reason) for name, reason, _ in self.failed]
        if self.problems:
            found = dict.fromkeys(self.problems)
            for name, reason in failed:
                at = ("plugins", order.index(name)) if name in order else ("plugins",)
                found[self.view.problem(at, str(StartFailed(name, reason)))] = None
            raise ConfigError(sorted(found, key=lambda problem: (problem.file, problem.line)))
        if failed:
            (name, reason), *others = failed
            raise StartFailed(name, reason, others) from self.failed[0][2]
