"""Starting, registering, reloading and stopping plugins: each time a whole snapshot is built."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from attrs import evolve

from hauberk import dispatch, offloop
from hauberk.answers import HookFailed
from hauberk.binding import bind_accounts
from hauberk.context import Context
from hauberk.dispatch import Interrupts
from hauberk.errors import (
    ConfigError,
    ConfigProblem,
    HauberkError,
    MisuseError,
    PluginRefused,
)
from hauberk.hooks import hookimpl
from hauberk.ports import Venues
from hauberk.registry import BOTS, FIRST, Part, implementations
from hauberk.snapshot import Hooks, Snapshot, arrange
from hauberk.starting import Starting, View
from hauberk.telling import told

if TYPE_CHECKING:
    from hauberk.kernel import Kernel
    from hauberk.plan import Plan, Planned

log = logging.getLogger("hauberk")

#: Names that stand for the kernel and the program itself in what is attributed.
_RESERVED = frozenset({BOTS, "bot", "kernel"})


class Crew:
    """All plugins of a guard. Calls are serialised by the kernel's lock for changes."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._contexts: dict[str, Context] = {}
        self.order: Sequence[str] = ()
        self.reserved: frozenset[str] = _RESERVED
        self.skipped: Sequence[tuple[str, str]] = ()
        self.bots: list[tuple[Part, Hooks]] = []
        self.view = View(kernel.settings)

    def start(self, plan: Plan) -> None:
        """Make and start everything that a plan names, then put it in place.

        Plugins that are there already, unchanged, are kept. If anything required fails, what was
        started is stopped again and nothing has changed.

        Raises:
            ConfigError: Plugins cannot use what the configuration says, required or not; lists
                what all of them found.
            StartFailed: Required plugins failed: all of them, but those whose ports failed.
            PluginRefused: The order does not stand, or a name is taken.
        """
        starting = Starting(View(plan.settings, problem=plan.problem), list(plan.skipped))
        try:
            self._start(plan, starting)
        finally:
            self._kernel.flush(starting.frame)

    def register(self, plugin: object, name: str) -> str:
        """Register hooks at run time."""
        name = name or type(plugin).__name__.lower()
        if name in self.reserved:
            raise PluginRefused(name, "the name is reserved: pass another as name=")
        part = Part(name, plugin, origin="bot", loop=offloop.running_loop())
        self._change([*self.bots, (part, implementations(part))])
        return name

    def register_function(self, hook: str, function: Callable[..., Any]) -> None:
        """Register one function as a hook."""
        if not inspect.isfunction(function):
            raise PluginRefused(
                getattr(function, "__name__", type(function).__name__),
                "decorate a plain function, or pass an object to register",
            )
        taken = {*self.view.parts, *self.reserved, *(part.name for part, _ in self.bots)}
        names = (f"{function.__name__}-{n}" if n else function.__name__ for n in range(1_000_000))
        holder = type(function.__name__, (), {hook: staticmethod(hookimpl(function))})()
        self.register(holder, next(name for name in names if name not in taken))

    def unregister(self, plugin: object) -> None:
        """Take out what was registered at run time."""
        kept = [item for item in self.bots if not _is_meant(plugin, item)]
        if len(kept) == len(self.bots):
            raise MisuseError("only what was registered at run time can be unregistered")
        self._change(kept)

    def stop(self) -> None:
        """Stop every plugin, last first.

        Raises:
            KeyboardInterrupt: One was interrupted; raised when all have been stopped.
        """
        self._stop(list(self.view.parts.values()))

    def _start(self, plan: Plan, starting: Starting) -> None:
        view = starting.view
        try:
            for planned in plan.planned:
                self._add(planned, starting)
                if planned.name == view.settings.ports.get("venues"):
                    starting.problems += _venue_problems(view)
            starting.check(plan.order)
            snapshot = self._arranged(view, plan.order)
        except BaseException:
            self._stop(starting.started)
            raise
        removed = [item for item in self.view.parts.values() if not _is_kept(item[0], view)]
        self._contexts = {**self._contexts, **starting.contexts}
        self._contexts = {name: self._contexts[name] for name in view.parts}
        self.view, self.order, self.skipped = view, plan.order, starting.skipped
        self.reserved = _RESERVED | plan.reserved
        self._kernel.swap(snapshot, plan.settings, self._settle)
        self._stop(removed)

    def _settle(self) -> None:
        for name, context in self._contexts.items():
            context._settle(self.view.parts[name][0].grants)

    def _change(self, bots: list[tuple[Part, Hooks]]) -> None:
        snapshot = self._arranged(self.view, self.order, bots)
        self.bots = bots
        self._kernel.swap(snapshot, self.view.settings)

    def _add(self, planned: Planned, starting: Starting) -> None:
        view = starting.view
        provides = [port for port, name in view.settings.ports.items() if name == planned.name]
        if planned.name in view.parts:
            raise PluginRefused(planned.name, "the name is taken")
        if provides or planned.name == FIRST:
            planned = evolve(planned, required=True)
        if starting.waits(planned):
            starting.absent.add(planned.name)
            return
        try:
            item, is_fresh = self._made(planned, provides)
            view.parts[planned.name] = item
            if is_fresh:
                self._hand_over(item, starting)
                starting.started.append(item)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit included: no plugin ends the program
            view.parts.pop(planned.name, None)
            cause = error.cause if isinstance(error, HookFailed) else error
            if isinstance(cause, ConfigError):  # the operator's to mend, required or not
                starting.problems += cause.problems
                return
            if starting.problems:  # which it may come of: what others find is to be heard as well
                return
            reason = error.why if isinstance(error, HookFailed) else _reason(error)
            if planned.required:
                starting.failed.append((planned.name, reason, error))
                starting.absent.add(planned.name)
            if starting.failed:
                return
            if planned.name in self.view.parts:
                why = f"it is in place, and what was to replace it did not start: {reason}"
                raise PluginRefused(planned.name, why) from error
            log.warning("plugin %s is skipped: %s", planned.name, reason)
            starting.skipped.append((planned.name, reason))

    def _made(self, planned: Planned, provides: list[str]) -> tuple[tuple[Part, Hooks], bool]:
        was = self.view.parts.get(planned.name)
        kept = planned.keep(*was) if was is not None else None
        if was is not None and kept is was[0]:
            return was, False
        part = kept or planned.make(was[0] if was is not None else None)
        for port in provides:
            if port not in getattr(part.plugin, "provides", {}):
                raise PluginRefused(part.name, f"`ports:` names it for {port!r}, which it has not")
        return (part, implementations(part)), kept is None

    def _hand_over(self, item: tuple[Part, Hooks], starting: Starting) -> None:
        part, hooks = item
        was = self.view.parts.get(part.name)
        predecessor = was[0].plugin if was is not None else None
        context = Context(self._kernel, part.name, part.grants, starting.view, predecessor)
        starting.contexts[part.name] = context
        if "on_start" in hooks:
            dispatch.call(hooks["on_start"], context, frame=starting.frame)

    def _arranged(
        self, view: View, order: Sequence[str], bots: list[tuple[Part, Hooks]] | None = None
    ) -> Snapshot:
        bindings = bind_accounts(
            view.settings.accounts, cast("Venues | None", view.provider("venues"))
        )
        bots = self.bots if bots is None else bots
        return arrange([*view.parts.values(), *bots], order, bindings)

    def _stop(self, items: list[tuple[Part, Hooks]]) -> None:
        interrupts = Interrupts()
        for _, hooks in reversed(items):
            if "on_stop" in hooks:
                with interrupts:
                    self._kernel.contained(hooks["on_stop"])
        interrupts.raise_first()


def _venue_problems(view: View) -> list[ConfigProblem]:
    """Say which accounts' venues are not known, or have a file that cannot be used."""
    if (provider := view.provider("venues")) is None:  # it did not start, which is told
        return []
    venues = cast(Venues, provider)
    problems: list[ConfigProblem] = []
    for name, account in view.settings.accounts.items():
        try:
            venues.venue(account.venue)
        except ConfigError as error:
            problems += error.problems
        except HauberkError as error:
            problems.append(view.problem(("accounts", name, "venue"), str(error)))
    return problems


def _is_kept(part: Part, view: View) -> bool:
    return part.name in view.parts and view.parts[part.name][0].plugin is part.plugin


def _is_meant(plugin: object, item: tuple[Part, Hooks]) -> bool:
    part, hooks = item
    return (
        part.plugin is plugin
        or part.name == plugin
        or any(impl.function is plugin for impl in hooks.values())
    )


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, HauberkError) else told(error)
