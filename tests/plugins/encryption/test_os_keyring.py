"""A wrapping key in the keyring of the operating system."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from hauberk.oskeyring import ALLOWED, installed_backend
from hauberk_plugins.encryption.errors import NoKey
from hauberk_plugins.encryption.oskeyring import KeyringEntry

KEY = bytes(range(32))
CANARY = "c4nary-s3cret"
SECRET_SERVICE = "keyring.backends.SecretService.Keyring"
CHAINER = "keyring.backends.chainer.ChainerBackend"
REFUSED = [
    "keyrings.alt.file.PlaintextKeyring",
    "keyrings.alt.file.EncryptedKeyring",
    "keyring.backends.null.Keyring",
    "keyring.backends.fail.Keyring",
    "tests.Keyring",
]


class Entries:
    """What every back-end here answers from."""

    text: str | None = b64encode(KEY).decode()

    def get_password(self, service: str, name: str) -> str | None:
        return self.text if (service, name) == ("hauberk", "bot") else None


def backend(name: str, base: type = Entries, **attributes: Any) -> Any:
    """An instance of a class of that full name."""
    module, _, last = name.rpartition(".")
    made = type(last, (base,), {"__module__": module, "__qualname__": last, **attributes})
    return made()


def entry(found: object, name: str = "bot") -> KeyringEntry:
    return KeyringEntry(name, lambda: found)


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_an_entry_of_an_allowed_back_end_is_the_key(name: str) -> None:
    source = entry(backend(name))
    assert source.fetch().reveal() == KEY
    assert (source.reference, source.is_passphrase) == ("keyring:bot", False)


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_back_end_is_refused_by_name_and_never_asked(name: str) -> None:
    def get_password(self: object, service: str, name: str) -> str:
        raise AssertionError

    with pytest.raises(NoKey, match=r"no back-end that is known to encrypt") as caught:
        entry(backend(name, get_password=get_password)).fetch()
    assert caught.value.looked_in == (name,)


def test_a_class_that_derives_from_an_allowed_one_is_another_class() -> None:
    real = type(backend(SECRET_SERVICE))
    with pytest.raises(NoKey, match=r"looked in elsewhere\.Keyring"):
        entry(backend("elsewhere.Keyring", real)).fetch()


def test_of_a_chain_the_first_allowed_one_is_asked_and_no_other() -> None:
    plain = backend(REFUSED[0], text=b64encode(bytes(32)).decode())
    chain = backend(CHAINER, backends=[plain, backend(SECRET_SERVICE), plain], get_password=None)
    assert entry(chain).fetch().reveal() == KEY
    empty = backend(SECRET_SERVICE, text=None)
    with pytest.raises(NoKey, match="there is no such entry"):
        entry(backend(CHAINER, backends=[empty, plain])).fetch()


@pytest.mark.parametrize("names", [[], REFUSED])
def test_a_chain_of_none_that_is_allowed_is_refused_by_their_names(names: list[str]) -> None:
    with pytest.raises(NoKey) as caught:
        entry(backend(CHAINER, backends=[backend(name) for name in names])).fetch()
    assert caught.value.looked_in == tuple(names)


def test_only_before_first_use_is_there_a_command_that_keeps_an_entry() -> None:
    with pytest.raises(NoKey) as caught:
        entry(backend(SECRET_SERVICE), "other").fetch()
    assert caught.value.looked_in == (SECRET_SERVICE,)
    assert caught.value.remedy.startswith("put it back from your copy")
    keep = "keep one: openssl rand -base64 32 | keyring set hauberk other"
    assert caught.value.before_first_use().remedy == keep


@pytest.mark.parametrize("text", [CANARY, f"\ud800{CANARY}", 5])
def test_an_entry_that_is_no_key_is_said_and_not_shown(text: object) -> None:
    with pytest.raises(NoKey, match="32 bytes in base64") as caught:
        entry(backend(SECRET_SERVICE, text=text)).fetch()
    assert CANARY not in str(caught.value)


def _locked(self: object, service: str, name: str) -> str:
    raise RuntimeError


@pytest.mark.parametrize("attributes", [{"text": "not a key"}, {"get_password": _locked}])
def test_no_command_is_offered_that_would_write_over_an_entry(attributes: Any) -> None:
    with pytest.raises(NoKey) as caught:
        entry(backend(SECRET_SERVICE, **attributes)).fetch()
    assert "keyring set" not in str(caught.value.before_first_use())


def test_what_a_back_end_raises_is_named_and_not_kept(
    shown: Callable[[BaseException], str],
) -> None:
    def get_password(self: object, service: str, name: str) -> str:
        raise RuntimeError(CANARY)

    with pytest.raises(NoKey, match="it cannot be asked: RuntimeError") as caught:
        entry(backend(SECRET_SERVICE, get_password=get_password)).fetch()
    assert CANARY not in shown(caught.value)


def test_a_keyring_that_cannot_be_loaded_is_said(shown: Callable[[BaseException], str]) -> None:
    def load() -> object:
        raise ValueError(CANARY)

    with pytest.raises(NoKey, match="the keyring cannot be loaded: ValueError") as caught:
        KeyringEntry("bot", load).fetch()
    assert CANARY not in shown(caught.value)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(NoKey, match=r"pip install 'hauberk\[keyring\]'"):
        KeyringEntry("bot").fetch()


def test_the_package_is_asked_for_the_back_end_that_it_takes() -> None:
    keyring = pytest.importorskip("keyring")
    assert installed_backend() is keyring.get_keyring()
