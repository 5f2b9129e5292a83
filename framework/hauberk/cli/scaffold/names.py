"""The names that a plugin bears: as a distribution, a package, a plugin and a class."""

from __future__ import annotations

import keyword
import re
import sys
from typing import Final

from attrs import fields_dict, frozen

from hauberk.builtins import RESERVED
from hauberk.config import ConfigFile
from hauberk.errors import HauberkError

_DISTRIBUTION: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")  # PEP 508
_PLUGIN: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_PREFIX: Final = "hauberk-"
#: Packages that are there already, wherever Hauberk is installed and tested.
_TAKEN: Final = frozenset({"attr", "attrs", "hauberk_plugins", "hypothesis", "pytest", "tests"})


class ScaffoldError(HauberkError):
    """A plugin cannot be written under that name, or to that folder."""


@frozen
class Names:
    """What each thing is called.

    Attributes:
        distribution: As installed, for example `hauberk-quiet-hours`.
        package: As imported: `hauberk_quiet_hours`.
        plugin: As listed in `hauberk.yml`: `quiet_hours`.
        cls: The class: `QuietHoursPlugin`.
        config: Its configuration's class: `QuietHoursConfig`.
    """

    distribution: str
    package: str
    plugin: str
    cls: str
    config: str

    @classmethod
    def derive(cls, name: str) -> Names:
        """Derive all of them from the distribution's name.

        Raises:
            ScaffoldError: It is no name for a distribution, or one of those derived from it is
                reserved or cannot be used; says what to do.
        """
        if not _DISTRIBUTION.match(name):
            raise ScaffoldError(
                f"{name!r} cannot name a distribution: use letters, digits and single dashes, "
                "for example hauberk-quiet-hours"
            )
        distribution = re.sub(r"[-_.]+", "-", name).lower()  # PEP 503
        plugin = distribution.removeprefix(_PREFIX).replace("-", "_")
        if not _PLUGIN.match(plugin):
            raise ScaffoldError(
                f"{name!r} makes {plugin!r} the plugin's name, which must begin with a letter and "
                "have at most 64 characters: choose another"
            )
        if plugin in RESERVED or plugin in fields_dict(ConfigFile):
            raise ScaffoldError(
                f"{plugin!r} is reserved for a part of Hauberk, or a key of hauberk.yml: choose "
                f"another name, for example {_PREFIX}my-{plugin.replace('_', '-')}"
            )
        package = distribution.replace("-", "_")
        if keyword.iskeyword(package) or package in sys.stdlib_module_names | _TAKEN:
            raise ScaffoldError(
                f"{package!r} cannot name a package, since Python or a dependency has it: choose "
                f"another name, for example {_PREFIX}{distribution}"
            )
        camel = "".join(word.capitalize() for word in plugin.split("_"))
        return cls(distribution, package, plugin, f"{camel}Plugin", f"{camel}Config")
