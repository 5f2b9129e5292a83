"""Whose turn it is to write the key ring: nobody waits for ever, or has others wait for long."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hauberk.secret import Secret
from hauberk_plugins.encryption.errors import RingBusy, RingNotWritten
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.turn import NotTheirTurn, Turn
from hauberk_plugins.encryption.wrapping import Given, WrappingKey

CHANGES = ("rotate", "retire", "rewrap")
HOLDS = """\
import fcntl, sys
with open(sys.argv[1], "a") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    input()
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Have another process hold the turn, and do nothing."""
    command = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.communicate(b"\n")


def changed(ring: KeyRing, change: str, other: WrappingKey) -> None:
    ring.rewrap(other) if change == "rewrap" else getattr(ring, change)()


@pytest.mark.parametrize("change", CHANGES)
def test_who_keeps_the_turn_stops_others_with_an_error_and_not_for_ever(
    folder: Path, source: WrappingKey, other: WrappingKey, change: str
) -> None:
    KeyRing(folder, source).sealing()
    before = (folder / "keyring.json").read_bytes()
    with held(folder / "keyring.lock"):
        ring = KeyRing(folder, source, wait_s=0)
        with pytest.raises(RingBusy, match=r"has had the turn.*try again.*keyring\.lock"):
            changed(ring, change, other)
        assert ring.sealing()  # which needs no turn
    assert (folder / "keyring.json").read_bytes() == before
    changed(ring, change, other)


def test_a_first_ring_waits_no_longer_than_others(folder: Path, source: WrappingKey) -> None:
    (folder / "keyring.lock").touch(0o600)
    with held(folder / "keyring.lock"), pytest.raises(RingBusy):
        KeyRing(folder, source, wait_s=0).sealing()
    assert not (folder / "keyring.json").exists()


def test_the_turn_is_waited_for_as_long_as_said(tmp_path: Path) -> None:
    clock = [100.0]

    def pause(seconds: float) -> None:
        clock[0] += seconds

    turn = Turn(tmp_path / "lock", 10, lambda: clock[0], pause)
    with Turn(tmp_path / "lock").taken(), pytest.raises(NotTheirTurn), turn.taken():
        pass
    assert 110 <= clock[0] < 111


def test_the_turn_is_taken_as_soon_as_it_is_free(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            os.close(descriptor)

    with Turn(tmp_path / "lock", 10, lambda: 0, pause).taken():
        assert len(waits) == 3


class Free:
    """A wrapping key; each time it is fetched, the turn must be nobody's."""

    reference = "the key"

    def __init__(self, folder: Path, is_passphrase: bool) -> None:
        self._lock = folder / "keyring.lock"
        self.is_passphrase = is_passphrase
        self.fetched = 0

    def fetch(self) -> Secret:
        self.fetched += 1
        with Turn(self._lock, 0).taken():
            return Secret(b"a passphrase, or 32 bytes: this.")


@pytest.mark.parametrize("is_passphrase", [False, True])
@pytest.mark.parametrize("change", ["sealing", *CHANGES])
@pytest.mark.parametrize("was_made", [False, True])
def test_nobody_has_the_turn_while_somebody_types_a_passphrase(
    folder: Path,
    other: WrappingKey,
    passphrase: Callable[..., Given],
    change: str,
    is_passphrase: bool,
    was_made: bool,
) -> None:
    given = Secret(b"a passphrase, or 32 bytes: this.")
    if was_made or change in ("retire", "rewrap"):
        KeyRing(folder, Given(given, is_passphrase=is_passphrase)).sealing()
    source = Free(folder, is_passphrase)
    changed(KeyRing(folder, source), change, other)
    assert source.fetched == 1


def test_who_meets_a_ring_made_meanwhile_is_not_asked_twice(
    folder: Path, source: WrappingKey, counting: Any
) -> None:
    fetch = counting.fetch

    def fetched() -> Secret:
        key: Secret = fetch()
        KeyRing(folder, Given(key)).sealing()
        return key

    counting.fetch = fetched
    ring = KeyRing(folder, counting)
    assert ring.sealing().number == KeyRing(folder, Given(Secret(b"k" * 32))).sealing().number
    assert counting.fetched == 1


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room there"),
        (errno.EDQUOT, "make room there"),
        (errno.EACCES, "check whose the folder, keyring.json and keyring.lock are"),
        (errno.EPERM, "check whose"),
        (errno.EROFS, "mount it so that it can be written"),
        (errno.EIO, "check the disk"),
    ],
)
def test_what_is_to_be_done_is_what_helps(
    folder: Path, source: WrappingKey, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    lock = folder / "keyring.lock"
    real = os.open

    def refused(path: Any, *given: Any, **named: Any) -> int:
        if path == lock:
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *given, **named)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(RingNotWritten) as caught:
        KeyRing(folder, source).sealing()
    assert caught.value.remedy.startswith(remedy)
    assert f"{os.strerror(number)}: {lock}" in caught.value.problem
