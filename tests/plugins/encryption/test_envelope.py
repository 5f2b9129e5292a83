"""The envelope's header."""

from __future__ import annotations

import struct

import pytest

from hauberk.errors import InvalidValue
from hauberk_plugins.encryption import envelope
from hauberk_plugins.encryption.envelope import (
    HEADER,
    OVERHEAD,
    Header,
    bound_to,
    check_sealable,
    key_of,
    unpack,
)
from hauberk_plugins.encryption.errors import Truncated, UnknownFormat

SHOWN = Header(1, 0xA1B2C3D4, 2**63, 5, bytes(range(32)), bytes(range(12)))


def test_its_bytes_stand_where_the_decision_says() -> None:
    packed = SHOWN.pack()
    assert len(packed) == HEADER == 1 + 4 + 8 + 4 + 32 + 12
    assert packed[0] == 1
    assert struct.unpack(">IQI", packed[1:17]) == (0xA1B2C3D4, 2**63, 5)
    assert packed[17:49] == SHOWN.bound
    assert packed[49:] == SHOWN.nonce


def test_what_was_packed_is_unpacked() -> None:
    sealed = SHOWN.pack() + bytes(21)
    assert unpack("bot", "x", sealed) == SHOWN
    assert key_of(sealed) == SHOWN.key


@pytest.mark.parametrize("length", [0, 1, HEADER, OVERHEAD - 1])
def test_what_ends_before_its_value_could_begin_is_cut_off(length: int) -> None:
    sealed = (SHOWN.pack() + bytes(21))[:length]
    with pytest.raises(Truncated, match=rf"'x' of 'bot' .* after {length} bytes of {OVERHEAD}"):
        unpack("bot", "x", sealed)
    assert key_of(sealed) is None


@pytest.mark.parametrize("number", [0, 2, 255])
def test_another_format_is_said_whatever_follows(number: int) -> None:
    for sealed in (bytes([number]), bytes([number]) + SHOWN.pack()[1:] + bytes(21)):
        with pytest.raises(UnknownFormat, match=rf"'x' of 'bot' is of format {number}"):
            unpack("bot", "x", sealed)
        assert key_of(sealed) is None


def test_no_two_namespaces_and_names_are_bound_alike() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("bc", "a"), ("a\0", "bc")]
    pairs += [("", "x\0\0\0\1y"), ("\0\0\0\6x", "y")]  # alike, but for the first length
    pairs += [("a", "\ud800"), ("a", "../x"), ("a", "x" * 4_096), ("a", "x" * 4_097)]
    assert len({bound_to(*pair) for pair in pairs}) == len(pairs)


def test_what_a_header_has_no_place_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_sealable("bot", "x", 0, 2**64 - 1)
    for version in (-1, 2**64):
        with pytest.raises(InvalidValue, match=f"'x' of 'bot' has no version {version}"):
            check_sealable("bot", "x", 0, version)
    monkeypatch.setattr(envelope, "MAX_VALUE", 10)
    with pytest.raises(InvalidValue, match="has 11 bytes: one record holds at most 10"):
        check_sealable("bot", "x", 11, 0)
