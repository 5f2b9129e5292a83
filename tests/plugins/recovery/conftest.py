"""An installation that is opened without a configuration: what the core needs, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hauberk.command import FAIL, OK, Check
from hauberk.files import REAL, FileOperations
from hauberk.ports import BackedUp, Store
from hauberk.secret import Secret
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given
from hauberk_plugins.recovery.incident_recovery import IncidentRecovery
from hauberk_plugins.recovery.surroundings import Opened
from hauberk_plugins.storage.secure_storage import SecureStorage
from hauberk_plugins.storage.sqlite import SQLiteStores

#: 2026-01-31T08:00:00Z.
START_NS = 1_769_846_400_000_000_000
#: The wrapping key.
KEY = Secret(bytes(range(100, 132)))


def checkpoint(size: int) -> str:
    """Return something of the form of an audit's checkpoint."""
    return f"hauberk/0123456789abcdef\n{size}\nAAAA\n\n— x AAAA\n"


class State:
    """A state folder that is open."""

    def __init__(self, folder: Path, key: Secret, witnesses: Sequence[tuple[str, str]]) -> None:
        self.folder = folder
        self._witnesses = witnesses
        self.stores = SQLiteStores(folder / "store.sqlite", busy_s=5)
        self.ring = KeyRing(folder, Given(key))
        vault = DataEncryption(self.ring).scoped("storage")
        self._secure = SecureStorage(self.stores, vault)

    def store(self) -> BackedUp:
        return self.stores

    def plain(self, plugin: str) -> Store:
        return self.stores.scoped(plugin)

    def sealed(self, plugin: str) -> Store:
        return self._secure.scoped(plugin)

    def count(self) -> int:
        return sum(1 for n in self._secure.plugins() for _ in self._secure.scoped(n).scan())

    def checks(self) -> Sequence[Check]:
        return [one for one in self.stores.checks() if one.status == FAIL] or [Check("it", OK, "")]

    def end_sessions(self, why: str) -> int:
        sessions = self.sealed("auth")
        names = [name for name, _ in sessions.scan("session/")]
        for name in names:
            sessions.delete(name)
        return len(names)

    def checkpoint(self) -> str | None:
        return None

    def witnessed(self) -> Sequence[tuple[str, str]]:
        return self._witnesses


class Installation:
    """A configuration, a state folder, and the wrapping key elsewhere.

    Attributes:
        key: The wrapping key.
        witnesses: What witnesses of the audit hold.
    """

    def __init__(self, root: Path, key: Secret = KEY) -> None:
        self.root = root
        self.key = key
        self.config = root / "hauberk.yml"
        self.state = root / "state"
        self.folder = root / "points"
        self.witnesses: list[tuple[str, str]] = []
        self._at = START_NS
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.config.exists():
            self.config.write_text("plugins: [old]\n")

    @contextmanager
    def live(self) -> Iterator[Opened]:
        with self._open(self.state) as opened:
            yield opened

    @contextmanager
    def copy(self, config: bytes, state: Path) -> Iterator[Opened]:
        if b"broken" in config:
            raise AssertionError("nobody opens a broken configuration")
        with self._open(state) as opened:
            yield opened

    @contextmanager
    def _open(self, state: Path) -> Iterator[State]:
        opened = State(state, self.key, self.witnesses)
        try:
            yield opened
        finally:
            opened.stores.close()

    def now(self) -> int:
        """A second has passed since it was last asked."""
        self._at += 1_000_000_000
        return self._at

    def recovery(self, files: FileOperations = REAL, **options: Any) -> IncidentRecovery:
        return IncidentRecovery(
            self.folder, self.config, self.state, self, wall_ns=self.now, files=files, **options
        )

    def put(self, name: str, value: bytes, plugin: str = "keys") -> None:
        """Keep a sealed record."""
        with self._open(self.state) as opened:
            opened.sealed(plugin).put(name, value)

    def put_plain(self, name: str, value: bytes, plugin: str) -> None:
        """Keep one that is not sealed."""
        with self._open(self.state) as opened:
            opened.plain(plugin).put(name, value)

    def plain(self, name: str, plugin: str) -> bytes | None:
        """Read one that is not sealed."""
        with self._open(self.state) as opened:
            record = opened.plain(plugin).get(name)
            return None if record is None else record.value

    def sealed(self, plugin: str = "keys") -> dict[str, bytes]:
        """Read all sealed records of a plugin."""
        with self._open(self.state) as opened:
            return {name: record.value for name, record in opened.sealed(plugin).scan()}

    def audit(self, size: int) -> None:
        """Have there be a log of the audit with so many records."""
        folder = self.state / "audit"
        folder.mkdir(mode=0o700, exist_ok=True, parents=True)
        (folder / "000000000000000.jsonl").write_bytes(b"{}\n" * size)
        (folder / "checkpoint").write_text(checkpoint(size))
        for path in folder.iterdir():
            path.chmod(0o600)

    def rotate(self) -> None:
        """Seal under another key from here on."""
        with self._open(self.state) as opened:
            opened.ring.rotate()

    def standing(self) -> tuple[bytes, bytes | None, dict[str, bytes]]:
        """Return all that a restore puts back: configuration, key ring, records."""
        ring = self.state / "keyring.json"
        return (
            self.config.read_bytes(), ring.read_bytes() if ring.exists() else None, self.sealed()
        )  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    """An installation with a record."""
    made = Installation(tmp_path / "here")
    made.put("main", b"a trading key")
    return made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[[str], Installation]:
    """Another installation, under the same wrapping key."""

    def make(name: str) -> Installation:
        made = Installation(tmp_path / name)
        made.put("main", b"another's key")
        return made

    return make


from tests.plugins.storage.conftest import postgres as postgres  # noqa: E402 - one server for all
