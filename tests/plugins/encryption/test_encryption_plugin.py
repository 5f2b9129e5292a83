"""The plugin `encryption`: its section and its port."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hauberk.errors import MisuseError
from hauberk.secret import Secret
from hauberk.testing import check_plugin
from hauberk_plugins.encryption.errors import NoKey, UnknownKey, WrongKey
from hauberk_plugins.encryption.plugin import EncryptionPlugin
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.sources import EncryptionConfig, source_of
from hauberk_plugins.encryption.wrapping import Given, KeyFile

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
PASSPHRASE = "correct horse battery staple"


def test_it_keeps_the_contract(key_file: Callable[..., Path]) -> None:
    check_plugin(EncryptionPlugin, config=EncryptionConfig(key=f"file:{key_file(KEY)}"))


# The section.


@pytest.mark.parametrize(
    "section",
    [{"key": "file:a"}, {"key": "keyring:a b"}, {"passphrase": "env:A_1"}, {"passphrase": "prompt"},
     {"command": ("pass", "show", "x")}],
)  # fmt: skip
def test_each_way_stands_alone(section: dict[str, Any]) -> None:
    config = EncryptionConfig(**section)
    assert EncryptionConfig(**{**config.section(), "command": config.command}) == config


def test_no_way_seals_nothing_and_says_how_to_name_one(tmp_path: Path) -> None:
    source = source_of(EncryptionConfig(), folder=tmp_path, state=None, environ={}, ask=nobody)
    with pytest.raises(NoKey, match=r"it names none; give it one of: key: file:PATH") as caught:
        KeyRing(tmp_path, source).sealing()
    assert "the section `encryption` of hauberk.yml" in str(caught.value)
    assert not (tmp_path / "keyring.json").exists()


def nobody() -> None:
    return None


@pytest.mark.parametrize(
    "section",
    [{"key": "file:a", "passphrase": "env:A"}, {"key": "file:a", "command": ("b",)},
     {"passphrase": "env:A", "command": ("b",)}],
)  # fmt: skip
def test_two_ways_are_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="where the wrapping key is; give one of: key: file:PATH"):
        EncryptionConfig(**section)


@pytest.mark.parametrize(
    "section",
    [{"key": "c4nary"}, {"key": "env:c4nary"}, {"key": "file:"}, {"key": "file:c4nary\0"},
     {"passphrase": "c4nary"}, {"passphrase": "env:c4nary-x"}, {"passphrase": "file:c4nary"}],
)  # fmt: skip
def test_a_secret_put_where_its_reference_belongs_is_not_repeated(section: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="which says where it is") as caught:
        EncryptionConfig(**section)
    assert "c4nary" not in str(caught.value)


# The port.


def test_the_provider_is_there_as_soon_as_the_plugin_is_made_and_refuses_until_it_starts() -> None:
    plugin = EncryptionPlugin(EncryptionConfig(key="file:x"))
    provider = getattr(plugin, plugin.provides["vault"])
    vault = provider.scoped("bot")
    for attempt in (
        lambda: vault.seal("x", b"1"),
        lambda: vault.open("x", b"\1" + bytes(100)),
        lambda: vault.is_current(b"\1" + bytes(100)),
        provider.rotate,
        provider.retire,
        lambda: provider.rewrap(Given(Secret(KEY))),
    ):
        with pytest.raises(MisuseError, match="has not been started"):
            attempt()


def test_without_a_state_folder_there_is_nothing_to_keep_keys_in(
    start: Callable[..., EncryptionPlugin],
) -> None:
    plugin = start(state=None, key="file:x")
    with pytest.raises(MisuseError, match="no state folder"):
        plugin.encryption.seal("a", "b", b"1")
    with pytest.raises(MisuseError, match="no state folder"):
        plugin.rewrap(Given(Secret(KEY)), "alice")
    assert plugin.on_doctor() == ()


def test_starting_touches_neither_ring_nor_key(
    start: Callable[..., EncryptionPlugin], folder: Path
) -> None:
    start(key="file:not/there")
    start(command=["/there/is/no/such/command"])
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("section", "environ"),
    [
        ({"key": "file:wrapping.key"}, {}),
        ({"key": "file:~/wrapping.key"}, {"HOME": "{folder}"}),
        ({"passphrase": "env:ENCRYPTION_TEST"}, {"ENCRYPTION_TEST": PASSPHRASE}),
        ({"command": ("cat", "{folder}/wrapping.key")}, {}),
    ],
)
def test_each_way_seals_and_a_second_start_opens(
    start: Callable[..., EncryptionPlugin],
    key_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    section: dict[str, Any],
    environ: dict[str, str],
) -> None:
    beside = str(key_file(KEY).parent)
    for name, value in environ.items():
        monkeypatch.setenv(name, value.replace("{folder}", beside))
    if "command" in section:
        section = {"command": tuple(w.replace("{folder}", beside) for w in section["command"])}
    sealed = start(**section).encryption.seal("a", "b", b"value")
    assert start(**section).encryption.open("a", "b", sealed).reveal() == b"value"


def test_a_view_that_somebody_keeps_goes_by_the_section_of_the_last_reload(
    start: Callable[..., EncryptionPlugin], key_file: Callable[..., Path], folder: Path
) -> None:
    key_file(KEY)
    other = KeyFile(key_file(OTHER, "other.key"))
    plugin = start(key="file:wrapping.key")
    kept = plugin.encryption.scoped("bot")
    sealed = kept.seal("x", b"value")
    elsewhere = start(key="file:wrapping.key")
    elsewhere.rewrap(other, "alice")
    elsewhere.encryption.rotate()
    with pytest.raises(WrongKey):
        kept.seal("x", b"value")
    reloaded = start(before=plugin, key="file:other.key")
    assert reloaded.encryption is plugin.encryption
    assert not kept.is_current(sealed)
    assert kept.open("x", kept.seal("x", b"other value")).reveal() == b"other value"


def test_another_state_folder_has_another_ring(
    start: Callable[..., EncryptionPlugin], key_file: Callable[..., Path], tmp_path: Path
) -> None:
    key_file(KEY)
    plugin = start(key="file:wrapping.key")
    sealed = plugin.encryption.seal("a", "b", b"value")
    moved = start(state=tmp_path / "moved", before=plugin, key="file:wrapping.key")
    moved.encryption.seal("a", "b", b"value")
    with pytest.raises(UnknownKey):
        moved.encryption.open("a", "b", sealed)


def test_the_keyring_package_is_imported_by_nobody_who_does_not_use_it() -> None:
    code = (
        "import sys; sys.modules['keyring'] = None\n"
        "import hauberk_plugins.encryption.plugin, hauberk_plugins.encryption.rewrap\n"
        "import hauberk_plugins.encryption.fernet\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
