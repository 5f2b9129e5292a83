"""Kills writers of one audit log at random instants: `_sweep.py FOLDER KILLS SEED`.

Four writers append. Each says in a pipe what it wrote once that was acknowledged; whoever is killed
has its pipe read to the end. All that was said must stand in the log, at the index that was said,
and at the end the whole log must be as its checkpoint says. Prints what it did.
"""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path
from typing import NoReturn

from hauberk.testing.ports import MemoryStore
from hauberk_plugins.audit.examine import examine, lines
from hauberk_plugins.audit.index import Index, Query
from hauberk_plugins.audit.keybook import KeyBook
from hauberk_plugins.audit.logger import AuditLogger
from hauberk_plugins.audit.record import line

WRITERS = 4
SAID = struct.Struct(">IIQ")
#: Small, so that files are ended all the time.
MAX_BYTES = 20_000
#: How long a victim lives on after it was chosen, at most, seconds.
SPIN_S = 0.004


def keys() -> KeyBook:
    """The same in every process: what is sealed elsewhere is not what is looked at here."""
    store = MemoryStore()
    store.put("origin", b"hauberk/0123456789abcdef")
    store.put("key/000000", bytes(32))
    return KeyBook(store, os.urandom)


def write(folder: Path, writer: int, life: int, pipe: int) -> NoReturn:
    """Append for ever; every so often seal."""
    logger = AuditLogger(folder, keys(), time.time_ns, max_bytes=MAX_BYTES)
    chance = random.Random(life * WRITERS + writer)
    number = 0
    while True:
        some = chance.randint(1, 4)
        batch = [
            line(
                "sweep", number + k, f"{writer}", {"life": life, "pad": "x" * chance.randint(0, 90)}
            )
            for k in range(some)
        ]
        first = logger.log(*batch)
        said = b"".join(SAID.pack(life, number + k, first + k) for k in range(some))
        os.write(pipe, said)
        number += some
        if chance.random() < 0.02:
            logger.seal()


def start(folder: Path, writer: int, life: int) -> tuple[int, int]:
    """Fork a writer; return its process and the pipe in which it says what it wrote."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reads)
            write(folder, writer, life, writes)
        except BaseException as error:
            sys.stderr.write(f"writer {writer}: {type(error).__name__}: {error}\n")
        finally:
            os._exit(3)
    os.close(writes)
    os.set_blocking(reads, False)
    return pid, reads


def drained(pipe: int) -> bytes:
    """Read all that there is in a pipe."""
    found = b""
    while True:
        try:
            more = os.read(pipe, 1 << 16)
        except BlockingIOError:
            return found
        if not more:
            return found
        found += more


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill, look, and print."""
    chance = random.Random(seed)
    said: dict[tuple[int, int, int], int] = {}
    running = {writer: (*start(folder, writer, 0), 0) for writer in range(WRITERS)}
    lives, quiet = WRITERS, 0
    for _ in range(kills):
        until = time.monotonic() + chance.uniform(0, SPIN_S)
        while time.monotonic() < until:
            for writer, (_, pipe, _) in running.items():
                note(said, writer, drained(pipe))
        victim = chance.randrange(WRITERS)
        pid, pipe, _ = running[victim]
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"a writer ended by itself: {status}")
        before = len(said)
        note(said, victim, drained(pipe))
        quiet += len(said) == before
        os.close(pipe)
        running[victim] = (*start(folder, victim, lives), 0)
        lives += 1
    for writer, (pid, pipe, _) in running.items():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        note(said, writer, drained(pipe))
    logger = AuditLogger(folder, keys(), time.time_ns)
    logger.close()
    look(folder, said)
    torn = len(list(folder.glob("torn-*")))
    size = sum(1 for _ in lines(folder))
    files = len(list(folder.glob("*.jsonl")))
    sys.stdout.write(
        json.dumps({"kills": kills, "said": len(said), "size": size, "torn": torn, "files": files})
    )


def note(said: dict[tuple[int, int, int], int], writer: int, raw: bytes) -> None:
    """Take in what a writer said; what is cut off, it did not say."""
    for at in range(0, len(raw) - SAID.size + 1, SAID.size):
        life, number, index = SAID.unpack_from(raw, at)
        said[writer, life, number] = index


def look(folder: Path, said: dict[tuple[int, int, int], int]) -> None:
    """All that was acknowledged stands where it was said, and the whole is vouched for."""
    verified = examine(folder, keys().signer(0).verifier)
    if not verified.is_good or verified.vouched != verified.size:
        raise SystemExit(f"{verified}")
    found = [json.loads(raw) for raw in lines(folder)]
    for (writer, life, number), index in said.items():
        record = found[index]
        at = int(record["at"].rpartition(".")[2].removesuffix("Z"))
        if (record["source"], record["fields"]["life"], at) != (f"{writer}", life, number):
            raise SystemExit(f"record {index} is not what writer {writer} was told it is: {record}")
    index_of = Index(folder)
    if sum(1 for _ in index_of.find(Query())) != len(found):
        raise SystemExit("the index knows another number of records")
    index_of.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
