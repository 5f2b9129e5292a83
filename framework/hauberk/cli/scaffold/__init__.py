"""`hauberk plugin new`: writes a distribution that installs, type-checks and passes its tests."""

from __future__ import annotations

from hauberk.cli.scaffold.names import Names, ScaffoldError
from hauberk.cli.scaffold.write import write_plugin

__all__ = ["Names", "ScaffoldError", "write_plugin"]
