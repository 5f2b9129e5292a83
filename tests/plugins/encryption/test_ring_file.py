"""The key ring's file: one strict form, and bounds on what it may ask for."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from attrs import evolve

from hauberk.errors import SealError
from hauberk_plugins.encryption.errors import BadRing, UnknownFormat
from hauberk_plugins.encryption.ringfile import MAX_KEYS, RingFile, WrappedKey, read_ring
from hauberk_plugins.encryption.scrypt import Scrypt

KEYS = tuple(WrappedKey(number, "2026-11-24T07:55:00Z", bytes(60)) for number in (7, 9, 8))
RING = RingFile(bytes(range(16)), Scrypt(b"salt" * 4), b"c" * 32, 9, KEYS, b"m" * 32)
PATH = "state/keyring.json"


def summed(plain: dict[str, Any]) -> bytes:
    """A file with these contents whose sum holds, as somebody who changes it would write it."""
    rest = {name: value for name, value in plain.items() if name != "sum"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
    return json.dumps({**rest, "sum": sha256(canonical).hexdigest()}).encode()


def changed(change: Callable[[dict[str, Any]], object], ring: RingFile = RING) -> bytes:
    plain = json.loads(ring.to_bytes())
    change(plain)
    return summed(plain)


def refused(content: bytes) -> SealError:
    with pytest.raises(SealError) as caught:
        read_ring(PATH, content)
    assert PATH in str(caught.value)
    return caught.value


@pytest.mark.parametrize("ring", [RING, evolve(RING, kdf=None), evolve(RING, keys=KEYS[1:2])])
def test_what_is_written_is_read(ring: RingFile) -> None:
    assert read_ring(PATH, ring.to_bytes()) == ring


def test_every_single_bit_that_is_flipped_is_noticed_without_any_key() -> None:
    content = RING.to_bytes()
    digit = content.index(b'"format": 1') + len(b'"format": ')
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        error = refused(bytes(flipped))
        is_later = bit // 8 == digit and flipped[digit] in b"23456789"
        assert type(error) is (UnknownFormat if is_later else BadRing), bit


def test_every_truncation_is_noticed() -> None:
    content = RING.to_bytes()
    for length in range(len(content) - 1):
        assert type(refused(content[:length])) is BadRing
    assert read_ring(PATH, content[:-1]) == RING  # the end of the last line says nothing


@pytest.mark.parametrize("number", [2, 3, 10**9])
def test_a_later_format_is_said_though_nothing_else_of_it_is_known(number: int) -> None:
    error = refused(json.dumps({"format": number, "cipher": "of tomorrow"}).encode())
    assert type(error) is UnknownFormat
    assert f"is of format {number}" in str(error)
    assert "use the version that wrote it" in str(error)


@pytest.mark.parametrize("number", [0, -1, "1", 1.5, None, [1]])
def test_a_format_that_no_version_wrote_is_damage(number: object) -> None:
    assert type(refused(changed(lambda plain: plain.update(format=number)))) is BadRing


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"[]", b"null", b"1", b"\xff", b"{", b"[" * 100_000, b'{"format": NaN}',
     b'{"format": 1, "format": 1}', b"1" * 10_000],
    ids=lambda content: repr(content[:20]),
)  # fmt: skip
def test_anything_else_is_no_ring(content: bytes) -> None:
    assert type(refused(content)) is BadRing


def test_a_name_that_stands_twice_is_refused() -> None:
    content = RING.to_bytes().replace(b'"active": 9', b'"active": 7,\n "active": 9')
    assert type(refused(content)) is BadRing


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.pop("mac"),
        lambda plain: plain.update(more=1),
        lambda plain: plain.update(id="A" * 32),
        lambda plain: plain.update(id="00"),
        lambda plain: plain.update(id=5),
        lambda plain: plain.update(check="AAAA"),
        lambda plain: plain.update(mac=None),
        lambda plain: plain.update(mac=plain["mac"].rstrip("=")),
        lambda plain: plain.update(mac=plain["mac"].replace("0=", "1=")),  # the same 32 bytes
        lambda plain: plain.update(active=10),
        lambda plain: plain.update(active=True),
        lambda plain: plain.update(active="9"),
        lambda plain: plain.update(active=9.0),
        lambda plain: plain.update(keys={}),
        lambda plain: plain.update(keys=[]),
        lambda plain: plain.update(keys=[*plain["keys"], plain["keys"][0]]),
        lambda plain: plain.update(keys=[*plain["keys"], None]),
        lambda plain: plain["keys"][0].update(number=0),
        lambda plain: plain["keys"][0].update(number=2**32),
        lambda plain: plain["keys"][0].update(made=1),
        lambda plain: plain["keys"][0].update(made="\x1b[2J"),
        lambda plain: plain["keys"][0].update(made="x" * 100),
        lambda plain: plain["keys"][0].update(wrapped=b64encode(bytes(61)).decode()),
        lambda plain: plain["keys"][0].update(more=1),
        lambda plain: plain.update(kdf=None),
        lambda plain: plain.update(kdf={}),
        lambda plain: plain.update(kdf={"name": "md5"}),
        lambda plain: plain.update(kdf={"name": "none", "n": 1}),
        lambda plain: plain.update(kdf={"name": ["none"]}),
        lambda plain: plain["kdf"].update(salt=""),
        lambda plain: plain["kdf"].update(n="131072"),
        lambda plain: plain["kdf"].update(n=True),
    ],
)
def test_what_no_ring_holds_is_refused_though_its_sum_is_right(
    change: Callable[[dict[str, Any]], object],
) -> None:
    assert type(refused(changed(change))) is BadRing


@pytest.mark.parametrize(
    ("n", "r", "p"),
    [(2**40, 8, 1), (2**20, 32, 1), (2**17, 8, 10**9), (2**17, 10**6, 1), (2**20, 8, 16),
     (2**13, 8, 1), (1, 1, 1), (0, 8, 1), (-(2**17), 8, 1), (2**17 + 1, 8, 1), (2**17, 0, 1),
     (2**17, 8, 0)],
)  # fmt: skip
def test_a_ring_may_not_ask_for_a_terabyte_or_a_year_nor_for_next_to_nothing(
    n: int, r: int, p: int
) -> None:
    error = refused(changed(lambda plain: plain["kdf"].update(n=n, r=r, p=p)))
    assert type(error) is BadRing
    assert "scrypt" in str(error)


def test_what_scrypt_may_be_asked_for_is_bounded_but_not_fixed() -> None:
    for scrypt in (Scrypt(bytes(16), 2**14), Scrypt(bytes(16), 2**20), Scrypt(bytes(16), p=16)):
        assert scrypt.problem() == ""
        ring = evolve(RING, kdf=scrypt)
        assert read_ring(PATH, ring.to_bytes()).kdf == scrypt


def test_a_ring_of_too_many_keys_is_refused() -> None:
    many = tuple(WrappedKey(number, "", bytes(60)) for number in range(1, MAX_KEYS + 2))
    assert read_ring(PATH, evolve(RING, keys=many[:-1]).to_bytes()).active == 9
    assert type(refused(evolve(RING, keys=many).to_bytes())) is BadRing


def test_the_mac_is_over_everything_but_itself() -> None:
    seen = {RING.authenticated()}
    for other in (
        evolve(RING, id=bytes(16)),
        evolve(RING, kdf=None),
        evolve(RING, kdf=Scrypt(b"salt" * 4, 2**18)),
        evolve(RING, check=bytes(32)),
        evolve(RING, active=7),
        evolve(RING, keys=KEYS[::-1]),
        evolve(RING, keys=KEYS[1:]),
        evolve(RING, keys=(evolve(KEYS[0], made=""), *KEYS[1:])),
    ):
        assert other.authenticated() not in seen
        seen.add(other.authenticated())
    assert evolve(RING, mac=bytes(32)).authenticated() == RING.authenticated()
