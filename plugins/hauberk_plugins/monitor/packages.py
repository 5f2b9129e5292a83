"""Rules that come with a distribution: a TOML file in it, which is read and never imported.

The distribution names the file in an entry point of the group `hauberk.rules`, whose value is its
package and the file in it, as `hauberk_trading_hours:rules.toml`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from hauberk.errors import HauberkError
from hauberk.ownership import check_obeyed
from hauberk.records import Severity
from hauberk.spelling import nearest
from hauberk_plugins.monitor.rule import Counting, Per, Rule

GROUP: Final = "hauberk.rules"
MAX_BYTES: Final = 1 << 20
#: What is written as a number, and what as one of several words.
_NUMBERS: Final[dict[str, Any]] = {"threshold": int, "least": int, "window_s": (int, float)}
_WORDS: Final = {"per": Per, "counts": Counting}
_FIELDS: Final = ("name", "title", "on", "where", "of", "severity", *_NUMBERS, *_WORDS)


class NoRules(HauberkError):
    """A distribution has no rules, or some that cannot be used."""


def rules_of(name: str) -> list[Rule]:
    """Return the rules of an installed distribution, each named after it too.

    Args:
        name: The distribution's.

    Raises:
        NoRules: It is not installed, names no file that is there, or one that cannot be used.
        UnsafeFile: Others may change the file.
    """
    try:
        points = distribution(name).entry_points.select(group=GROUP)
    except (PackageNotFoundError, ValueError):
        why = f"no distribution {name!a} is installed: install it, or leave it out"
        raise NoRules(why) from None
    found = [rule for point in points for rule in _read(name, _file(name, point))]
    if not found:
        raise NoRules(f"the distribution {name!a} has no rules, or no entry point in {GROUP!r}")
    return found


def _read(name: str, path: Path) -> list[Rule]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            check_obeyed(path, os.fstat(descriptor))
            data = tomllib.loads(file.read(MAX_BYTES).decode())
    except (OSError, ValueError) as error:  # ValueError: no TOML, or no text
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise NoRules(f"{path}: {why}") from None
    listed = data.get("rules")
    if set(data) != {"rules"} or not isinstance(listed, list):
        raise NoRules(f"{path}: it holds tables [[rules]] and nothing else")
    rules = []
    for number, one in enumerate(listed):
        try:
            rules.append(_rule(name, one))
        except (TypeError, ValueError) as error:
            raise NoRules(f"{path}: rules.{number}: {error}") from None
    return rules


def _rule(distribution_name: str, said: Mapping[str, Any]) -> Rule:
    """Make a rule of what stands there; raises `ValueError` or `TypeError` saying what is wrong."""
    if not isinstance(said, dict):
        raise TypeError("a rule is a table")
    for key in said:
        if key not in _FIELDS:
            raise ValueError(f"there is no {key!a}{nearest(key, _FIELDS)}")
    for key in ("name", "title", "on", "threshold"):
        if key not in said:
            raise ValueError(f"{key} is missing")
    made: dict[str, Any] = {
        "name": f"{distribution_name}/{_text(said['name'])}",
        "title": _text(said["title"]),
        "on": _texts(said["on"]),
    }
    for key in ("where", "of"):
        table = said.get(key, {})
        if not isinstance(table, dict):
            raise TypeError(f"{key} is a table of lists of texts")
        made[key] = {field: _texts(values) for field, values in table.items()}
    for key, kinds in _NUMBERS.items():
        if key in said:
            if not isinstance(said[key], kinds) or isinstance(said[key], bool):
                raise TypeError(f"{key} is a number")
            made[key] = said[key]
    for key, words in _WORDS.items():
        if key in said:
            made[key] = words(said[key])
    severity = _text(said.get("severity", "MEDIUM"))
    if severity not in Severity.__members__:
        raise ValueError(f"severity is one of {', '.join(Severity.__members__)}")
    made["severity"] = Severity[severity]
    return Rule(**made)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!a} is no text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!a} is no list of texts")
    return tuple(map(_text, value))


def _file(name: str, point: EntryPoint) -> Path:
    package, _, file = point.value.partition(":")
    # Of a package inside another, the outer one would be imported to find it.
    spec = find_spec(package) if package.isidentifier() else None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places or not file or Path(file).name != file:
        raise NoRules(f"{name!a}: {point.value!a} is not written as PACKAGE:FILE, or not there")
    return Path(places[0]) / file
