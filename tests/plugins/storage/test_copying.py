"""Every record from one store into another: as it was, or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.plugins.storage.conftest import Attacker

from hauberk.cli.main import main
from hauberk.errors import HauberkError
from hauberk.ports import Record
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.storage.copying import Copied, Copying
from hauberk_plugins.storage.errors import RecordReplayed, StoreDiffers
from hauberk_plugins.storage.secure_storage import SecureStorage, Stores
from hauberk_plugins.storage.sqlite import SQLiteStores

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import PostgresServer

RECORDS = 150
NAMES = ["", "a/b", "../x", "ключ", "x" * 4_096, "a\0b"]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Stores]:
    with closing(SQLiteStores(tmp_path / "old" / "store.sqlite")) as made:
        yield made


@pytest.fixture
def copying(
    source: Stores, make_stores: Callable[[], Stores], encryption: DataEncryption
) -> Callable[[], Copying]:
    """Records of three plugins, and what copies them, as one process after another does."""
    storage = sealed(source, encryption)
    for plugin in ("auth", "keys"):
        with storage.scoped(plugin).transaction() as inside:
            for number in range(RECORDS):
                inside.put(f"{number}", f"{plugin} {number}".encode())
            inside.put("gone", b"")
            inside.delete("gone")
    storage.scoped("auth").put("0", b"changed")
    for name in NAMES:
        source.scoped("killswitch").put(name, name.encode())
        storage.scoped("names").put(name, name.encode())
    source.scoped("killswitch").put("", b"halted")
    target = make_stores()
    return lambda: Copying(source, target, encryption.scoped("storage"), "the other")


def sealed(stores: Stores, encryption: DataEncryption) -> SecureStorage:
    return SecureStorage(stores, encryption.scoped("storage"), lambda: 5)


def rows(stores: Stores) -> dict[str, dict[str, Record]]:
    """Everything as the store has it."""
    found = {name: dict(stores.scoped(name).scan()) for name in stores.namespaces()}
    return {name: records for name, records in found.items() if records}


def copied(copying: Copying) -> Copied:
    copying.begin()
    list(copying.steps())
    return copying.done


def everything(stores: Stores, encryption: DataEncryption) -> dict[str, Any]:
    storage = sealed(stores, encryption)
    found: dict[str, Any] = {
        plugin: (dict(storage.scoped(plugin).scan()), storage.scoped(plugin).written())
        for plugin in ("auth", "keys", "names")
    }
    bare = stores.scoped("killswitch").scan()
    return {**found, "killswitch": {name: record.value for name, record in bare}}


def test_everything_is_there_with_versions_and_times_and_the_source_as_it_was(
    copying: Callable[[], Copying],
    source: Stores,
    make_stores: Callable[[], Stores],
    encryption: DataEncryption,
) -> None:
    before = everything(source, encryption)
    one = copying()
    assert copied(one) == Copied(2 * RECORDS + 2 * len(NAMES), 2 * RECORDS + 2 * len(NAMES))
    target = one._target._stores
    assert everything(target, encryption) == before == everything(source, encryption)
    auth = sealed(target, encryption).scoped("auth")
    assert auth.get("0") == Record(b"changed", 2)
    assert auth.put("0", b"again", version=2) == 3


def test_done_again_it_changes_nothing(copying: Callable[[], Copying]) -> None:
    one = copying()
    copied(one)
    target = one._target._stores
    before = rows(target)
    assert copied(copying()).copied == 0
    assert rows(target) == before


def test_stopped_anywhere_it_goes_on(
    copying: Callable[[], Copying], source: Stores, encryption: DataEncryption
) -> None:
    left = []
    for steps in (0, 1, 2, 1):
        one = copying()
        left.append(one.begin())
        list(islice(one.steps(), steps))
    assert left == sorted(left, reverse=True)
    assert left[-1] < left[1] == left[0]
    one = copying()
    assert 0 < copied(one).copied < one.done.records
    assert everything(one._target._stores, encryption) == everything(source, encryption)


@pytest.mark.parametrize(
    ("plugin", "name", "is_sealed"),
    [("auth", "3", True), ("auth", "another", True), ("killswitch", "", False),
     ("others", "x", True), ("others", "x", False)],
)  # fmt: skip
def test_what_stands_there_and_is_not_the_same_is_left_and_nothing_is_written(
    copying: Callable[[], Copying],
    encryption: DataEncryption,
    plugin: str,
    name: str,
    is_sealed: bool,
) -> None:
    one = copying()
    target = one._target._stores
    scoped = sealed(target, encryption) if is_sealed else target
    scoped.scoped(plugin).put(name, b"theirs")
    before = rows(target)
    with pytest.raises(StoreDiffers, match=f"record {name!r} of {plugin!r} there is another"):
        one.begin()
    assert rows(target) == before


def test_who_writes_to_the_source_meanwhile_is_noticed(
    copying: Callable[[], Copying], source: Stores, encryption: DataEncryption
) -> None:
    one = copying()
    one.begin()
    steps = one.steps()
    list(islice(steps, 1))
    sealed(source, encryption).scoped("keys").put("late", b"")
    with pytest.raises(StoreDiffers, match="does not hold all"):
        list(steps)
    copied(copying())


def test_a_record_put_back_in_the_source_is_not_copied(
    copying: Callable[[], Copying], source: Stores, encryption: DataEncryption
) -> None:
    attacker = Attacker(source, "sealed/auth")
    before = attacker.rows()
    sealed(source, encryption).scoped("auth").put("1", b"later")
    (key,) = (key for key in before if key.endswith("r/1"))
    attacker.write(key, before[key])
    with pytest.raises(RecordReplayed):
        copying().begin()


def test_what_goes_wrong_shows_no_value(
    copying: Callable[[], Copying], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = copying()

    def fails(self: SecureStorage, plugin: str, records: Any) -> None:
        raise RuntimeError(records[0].value.reveal_text())

    one.begin()
    monkeypatch.setattr(SecureStorage, "restore", fails)
    with pytest.raises(HauberkError, match="writing records failed: RuntimeError") as caught:
        list(one.steps())
    assert caught.value.__cause__ is caught.value.__context__ is None


# The command.

CONFIG = """\
state: state
plugins: [killswitch, policy, bots, throttle, signing, auth]
encryption: {key: file:wrapping.key}
"""
SECTION = "storage: {backend: postgres, url: env:TEST_DATABASE}\n"
SECRET = "c4nary-s3cret"


@pytest.fixture
def hauberk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run a command beside a `hauberk.yml`, with a user and a record in SQLite."""
    (tmp_path / "state").mkdir(0o700)
    (tmp_path / "hauberk.yml").write_text(CONFIG)
    (tmp_path / "wrapping.key").touch(0o600)
    (tmp_path / "wrapping.key").write_text("A" * 43 + "=")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HAUBERK_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def run(line: str, typed: str = "") -> tuple[int, str, str]:
        import io

        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        status = main(line.split())
        return status, *capsys.readouterr()

    assert run("vault put a", SECRET)[0] == 0
    assert run("user add bob", "seven lanterns under the bridge\n")[0] == 0
    return run


