"""A sealed record of 1 KiB read and written, beside the same record in the bare store.

Over SQLite and, where its extra is installed and `HAUBERK_BENCH_POSTGRES` holds a connection string
to a database that may be written to, over PostgreSQL. Both are called alternately, on a thousand
records each. What a first look at a bucket costs is shown by itself: it reads all of the bucket.
"""

import os
import tempfile
import time
from contextlib import closing
from itertools import count
from pathlib import Path

from hauberk.secret import Secret
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given
from hauberk_plugins.storage.postgres import PostgresStores
from hauberk_plugins.storage.secure_storage import SecureStorage
from hauberk_plugins.storage.sqlite import SQLiteStores

from _rounds import figure, one_by_one

RECORDS = 1_000
READS = 5_000
WRITES = 300
VALUE = os.urandom(1024)


def measure(where, stores, vault) -> None:
    for namespace in ("bench", "sealed/bench"):
        _empty(stores.scoped(namespace))
    bare, sealed = stores.scoped("bench"), SecureStorage(stores, vault).scoped("bench")
    for store in (bare, sealed):
        with store.transaction() as inside:
            for number in range(RECORDS):
                inside.put(f"record/{number}", VALUE)

    def turns(store, call):
        numbers = count()
        return lambda: call(store, f"record/{next(numbers) * 7 % RECORDS}")

    for what, call, calls in (("read", _read, READS), ("write", _write, WRITES)):
        value, peer = one_by_one(turns(sealed, call), turns(bare, call), calls)
        name = f"sealed {what} of 1 KiB, {where}"
        figure(name, value * 1e6, "us", f"bare {what}", peer * 1e6, "<= 2")

    def first_look() -> None:
        SecureStorage(stores, vault).scoped("bench").get("record/0")

    value, peer = one_by_one(first_look, turns(sealed, _read), 200)
    name = f"first read in a bucket of {RECORDS // 64}, {where}"
    figure(name, value * 1e6, "us", "sealed read", peer * 1e6, "reported")
    value = _timed(lambda: sum(1 for _ in SecureStorage(stores, vault).scoped("bench").scan()))
    peer = _timed(lambda: sum(1 for _ in bare.scan()))
    name = f"sealed scan of {RECORDS}, {where}"
    figure(name, value * 1e3, "ms", "bare scan", peer * 1e3, "reported")


def _empty(store) -> None:
    """Remove what an earlier run left, which another key had sealed."""
    with store.transaction() as inside:
        for name, _ in inside.scan():
            inside.delete(name)


def _read(store, name: str) -> None:
    store.get(name)


def _write(store, name: str) -> None:
    store.put(name, VALUE)


def _timed(call) -> float:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ring = KeyRing(Path(folder, "state"), Given(Secret(os.urandom(32))))
        vault = DataEncryption(ring).scoped("storage")
        with closing(SQLiteStores(Path(folder, "state", "store.sqlite"))) as stores:
            measure("SQLite", stores, vault)
        if url := os.environ.get("HAUBERK_BENCH_POSTGRES"):
            with closing(PostgresStores(Secret(url), 5)) as stores:
                measure("PostgreSQL", stores, vault)


if __name__ == "__main__":
    main()
