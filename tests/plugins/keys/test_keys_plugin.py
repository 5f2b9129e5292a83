"""The plugin `keys`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from hauberk.accounts import Account
from hauberk.errors import CredentialsMissing, Denied, MisuseError
from hauberk.hooks import hookimpl
from hauberk.request import Request
from hauberk.testing import DEFAULT_URL, PlainSigner, make_guard
from hauberk.testing.guards import Providers
from hauberk_plugins.keys.plugin import KeysConfig, KeysPlugin


def context(folder):
    return SimpleNamespace(
        accounts={"main": Account("binance", key="env:KEYS_TEST_K", secret="env:KEYS_TEST_S")},
        clock=SimpleNamespace(monotonic_ns=lambda: 0),
        halted="",
        folder=folder,
        has=lambda port: False,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".env").touch(0o600)
    (tmp_path / ".env").write_text("KEYS_TEST_K=from file\nKEYS_TEST_S=s\n")
    return tmp_path


def test_the_provider_is_there_as_soon_as_the_plugin_is_made_and_refuses_until_it_starts():
    plugin = KeysPlugin(KeysConfig())
    manager = getattr(plugin, plugin.provides["keys"])
    with pytest.raises(MisuseError, match="has not been started"):
        manager.credentials("main")


def test_the_dotenv_file_stands_beside_the_configuration(folder):
    plugin = KeysPlugin(KeysConfig())
    plugin.on_start(context(folder))
    assert plugin.manager.credentials("main").key.reveal_text() == "from file"


def test_an_absolute_path_is_taken_as_it_is(folder, tmp_path_factory):
    plugin = KeysPlugin(KeysConfig(folder / ".env"))
    plugin.on_start(context(tmp_path_factory.mktemp("elsewhere")))
    assert plugin.manager.credentials("main").key.reveal_text() == "from file"


def test_the_environment_of_the_process_is_looked_into(folder, monkeypatch):
    monkeypatch.setenv("KEYS_TEST_K", "from environment")
    plugin = KeysPlugin(KeysConfig(Path(".env")))
    plugin.on_start(context(folder))
    assert plugin.manager.credentials("main").key.reveal_text() == "from environment"


def test_no_dotenv_file_is_looked_into_where_none_is_configured(folder, monkeypatch):
    monkeypatch.chdir(folder)
    plugin = KeysPlugin(KeysConfig(None))
    plugin.on_start(context(folder))
    with pytest.raises(CredentialsMissing, match=r"\(looked in the environment\)"):
        plugin.manager.credentials("main")


@pytest.mark.parametrize(("grants", "finds"), [({"keys": ["sealed"]}, True), ({}, False)])
def test_the_vault_is_its_namespace_of_the_sealed_records(folder, grants, finds):
    account = Account("open", key="vault:main/key", secret="vault:main/secret")
    providers = Providers()
    mine = providers.sealed.scoped("keys")
    mine.put("main/key", b"k")
    mine.put("main/secret", b"s")
    plugin = KeysPlugin(KeysConfig(None))
    with make_guard(
        ("keys", plugin), grants=grants, providers=providers, accounts={"main": account}
    ):
        if finds:
            assert plugin.manager.credentials("main").key.reveal() == b"k"
            return
        with pytest.raises(CredentialsMissing, match="no vault"):
            plugin.manager.credentials("main")


@pytest.mark.parametrize("form", ["clear", "aclear"])
def test_a_bot_without_its_key_is_told_the_whole_of_where_it_was_looked_for(form, tmp_path):
    path = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 40, ".env")
    plugin = KeysPlugin(KeysConfig(path))

    class Signs(PlainSigner):
        @hookimpl
        def sign_request(self, request):
            plugin.manager.credentials(request.account)
            return super().sign_request(request)

    account = Account("open", key="env:KEYS_TEST_K", secret="env:KEYS_TEST_S")
    plugins = ("keys", plugin), ("signing", Signs())
    with make_guard(*plugins, accounts={"main": account}) as guard:
        order = Request("POST", DEFAULT_URL)
        with pytest.raises(Denied) as caught:
            guard.clear(order) if form == "clear" else asyncio.run(guard.aclear(order))
    assert "account 'main': env:KEYS_TEST_K is not set" in caught.value.reason
    assert f"(looked in the environment, {path})" in caught.value.reason


def test_while_everything_is_halted_no_key_is_given_out_but_to_the_emergency_lane(folder):
    from hauberk import emergency
    from hauberk_plugins.keys.api_keys import KeysDisabled

    plugin, stand_in = KeysPlugin(KeysConfig()), context(folder)
    plugin.on_start(stand_in)
    assert plugin.manager.credentials("main")
    stand_in.halted = "halted since 'worst' (inc-1)"
    with pytest.raises(KeysDisabled, match=r"'main'.*halted since 'worst' \(inc-1\)"):
        plugin.manager.credentials("main")
    with emergency._signing():
        assert plugin.manager.credentials("main")
    stand_in.halted = ""
    assert plugin.manager.credentials("main")
