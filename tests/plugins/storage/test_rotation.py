"""A whole rotation: records, sealed values and old keys; stopped anywhere, everything opens."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from hauberk.secret import Secret
from hauberk.secureconfig import SecureConfig
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given
from hauberk_plugins.storage.rotation import UNUSED_S, Rotated, Rotation
from hauberk_plugins.storage.secure_storage import SecureStorage, Stores

RECORDS = 40
VALUES = {"smtp.password": "hunter2", "smtp.token": "hunter3"}


class World:
    """A store, two configurations and a key ring, as each process has them."""

    def __init__(self, stores: Stores, folder: Path) -> None:
        self.stores = stores
        self.folder = folder
        self.now_s = 1_700_000_000
        (folder / "keys").mkdir(0o700)
        self.encryption = self.process()
        self.storage = self.storage_of(self.encryption)
        for number in range(RECORDS):
            self.storage.scoped("one").put(f"{number}", b"%d" % number)
        for name in ("hauberk.yml", "config.sealed.yml"):
            (folder / name).write_text("smtp: {host: mail.example.org} # where\n")
            for path, value in VALUES.items():
                SecureConfig(folder / name, self.encryption.scoped("config")).set(
                    path, value, sealed=True
                )

    def process(self) -> DataEncryption:
        ring = KeyRing(
            self.folder / "keys", Given(Secret(bytes(32))), wall_ns=lambda: self.now_s * 10**9
        )
        return DataEncryption(ring)

    def storage_of(self, encryption: DataEncryption) -> SecureStorage:
        return SecureStorage(self.stores, encryption.scoped("storage"))

    def values_of(self, encryption: DataEncryption) -> list[SecureConfig]:
        vault = encryption.scoped("config")
        names = ("hauberk.yml", "config.sealed.yml")
        return [SecureConfig(self.folder / name, vault) for name in names]

    def rotation(self, *, retires: bool = True) -> Rotation:
        """As a command does it: by a process of its own."""
        own = self.process()
        return Rotation(self.storage_of(own), own, self.values_of(own), retires=retires)

    def rotate(self, **options: bool) -> Rotated:
        rotation = self.rotation(**options)
        rotation.begin()
        list(rotation.steps())
        return rotation.done

    def check_all(self) -> None:
        """Everything opens, for a process that begins now."""
        own = self.process()
        store = self.storage_of(own).scoped("one")
        assert {name: r.value for name, r in store.scan()} == {
            f"{number}": b"%d" % number for number in range(RECORDS)
        }
        for values in self.values_of(own):
            assert {path: values.get(path) for path in VALUES} == {
                path: Secret(value) for path, value in VALUES.items()
            }

    def keys(self) -> int:
        return len(KeyRing(self.folder / "keys", Given(Secret(b""))).read().keys)


@pytest.fixture
def world(stores: Stores, tmp_path: Path) -> World:
    return World(stores, tmp_path)


@pytest.fixture
def a_week_later(world: World) -> World:
    """One rotation was done a week ago."""
    assert world.rotate() == Rotated(True, RECORDS, 4)
    world.now_s += UNUSED_S
    return world


def test_records_and_values_are_sealed_anew_and_the_key_before_is_kept_for_a_week(
    world: World,
) -> None:
    assert world.rotate() == Rotated(True, RECORDS, 4, 0)
    assert world.keys() == 2
    world.check_all()
    assert [one.outdated() for one in world.values_of(world.process())] == [0, 0]
    assert "# where" in (world.folder / "hauberk.yml").read_text()


def test_the_next_rotation_retires_it_and_everything_opens(a_week_later: World) -> None:
    assert a_week_later.rotate() == Rotated(True, RECORDS, 4, 1)
    assert a_week_later.keys() == 2
    a_week_later.check_all()


def test_who_says_so_keeps_every_key(a_week_later: World) -> None:
    assert a_week_later.rotate(retires=False).keys_retired == 0
    assert a_week_later.keys() == 3


def test_stopped_after_any_step_everything_opens_and_it_is_ended_by_the_next(
    a_week_later: World,
) -> None:
    """The whole of it, and begun anew by one process after another."""
    steps = 0
    while True:
        rotation = a_week_later.rotation()
        rotation.begin()
        a_week_later.check_all()
        done = list(islice(rotation.steps(), steps))
        a_week_later.check_all()
        if len(done) < steps:
            break
        steps += 7
    assert steps > 7
    assert rotation.done.keys_retired == 1
    assert a_week_later.keys() == 2
    a_week_later.check_all()


class Stopped(Exception):
    """The process was killed here."""


@pytest.mark.parametrize("at", ["rotate", "reseal", "retire"])
@pytest.mark.parametrize("is_after", [False, True])
def test_killed_before_or_after_each_thing_that_it_does_everything_opens(
    a_week_later: World, monkeypatch: pytest.MonkeyPatch, at: str, is_after: bool
) -> None:
    owner = SecureConfig if at == "reseal" else DataEncryption
    whole = getattr(owner, at)

    def killed(*arguments: object, **options: object) -> None:
        if is_after:
            whole(*arguments, **options)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(owner, at, killed)
        with pytest.raises(Stopped):
            a_week_later.rotate()
    a_week_later.check_all()
    done = a_week_later.rotate()
    # Values that were not sealed anew are a rotation to be ended, too.
    assert done.fresh_key == (at != "reseal" and (at, is_after) != ("rotate", True))
    a_week_later.check_all()


def test_what_another_process_stores_late_under_the_old_key_keeps_that_key(
    a_week_later: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sealed before the rotation and stores after everything was looked at once."""
    writer = a_week_later.process()
    writer.seal("", "", b"")
    late = a_week_later.storage_of(writer).scoped("late")
    whole = SecureStorage.reseal

    def reseal(self: SecureStorage) -> object:
        yield from whole(self)
        late.put("x", b"y")

    active = writer._ring.sealing()
    with monkeypatch.context() as patched:
        patched.setattr(SecureStorage, "reseal", reseal)
        patched.setattr(writer._ring, "sealing", lambda: active)
        done = a_week_later.rotate()
    assert done.keys_retired == 0
    assert a_week_later.rotate() == Rotated(False, 1, 0, 1)
    assert a_week_later.storage_of(a_week_later.process()).scoped("late").get("x")


