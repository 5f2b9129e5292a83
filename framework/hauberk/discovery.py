"""From a configuration to a plan: which class each plugin is, and its own section, checked.

Built-ins first, under names that nobody else may bear; then entry points, group `hauberk`, of
the distributions that `hauberk.yml` names. Nothing of any other distribution is imported.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from importlib import metadata
from typing import Any, Final

import attrs

from hauberk.builtins import BUILTINS, RESERVED
from hauberk.config import Config, normalised
from hauberk.errors import ConfigError, ConfigProblem, StartFailed
from hauberk.hooks import INTERFACE
from hauberk.plan import Plan, Planned
from hauberk.registry import check_order
from hauberk.structure import structure
from hauberk.yamlfile import in_order

GROUP: Final = "hauberk"
log = logging.getLogger("hauberk")


class _Unusable(Exception):
    """A plugin cannot be loaded; says why."""


def discover(config: Config) -> Plan:
    """Find and import the plugins that a configuration names, and check their sections.

    Raises:
        ConfigError: Every problem of the file, `config.problems` included.
        StartFailed: A plugin that is required, or provides a port, cannot be loaded.
    """
    problems = list(config.problems)
    planned: list[Planned] = []
    skipped: list[tuple[str, str]] = []
    failed: list[tuple[str, _Unusable]] = []
    for name in config.names:
        required = name in config.required or name in config.providers.values()
        try:
            cls, origin = _load(config, name)
            section = _section(config, name, cls, problems)
            grants = config.granted(name)
            planned.append(Planned(name, cls, section, grants, required, origin))
        except _Unusable as error:
            if required:
                failed.append((name, error))
            else:
                skipped.append((name, str(error)))
    problems += _order_problems(config, planned)
    if problems:
        raise ConfigError(in_order(problems))
    if failed:
        name, reason = failed[0]
        raise StartFailed(name, str(reason)) from reason.__cause__
    for skip in skipped:
        log.warning("plugin %s is skipped: %s", *skip)
    reserved = RESERVED | frozenset(config.names)
    return Plan(
        config.settings, config.plugins, planned, skipped, reserved, config.document.problem
    )


def configs(config: Config | None = None) -> dict[str, type]:
    """Return the `Config` class of each plugin that can be loaded and has one.

    Args:
        config: Whose plugins; every built-in where there is none.
    """
    found = {}
    for name in BUILTINS if config is None else config.names:
        try:
            cls = _builtin(name) if config is None else _load(config, name)[0]
        except _Unusable:
            continue
        if hasattr(cls, "Config"):
            found[name] = cls.Config
    return found


def installed() -> list[tuple[str, str, tuple[str, ...]]]:
    """List the distributions that offer plugins: name, version, names of entry points.

    From metadata alone: nothing is imported.
    """
    found: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for distribution in metadata.distributions():
        try:
            name, version = distribution.metadata["Name"], distribution.version
            names = tuple(sorted(e.name for e in distribution.entry_points.select(group=GROUP)))
        except Exception as error:  # somebody else's broken metadata
            log.debug("metadata of a distribution cannot be read: %s", error)
            continue
        if name and names:
            found.setdefault(normalised(name), (name, version, names))
    return sorted(found.values())


def _load(config: Config, name: str) -> tuple[Any, str]:
    """Return a plugin's class and origin."""
    if name in BUILTINS:
        return _builtin(name), "built-in"
    wanted = config.distribution(name)
    if wanted is None:
        raise _Unusable("no distribution in third_party provides it")
    try:
        distribution = metadata.distribution(wanted)
        points = tuple(distribution.entry_points.select(group=GROUP, name=name))
        origin = f"{distribution.metadata['Name']} {distribution.version}"
    except metadata.PackageNotFoundError:
        raise _Unusable(f"{wanted} is not installed: pip install {wanted}") from None
    except Exception as error:
        raise _Unusable(f"the metadata of {wanted} cannot be read: {_told(error)}") from None
    if len(points) != 1:
        offers = "more than one entry point" if points else "no entry point"
        raise _Unusable(f"{origin} has {offers} {name!r} in the group {GROUP!r}")
    return _imported(points[0]), origin


def _builtin(name: str) -> Any:
    return _imported(metadata.EntryPoint(name, BUILTINS[name].target, GROUP))


def _imported(point: metadata.EntryPoint) -> Any:
    """Import a class and look at what it declares; it may do anything at all meanwhile."""
    try:
        cls = point.load()
        reasons = list(_objections(cls))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _Unusable(f"importing {point.value} raised {_told(error)}") from error
    if reasons:
        raise _Unusable(f"{point.value} {reasons[0]}")
    return cls


def _objections(cls: Any) -> Iterator[str]:
    if not isinstance(cls, type):
        yield "is not a class"
        return
    interface = getattr(cls, "interface", None)
    if type(interface) is not tuple or [type(bound) for bound in interface] != [int, int]:
        yield "declares no interface = (lowest, highest)"
    elif not interface[0] <= INTERFACE <= interface[1]:
        lowest, highest = interface
        yield f"is for hook interface {lowest} to {highest}, and this is {INTERFACE}"
    config = getattr(cls, "Config", None)
    if config is not None and not (isinstance(config, type) and attrs.has(config)):
        yield "has a Config that is no attrs class"


def _section(config: Config, name: str, cls: Any, problems: list[ConfigProblem]) -> object:
    """Structure a plugin's section with its `Config`."""
    kind = getattr(cls, "Config", None)
    if kind is None:
        if config.document.data.get(name):
            problems.append(config.document.problem((name,), f"{name!r} has nothing to configure"))
        return None
    try:
        made: object = structure(config.document, kind, (name,))
        return made
    except ConfigError as error:
        problems += error.problems
        return None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a validator, or of a class that cannot be structured
        raise _Unusable(f"its Config cannot be read: {_told(error)}") from error


def _order_problems(config: Config, planned: list[Planned]) -> list[ConfigProblem]:
    """Check the one order while the lines are at hand; the kernel checks it again."""
    guards = frozenset(
        plan.name
        for plan in planned
        if hasattr(getattr(plan.cls, "on_request", None), "hauberk_impl")
    )
    order = config.plugins
    if not order and config.document.data.get("plugins") != []:
        return []  # said already
    return [
        config.document.problem(
            ("plugins", order.index(name)) if name in order else ("plugins",), reason
        )
        for name, reason in check_order(order, guards)
    ]


def _told(error: BaseException) -> str:
    """Name an exception, also one whose own text raises; on one line."""
    return " ".join(traceback.format_exception_only(error)[-1].split())[:200]
