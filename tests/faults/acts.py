"""What is done while a call fails: `acts.py ACT FOLDER`. Says on stdout what was acknowledged."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from hauberk.errors import HauberkError
from hauberk.files import read_private, write_private
from hauberk.testing.ports import MemoryStore
from hauberk_plugins.audit.index import Index, Query
from hauberk_plugins.audit.keybook import KeyBook
from hauberk_plugins.audit.logger import AuditLogger
from hauberk_plugins.audit.record import line

#: Small, so that files of the log are ended.
MAX_BYTES = 300


def keys() -> KeyBook:
    """The same in every process: what is sealed elsewhere is not what is looked at here."""
    store = MemoryStore()
    store.put("origin", b"hauberk/0123456789abcdef")
    store.put("key/000000", bytes(32))
    return KeyBook(store, os.urandom)


def say(text: str) -> None:
    """Acknowledge."""
    os.write(1, f"{text}\n".encode())


def tried(act: Callable[[], object]) -> object:
    """Do it, and once more if it is refused: one fault is over by then."""
    try:
        return act()
    except (HauberkError, OSError) as error:
        say(f"refused {type(error).__name__}: {error}")
        return act()


def log(folder: Path) -> AuditLogger:
    """Open the log."""
    return AuditLogger(folder / "audit", keys(), time.time_ns, max_bytes=MAX_BYTES)


def audit(folder: Path) -> None:
    """Recover a torn tail, append, begin files, sign."""
    logger = tried(lambda: log(folder))
    assert isinstance(logger, AuditLogger)
    for number in range(4):
        said = line("act.said", number, "act", {"number": number})
        say(f"at {tried(lambda said=said: logger.log(said))} {number}")  # type: ignore[misc]
        if number == 1:
            tried(logger.seal)
    logger.close()


def index(folder: Path) -> None:
    """Make an index, and ask it."""

    def asked() -> int:
        with closing(Index(folder / "audit")) as made:
            return len(list(made.find(Query(action="before"))))

    say(f"found {tried(asked)}")


def file(folder: Path) -> None:
    """Write a whole file in place of another."""
    path = folder / "kept"
    tried(lambda: write_private(path, b"new" * 1_000))
    say("written")
    say(f"read {len(read_private(path))}")


def store(folder: Path) -> None:
    """Put, put again, put several at once, delete."""
    from hauberk_plugins.storage.sqlite import SQLiteStores

    stores = SQLiteStores(folder / "store.sqlite")
    mine = stores.scoped("act")

    def several() -> None:
        with mine.transaction() as inside:
            inside.put("c", b"2")
            inside.put("d", b"2")

    tried(lambda: mine.put("a", b"2"))
    say("a")
    tried(several)
    say("cd")
    tried(lambda: mine.delete("b"))
    say("b")
    stores.close()


def ring(folder: Path) -> None:
    """Put a fresh data key in place."""
    from hauberk_plugins.encryption.data_encryption import DataEncryption
    from hauberk_plugins.encryption.ring import KeyRing
    from hauberk_plugins.encryption.wrapping import KeyFile

    encryption = DataEncryption(KeyRing(folder, KeyFile(folder / "wrapping.key")))
    tried(encryption.rotate)
    say("rotated")
    sealed = encryption.seal("act", "name", b"value", version=1)
    say(f"sealed {sealed.hex()}")


CONFIG = """
state: state
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch]
grants: {policy: [], throttle: [venues], killswitch: [store], signing: [sign, keys, venues]}
accounts: {main: {venue: binance, key: env:FAULTS_KEY, secret: env:FAULTS_KEY}}
"""


def halt(folder: Path) -> None:
    """Halt: in memory whatever the disk does to the thread that reports."""
    import hauberk

    with hauberk.open(folder / "hauberk.yml") as guard:
        incident = guard.report("a leak", hauberk.Severity.CRITICAL)
        told = next(one for one in incident.outcomes if one.plugin == "killswitch")
        say(f"halted {told.ok} {told.did}")
        say(f"denied {is_denied(guard)}")


def is_denied(guard: object) -> bool:
    """Whether a request that only reads is denied by the kill switch."""
    import hauberk

    assert isinstance(guard, hauberk.Guard)
    read = hauberk.Request("GET", "https://api.binance.com/api/v3/time", account="main")
    try:
        guard.clear(read)
    except hauberk.Denied as denied:
        return denied.plugin == "killswitch"
    return False


ACTS = {"halt": halt, "audit": audit, "index": index, "file": file, "store": store, "ring": ring}

if __name__ == "__main__":
    ACTS[sys.argv[1]](Path(sys.argv[2]))
