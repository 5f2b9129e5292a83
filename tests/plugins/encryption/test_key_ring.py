"""`KeyRing`: made once, unlocked late."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hauberk.secret import Secret
from hauberk_plugins.encryption.errors import (
    MissingRing,
    NoKey,
    WeakPassphrase,
    WrongKey,
)
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.scrypt import Scrypt
from hauberk_plugins.encryption.wrapping import Given, WrappingKey

# Making one.


def test_nothing_is_touched_before_something_is_sealed(folder: Path, counting: Any) -> None:
    source = counting
    KeyRing(folder, source)
    assert (source.fetched, list(folder.iterdir())) == (0, [])


def test_the_first_sealing_makes_a_ring_that_the_next_start_unlocks(
    folder: Path, source: WrappingKey
) -> None:
    number = KeyRing(folder, source).sealing().number
    assert KeyRing(folder, source).sealing().number == number


def test_its_files_are_private_whatever_the_umask(folder: Path, source: WrappingKey) -> None:
    before = os.umask(0)
    try:
        for umask in (0, 0o777):
            os.umask(umask)
            KeyRing(folder, source).rotate()
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
            assert modes == {"keyring.json": 0o600, "keyring.lock": 0o600}
    finally:
        os.umask(before)


def test_the_state_folder_is_made_where_it_is_missing(tmp_path: Path, source: WrappingKey) -> None:
    KeyRing(tmp_path / "a" / "state", source).sealing()
    assert stat.S_IMODE((tmp_path / "a" / "state").stat().st_mode) == 0o700


def test_the_file_holds_no_key_in_clear(folder: Path, source: WrappingKey) -> None:
    handed_out: list[bytes] = []

    def random(count: int) -> bytes:
        handed_out.append(os.urandom(count))
        return handed_out[-1]

    ring = KeyRing(folder, source, random=random)
    ring.sealing()
    ring.rotate()
    content = ring.path.read_bytes()
    for secret in [*(raw for raw in handed_out if len(raw) == 32), source.fetch().reveal()]:
        assert secret not in content
        assert secret.hex().encode() not in content


def test_threads_that_seal_first_at_once_make_one_ring(folder: Path, counting: Any) -> None:
    source = counting
    ring = KeyRing(folder, source)
    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(lambda _: ring.sealing().number, range(8)))
    assert len(numbers) == 1
    assert source.fetched == 1


def test_starts_that_seal_first_at_once_make_one_ring(folder: Path, source: WrappingKey) -> None:
    start = threading.Barrier(8)

    def seal(_: int) -> int:
        ring = KeyRing(folder, source)
        start.wait()
        return ring.sealing().number

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(seal, range(8)))) == 1


def test_no_ring_is_made_in_the_place_of_one_that_is_gone(
    folder: Path, source: WrappingKey
) -> None:
    ring = KeyRing(folder, source)
    ring.sealing()
    ring.path.unlink()
    fresh = KeyRing(folder, source)
    for attempt in (ring.sealing, ring.rotate, ring.retire, fresh.sealing, fresh.rotate):
        with pytest.raises(MissingRing, match="is gone, and one was made here") as caught:
            attempt()
        assert "remove" in caught.value.remedy
    assert not ring.path.exists()
    (folder / "keyring.lock").unlink()  # what it says to do, to begin anew
    assert KeyRing(folder, source).sealing()


def test_a_ring_that_lost_its_lock_file_is_used_as_it_is(folder: Path, source: WrappingKey) -> None:
    number = KeyRing(folder, source).sealing().number
    (folder / "keyring.lock").unlink()
    again = KeyRing(folder, source)
    assert again.sealing().number == number
    again.rotate()
    again.path.unlink()
    with pytest.raises(MissingRing, match="one was made here"):
        KeyRing(folder, source).sealing()


def test_opening_goes_on_while_the_file_is_away(folder: Path, source: WrappingKey) -> None:
    ring = KeyRing(folder, source)
    number = ring.sealing().number
    ring.path.unlink()
    assert ring.opening(number) is not None
    with pytest.raises(MissingRing):
        ring.sealing()


# Unlocking.


def test_a_passphrase_is_put_through_scrypt_with_a_salt_of_its_own(
    tmp_path: Path, passphrase: Callable[..., Given]
) -> None:
    salts = set()
    for name in ("one", "two"):
        ring = KeyRing(tmp_path / name, passphrase())
        number = ring.sealing().number
        kdf = ring.read().kdf
        assert kdf is not None
        salts.add(kdf.salt)
        assert KeyRing(tmp_path / name, passphrase()).sealing().number == number
    assert len(salts) == 2


def test_scrypt_takes_128_mebibytes_unless_told_otherwise(folder: Path) -> None:
    given = Given(Secret("correct horse battery staple"), is_passphrase=True)
    ring = KeyRing(folder, given)
    ring.sealing()
    kdf = ring.read().kdf
    assert kdf is not None
    assert (kdf.n, kdf.r, kdf.p) == (2**17, 8, 1)


def test_a_wrong_passphrase_is_told_from_tampering(
    folder: Path, passphrase: Callable[..., Given]
) -> None:
    KeyRing(folder, passphrase()).sealing()
    before = (folder / "keyring.json").read_bytes()
    wrong = KeyRing(folder, passphrase("another horse battery staple"))
    for attempt in (wrong.sealing, wrong.rotate, wrong.retire, lambda: wrong.opening(1)):
        with pytest.raises(WrongKey, match="it is another passphrase"):
            attempt()
    assert (folder / "keyring.json").read_bytes() == before


def test_a_wrong_passphrase_is_not_put_through_scrypt_again_and_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, passphrase: Callable[..., Given]
) -> None:
    KeyRing(folder, passphrase()).sealing()
    derived = []
    real = Scrypt.derive
    monkeypatch.setattr(
        Scrypt, "derive", lambda self, secret: derived.append(1) or real(self, secret)
    )
    wrong = KeyRing(folder, passphrase("another horse battery staple"))
    for _ in range(3):
        with pytest.raises(WrongKey):
            wrong.sealing()
    assert len(derived) == 1


def test_a_wrong_key_is_said(folder: Path, source: WrappingKey, other: WrappingKey) -> None:
    KeyRing(folder, source).sealing()
    with pytest.raises(WrongKey, match=r"unlocked with the other: it is another key; name the rig"):
        KeyRing(folder, other).sealing()


def test_a_key_where_a_passphrase_is_due_is_said_without_fetching_it(
    tmp_path: Path, counting: Any, passphrase: Callable[..., Given]
) -> None:
    source = counting
    KeyRing(tmp_path / "one", passphrase()).sealing()
    with pytest.raises(WrongKey, match="it is wrapped under a passphrase"):
        KeyRing(tmp_path / "one", source).sealing()
    assert source.fetched == 0
    KeyRing(tmp_path / "two", source).sealing()
    with pytest.raises(WrongKey, match="it is wrapped under a key"):
        KeyRing(tmp_path / "two", passphrase()).sealing()


@pytest.mark.parametrize(
    ("text", "told"),
    [("too short", "at least 15 characters, and this has 9"), ("x" * 1_025, "at most 1024 bytes")],
)
def test_no_ring_is_put_under_a_passphrase_that_is_too_short_or_too_long(
    tmp_path: Path, source: WrappingKey, text: str, told: str, passphrase: Callable[..., Given]
) -> None:
    with pytest.raises(WeakPassphrase, match=told) as caught:
        KeyRing(tmp_path / "one", passphrase(text)).sealing()
    assert text not in str(caught.value)
    assert not (tmp_path / "one" / "keyring.json").exists()
    ring = KeyRing(tmp_path / "two", source)
    ring.sealing()
    with pytest.raises(WeakPassphrase):
        ring.rewrap(passphrase(text))
    assert ring.read().kdf is None


def test_a_missing_wrapping_key_makes_no_ring(folder: Path, counting: Any) -> None:
    source = counting
    source.is_away = True
    with pytest.raises(NoKey, match=r"the key that is counted: it is away; bring it back"):
        KeyRing(folder, source).sealing()
    assert not (folder / "keyring.json").exists()


def test_memory_that_scrypt_does_not_get_is_an_error_that_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, passphrase: Callable[..., Given]
) -> None:
    def derive(self: Scrypt, passphrase: Secret) -> Secret:
        raise MemoryError

    monkeypatch.setattr(Scrypt, "derive", derive)
    with pytest.raises(NoKey, match="scrypt needs 16 MiB of memory"):
        KeyRing(folder, passphrase()).sealing()
