"""Registration: what a plugin implements, whether it may, and the one order.

pluggy specifies, validates and registers, each plugin in a manager of its own so that no plugin
can disturb another; what it would accept and a security pipeline may not is refused here.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, Final

import pluggy
from attrs import define, field, frozen

from hauberk.errors import PluginRefused
from hauberk.hooks import HOOKS, PROJECT, Plugin
from hauberk.ports import PORTS

#: Hooks that may be `async def`: observers and responders.
ASYNC_HOOKS: Final = frozenset({"on_response", "on_incident"})
#: Hooks that need a grant of their own, in plugins that a configuration loads.
HOOK_GRANTS: Final = {
    "sign_request": "sign",
    "on_event": "record",
    "verify_batch": "verify",
}
#: What a hook registered at run time may be: a guard, observer, responder, optional recorder.
BOT_HOOKS: Final = frozenset({"on_request", "on_end", "on_login", "on_login_end", "on_response",
                              "on_incident", "on_event"})  # fmt: skip
#: Guards' hooks, each with the one that is told how what it judged has ended.
ENDS: Final = {"on_request": "on_end", "on_login": "on_login_end"}
FIRST: Final = "killswitch"
#: What only the kill switch may be granted: to send what cancels, past every guard.
EMERGENCY: Final = "emergency"
GRANTS: Final = frozenset({"amend", "sign", "authenticate", "record", "verify", EMERGENCY, *PORTS})
PACER: Final = "throttle"
BOTS: Final = "bots"
_REFUSED_OPTIONS: Final = ("wrapper", "hookwrapper", "tryfirst", "trylast", "specname",
                           "optionalhook", "firstresult")  # fmt: skip
#: What incidents and events are attributed to that no plugin did.
_NOBODY: Final = frozenset({"kernel", "bot", BOTS})
#: What the kinds of the kernel's own events begin with, as a plugin's begin with its name.
_KINDS: Final = frozenset({"request", "login", "incident", EMERGENCY})
_MAX_NAME: Final = 64


@frozen(eq=False)
class Part:
    """A plugin as the kernel was given it.

    Attributes:
        name: Unique; what denials, incidents and counts are attributed to.
        plugin: The object that implements hooks.
        grants: What it may do beyond objecting.
        required: Whether the kernel may not run without it.
        origin: `built-in`, a distribution with its version, or `bot`.
        config: Its configuration, compared at a reload to tell whether it changed.
        loop: The event loop on which its `async def` hooks run.
    """

    name: str
    plugin: object
    grants: frozenset[str] = frozenset()
    required: bool = False
    origin: str = "built-in"
    config: object = None
    loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)

    @property
    def is_bot(self) -> bool:
        """Whether it was registered at run time."""
        return self.origin == "bot"


@define(eq=False)
class Impl:
    """One hook of one plugin: what is called, what it may answer, and how it has fared.

    Attributes:
        calls: How often it was called.
        end: Of a guard's hook the plugin's other one that is told the end; see `ENDS`.
    """

    part: Part
    hook: str
    function: Callable[..., Any]
    is_async: bool = False
    is_blocking: bool = False
    end: Impl | None = None
    name: str = field(init=False)
    may_amend: bool = field(init=False)
    may_authenticate: bool = field(init=False)
    calls: int = field(init=False, default=0)
    failures: int = field(init=False, default=0)
    overruns: int = field(init=False, default=0)
    samples: int = field(init=False, default=0)
    sampled_ns: int = field(init=False, default=0)
    worst_ns: int = field(init=False, default=0)
    _lock: threading.RLock = field(init=False, factory=threading.RLock, repr=False)

    def __attrs_post_init__(self) -> None:
        self.name = self.part.name
        self.may_amend = "amend" in self.part.grants
        self.may_authenticate = "authenticate" in self.part.grants

    def sample(self, took_ns: int) -> None:
        """Take one measured call into the statistics."""
        with self._lock:
            self.samples += 1
            self.sampled_ns += took_ns
            self.worst_ns = max(self.worst_ns, took_ns)

    def failed(self) -> None:
        """Count a call that raised or answered what it may not."""
        with self._lock:
            self.failures += 1

    def overran(self) -> None:
        """Count a call that took longer than a guard should."""
        with self._lock:
            self.overruns += 1


def implementations(part: Part) -> dict[str, Impl]:
    """Find and check every hook that a plugin implements.

    Args:
        part: The plugin with its name and grants.

    Returns:
        Hook name to implementation.

    Raises:
        PluginRefused: It breaks a rule; says which and what to do.
    """
    _check_name(part)
    try:
        return _implementations(part)
    except (PluginRefused, KeyboardInterrupt):
        raise
    except BaseException as error:  # hostile __dir__, descriptors, __eq__; sys.exit in a property
        raise PluginRefused(
            part.name, f"looking at it raised {type(error).__name__}: {error}"
        ) from error


def _check_name(part: Part) -> None:
    """A name that equals no other, breaks no line of a log, and says truly who it was."""
    name = part.name
    if type(name) is not str:
        raise PluginRefused("?", f"its name must be text, not {type(name).__name__}")
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= _MAX_NAME:
        raise PluginRefused(
            repr(name[:_MAX_NAME]), f"its name must be 1 to {_MAX_NAME} printable characters"
        )
    if name in _NOBODY or (name in _KINDS and not part.is_bot):
        raise PluginRefused(name, "the name is reserved for what the kernel itself says or does")


def _implementations(part: Part) -> dict[str, Impl]:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Plugin)
    _refuse_options(manager, part)
    try:
        manager.register(part.plugin, part.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        _explain(part, manager)
        raise PluginRefused(part.name, " ".join(str(error).split())) from None
    found: dict[str, Impl] = {}
    for hook in HOOKS:
        for impl in getattr(manager.hook, hook).get_hookimpls():
            found[hook] = _checked(part, hook, impl.function)
    _check_together(part, found)
    for hook, end in ENDS.items():
        if hook in found:
            found[hook].end = found.get(end)
    return found


def _refuse_options(manager: pluggy.PluginManager, part: Part) -> None:
    for name in dir(part.plugin):
        options = manager.parse_hookimpl_opts(part.plugin, name)
        if options is None:
            if name in HOOKS and not _is_specification(part.plugin, name):
                raise PluginRefused(
                    part.name,
                    f"{name} lacks the decorator @hookimpl, or is no function: it would be "
                    "ignored; decorate it or rename it",
                )
            continue
        used = [option for option in _REFUSED_OPTIONS if options.get(option)]
        if used:
            raise PluginRefused(
                part.name,
                f"{name} uses {', '.join(used)}; order comes from `plugins:` alone and no hook "
                "wraps another: use a bare @hookimpl",
            )
        if getattr(getattr(part.plugin, name), f"{PROJECT}_spec", None) is not None:
            raise PluginRefused(
                part.name, f"{name} declares a specification, which only hauberk.hooks does"
            )


def _is_specification(plugin: object, name: str) -> bool:
    return inspect.getattr_static(plugin, name) is vars(Plugin)[name]


def _explain(part: Part, manager: pluggy.PluginManager) -> None:
    """Refuse in words of our own what pluggy would not register."""
    for name in dir(part.plugin):
        if manager.parse_hookimpl_opts(part.plugin, name) is None:
            continue
        if name not in HOOKS:
            raise PluginRefused(
                part.name, f"{name} is no hook; the hooks are {', '.join(HOOKS)}"
            ) from None
        _check_arguments(part, name, getattr(part.plugin, name))


def _check_arguments(part: Part, hook: str, function: Callable[..., Any]) -> None:
    wanted = HOOKS[hook]
    parameters = list(inspect.signature(function).parameters.values())
    plain = all(
        p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters
    ) and not _takes_anything(function)
    if not plain or tuple(p.name for p in parameters) != wanted:
        raise PluginRefused(part.name, f"{hook} must take exactly ({', '.join(wanted)})") from None


def _checked(part: Part, hook: str, function: Callable[..., Any]) -> Impl:
    _check_arguments(part, hook, function)
    is_async = _is_async(function)
    if is_async and hook not in ASYNC_HOOKS:
        raise PluginRefused(
            part.name,
            f"{hook} is async def, which only {' and '.join(sorted(ASYNC_HOOKS))} may be: make "
            "it def, and @blocking if it blocks",
        )
    if is_async and part.loop is None:
        do = "register it from one" if part.is_bot else "open or reload the guard inside one"
        raise PluginRefused(part.name, f"{hook} is async def, but no event loop is running: {do}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise PluginRefused(part.name, f"{hook} contains yield: a hook returns its answer")
    is_blocking = bool(getattr(function, "hauberk_blocking", False))
    return Impl(part, hook, function, is_async, is_blocking)


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def has_async(cls: object) -> bool:
    """Whether a class has `async def` hooks, found without running any code of it."""
    for hook in ASYNC_HOOKS:
        found = inspect.getattr_static(cls, hook, None)
        if type(found) is staticmethod or type(found) is classmethod:
            found = found.__func__
        if type(found) is FunctionType and _is_async(found):
            return True
    return False


def _takes_anything(function: Callable[..., Any]) -> bool:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and bool(code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS))


def _check_together(part: Part, found: dict[str, Impl]) -> None:
    unknown = part.grants - GRANTS
    if unknown:
        raise PluginRefused(part.name, f"{', '.join(sorted(unknown))} is no grant")
    if part.is_bot:
        beyond = [hook for hook in found if hook not in BOT_HOOKS]
        if beyond or part.grants or part.required:
            raise PluginRefused(
                part.name,
                f"hooks registered at run time may not {', '.join(beyond) or 'have grants'}: "
                "name it under third_party in hauberk.yml",
            )
    else:
        if EMERGENCY in part.grants and part.name != FIRST:
            raise PluginRefused(part.name, f"the grant {EMERGENCY!r} is for {FIRST} alone")
        for hook, grant in HOOK_GRANTS.items():
            if hook in found and grant not in part.grants:
                raise PluginRefused(part.name, f"{hook} needs the grant {grant!r} in hauberk.yml")
    for hook, end in ENDS.items():
        if end in found and hook not in found:
            raise PluginRefused(part.name, f"{end} without {hook} would never be called")
    if part.required and "on_incident" in found and found["on_incident"].is_async:
        raise PluginRefused(part.name, "on_incident of a required plugin runs inline: make it def")
    if not found and not getattr(part.plugin, "provides", None):
        raise PluginRefused(part.name, f"implements no hook; the hooks are {', '.join(HOOKS)}")


def check_order(order: Sequence[str], guards: frozenset[str]) -> list[tuple[str, str]]:
    """Check the one order.

    Args:
        order: The names of `plugins:`, `bots` included.
        guards: Those of them that implement `on_request`.

    Returns:
        What is wrong: (name, reason) pairs, none if the order stands.
    """
    problems = []
    if not order or order[0] != FIRST:
        problems.append((FIRST, f"{FIRST} must be the first of `plugins:`, so that it halts all"))
    for name in dict.fromkeys(name for name in order if order.count(name) > 1):
        problems.append((name, f"{name} is listed twice"))
    if PACER in order:
        late = order[order.index(PACER) + 1 :]
        problems += [
            (
                name,
                f"{name} judges requests and stands after {PACER}, where it would hold a charge "
                f"while it thinks: move it before {PACER}",
            )
            for name in late
            if name in guards or name == BOTS
        ]
    if BOTS in order and "policy" in order and order.index(BOTS) < order.index("policy"):
        problems.append((BOTS, "bots must stand after policy: judge first"))
    return problems
