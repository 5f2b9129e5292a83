"""Key rings in a private folder, and a way to look for what must not be shown."""

from __future__ import annotations

import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hauberk.secret import Secret
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.errors import NoKey
from hauberk_plugins.encryption.plugin import EncryptionPlugin
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.scrypt import Scrypt
from hauberk_plugins.encryption.sources import EncryptionConfig
from hauberk_plugins.encryption.wrapping import Given, WrappingKey

ROOT = Path(__file__).parents[3]
OURS = (str(ROOT / "framework"), str(ROOT / "plugins"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder that is ours alone."""
    made = tmp_path / "state"
    made.mkdir(0o700)
    return made


@pytest.fixture
def source() -> WrappingKey:
    """A wrapping key that is at hand."""
    return Given(Secret(b"wrapping-key-of-32-bytes-exactly"))


@pytest.fixture
def other() -> WrappingKey:
    """Another one."""
    return Given(Secret(b"another-wrapping-key-of-32-bytes"), reference="the other")


@pytest.fixture
def ring(folder: Path, source: WrappingKey) -> KeyRing:
    """A key ring in that folder, which nothing has made yet."""
    return KeyRing(folder, source)


@pytest.fixture
def encryption(ring: KeyRing) -> DataEncryption:
    """What seals under that ring."""
    return DataEncryption(ring)


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write a key where its plugin wants it: outside the state folder, for nobody else."""

    def write(key: bytes, name: str = "wrapping.key") -> Path:
        path = tmp_path / name
        path.touch(0o600)
        path.write_bytes(b64encode(key) + b"\n")
        return path

    return write


class Counting:
    """A wrapping key that counts how often it is fetched, and can be away."""

    is_passphrase = False
    reference = "the key that is counted"

    def __init__(self) -> None:
        self.fetched = 0
        self.is_away = False

    def fetch(self) -> Secret:
        self.fetched += 1
        if self.is_away:
            raise NoKey(self.reference, (), "it is away", "bring it back")
        return Secret(b"k" * 32)


@pytest.fixture
def counting() -> Counting:
    """A wrapping key that counts how often it is fetched, and can be away."""
    return Counting()


@pytest.fixture
def passphrase(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Given]:
    """A passphrase; scrypt takes the least that is allowed."""
    monkeypatch.setattr(
        "hauberk_plugins.encryption.unlocking.Scrypt", lambda salt: Scrypt(salt, n=2**14)
    )

    def given(text: str = "correct horse battery staple") -> Given:
        return Given(Secret(text), is_passphrase=True, reference="the passphrase")

    return given


@pytest.fixture
def start(folder: Path) -> Callable[..., EncryptionPlugin]:
    """Start the plugin with a section."""

    def start(
        state: Path | None = folder, before: object = None, **section: Any
    ) -> EncryptionPlugin:
        plugin = EncryptionPlugin(EncryptionConfig(**section))
        plugin.on_start(
            SimpleNamespace(
                folder=folder.parent,
                state_dir=state,
                accounts={},
                clock=SimpleNamespace(wall_ns=lambda: 1_700_000_000 * 10**9),
                emit=lambda kind, fields: None,
                predecessor=before,
            )
        )
        return plugin

    return start


@pytest.fixture
def shown() -> Callable[[BaseException], str]:
    """Everything that an error, what it came of, and the locals of our frames would show."""
    return lambda error: "\n".join(_shown(error, set()))


def _shown(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield f"{error!s} {error!r} {vars(error)!r} {error.args!r}"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith(OURS):
            yield repr(frame.f_locals)
    yield from _shown(error.__cause__, seen)
    yield from _shown(error.__context__, seen)
