"""The plugin `storage`: its section, its ports, its doctor, and what loads without what."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import hauberk
from hauberk.command import started
from hauberk.errors import ConfigError, CredentialsMissing, NotGranted, SealError, StoreError
from hauberk.opening import load
from hauberk.ports import Record
from hauberk.testing import MemoryVault, check_plugin
from hauberk_plugins.storage.errors import StoreMisused, VaultMissing
from hauberk_plugins.storage.plugin import StorageConfig, StoragePlugin

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import PostgresServer

#: A time later than any that a file or a server may show.
AHEAD_NS = 4_000_000_000 * 10**9


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., StoragePlugin]:
    """Start the plugin with a section."""

    def start(
        state: Path | None = tmp_path / "state",
        grants: tuple[str, ...] = ("vault",),
        **section: Any,
    ) -> StoragePlugin:
        plugin = StoragePlugin(StorageConfig(**section))
        plugin.on_start(
            SimpleNamespace(
                state_dir=state,
                grants=frozenset(grants),
                vault=MemoryVault("storage"),
                clock=SimpleNamespace(wall_ns=lambda: AHEAD_NS),
            )
        )
        return plugin

    return start


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    """Write a hauberk.yml, with a wrapping key beside it."""

    def write(text: str) -> Path:
        for name, content in (
            ("hauberk.yml", f"state: state\nplugins: [killswitch, policy, bots, signing]\n{text}"),
            ("wrapping.key", b64encode(bytes(32)).decode()),
        ):
            (tmp_path / name).touch(0o600)
            (tmp_path / name).write_text(content)
        return tmp_path / "hauberk.yml"

    return write


def test_it_keeps_the_contract() -> None:
    check_plugin(StoragePlugin, config=StorageConfig(), grants=["vault"])


def test_its_ports_are_there_as_soon_as_it_is_made_and_refuse_until_it_starts() -> None:
    plugin = StoragePlugin(StorageConfig())
    for port in plugin.provides.values():
        with pytest.raises(StoreMisused, match="the plugin 'storage' has not been started"):
            getattr(plugin, port).scoped("one")


def test_records_are_in_the_state_folder(
    start: Callable[..., StoragePlugin], tmp_path: Path
) -> None:
    plugin = start()
    assert not (tmp_path / "state").exists()
    plugin.stores.scoped("one").put("a", b"1")
    assert plugin.sealed.scoped("one").put("a", b"2") == 1
    plugin.on_stop()
    assert (tmp_path / "state" / "store.sqlite").exists()
    assert start().stores.scoped("one").get("a") == Record(b"1", 1)
    assert start().sealed.scoped("one").get("a") == Record(b"2", 1)
    assert start().sealed.scoped("one").written_ns("a") == AHEAD_NS


def test_without_a_state_folder_it_says_what_to_set(start: Callable[..., StoragePlugin]) -> None:
    plugin = start(state=None)
    for port in plugin.provides.values():
        with pytest.raises(StoreError, match=r"there is no state folder.*set `state:` in hauberk"):
            getattr(plugin, port).scoped("one")
    assert [check.status for check in plugin.on_doctor()] == ["warn"]
    plugin.on_stop()


def test_without_the_grant_the_store_works_and_sealing_says_what_is_missing(
    start: Callable[..., StoragePlugin],
) -> None:
    plugin = start(grants=())
    assert plugin.stores.scoped("one").put("a", b"1") == 1
    with pytest.raises(
        VaultMissing, match=r"grant it under `grants: {storage: .vault.}`"
    ) as caught:
        plugin.sealed.scoped("one").put("a", b"1")
    assert isinstance(caught.value, SealError)
    assert isinstance(caught.value, StoreError)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("backend: postgres", "`backend: postgres` and `url: env:NAME` go together"),
        ("url: env:DB", "go together"),
        ("backend: mysql", "is not one of sqlite, postgres"),
        ("busy_s: 0", "must be > 0"),
        ("busy_s: 1000", "must be <= 300"),
    ],
)
def test_a_section_that_cannot_be_used_is_refused(
    config: Callable[[str], Path], section: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config(f"encryption: {{key: file:wrapping.key}}\nstorage: {{{section}}}\n"))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://bot:c4nary@host/db", "host=x password=c4nary", "c4nary", "env:", "env:c4nary x"],
)
def test_a_connection_string_in_the_configuration_is_refused_and_not_repeated(
    config: Callable[[str], Path], url: str
) -> None:
    text = f"encryption: {{key: file:wrapping.key}}\nstorage: {{backend: postgres, url: '{url}'}}\n"
    with pytest.raises(ConfigError) as caught:
        load(config(text))
    assert "storage.url: must be env:NAME" in str(caught.value)
    assert "c4nary" not in str(caught.value)


def test_a_variable_that_is_not_set_is_said(
    start: Callable[..., StoragePlugin], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_DATABASE", raising=False)
    with pytest.raises(CredentialsMissing, match="env:TEST_DATABASE is not set"):
        start(backend="postgres", url="env:TEST_DATABASE")


def test_with_postgres_records_are_there(
    start: Callable[..., StoragePlugin],
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TEST_DATABASE", postgres.url(postgres.fresh()).reveal_text())
    plugin = start(backend="postgres", url="env:TEST_DATABASE", state=None)
    plugin.stores.scoped("one").put("a", b"1")
    plugin.sealed.scoped("one").put("a", b"2")
    assert [check.status for check in plugin.on_doctor()] == ["ok"]
    plugin.on_stop()
    again = start(backend="postgres", url="env:TEST_DATABASE", state=None)
    assert again.sealed.scoped("one").get("a") == Record(b"2", 1)
    again.on_stop()
    assert list(tmp_path.iterdir()) == []


def test_plugins_reach_both_through_their_contexts(config: Callable[[str], Path]) -> None:
    path = config("encryption: {key: file:wrapping.key}\n")
    with started(path, "killswitch") as running:
        context = running.guard.kernel.crew._contexts["killswitch"]
        context.store.put("mine", b"1")
        with pytest.raises(NotGranted):
            _ = context.sealed
    with started(path, "storage") as running:
        assert running.plugin.stores.scoped("killswitch").get("mine") == Record(b"1", 1)


def test_a_reload_goes_on_with_what_is_kept(config: Callable[[str], Path]) -> None:
    accounts = "accounts: {main: {venue: binance, key: env:K, secret: env:S}}\n"
    path = config(f"encryption: {{key: file:wrapping.key}}\n{accounts}")
    with hauberk.open(path) as guard:
        guard.report("worst", hauberk.Severity.HIGH)
        path.write_text(path.read_text() + "storage: {busy_s: 2}\n")
        guard.reload()
        incident = guard.report("worse", hauberk.Severity.CRITICAL)
    assert incident.outcomes[0].did == "halted"
    with hauberk.open(path) as guard, pytest.raises(hauberk.Denied, match="halted since 'worse'"):
        guard.clear(hauberk.Request("GET", "https://api.binance.com/api/v3/time"))


def test_the_commands_are_there() -> None:
    names = [command.name for command in StoragePlugin(StorageConfig()).on_commands()]
    vault = ["vault put", "vault get", "vault list", "vault delete", "vault rotate"]
    assert names == [*vault, "storage copy"]


@pytest.mark.parametrize("blocked", ["psycopg", "cyclopts"])
def test_it_loads_without_what_only_some_need(blocked: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{blocked!r}] = None\n"
        "import hauberk_plugins.storage.plugin as plugin, hauberk_plugins.storage.postgres\n"
        "import hauberk_plugins.storage.sqlite as sqlite\n"
        "plugin.StoragePlugin(plugin.StorageConfig())\n"
        f"sqlite.SQLiteStores(sqlite.Path({str(tmp_path / 's' / 'x')!r})).scoped('a').put('b', b'')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


def test_sqlite_is_all_that_it_loads_by_default() -> None:
    code = (
        "import sys; from hauberk_plugins.storage.plugin import StoragePlugin, StorageConfig\n"
        "StoragePlugin(StorageConfig())\n"
        "print([name for name in ('psycopg', 'cyclopts', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
