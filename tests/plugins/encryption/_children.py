"""What the tests of several processes run in processes of their own: `_children.py WHAT FOLDER …`.

Each has one thread, so that it may fork.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hauberk.files import clean_orphans
from hauberk.secret import Secret
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.envelope import HEADER, NONCE
from hauberk_plugins.encryption.errors import WrongKey
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given

KEYS = [Given(Secret(bytes([number]) * 32), reference=f"key {number}") for number in (1, 2)]
_NUMBER = 4
#: A ring is not let grow beyond this: every test round writes all of it.
_MANY = 16
_CYCLES = 5


def make(folder: Path) -> None:
    """Seal, as soon as told to, as the first start of a bot would; print the data key's number."""
    ring = KeyRing(folder, KEYS[0])
    _say("ready")
    sys.stdin.readline()
    _say(ring.sealing().number)


def rotate(folder: Path, times: str) -> None:
    """Rotate that often; print every number."""
    ring = KeyRing(folder, KEYS[0])
    for _ in range(int(times)):
        _say(ring.rotate())


def forked(folder: Path, times: str) -> None:
    """Seal before and after a fork, on both sides; print how many nonces there were, and differ."""
    encryption = DataEncryption(KeyRing(folder, KEYS[0]))
    nonces = [_nonce(encryption) for _ in range(int(times))]
    reader, writer = os.pipe()
    pid = os.fork()
    mine = b"".join(_nonce(encryption) for _ in range(int(times)))
    if not pid:
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(mine)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        theirs = pipe.read()
    os.waitpid(pid, 0)
    for more in (mine, theirs):
        nonces += [more[at : at + NONCE] for at in range(0, len(more), NONCE)]
    _say(len(nonces), len(set(nonces)))


def killed(folder: Path, rounds: str, seed: str) -> None:
    """Kill a process at random instants while it rotates and rewraps; look at what it leaves.

    Prints how many changes were acknowledged, and how often the ring was left under each key.
    """
    drawn = random.Random(seed)
    KeyRing(folder, KEYS[0]).sealing()
    sealed = DataEncryption(_opened(folder)).seal("a", "b", b"sealed before everything")
    acknowledged, left_under = 0, [0, 0]
    longest_s = 2 * _cycle_s(_opened(folder))
    for _ in range(int(rounds)):
        ring = _opened(folder)
        KeyRing(folder, ring.source).unlock()
        numbers = _killed_once(folder, ring, drawn.uniform(0.0, longest_s))
        ring = _opened(folder)
        left_under[KEYS.index(ring.source)] += 1
        held = [key.number for key in ring.read().keys]
        if not set(numbers) <= set(held):
            raise SystemExit(f"acknowledged and lost: {set(numbers) - set(held)}")
        if DataEncryption(ring).open("a", "b", sealed).reveal() != b"sealed before everything":
            raise SystemExit("another value")
        acknowledged += len(numbers)
        clean_orphans(folder)
        if sorted(path.name for path in folder.iterdir()) != ["keyring.json", "keyring.lock"]:
            raise SystemExit(f"left behind: {list(folder.iterdir())}")
        if len(held) > _MANY:
            ring.retire()
            sealed = DataEncryption(ring).seal("a", "b", b"sealed before everything")
    _say(acknowledged, *left_under)


def _killed_once(folder: Path, ring: KeyRing, after_s: float) -> list[int]:
    """Return the numbers that a process acknowledged before it was killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends it, as SIGKILL would
        signal.setitimer(signal.ITIMER_REAL, max(after_s, 1e-6))
        at = KEYS.index(ring.source)
        while True:
            os.write(writer, ring.rotate().to_bytes(_NUMBER, "big"))
            at = 1 - at
            ring.rewrap(KEYS[at])
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    whole = len(told) - len(told) % _NUMBER
    return [int.from_bytes(told[at : at + _NUMBER], "big") for at in range(0, whole, _NUMBER)]


def _cycle_s(ring: KeyRing) -> float:
    """How long one round of changes takes on this machine as it is, seconds."""
    began = time.perf_counter()
    for _ in range(_CYCLES):
        ring.rotate()
        for source in (KEYS[1], KEYS[0]):
            ring.rewrap(source)
    return (time.perf_counter() - began) / _CYCLES


def _opened(folder: Path) -> KeyRing:
    """The ring under whichever key it is."""
    for source in KEYS:
        ring = KeyRing(folder, source)
        try:
            ring.unlock()
        except WrongKey:
            continue
        return ring
    raise SystemExit("it opens under neither key")


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def _nonce(encryption: DataEncryption) -> bytes:
    return encryption.seal("a", "b", b"")[HEADER - NONCE : HEADER]


RUN: dict[str, Callable[..., None]] = {
    "make": make,
    "rotate": rotate,
    "forked": forked,
    "killed": killed,
}

if __name__ == "__main__":
    what, folder, *more = sys.argv[1:]
    RUN[what](Path(folder), *more)
