"""`KeyRing`: rotated, retired and wrapped anew, by one process or several."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hauberk.files import FileOperations
from hauberk_plugins.encryption import ring as ring_module
from hauberk_plugins.encryption.errors import (
    BadRing,
    EncryptionError,
    MissingRing,
    NoKey,
    WrongKey,
)
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given, WrappingKey

# Rotating, retiring, wrapping anew.


def test_each_rotation_adds_a_key_of_a_number_that_no_other_ring_has(
    folder: Path, source: WrappingKey
) -> None:
    ring = KeyRing(folder, source)
    numbers = [ring.sealing().number, *(ring.rotate() for _ in range(5))]
    assert len(set(numbers)) == 6
    assert [key.number for key in ring.read().keys] == numbers
    assert ring.sealing().number == numbers[-1]
    again = KeyRing(folder, source)
    assert all(again.opening(number) for number in numbers)


def test_rotating_first_makes_the_ring(ring: KeyRing) -> None:
    number = ring.rotate()
    assert [key.number for key in ring.read().keys] == [number]


def test_a_number_that_is_taken_is_drawn_again(folder: Path, source: WrappingKey) -> None:
    numbers = iter([5, 5, 0, 5, 6])

    def random(count: int) -> bytes:
        return next(numbers).to_bytes(4, "big") if count == 4 else os.urandom(count)

    ring = KeyRing(folder, source, random=random)
    assert (ring.sealing().number, ring.rotate()) == (5, 6)


def test_a_source_of_randomness_that_repeats_itself_is_no_reason_to_hang(
    folder: Path, source: WrappingKey
) -> None:
    with pytest.raises(EncryptionError, match="randomness repeats itself"):
        KeyRing(folder, source, random=bytes).sealing()


def test_retiring_forgets_all_but_the_one_that_seals(folder: Path, source: WrappingKey) -> None:
    ring = KeyRing(folder, source)
    first = ring.sealing().number
    last = [ring.rotate() for _ in range(3)][-1]
    assert (ring.retire(), ring.retire()) == (3, 0)
    assert ring.sealing().number == last
    for one in (ring, KeyRing(folder, source)):
        assert one.opening(first) is None


def test_a_full_ring_says_to_retire(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(ring_module, "MAX_KEYS", 2)
    ring.sealing()
    ring.rotate()
    with pytest.raises(BadRing, match=r"2 data keys already.*retire\(\)"):
        ring.rotate()
    ring.retire()
    assert ring.rotate()


def test_the_date_of_a_key_comes_from_the_clock_and_which_one_seals_does_not(
    folder: Path, source: WrappingKey
) -> None:
    times = iter([1_700_000_000 * 10**9, 0, -(10**18), 10**30])
    ring = KeyRing(folder, source, wall_ns=lambda: next(times))
    numbers = [ring.sealing().number, *(ring.rotate() for _ in range(3))]
    made = [key.made for key in ring.read().keys]
    assert made == ["2023-11-14T22:13:20Z", "1970-01-01T00:00:00Z", "1938-04-24T22:13:20Z", ""]
    assert KeyRing(folder, source).sealing().number == numbers[-1]


def test_wrapping_anew_keeps_the_data_keys_and_nothing_of_the_old_wrapping_key(
    folder: Path, source: WrappingKey, other: WrappingKey
) -> None:
    ring = KeyRing(folder, source)
    numbers = [ring.sealing().number, ring.rotate()]
    before = ring.read()
    ring.rewrap(other)
    after = ring.read()
    assert (after.id, after.active) == (before.id, before.active)
    assert {k.wrapped for k in after.keys}.isdisjoint(k.wrapped for k in before.keys)
    assert [key.made for key in after.keys] == [key.made for key in before.keys]
    again = KeyRing(folder, other)
    assert all(again.opening(number) for number in numbers)
    with pytest.raises(WrongKey):
        KeyRing(folder, source).sealing()
    assert ring.source is other
    assert ring.rotate()  # the ring in hand goes on under the other key


def test_a_passphrase_can_be_changed_and_given_up(
    folder: Path, source: WrappingKey, passphrase: Callable[..., Given]
) -> None:
    ring = KeyRing(folder, passphrase())
    number = ring.sealing().number
    first = ring.read().kdf
    ring.rewrap(passphrase("quite another one of them"))
    second = ring.read().kdf
    assert first != second
    assert KeyRing(folder, passphrase("quite another one of them")).sealing().number == number
    ring.rewrap(source)
    assert ring.read().kdf is None
    assert KeyRing(folder, source).sealing().number == number


def test_there_is_nothing_to_wrap_anew_before_there_is_a_ring(
    ring: KeyRing, other: WrappingKey
) -> None:
    with pytest.raises(MissingRing):
        ring.rewrap(other)


# Several at once.


def test_a_rotation_of_another_process_is_taken_up_before_sealing(
    folder: Path, source: WrappingKey
) -> None:
    one, two = KeyRing(folder, source), KeyRing(folder, source)
    one.sealing()
    two.sealing()
    number = two.rotate()
    assert one.sealing().number == number


def test_what_another_process_wrote_is_made_durable_before_anything_rests_on_it(
    folder: Path, source: WrappingKey
) -> None:
    synced: list[bool] = []

    class Watched(FileOperations):
        def fsync(self, descriptor: int) -> None:  # type: ignore[override]
            synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))

    one, two = KeyRing(folder, source, files=Watched()), KeyRing(folder, source)
    two.sealing()
    one.sealing()
    assert synced == [True]
    one.sealing()
    assert synced == [True]
    two.rotate()
    one.sealing()
    assert synced == [True, True]


def test_the_lock_file_is_written_once(folder: Path, source: WrappingKey) -> None:
    ring = KeyRing(folder, source)
    ring.sealing()
    before = (folder / "keyring.lock").stat()
    ring.rotate()
    after = (folder / "keyring.lock").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_key_of_another_process_is_found_when_it_is_needed_to_open(
    folder: Path, source: WrappingKey
) -> None:
    one, two = KeyRing(folder, source), KeyRing(folder, source)
    one.sealing()
    number = two.rotate()
    assert one.opening(number) is not None
    assert one.opening(12) is None


def test_taking_up_a_change_fetches_no_wrapping_key_again(folder: Path, counting: Any) -> None:
    source = counting
    one, two = KeyRing(folder, source), KeyRing(folder, type(counting)())
    one.sealing()
    for _ in range(3):
        two.rotate()
        one.sealing()
    assert source.fetched == 1


def test_two_that_rotate_in_turn_lose_no_key(folder: Path, source: WrappingKey) -> None:
    rings = [KeyRing(folder, source) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda n: rings[n % 4].rotate(), range(20)))
    held = {key.number for key in KeyRing(folder, source).read().keys}
    assert set(numbers) == held
    assert len({ring.sealing().number for ring in rings}) == 1


def test_a_process_goes_on_sealing_while_it_is_not_told_of_another_wrapping_key(
    folder: Path, source: WrappingKey, other: WrappingKey
) -> None:
    one, two = KeyRing(folder, source), KeyRing(folder, source)
    number = one.sealing().number
    two.rewrap(other)
    assert one.sealing().number == number
    # It may not write what it cannot read, though.
    for attempt in (one.rotate, one.retire):
        with pytest.raises(WrongKey):
            attempt()
    assert one.sealing().number == number
    # Once another data key seals, it can no longer go on.
    two.rotate()
    with pytest.raises(WrongKey):
        one.sealing()
    assert one.opening(number) is not None


def test_a_ring_put_in_the_place_of_another_does_not_pass_for_it(
    tmp_path: Path, source: WrappingKey, other: WrappingKey
) -> None:
    one = KeyRing(tmp_path / "one", source)
    one.sealing()
    two = KeyRing(tmp_path / "two", other)
    two.sealing()
    one.path.write_bytes(two.path.read_bytes())
    with pytest.raises(WrongKey):
        one.sealing()


def test_a_source_that_comes_back_is_asked_again(folder: Path, counting: Any) -> None:
    source = counting
    KeyRing(folder, source).sealing()
    source.is_away = True
    ring = KeyRing(folder, source)
    with pytest.raises(NoKey):
        ring.sealing()
    source.is_away = False
    assert ring.sealing()
