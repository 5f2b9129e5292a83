"""One immutable view of all plugins in order, swapped whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import field, frozen

from hauberk.binding import Binding
from hauberk.errors import PluginRefused
from hauberk.registry import BOTS, Impl, Part, check_order

Hooks: TypeAlias = Mapping[str, Impl]


def _parts(given: Sequence[tuple[Part, Hooks]]) -> tuple[tuple[Part, Hooks], ...]:
    return tuple((part, MappingProxyType(dict(hooks))) for part, hooks in given)


def _bindings(given: Mapping[str, Binding]) -> Mapping[str, Binding]:
    return MappingProxyType(dict(given))


@frozen(eq=False)
class Snapshot:
    """Who is asked, in which order, and for which accounts.

    Attributes:
        parts: Every plugin with its hooks, in order; providers of ports first.
        order: The names of `plugins:`, `bots` included.
        bindings: Accounts by name.
        guards: Implementations of `on_request`, in order.
        runs: The same, cut so that each blocking guard stands alone.
        ends: The guards' implementations of `on_end`.
        recorders: Implementations of `on_event`.
        observers: Implementations of `on_response`.
        signers: By plugin name.
        blocks: Whether a guard or a signer is blocking.
    """

    parts: tuple[tuple[Part, Hooks], ...] = field(default=(), converter=_parts)
    order: tuple[str, ...] = ()
    bindings: Mapping[str, Binding] = field(factory=dict, converter=_bindings)
    guards: tuple[Impl, ...] = field(init=False)
    runs: tuple[tuple[Impl, ...], ...] = field(init=False)
    ends: tuple[Impl, ...] = field(init=False)
    recorders: tuple[Impl, ...] = field(init=False)
    observers: tuple[Impl, ...] = field(init=False)
    signers: Mapping[str, Impl] = field(init=False)
    blocks: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "guards", self.impls("on_request"))
        set_(self, "runs", runs(self.guards))
        set_(self, "ends", ends(self.guards))
        set_(self, "recorders", self.impls("on_event"))
        set_(self, "observers", self.impls("on_response"))
        signers = {impl.name: impl for impl in self.impls("sign_request")}
        set_(self, "signers", MappingProxyType(signers))
        called = (*self.guards, *self.ends, *signers.values())
        set_(self, "blocks", any(impl.is_blocking for impl in called))

    def impls(self, hook: str) -> tuple[Impl, ...]:
        """Every implementation of a hook, in order."""
        return tuple(hooks[hook] for _, hooks in self.parts if hook in hooks)

    def part(self, name: str) -> Part | None:
        """A plugin by name."""
        return next((part for part, _ in self.parts if part.name == name), None)

    def hooks(self, name: str) -> Hooks:
        """A plugin's hooks by its name."""
        return next((hooks for part, hooks in self.parts if part.name == name), {})


def arrange(
    parts: Sequence[tuple[Part, Hooks]],
    order: Sequence[str],
    bindings: Mapping[str, Binding],
) -> Snapshot:
    """Put plugins in the one order.

    Args:
        parts: What was configured and what was registered at run time, in that sequence.
        order: The names of `plugins:`; the entry `bots` stands for all registered at run time.
            Providers of ports need not be named.
        bindings: Accounts by name.

    Raises:
        PluginRefused: A name is taken, the order does not stand, or two authenticate.
    """
    by_name: dict[str, tuple[Part, Hooks]] = {}
    for part, hooks in parts:
        if part.name in by_name or part.name == BOTS:
            raise PluginRefused(part.name, "the name is taken")
        if any(part.plugin is other.plugin for other, _ in by_name.values()):
            raise PluginRefused(part.name, "the same object is registered already")
        by_name[part.name] = (part, hooks)
    _check(by_name, order)
    bots = [item for item in by_name.values() if item[0].is_bot]
    if bots and BOTS not in order:
        raise PluginRefused(bots[0][0].name, f"`plugins:` has no entry {BOTS!r} for it to stand at")
    unlisted = [item for name, item in by_name.items() if name not in order and not item[0].is_bot]
    listed: list[tuple[Part, Hooks]] = []
    for name in order:
        if name == BOTS:
            listed += bots
        elif name in by_name:  # a skipped plugin is not
            listed.append(by_name[name])
    return Snapshot((*unlisted, *listed), tuple(order), bindings)


#: Hooks of providers, for which an order means nothing; as engines, they are asked last.
_ORDERLESS: Final = frozenset(
    {"on_start", "on_stop", "on_commands", "on_doctor", "on_status", "verify_batch"}
)


def _check(by_name: Mapping[str, tuple[Part, Hooks]], order: Sequence[str]) -> None:
    guards = frozenset(name for name, (_, hooks) in by_name.items() if "on_request" in hooks)
    for name, reason in check_order(order, guards):
        raise PluginRefused(name, reason)
    for name, (part, hooks) in by_name.items():
        if name not in order and not part.is_bot and set(hooks) - _ORDERLESS:
            raise PluginRefused(name, "it implements hooks and is not listed in `plugins:`")
    authenticators = [name for name, (part, _) in by_name.items() if "authenticate" in part.grants]
    if len(authenticators) > 1:
        raise PluginRefused(
            authenticators[1],
            f"{authenticators[0]} has the grant 'authenticate', which only one has",
        )


def ends(guards: Sequence[Impl]) -> tuple[Impl, ...]:
    """Return the `on_end` of each guard that has one."""
    return tuple(impl.end for impl in guards if impl.end is not None)


def runs(impls: Sequence[Impl]) -> tuple[tuple[Impl, ...], ...]:
    """Cut implementations, in order, so that each blocking one stands alone."""
    cut: list[list[Impl]] = []
    for impl in impls:
        if impl.is_blocking or not cut or cut[-1][0].is_blocking:
            cut.append([])
        cut[-1].append(impl)
    return tuple(tuple(run) for run in cut)