def test_a_sum_alone_under_the_old_key_keeps_that_key(
    a_week_later: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a record that was written and removed meanwhile."""
    writer = a_week_later.process()
    late = a_week_later.storage_of(writer).scoped("late")
    active = writer._ring.sealing()
    whole = SecureStorage.reseal

    def reseal(self: SecureStorage) -> object:
        yield from whole(self)
        late.put("x", b"y")
        late.delete("x")

    with monkeypatch.context() as patched:
        patched.setattr(SecureStorage, "reseal", reseal)
        patched.setattr(writer._ring, "sealing", lambda: active)
        assert a_week_later.rotate().keys_retired == 0
    assert a_week_later.rotate().keys_retired == 1
    assert a_week_later.storage_of(a_week_later.process()).scoped("late").get("x") is None


def test_a_key_that_another_process_puts_in_place_meanwhile_retires_none(
    a_week_later: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Callable[[SecureConfig], int] = SecureConfig.reseal

    def reseal(self: SecureConfig) -> int:
        count = whole(self)
        a_week_later.encryption.rotate()
        return count

    with monkeypatch.context() as patched:
        patched.setattr(SecureConfig, "reseal", reseal)
        assert a_week_later.rotate().keys_retired == 0
    a_week_later.check_all()
    assert a_week_later.rotate().fresh_key is False
    a_week_later.check_all()


def test_a_file_that_is_put_back_as_it_was_meanwhile_keeps_the_key_that_it_needs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the history of a repository, for example."""
    file = world.folder / "hauberk.yml"
    before = file.read_text()
    world.rotate()
    world.now_s += UNUSED_S
    whole: Callable[[SecureConfig], int] = SecureConfig.reseal

    def reseal(self: SecureConfig) -> int:
        count = whole(self)
        file.write_text(before)
        return count

    with monkeypatch.context() as patched:
        patched.setattr(SecureConfig, "reseal", reseal)
        assert world.rotate().keys_retired == 0
    world.check_all()
    assert world.rotate() == Rotated(False, 0, 2, 1)
    world.check_all()