def test_a_bot_is_moved_to_postgresql(
    hauberk: Callable[..., tuple[int, str, str]],
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_DATABASE", postgres.url(postgres.fresh()).reveal_text())
    status, out, err = hauberk("storage copy postgres --url env:TEST_DATABASE")
    assert (status, err) == (0, "")
    assert out.startswith("3 records are in PostgreSQL at ")
    assert '  storage: {backend: "postgres", url: "env:TEST_DATABASE"}\n' in out
    assert f"What is in {tmp_path}/state/store.sqlite stays" in out
    assert SECRET not in out + os.linesep + err
    (tmp_path / "hauberk.yml").write_text(CONFIG + SECTION)
    (tmp_path / "state" / "store.sqlite").unlink()
    assert hauberk("vault get a --reveal")[1] == f"{SECRET}\n"
    assert hauberk("login bob", "seven lanterns under the bridge\n")[0] == 0
    # And back.
    status, out, err = hauberk("storage copy sqlite")
    assert (status, 'storage: {backend: "sqlite"}' in out) == (0, True)
    (tmp_path / "hauberk.yml").write_text(CONFIG)
    assert hauberk("vault get a --reveal")[1] == f"{SECRET}\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("sqlite", "is where the records are already"),
        ("postgres", "go together"),
        ("sqlite --url env:X", "go together"),
        ("postgres --url postgresql://me:c4nary-s3cret@db/x", "must be env:NAME"),
        ("postgres --url env:NOT_SET_ANYWHERE", "env:NOT_SET_ANYWHERE"),
        ("mysql", "sqlite"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    hauberk: Callable[..., tuple[int, str, str]], line: str, why: str
) -> None:
    status, out, err = hauberk(f"storage copy {line}")
    assert (status, why in err) == (2, True), err
    assert SECRET not in out + err
