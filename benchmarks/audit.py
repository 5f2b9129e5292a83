"""Recording durably, beside a bare append with `fdatasync`; verifying, beside hashlib alone."""

import os
import sys
import tempfile
import threading
import time
from functools import partial
from hashlib import sha256
from pathlib import Path

from hauberk_plugins.audit.logfile import LogFile
from hauberk_plugins.audit.merkle import EMPTY
from hauberk_plugins.audit.verify import verify
from hauberk_plugins.batch.cpu import default_engine
from hauberk_plugins.batch.hashing import Hasher

from _rounds import figure, in_turn

LINE = (
    b'{"at":"2026-01-01T00:00:00.000000000Z","kind":"request.intent","pad":"' + b"x" * 128 + b'"}'
)
CALLERS = 16
RECORDS = 100_000


def lone(folder: Path) -> None:
    """One caller: a record forced to the disk."""
    log = LogFile(folder / "lone", lambda *_: b"torn")
    bare = os.open(folder / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append() -> None:
        os.write(bare, LINE + b"\n")
        os.fdatasync(bare)

    took, peer = in_turn(lambda: log.append([LINE]), append, 100)
    figure("append, one caller", took * 1e6, "us", "write, fdatasync", peer * 1e6, "<= 1.3")
    log.close()


def together(folder: Path) -> None:
    """Sixteen callers at once: how many records a second are forced to the disk."""
    log, rounds = LogFile(folder / "together", lambda *_: b"torn"), 400

    def write() -> None:
        for _ in range(rounds):
            log.append([LINE])

    threads = [threading.Thread(target=write) for _ in range(CALLERS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = CALLERS * rounds / (time.perf_counter() - began)
    figure("append, 16 callers", rate, "1/s", "the goal", 2_000, ">= 1")
    log.close()


def verifying(folder: Path) -> None:
    """The root of a log, and whether each line is what it was."""
    log = LogFile(folder / "long", lambda *_: b"torn")
    lines = [b'{"n":%d,' % n + LINE[1:] for n in range(RECORDS)]
    for at in range(0, RECORDS, 1_000):
        log.append(lines[at : at + 1_000])
    log.close()
    content = (folder / "long" / "000000000000000.jsonl").read_bytes()
    verified, expected = verify(folder / "long", None), bare_root(content)
    if verified.root != expected or not verified.is_good:
        raise SystemExit("the roots differ")
    peer, took = in_turn(lambda: bare_root(content), lambda: verify(folder / "long", None), 1)
    name = f"verify {RECORDS} records"
    figure(name, RECORDS / took, "1/s", "hashlib alone", RECORDS / peer, ">= 0.7")
    hasher = Hasher(default_engine, lambda title, _: sys.exit(title))
    by_engine = partial(verify, folder / "long", None, digests=hasher.digests)
    by_engine()
    peer, took = in_turn(lambda: bare_root(content), by_engine, 1)
    name = f"verify {RECORDS} records, by the engine"
    figure(name, RECORDS / took, "1/s", "hashlib alone", RECORDS / peer, "> the one before")


def bare_root(content: bytes) -> bytes:
    """The root by hashlib, level by level, with nothing else done."""
    row = [sha256(b"\x00" + line).digest() for line in content.split(b"\n")[:-1]]
    while len(row) > 1:
        odd = row[-1:] if len(row) % 2 else []
        pairs = zip(row[::2], row[1::2], strict=False)
        row = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return row[0] if row else EMPTY


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        lone(folder)
        together(folder)
        verifying(folder)


if __name__ == "__main__":
    main()
