"""The commands of users, typed or piped, over stores in memory and at the lowest cost of bcrypt."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from tests.ran import Ran

from hauberk.builtins import BUILTINS, Builtin
from hauberk.cli.main import main
from hauberk_plugins.auth.plugin import AuthPlugin

PASSWORD, OTHER = "a heron stands in cold water", "seven lanterns under the bridge"
CONFIG = """\
plugins: [killswitch, bots, auth]
ports: {venues: venues, keys: keys, sealed: ports_in_memory, store: ports_in_memory}
third_party: {ports-in-memory: {plugins: [ports_in_memory], grants: []}}
"""
PORTS = """\
from hauberk.hooks import Plugin
from hauberk.testing import MemoryStores

SEALED, STORE = MemoryStores(), MemoryStores()


class Ports(Plugin):
    interface = (1, 1)
    provides = {"sealed": "sealed", "store": "store"}
    sealed, store = SEALED, STORE
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@define
class Shell:
    """Types commands; state lasts from one to the next."""

    capsys: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    folder: Path
    asked: list[str] = field(factory=list)

    def piped(self, line: str, stdin: str = "") -> Ran:
        return self._run(line, io.StringIO(stdin), None)

    def typed(self, line: str, *answers: str | BaseException, name: str = "") -> Ran:
        """The same at a terminal, which asks without echo."""
        left = iter(answers)

        def ask(prompt: str) -> str:
            self.asked.append(prompt)
            answer = next(left)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return self._run(line, Terminal(name), ask)

    def _run(self, line: str, stdin: io.StringIO, ask: Callable[[str], str] | None) -> Ran:
        self.capsys.readouterr()
        with self.patch.context() as patch:
            patch.setattr(sys, "stdin", stdin)
            patch.setattr("getpass.getpass", ask)
            status = main(line.split())
        return Ran(status, *self.capsys.readouterr())

    @property
    def users(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.piped("user list --json").document["users"]
        return found


class Cheap(AuthPlugin):
    """bcrypt at its lowest cost."""

    def __init__(self, config: Any) -> None:
        super().__init__(config, cost=4)


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    site = tmp_path / "site"
    info = site / "ports_in_memory-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ports-in-memory\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hauberk]\nports_in_memory = ports_in_memory:Ports\n")
    (site / "ports_in_memory.py").write_text(PORTS)
    (tmp_path / "hauberk.yml").write_text(CONFIG)
    for name in ("HAUBERK_CONFIG", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr("hauberk_plugins.auth.plugin.Cheap", Cheap, raising=False)
    target = "hauberk_plugins.auth.plugin:Cheap"
    grants = ("authenticate", "sealed", "store")
    monkeypatch.setitem(BUILTINS, "auth", Builtin(target, grants))
    yield Shell(capsys, monkeypatch, tmp_path)
    sys.modules.pop("ports_in_memory", None)


def add(shell: Shell, name: str = "alice", role: str = "trader") -> None:
    assert shell.piped(f"user add {name} --role {role}", f"{PASSWORD}\n").status == 0
