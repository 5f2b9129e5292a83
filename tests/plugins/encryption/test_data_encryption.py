"""`DataEncryption`: what it opens, and with which error it refuses everything else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hauberk.errors import InvalidValue, SealError
from hauberk.ports import Rotating, Vault
from hauberk.secret import Secret
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.envelope import HEADER, NONCE, OVERHEAD
from hauberk_plugins.encryption.errors import (
    MissingRing,
    RecordError,
    Replayed,
    Swapped,
    Tampered,
    Truncated,
    UnknownFormat,
    UnknownKey,
)
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import WrappingKey

FULL = os.environ.get("HAUBERK_SWEEP") == "full"
VALUE = b"what nobody else may read"


def test_what_was_sealed_opens_under_its_namespace_name_and_version(
    encryption: DataEncryption,
) -> None:
    sealed = encryption.seal("keys", "binance/main", VALUE, version=7)
    assert len(sealed) == len(VALUE) + OVERHEAD
    assert VALUE not in sealed
    opened = encryption.open("keys", "binance/main", sealed, version=7)
    assert isinstance(opened, Secret)
    assert opened.reveal() == VALUE


@pytest.mark.parametrize("value", [b"", b"\0", bytes(1_000_000)])
def test_any_value_may_be_sealed(encryption: DataEncryption, value: bytes) -> None:
    assert encryption.open("a", "b", encryption.seal("a", "b", value)).reveal() == value


@pytest.mark.parametrize("name", ["", "../x", "/etc/passwd", "a\0b", "CON", "x" * 4_096, "\ud800"])
def test_any_text_is_only_a_name(encryption: DataEncryption, name: str) -> None:
    assert encryption.open(name, name, encryption.seal(name, name, VALUE)).reveal() == VALUE
    with pytest.raises(Swapped) as caught:
        encryption.open("other", name, encryption.seal(name, name, VALUE))
    assert len(str(caught.value)) < 400


def test_the_same_value_is_never_sealed_alike(encryption: DataEncryption) -> None:
    assert encryption.seal("a", "b", VALUE) != encryption.seal("a", "b", VALUE)


def test_a_record_under_another_name_was_swapped(encryption: DataEncryption) -> None:
    sealed = encryption.seal("keys", "binance/main", VALUE, 1)
    for namespace, name in [("keys", "binance/other"), ("auth", "binance/main")]:
        with pytest.raises(Swapped) as caught:
            encryption.open(namespace, name, sealed, 1)
        assert (caught.value.namespace, caught.value.name) == (namespace, name)
        assert "sealed under another name" in str(caught.value)
    with pytest.raises(Swapped):  # neither is it said to be of another version
        encryption.open("auth", "binance/main", sealed, 2)


@pytest.mark.parametrize("version", [0, 2, 2**64 - 1])
def test_a_record_of_another_version_was_replayed(encryption: DataEncryption, version: int) -> None:
    sealed = encryption.seal("keys", "x", VALUE, 1)
    with pytest.raises(Replayed, match=f"as version 1, and version {version} belongs") as caught:
        encryption.open("keys", "x", sealed, version)
    assert (caught.value.sealed, caught.value.wanted) == (1, version)


def test_every_single_bit_that_is_flipped_is_noticed_and_told_apart(
    encryption: DataEncryption,
) -> None:
    sealed = encryption.seal("keys", "x", VALUE, 3)
    wanted = {0: UnknownFormat, **dict.fromkeys(range(1, 5), UnknownKey)}
    for bit in range(8 * len(sealed)):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealError) as caught:
            encryption.open("keys", "x", bytes(flipped), 3)
        assert type(caught.value) is wanted.get(bit // 8, Tampered), bit


def test_a_number_changed_to_that_of_another_key_of_the_ring_is_a_change(
    folder: Path, source: WrappingKey
) -> None:
    numbers = iter([8, 9])

    def random(count: int) -> bytes:
        return next(numbers).to_bytes(4, "big") if count == 4 else os.urandom(count)

    encryption = DataEncryption(KeyRing(folder, source, random=random))
    sealed = bytearray(encryption.seal("keys", "x", VALUE))
    assert encryption.rotate() == 9
    sealed[4] ^= 1
    with pytest.raises(Tampered):
        encryption.open("keys", "x", bytes(sealed))


def test_every_truncation_is_noticed(encryption: DataEncryption) -> None:
    sealed = encryption.seal("keys", "x", VALUE)
    for length in range(len(sealed)):
        with pytest.raises(Truncated, match=f"cut off after {length} bytes"):
            encryption.open("keys", "x", sealed[:length])


def test_what_is_appended_is_noticed(encryption: DataEncryption) -> None:
    sealed = encryption.seal("keys", "x", VALUE)
    for more in (b"\0", sealed):
        with pytest.raises(Tampered):
            encryption.open("keys", "x", sealed + more)


def test_the_header_of_one_record_does_not_fit_the_value_of_another(
    encryption: DataEncryption,
) -> None:
    one, two = (encryption.seal("keys", "x", VALUE, version) for version in (1, 2))
    with pytest.raises(Tampered):
        encryption.open("keys", "x", two[:HEADER] + one[HEADER:], 2)


def test_a_record_of_another_ring_is_told_from_a_changed_one(
    encryption: DataEncryption, tmp_path: Path, source: WrappingKey
) -> None:
    (tmp_path / "elsewhere").mkdir(0o700)
    elsewhere = DataEncryption(KeyRing(tmp_path / "elsewhere", source))
    elsewhere.seal("keys", "x", VALUE)
    sealed = encryption.seal("keys", "x", VALUE)
    with pytest.raises(UnknownKey, match=rf"not in {tmp_path}/elsewhere/keyring\.json"):
        elsewhere.open("keys", "x", sealed)


def test_opening_makes_no_ring(encryption: DataEncryption, folder: Path) -> None:
    with pytest.raises(MissingRing):
        encryption.open("keys", "x", b"\x01" + bytes(200))
    assert list(folder.iterdir()) == []


def test_after_a_rotation_old_records_open_and_are_no_longer_current(
    encryption: DataEncryption,
) -> None:
    old = encryption.seal("keys", "x", VALUE)
    assert encryption.is_current(old)
    number = encryption.rotate()
    assert not encryption.is_current(old)
    assert encryption.open("keys", "x", old).reveal() == VALUE
    fresh = encryption.seal("keys", "x", VALUE)
    assert int.from_bytes(fresh[1:5], "big") == number
    assert encryption.is_current(fresh)


def test_what_is_no_record_is_not_current(encryption: DataEncryption) -> None:
    assert not encryption.is_current(b"")
    assert not encryption.is_current(b"\x02" + bytes(100))


def test_what_was_sealed_under_a_retired_key_names_it(encryption: DataEncryption) -> None:
    sealed = encryption.seal("keys", "x", VALUE)
    encryption.rotate()
    assert encryption.retire() == 1
    number = int.from_bytes(sealed[1:5], "big")
    with pytest.raises(UnknownKey, match=f"{number:08x}.*it was retired") as caught:
        encryption.open("keys", "x", sealed)
    assert caught.value.key == number


def test_another_wrapping_key_changes_nothing_that_is_sealed(
    encryption: DataEncryption, folder: Path, other: WrappingKey
) -> None:
    sealed = encryption.seal("keys", "x", VALUE)
    encryption.rewrap(other)
    assert encryption.is_current(sealed)
    assert DataEncryption(KeyRing(folder, other)).open("keys", "x", sealed).reveal() == VALUE


def test_a_view_sees_its_own_namespace_alone(encryption: DataEncryption) -> None:
    provider: Rotating = encryption
    one: Vault = encryption.scoped("one")
    sealed = one.seal("x", VALUE, version=4)
    assert one.open("x", sealed, version=4).reveal() == VALUE
    assert one.is_current(sealed)
    two: Vault = encryption.scoped("two")
    with pytest.raises(Swapped):
        two.open("x", sealed, version=4)
    with pytest.raises(Replayed):
        one.open("x", sealed)
    assert provider.rotate()
    assert not one.is_current(sealed)


def test_no_two_encryptions_have_one_nonce(encryption: DataEncryption) -> None:
    count = 1_000_000 if FULL else 100_000
    seal = encryption.seal
    nonces = {seal("a", "b", b"")[HEADER - NONCE : HEADER] for _ in range(count)}
    assert len(nonces) == count


def test_each_encryption_takes_its_nonce_from_the_source_of_randomness(ring: KeyRing) -> None:
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    encryption = DataEncryption(ring, random)
    for _ in range(3):
        encryption.seal("a", "b", VALUE)
    assert asked == [NONCE] * 3


def test_a_version_that_a_header_cannot_hold_is_refused(encryption: DataEncryption) -> None:
    with pytest.raises(InvalidValue):
        encryption.seal("a", "b", VALUE, -1)


def test_every_error_of_a_record_says_what_where_and_what_to_do(
    encryption: DataEncryption,
) -> None:
    sealed = encryption.seal("keys", "x", VALUE)
    changes: Iterator[Callable[[], object]] = iter(
        [
            lambda: encryption.open("keys", "y", sealed),
            lambda: encryption.open("keys", "x", sealed, 1),
            lambda: encryption.open("keys", "x", sealed[:-1]),
            lambda: encryption.open("keys", "x", sealed[:-1] + b"\0\0"),
            lambda: encryption.open("keys", "x", sealed[:1] + b"\0\0\0\0" + sealed[5:]),
        ]
    )
    for change in changes:
        with pytest.raises(RecordError) as caught:
            change()
        assert str(caught.value).startswith("record '")
        assert "of 'keys' cannot be opened: " in str(caught.value)
        assert caught.value.remedy.startswith("put ")
        assert type(caught.value)(*caught.value.args).args == caught.value.args
