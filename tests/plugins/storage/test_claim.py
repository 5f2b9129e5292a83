"""One store, one key ring: who has other keys writes nothing there, not even where nothing is."""

from __future__ import annotations

import io
import sys
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from hauberk.cli.main import main
from hauberk.command import Check
from hauberk.errors import HauberkError, SealError
from hauberk.ports import Record
from hauberk.secret import Secret
from hauberk.testing import MemoryVault
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.errors import MissingRing, UnknownKey
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given
from hauberk_plugins.storage.claim import CLAIM
from hauberk_plugins.storage.errors import SealedElsewhere, SumMissing
from hauberk_plugins.storage.plugin import StorageConfig, StoragePlugin
from hauberk_plugins.storage.rotation import Rotation
from hauberk_plugins.storage.secure_storage import SecureStorage, Stores
from hauberk_plugins.storage.sqlite import SQLiteStores

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import PostgresServer

VALUE = b"a secret"


class Machine:
    """A state folder with a key ring, and the store that it shares with others."""

    def __init__(self, stores: Stores, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.ring = KeyRing(folder, Given(Secret(bytes(32))))
        self.encryption = DataEncryption(self.ring)
        self.storage = SecureStorage(stores, self.encryption.scoped("storage"))

    def put(self, name: str, plugin: str = "one") -> int:
        return self.storage.scoped(plugin).put(name, VALUE)

    def rotate(self) -> None:
        rotation = Rotation(self.storage, self.encryption, unused_s=0)
        rotation.begin()
        list(rotation.steps())


@pytest.fixture
def machine(stores: Stores, tmp_path: Path) -> Callable[[str], Machine]:
    return lambda name: Machine(stores, tmp_path / name)


def everything(stores: Stores) -> dict[str, dict[str, Record]]:
    found = {name: dict(stores.scoped(name).scan()) for name in stores.namespaces()}
    return {name: records for name, records in found.items() if records}


@pytest.mark.parametrize("was_made", [False, True])
def test_who_has_another_ring_or_none_writes_nothing_and_makes_none(
    stores: Stores, machine: Callable[[str], Machine], tmp_path: Path, was_made: bool
) -> None:
    machine("first").put("a")
    second = machine("second")
    if was_made:  # for values of its configuration
        second.encryption.seal("config", "smtp.password", b"x")
    left, kept = everything(stores), sorted((tmp_path / "second").iterdir())
    for change in (
        lambda: second.put("b"),  # another bucket, in which nothing is
        lambda: second.put("b", "another plugin"),
        lambda: second.storage.scoped("one").transaction().__enter__(),
        lambda: second.storage.scoped("two").delete("b"),
        second.rotate,
    ):
        with pytest.raises(
            SealedElsewhere, match=r"another key ring.*nothing was written.*put the"
        ):
            change()
    assert everything(stores) == left
    assert sorted((tmp_path / "second").iterdir()) == kept
    # The first goes on, and so does who has its ring.
    assert machine("first").put("b") == 1
    machine("first").rotate()


def test_with_the_ring_put_back_it_goes_on(
    machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    machine("first").put("a")
    ring = (tmp_path / "first" / "keyring.json").read_bytes()
    for name in ("keyring.json", "keyring.lock"):
        (tmp_path / "first" / name).unlink()
    with pytest.raises(SealedElsewhere):
        machine("first").put("b")
    assert list((tmp_path / "first").iterdir()) == []
    (tmp_path / "first" / "keyring.json").touch(0o600)
    (tmp_path / "first" / "keyring.json").write_bytes(ring)
    assert machine("first").put("b") == 1


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_that_begin_at_once_one_is_refused(
    machine: Callable[[str], Machine], attempt: int
) -> None:
    came = Barrier(2, timeout=30)

    def begun(made: Machine) -> HauberkError | None:
        came.wait()
        try:
            made.put(f"{attempt}")
        except HauberkError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as pool:
        failed = list(pool.map(begun, (machine("first"), machine("second"))))
    assert sorted(type(error).__name__ for error in failed) == ["NoneType", "SealedElsewhere"]


def test_who_is_overtaken_at_the_last_moment_is_refused(
    machine: Callable[[str], Machine],
) -> None:
    first, second = machine("first"), machine("second")

    class Overtaken(MemoryVault):
        def seal(self, name: str, value: bytes, *, version: int = 0) -> bytes:
            if name == "claim":
                first.put("a")
            return second.encryption.scoped("storage").seal(name, value, version=version)

        def open(self, name: str, sealed: bytes, *, version: int = 0) -> Secret:
            return second.encryption.scoped("storage").open(name, sealed, version=version)

    storage = SecureStorage(first.storage._stores, Overtaken())
    with pytest.raises(UnknownKey):
        storage.scoped("one").put("b", VALUE)
    first.rotate()


def test_it_moves_with_every_rotation_so_that_old_keys_can_go(
    machine: Callable[[str], Machine],
) -> None:
    for _ in range(3):
        first = machine("first")
        first.put("a")
        first.rotate()
        assert len(first.ring.read().keys) == 1
        assert machine("first").put("a")


def test_a_claim_under_an_old_key_keeps_that_key(
    machine: Callable[[str], Machine], stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = machine("first")
    first.put("a")
    monkeypatch.setattr(first.storage.claim, "reseal", lambda: None)
    first.rotate()
    assert len(first.ring.read().keys) == 2
    assert not machine("first").storage.is_settled()


def test_a_ring_that_lacks_the_latest_keys_is_refused(
    machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    machine("first").put("a")
    stale = (tmp_path / "first" / "keyring.json").read_bytes()
    machine("first").rotate()
    (tmp_path / "first" / "keyring.json").write_bytes(stale)
    with pytest.raises(SealedElsewhere):
        machine("first").put("b")


# A store without a claim: from before there were any, or somebody removed it.


def test_without_a_claim_what_is_sealed_there_is_one(
    machine: Callable[[str], Machine], stores: Stores
) -> None:
    machine("first").put("a")
    stores.scoped(CLAIM).delete("claim")
    with pytest.raises(SealedElsewhere):
        machine("second").put("b")
    assert stores.scoped(CLAIM).get("claim") is None
    assert machine("first").put("b") == 1
    assert stores.scoped(CLAIM).get("claim") is not None


def test_with_the_sums_gone_too_nothing_is_claimed(
    machine: Callable[[str], Machine], stores: Stores
) -> None:
    machine("first").put("a")
    stores.scoped(CLAIM).delete("claim")
    for key in [key for key, _ in stores.scoped("sealed/one").scan() if key.endswith("/s")]:
        stores.scoped("sealed/one").delete(key)
    with pytest.raises(SumMissing, match="every bucket of 'one'"):
        machine("second").put("b", "two")


def test_a_changed_claim_is_no_claim(machine: Callable[[str], Machine], stores: Stores) -> None:
    machine("first").put("a")
    claim = stores.scoped(CLAIM).get("claim")
    assert claim is not None
    stores.scoped(CLAIM).put("claim", claim.value[:-1] + bytes([claim.value[-1] ^ 1]))
    with pytest.raises(SealError):
        machine("first").put("b")


def test_a_vault_that_cannot_say_whose_it_is_has_to_open_it(
    machine: Callable[[str], Machine], stores: Stores
) -> None:
    class Bare:
        """What every vault can do, and no more."""

        def __init__(self, encryption: DataEncryption) -> None:
            vault = encryption.scoped("storage")
            self.seal, self.open, self.is_current = vault.seal, vault.open, vault.is_current

    machine("first").put("a")
    with pytest.raises(MissingRing):
        SecureStorage(stores, Bare(machine("second").encryption)).scoped("one").put("b", VALUE)
    assert SecureStorage(stores, Bare(machine("first").encryption)).claim.is_recognised() is None


def test_reading_claims_nothing(machine: Callable[[str], Machine], stores: Stores) -> None:
    first = machine("first")
    assert first.storage.scoped("one").get("a") is None
    assert list(first.storage.scoped("one").scan()) == []
    assert everything(stores) == {}
    assert not first.ring.was_made()


# The doctor.


class Context(SimpleNamespace):
    """Grants the vault of a machine."""

    def __init__(self, made: Machine, state: Path) -> None:
        super().__init__(
            state_dir=state,
            grants=frozenset({"vault"}),
            vault=made.encryption.scoped("storage"),
            clock=SimpleNamespace(wall_ns=lambda: 4_000_000_000 * 10**9),
        )


def found(made: Machine, state: Path) -> dict[str, Check]:
    plugin = StoragePlugin(StorageConfig())
    plugin.on_start(Context(made, state))
    checks = {check.what: check for check in plugin.on_doctor()}
    plugin.on_stop()
    return checks


def test_the_doctor_says_that_records_are_sealed_elsewhere_and_unlocks_nothing(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    with closing(SQLiteStores(state / "store.sqlite")) as stores:
        first = Machine(stores, tmp_path / "first")
        assert "the sealed records" not in found(first, state)
        first.put("a")
        for made in (first, Machine(stores, tmp_path / "first")):
            made.ring.source = SimpleNamespace(
                fetch=lambda: pytest.fail("unlocked"), reference="", is_passphrase=False
            )
            assert found(made, state)["the sealed records"].status == "ok"
        check = found(Machine(stores, tmp_path / "second"), state)["the sealed records"]
        assert check.status == "fail"
        assert "under another key ring" in check.found
        assert "keyring.json" in check.remedy
        (tmp_path / "first" / "keyring.json").unlink()
        check = found(Machine(stores, tmp_path / "first"), state)["the sealed records"]
        assert (check.status, "it is gone" in check.found) == ("fail", True)


# Two machines, one database.


@pytest.fixture
def hauberk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command on a machine of that name."""

    def run(name: str, *words: str, stdin: bytes = b"") -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        status = main([*words, "--config", str(tmp_path / name / "hauberk.yml")])
        return status, "".join(capsys.readouterr())

    monkeypatch.setenv("TEST_KEY", b64encode(bytes(32)).decode())
    for name in ("m1", "m2"):
        (tmp_path / name / "state").mkdir(0o700, parents=True)
        for file, text in (
            ("wrapping.key", b64encode(bytes(32)).decode()),
            (
                "hauberk.yml",
                "state: state\nplugins: [killswitch, policy, bots, throttle, signing]\n"
                "encryption: {key: file:wrapping.key}\n"
                "storage: {backend: postgres, url: env:TEST_DATABASE}\n",
            ),
        ):
            (tmp_path / name / file).touch(0o600)
            (tmp_path / name / file).write_text(text)
    return run


def test_two_machines_on_one_database_do_not_split_it(
    hauberk: Callable[..., tuple[int, str]],
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_DATABASE", postgres.url(postgres.fresh()).reveal_text())
    for number in range(5):
        assert hauberk("m1", "vault", "put", f"{number}", stdin=VALUE)[0] == 0
    for number in range(20):  # some of these go where nothing is
        status, told = hauberk("m2", "vault", "put", f"m2/{number}", stdin=VALUE)
        assert (status, "sealed under another key ring" in told) == (2, True), told
    assert hauberk("m2", "vault", "rotate")[0] == 2
    assert hauberk("m2", "vault", "delete", "0")[0] == 2
    assert not (tmp_path / "m2" / "state" / "keyring.json").exists()
    assert "sealed under another key ring" in hauberk("m2", "doctor")[1]
    status, told = hauberk("m1", "vault", "rotate")
    assert (status, "5 records sealed" in told) == (0, True), told
    # As the message says.
    ring = (tmp_path / "m1" / "state" / "keyring.json").read_bytes()
    (tmp_path / "m2" / "state" / "keyring.json").touch(0o600)
    (tmp_path / "m2" / "state" / "keyring.json").write_bytes(ring)
    assert hauberk("m2", "vault", "put", "m2/0", stdin=VALUE)[0] == 0
    assert hauberk("m1", "vault", "get", "m2/0", "--reveal") == (0, f"{VALUE.decode()}\n")


def test_it_can_be_made_again_from_what_it_holds() -> None:
    error = SealedElsewhere("the store")
    again = SealedElsewhere(*error.args)
    assert (str(again), again.args) == (str(error), error.args)
    assert isinstance(error, SealError)
