"""`Plugin.config_problems`: asked about sections of every shape, as `discovery` would ask."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
from attrs import frozen

from hauberk.accounts import Account
from hauberk.hooks import Plugin
from hauberk.ports import PORTS
from hauberk.telling import told
from hauberk.testing.conformance.failure import ConformanceFailed, Rule, image, show
from hauberk.testing.conformance.stage import Stage
from hauberk.testing.extras import Absent
from hauberk.written import Written, is_problem

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

try:
    from hypothesis import strategies as st
except ModuleNotFoundError:
    st = Absent("hypothesis")  # type: ignore[assignment]

_HOOK: Final = "config_problems"
#: What stands in the file is some name; `discovery` knows it.
_NAME: Final = "plugin"
#: More problems than this nobody means to tell.
_MOST: Final = 10_000


@frozen
class Draft:
    """What somebody wrote into `hauberk.yml`, right or wrong.

    Attributes:
        section: The plugin's own.
        accounts: By name, what is shown of them.
        provides: The ports that the plugin is to provide.
    """

    section: dict[str, Any]
    accounts: dict[str, dict[str, Any]]
    provides: frozenset[str]

    def __str__(self) -> str:
        return f"the section {show(self.section)}\nand the accounts {show(self.accounts)}"

    def written(self, cls: type, folder: Path) -> Written | None:
        """Return it as `discovery` would show it; `None` where the `Config` itself fails."""
        from hauberk.errors import ConfigError
        from hauberk.structure import structure  # late: it loads cattrs
        from hauberk.yamlfile import Document

        config = None
        if (kind := getattr(cls, "Config", None)) is not None:
            document = Document("hauberk.yml", {_NAME: deepcopy(self.section)})
            try:
                config = structure(document, kind, (_NAME,))
            except ConfigError:
                pass  # something in the section is wrong: it is shown as it stands, without
            except Exception:
                return None
        return Written(
            name=_NAME,
            config=config,
            section=deepcopy(self.section),
            accounts=deepcopy(self.accounts),
            provides=self.provides,
            folder=folder,
        )


def says_problems(cls: type) -> bool:
    """Whether a class says more than the specification, which finds nothing."""
    ask = getattr(cls, _HOOK, None)
    return ask is not None and getattr(ask, "__func__", ask) is not Plugin.config_problems.__func__  # type: ignore[attr-defined]


def drafts(cls: type, config: object, accounts: Mapping[str, Account]) -> SearchStrategy[Draft]:
    """Draw what may stand in the file.

    Args:
        cls: The plugin's class.
        config: An instance of its `Config`, whose values are among those drawn.
        accounts: Those whose names and venues are.
    """
    anything = _anything()
    kind = getattr(cls, "Config", None)
    fields = [one for one in attrs.fields(kind) if one.init] if kind is not None else []
    drawn = {
        one.alias: anything | st.just(_plain(getattr(config, one.name, None))) for one in fields
    }
    section = st.fixed_dictionaries({}, optional=drawn) | st.dictionaries(_WORDS, anything)
    venues = st.sampled_from(sorted({one.venue for one in accounts.values()})) | anything
    account = st.fixed_dictionaries(
        {}, optional={"venue": venues, "allow": anything, "signer": anything}
    )
    names = st.sampled_from(sorted(accounts)) | _WORDS
    provided = [port for port in getattr(cls, "provides", ()) if port in PORTS]
    provides = st.sets(st.sampled_from(provided)) if provided else st.just(set())
    return st.builds(
        Draft, section, st.dictionaries(names, account, max_size=3), provides.map(frozenset)
    )


def keeps_to_problems(cls: type, folder: Path, stage: Stage, draft: Draft) -> None:
    """It never raises, says (path, message) alone, the same again, and changes nothing."""
    first = _asked(cls, folder, stage, draft)
    second = _asked(cls, folder, stage, draft)
    if first != second:
        why = f"asked twice about the same, it said {show(first)} and {show(second)}"
        _fail(stage, Rule.DETERMINISTIC, why)


def _asked(cls: Any, folder: Path, stage: Stage, draft: Draft) -> list[Any]:
    if (written := draft.written(cls, folder)) is None:
        return []
    before = image(written)
    try:
        found = list(islice(cls.config_problems(written), _MOST))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _fail(stage, Rule.NEVER_RAISES, f"it raised {told(error)}")
        return []
    if image(written) != before:
        _fail(stage, Rule.CHANGES_NOTHING, "it changed what it was given")
    if len(found) == _MOST:
        _fail(stage, Rule.RETURNS, "it does not come to an end")
    for one in found:
        if not is_problem(one):
            why = f"it said {show(one)}, and should say (path, message), neither empty text"
            _fail(stage, Rule.RETURNS, why)
    return found


def _fail(stage: Stage, rule: Rule, why: str) -> None:
    if rule not in stage.setup.skip:
        raise ConformanceFailed(stage.setup.name, _HOOK, rule, why)


_WORDS: Final = st.text("abcdefghijklmnopqrstuvwxyz_-./ 0", max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=4
)


def _anything() -> SearchStrategy[Any]:
    """Draw what YAML may hold."""
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | _WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
        max_leaves=6,
    )


def _plain(value: Any) -> Any:
    """Write a value of a `Config` as it would stand in the file, where it can."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, Enum):
        return value.value
    if attrs.has(type(value)):
        fields = [one for one in attrs.fields(type(value)) if one.init]
        return {one.alias: _plain(getattr(value, one.name)) for one in fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)
