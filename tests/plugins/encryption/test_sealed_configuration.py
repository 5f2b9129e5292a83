"""Sealed values of a configuration under real encryption: each opens where it was sealed."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from hauberk.sealed import NAMESPACE, Unreadable
from hauberk.secret import Secret
from hauberk.secureconfig import SecureConfig
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.errors import (
    Swapped,
    Tampered,
    Truncated,
    UnknownFormat,
    UnknownKey,
)
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import WrappingKey

SECRETS = {"smtp.password": "hunter2", "smtp.token": "hunter3", 'by_name."my.acct".0': "hunter4"}


@pytest.fixture
def path(tmp_path: Path, encryption: DataEncryption) -> Path:
    made = tmp_path / "config.yml"
    made.write_text("smtp:\n  host: mail.example.org # where\nby_name:\n  my.acct: [x]\n")
    config = SecureConfig(made, encryption.scoped(NAMESPACE))
    config.unset('by_name."my.acct".0')
    for name, value in SECRETS.items():
        config.set(name, value, sealed=True)
    return made


@pytest.fixture
def config(path: Path, encryption: DataEncryption) -> SecureConfig:
    return SecureConfig(path, encryption.scoped(NAMESPACE))


def test_every_value_opens_where_it_was_sealed_and_is_nowhere_in_clear(
    config: SecureConfig, path: Path
) -> None:
    assert set(config.sealed()) == set(SECRETS)
    assert {name: config.get(name) for name in SECRETS} == {
        name: Secret(value) for name, value in SECRETS.items()
    }
    assert config.check() == []
    assert "hunter" not in path.read_text()


def blob(text: str, key: str) -> str:
    return text.partition(f"{key}: !sealed ")[2].partition("\n")[0]


def swap(text: str) -> str:
    one, other = blob(text, "password"), blob(text, "token")
    return text.replace(one, "?").replace(other, one).replace("?", other)


def flip(text: str) -> str:
    was = blob(text, "password")
    return text.replace(was, was[:-8] + ("A" if was[-8] != "A" else "B") + was[-7:])


def cut(text: str) -> str:
    was = blob(text, "password")
    return text.replace(was, was[:-8])


def later(text: str) -> str:
    was = blob(text, "password")
    return text.replace(was, b64encode(b"\x02" + b64decode(was)[1:]).decode())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (swap, Swapped),
        (lambda text: text.replace("password:", "passphrase:"), Swapped),
        (flip, Tampered),
        (cut, Truncated),
        (later, UnknownFormat),
    ],
)
def test_a_value_that_was_swapped_moved_or_changed_is_a_typed_error_never_the_default(
    config: SecureConfig, path: Path, change: Callable[[str], str], error: type[Exception]
) -> None:
    path.write_text(change(path.read_text()))
    name = "smtp.passphrase" if "passphrase" in path.read_text() else "smtp.password"
    with pytest.raises(Unreadable) as caught:
        config.get(name, "default")
    assert type(caught.value.__cause__) is error
    assert str(caught.value).startswith(f"{path}:3: {name}: ")
    assert name in [problem.path for problem in config.check()]


def test_a_value_of_a_list_that_moved_within_it_does_not_open(
    config: SecureConfig, path: Path
) -> None:
    path.write_text(path.read_text().replace("[!sealed", "[0, !sealed"))
    with pytest.raises(Unreadable) as caught:
        config.get('by_name."my.acct".1', "default")
    assert type(caught.value.__cause__) is Swapped


def test_under_another_key_ring_nothing_opens(
    path: Path, tmp_path: Path, source: WrappingKey
) -> None:
    folder = tmp_path / "other"
    folder.mkdir(0o700)
    other = DataEncryption(KeyRing(folder, source))
    other.seal("a", "a", b"")
    config = SecureConfig(path, other.scoped(NAMESPACE))
    with pytest.raises(Unreadable) as caught:
        config.get("smtp.password", "default")
    assert type(caught.value.__cause__) is UnknownKey
    assert [problem.path for problem in config.check()] == list(config.sealed())


def test_what_a_plugin_sealed_for_itself_does_not_open_in_a_configuration(
    encryption: DataEncryption, config: SecureConfig, path: Path
) -> None:
    own = b64encode(encryption.seal("smtp", "smtp.password", b"theirs")).decode()
    path.write_text(path.read_text().replace(blob(path.read_text(), "password"), own))
    with pytest.raises(Unreadable) as caught:
        config.get("smtp.password", "default")
    assert type(caught.value.__cause__) is Swapped


def test_after_a_rotation_all_is_sealed_anew_and_the_old_keys_can_be_forgotten(
    encryption: DataEncryption, config: SecureConfig, path: Path
) -> None:
    before = path.read_text().splitlines()
    encryption.rotate()
    assert {name: config.get(name) for name in SECRETS}  # old and new are read
    assert config.reseal() == len(SECRETS)
    assert config.reseal() == 0
    encryption.retire()
    assert config.check() == []
    assert config.get("smtp.token") == Secret("hunter3")
    after = path.read_text().splitlines()
    changed = [old for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == len(SECRETS)
    assert all("!sealed" in line for line in changed)
