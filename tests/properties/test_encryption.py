"""Sealing, opening and changing key rings: whatever is done, in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from attrs import define, frozen
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from hauberk.errors import SealError
from hauberk.secret import Secret
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.envelope import HEADER, OVERHEAD
from hauberk_plugins.encryption.errors import (
    MissingRing,
    Replayed,
    Swapped,
    Tampered,
    Truncated,
    UnknownFormat,
    UnknownKey,
    WrongKey,
)
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given

names = st.text(st.characters(), max_size=20)
versions = st.integers(0, 2**64 - 1)
values = st.binary(max_size=200)


@frozen
class Place:
    """Where a record belongs."""

    namespace: str
    name: str
    version: int


places = st.builds(Place, names, names, versions)


def wrapping(number: int) -> Given:
    return Given(Secret(bytes([number]) * 32), reference=f"key {number}")


@pytest.fixture(scope="module")
def encryption(tmp_path_factory: pytest.TempPathFactory) -> DataEncryption:
    """Two data keys, of which the second seals."""
    folder = tmp_path_factory.mktemp("ring") / "state"
    made = DataEncryption(KeyRing(folder, wrapping(1)))
    made.rotate()
    made.rotate()
    return made


def seal(encryption: DataEncryption, place: Place, value: bytes) -> bytes:
    return encryption.seal(place.namespace, place.name, value, place.version)


def opened(encryption: DataEncryption, place: Place, sealed: bytes) -> bytes:
    return encryption.open(place.namespace, place.name, sealed, place.version).reveal()


def refusal(encryption: DataEncryption, place: Place, sealed: bytes) -> type[SealError]:
    with pytest.raises(SealError) as caught:
        opened(encryption, place, sealed)
    return type(caught.value)


@given(place=places, value=values)
def test_what_is_sealed_opens(encryption: DataEncryption, place: Place, value: bytes) -> None:
    sealed = seal(encryption, place, value)
    assert len(sealed) == len(value) + OVERHEAD
    assert opened(encryption, place, sealed) == value


@given(place=places, other=places, value=values)
def test_it_opens_nowhere_else(
    encryption: DataEncryption, place: Place, other: Place, value: bytes
) -> None:
    assume(place != other)
    sealed = seal(encryption, place, value)
    is_name = (place.namespace, place.name) == (other.namespace, other.name)
    assert refusal(encryption, other, sealed) is (Replayed if is_name else Swapped)
    renamed = Place(other.namespace, other.name, place.version)
    if not is_name:
        assert refusal(encryption, renamed, sealed) is Swapped


@given(place=places, value=values, data=st.data())
def test_any_single_bit_that_is_flipped_is_told_by_where_it_stands(
    encryption: DataEncryption, place: Place, value: bytes, data: st.DataObject
) -> None:
    sealed = bytearray(seal(encryption, place, value))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    wanted = UnknownFormat if at == 0 else UnknownKey if at < 5 else Tampered
    assert refusal(encryption, place, bytes(sealed)) is wanted


@given(place=places, value=values, data=st.data())
def test_any_truncation_is_one(
    encryption: DataEncryption, place: Place, value: bytes, data: st.DataObject
) -> None:
    sealed = seal(encryption, place, value)
    length = data.draw(st.integers(0, len(sealed) - 1))
    assert refusal(encryption, place, sealed[:length]) is Truncated


@given(place=places, value=values, junk=st.binary(min_size=1, max_size=300), data=st.data())
def test_any_other_bytes_are_refused_with_a_typed_error(
    encryption: DataEncryption, place: Place, value: bytes, junk: bytes, data: st.DataObject
) -> None:
    sealed = seal(encryption, place, value)
    at = data.draw(st.integers(0, len(sealed)))
    for changed in (junk, sealed[:at] + junk, junk + sealed, sealed[:HEADER] + junk):
        if changed != sealed:
            assert issubclass(refusal(encryption, place, changed), SealError)


@define
class Sealed:
    """A record of the machine's, and what it knows of it."""

    place: Place
    value: bytes
    blob: bytes

    @property
    def key(self) -> int:
        return int.from_bytes(self.blob[1:5], "big")


class Rings(RuleBasedStateMachine):
    """Three processes on one key ring, of which each may not have heard of the last rewrapping.

    What holds: whatever was sealed opens for whoever has the wrapping key, until its data key is
    retired; nobody seals under a data key that does not seal any more.
    """

    records = Bundle("records")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp()) / "state"
        self.wrapped_under = 1
        self.processes = [self.fresh() for _ in range(3)]
        self.told = [1, 1, 1]
        self.active = self.processes[0].rotate()
        self.kept = {self.active}

    def fresh(self) -> DataEncryption:
        return DataEncryption(KeyRing(self.folder, wrapping(self.wrapped_under)))

    def is_told(self, at: int) -> bool:
        return self.told[at] == self.wrapped_under

    @rule(target=records, at=st.integers(0, 2), place=places, value=values)
    def seal(self, at: int, place: Place, value: bytes) -> object:
        try:
            record = Sealed(place, value, seal(self.processes[at], place, value))
        except WrongKey:
            assert not self.is_told(at)
            return multiple()
        assert record.key == self.active
        assert self.processes[at].is_current(record.blob)
        return record

    @rule(record=records, at=st.integers(0, 2))
    def open(self, record: Sealed, at: int) -> None:
        try:
            assert opened(self.processes[at], record.place, record.blob) == record.value
        except WrongKey:
            assert not self.is_told(at)
        except UnknownKey:
            assert record.key not in self.kept

    @rule(record=records)
    def open_after_a_restart(self, record: Sealed) -> None:
        fresh = self.fresh()
        if record.key in self.kept:
            assert opened(fresh, record.place, record.blob) == record.value
        else:
            assert refusal(fresh, record.place, record.blob) is UnknownKey

    @rule(at=st.integers(0, 2))
    def rotate(self, at: int) -> None:
        if not self.is_told(at):
            with pytest.raises(WrongKey):
                self.processes[at].rotate()
            return
        self.active = self.processes[at].rotate()
        assert self.active not in self.kept
        self.kept.add(self.active)

    @rule(at=st.integers(0, 2))
    def retire(self, at: int) -> None:
        if not self.is_told(at):
            with pytest.raises(WrongKey):
                self.processes[at].retire()
            return
        assert self.processes[at].retire() == len(self.kept) - 1
        self.kept = {self.active}

    @rule(at=st.integers(0, 2))
    def rewrap(self, at: int) -> None:
        target = wrapping(self.wrapped_under + 1)
        if not self.is_told(at):
            with pytest.raises(WrongKey):
                self.processes[at].rewrap(target)
            return
        self.processes[at].rewrap(target)
        self.wrapped_under += 1
        self.told[at] = self.wrapped_under

    @rule(at=st.integers(0, 2))
    def restart(self, at: int) -> None:
        self.processes[at] = self.fresh()
        self.told[at] = self.wrapped_under

    @rule(at=st.integers(0, 2), place=places)
    def lose_the_file_for_a_while(self, at: int, place: Place) -> None:
        path = self.folder / "keyring.json"
        path.rename(self.folder / "away")
        with pytest.raises(MissingRing):
            seal(self.processes[at], place, b"")
        (self.folder / "away").rename(path)

    @invariant()
    def the_file_says_what_is_known(self) -> None:
        if hasattr(self, "folder"):
            file = KeyRing(self.folder, wrapping(0)).read()
            assert file.active == self.active
            assert {key.number for key in file.keys} == self.kept

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder.parent)


TestRings = Rings.TestCase
