"""From a configuration to a plan: which class each plugin is, and its own section, checked.

Built-ins first, under names that nobody else may bear; then entry points, group `hauberk`, of
the distributions that `hauberk.yml` names. Nothing of any other distribution is imported.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from copy import deepcopy
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import attrs

from hauberk.builtins import BUILTINS, RESERVED
from hauberk.config import Config, normalised
from hauberk.errors import ConfigError, ConfigProblem, StartFailed
from hauberk.hooks import INTERFACE
from hauberk.keypath import KeyPath
from hauberk.plan import Plan, Planned
from hauberk.registry import FIRST, check_order
from hauberk.structure import structure
from hauberk.telling import masked
from hauberk.written import Written, is_problem
from hauberk.yamlfile import in_order

GROUP: Final = "hauberk"
#: What plugins are shown of an account: where a secret may stand, if only by mistake, is left out.
_SHOWN: Final = ("venue", "allow", "signer")
log = logging.getLogger("hauberk")


class _Unusable(Exception):
    """A plugin cannot be loaded; says why."""


def discover(config: Config) -> Plan:
    """Find and import the plugins that a configuration names, and check their sections.

    Raises:
        ConfigError: Every problem of the file, `config.problems` included; with them, what cannot
            be loaded.
        StartFailed: Plugins that are required, or provide a port, cannot be loaded: all of them.
    """
    problems = list(config.problems)
    planned: list[Planned] = []
    skipped: list[tuple[str, str]] = []
    failed: list[tuple[str, _Unusable]] = []
    for name in config.names:
        required = name in config.required or name in config.providers.values()
        try:
            cls, origin = _load(config, name)
            required = required or _judges_capabilities(cls)
            section = _section(config, name, cls, problems)
            problems += _own_problems(config, name, cls, section)
            grants = config.granted(name)
            planned.append(Planned(name, cls, section, grants, required, origin))
        except _Unusable as error:
            if required:
                failed.append((name, error))
            else:
                skipped.append((name, str(error)))
    problems += _order_problems(config, planned)
    problems += _unjudged(config, planned, skipped)
    if problems:
        problems += _failures(config, failed)
        raise ConfigError(in_order(problems))
    if failed:
        raise _start_failed(failed) from failed[0][1].__cause__
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


def _own_problems(config: Config, name: str, cls: Any, section: object) -> list[ConfigProblem]:
    """Ask a plugin's class what is wrong that types and validators cannot say."""
    ask = getattr(cls, "config_problems", None)
    if ask is None:  # it does not inherit the specification
        return []
    try:
        return [_own_problem(config, found) for found in ask(_written(config, name, section))]
    except (KeyboardInterrupt, _Unusable):
        raise
    except BaseException as error:
        raise _Unusable(f"its config_problems raised {_told(error)}") from error


def _own_problem(config: Config, found: Any) -> ConfigProblem:
    if not is_problem(found):
        raise _Unusable("its config_problems says something other than (path, message)")
    at, message = found
    return config.document.problem(at, masked(message[:1_000]))


def _written(config: Config, name: str, section: object) -> Written:
    file = config.document
    as_written = file.data.get(name)
    return Written(
        name=name,
        config=section,
        section=deepcopy(as_written) if isinstance(as_written, dict) else {},
        accounts=_accounts(config),
        provides=frozenset(port for port, owner in config.providers.items() if owner == name),
        folder=Path(file.file).absolute().parent,
    )


def _accounts(config: Config) -> dict[str, dict[str, Any]]:
    """What accounts say, those included that have problems and are in the file alone."""
    entries = config.document.data.get("accounts")
    return {
        account: {key: deepcopy(entry[key]) for key in _SHOWN if key in entry}
        for account, entry in (entries.items() if isinstance(entries, dict) else ())
        if isinstance(entry, dict) and (account in config.accounts or config.problems)
    }


def _failures(config: Config, failed: list[tuple[str, _Unusable]]) -> Iterator[ConfigProblem]:
    """Say what cannot be loaded where the file names it."""
    for name, reason in failed:
        at: KeyPath = ("plugins",)
        if name in config.plugins:
            at = ("plugins", config.plugins.index(name))
        elif name in config.ports.values():
            at = ("ports", next(port for port, owner in config.ports.items() if owner == name))
        yield config.document.problem(at, str(StartFailed(name, str(reason))))


def _start_failed(failed: list[tuple[str, _Unusable]]) -> StartFailed:
    """Make one error of all that cannot be loaded."""
    (name, reason), *others = failed
    return StartFailed(name, str(reason), [(other, str(why)) for other, why in others])


def _order_problems(config: Config, planned: list[Planned]) -> list[ConfigProblem]:
    """Check the one order while the lines are at hand; the kernel checks it again."""
    guards = frozenset(plan.name for plan in planned if _is_guard(plan.cls))
    order = config.plugins
    if not order and config.document.data.get("plugins") != []:
        return []  # said already
    return [
        config.document.problem(
            ("plugins", order.index(name)) if name in order else ("plugins",), reason
        )
        for name, reason in check_order(order, guards)
    ]


def _unjudged(
    config: Config, planned: list[Planned], skipped: list[tuple[str, str]]
) -> Iterator[ConfigProblem]:
    """Say that accounts could be signed for although nobody judges what they may do."""
    if any(_judges_capabilities(plan.cls) for plan in planned):
        return
    signers = {plan.name for plan in planned if "sign" in plan.grants}
    signed = [name for name, account in config.accounts.items() if account.signer in signers]
    if not signed:
        return
    names = ", ".join(signed)
    reasons = "".join(f"; {name} is left out: {why}" for name, why in skipped)
    yield config.document.problem(
        ("plugins",),
        f"none of them judges capabilities: `allow` of {names} would be ignored, and a withdrawal "
        f"signed. Put policy behind {FIRST}, [{FIRST}, policy, …]; it needs no settings{reasons}",
    )


def _judges_capabilities(cls: Any) -> bool:
    return _is_guard(cls) and getattr(cls, "judges_capabilities", False) is True


def _is_guard(cls: Any) -> bool:
    return hasattr(getattr(cls, "on_request", None), "hauberk_impl")


def _told(error: BaseException) -> str:
    """Name an exception, also one whose own text raises; on one line."""
    return " ".join(traceback.format_exception_only(error)[-1].split())[:200]
