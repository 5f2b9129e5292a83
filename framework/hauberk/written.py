"""What `hauberk.yml` says, as a plugin's class is shown it before any plugin is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@frozen(kw_only=True)
class Written:
    """What a plugin may need to say what is wrong; copies, so that nothing is changed by it.

    Attributes:
        name: The plugin's name, and that of its section.
        config: An instance of its `Config`; `None` where it has none, or where something in the
            section is wrong, which is told in any case.
        section: The section as it stands in the file, right or wrong; empty where there is none.
        accounts: By name, what accounts say of `venue`, `allow` and `signer`, right or wrong.
            Where a secret may stand, if only by mistake, is left out.
        provides: The ports that the plugin is to provide.
        folder: Where relative paths start: the folder of the file.
    """

    name: str
    config: Any = None
    section: Mapping[str, Any] = field(default=_NOTHING, repr=False)
    accounts: Mapping[str, Mapping[str, Any]] = field(default=_NOTHING)
    provides: frozenset[str] = frozenset()
    folder: Path = Path()


def is_problem(found: object) -> bool:
    """Whether something is what `config_problems` says: a path, and a message that says something.

    Exact types: nothing of a plugin's own is called while it is looked at.
    """
    if type(found) is not tuple or len(found) != 2:
        return False
    at, message = found
    is_path = type(at) is tuple and all(type(part) in (str, int) for part in at)
    return is_path and type(message) is str and bool(message)
