"""A SQLite store that several processes use, and what a fork may not take with it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hauberk.ports import Record
from hauberk_plugins.storage.errors import (
    StoreMisused,
)
from hauberk_plugins.storage.sqlite import SQLiteStores

Run = Callable[..., str]


@pytest.fixture
def stores(sqlite: SQLiteStores) -> SQLiteStores:
    return sqlite


def test_processes_lose_nothing_to_each_other(path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from hauberk_plugins.storage.sqlite import SQLiteStores

        store = SQLiteStores(Path(sys.argv[1]), busy_s=30).scoped("one")
        for _ in range(40):
            with store.transaction() as inside:
                record = inside.get("count")
                inside.put("count", str(int(record.value if record else 0) + 1).encode())
        """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    children = [subprocess.Popen(command) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    with closing(SQLiteStores(path)) as stores:
        assert stores.scoped("one").get("count") == Record(b"120", 120)


FORK = """
    import os, sys, threading
    from pathlib import Path
    from hauberk.errors import StoreError
    from hauberk_plugins.storage import pool
    from hauberk_plugins.storage.sqlite import SQLiteStores

    stores = SQLiteStores(Path(sys.argv[1]), busy_s=0.2)
    store = stores.scoped("one")
    store.put("a", b"1")

    def fork(child):
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                child()
            except StoreError as error:
                print(error)
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    """


def test_a_child_opens_connections_of_its_own(path: Path, run: Run) -> None:
    out = run(
        FORK
        + """
    fork(lambda: print("child", store.put("a", b"2")))
    print("parent", store.get("a").value, store.put("a", b"3"))
    """,
        path,
    )
    assert out == "child 2\nparent b'2' 3\n"


def test_a_child_inherits_no_descriptor_of_the_store(path: Path, run: Run) -> None:
    out = run(
        FORK
        + """
    def mine():
        links = []
        for number in os.listdir("/proc/self/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{number}"))
            except OSError:
                pass
        return sum("store.sqlite" in link for link in links)
    print(mine() > 0)
    fork(lambda: print(mine()))
    """,
        path,
    )
    assert out == "True\n0\n"


def test_a_child_forked_within_a_transaction_may_neither_use_nor_end_it(
    path: Path, run: Run
) -> None:
    out = run(
        FORK
        + """
    def child():
        for call in (lambda: inside.put("b", b"!"), lambda: store.get("a"),
                     lambda: SQLiteStores(Path(sys.argv[1])).scoped("one").get("a")):
            try:
                print("not refused", call())
            except StoreError as error:
                print(error)
    with store.transaction() as inside:
        inside.put("b", b"1")
        fork(child)
        inside.put("c", b"1")
    print([name for name, _ in store.scan()])
    """,
        path,
    )
    lines = out.splitlines()
    assert "forked within a transaction, which is its parent's" in lines[0]
    assert "forked within a transaction" in lines[1]
    assert "forked while its parent was in the middle of a call" in lines[2]
    assert lines[3] == "['a', 'b', 'c']"


def test_leaving_the_block_in_the_child_does_not_end_the_parents_transaction(
    path: Path, run: Run
) -> None:
    out = run(
        FORK
        + """
    pid = None
    journal = Path(sys.argv[1] + "-journal")
    try:
        with store.transaction() as inside:
            inside.put("b", b"1")
            before = journal.read_bytes()
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
                # What a crash would be undone by.
                assert before and journal.read_bytes() == before
                inside.put("c", b"1")
    except StoreError as error:
        assert pid == 0
        sys.exit(0)  # frees what it has, as any program does that ends
    assert pid
    print([name for name, _ in store.scan()])
    """,
        path,
    )
    assert out == "['a', 'b', 'c']\n"


def test_a_fork_waits_for_other_threads_calls(path: Path, run: Run) -> None:
    out = run(
        FORK
        + """
    begun, go_on = threading.Event(), threading.Event()

    def other():
        with store.transaction() as inside:
            inside.put("b", b"1")
            begun.set()
            go_on.wait()

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait()
    threading.Timer(0.1, go_on.set).start()
    fork(lambda: print(store.get("b").value))
    thread.join()
    """,
        path,
    )
    assert out == "b'1'\n"


def test_a_child_is_refused_the_store_where_a_call_did_not_end_in_time(
    path: Path, run: Run
) -> None:
    out = run(
        FORK
        + """
    stores._pool._fork_wait_s = 0.05
    begun, go_on = threading.Event(), threading.Event()

    def other():
        with store.transaction() as inside:
            inside.put("b", b"1")
            begun.set()
            go_on.wait()

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait()
    fork(lambda: print(store.get("b")))
    go_on.set()
    thread.join()
    print(store.get("b").value)
    """,
        path,
    )
    lines = out.splitlines()
    assert "use it from the parent, or begin the child when no call is under way" in lines[0]
    assert lines[1] == "b'1'"


def test_what_was_closed_is_refused_and_calls_under_way_end_first(stores: SQLiteStores) -> None:
    store = stores.scoped("one")
    with store.transaction() as inside:
        stores.close()
        inside.put("a", b"1")
    with pytest.raises(StoreMisused, match="it was closed; open the configuration again"):
        store.get("a")
    with closing(SQLiteStores(stores.path)) as again:
        assert again.scoped("one").get("a") == Record(b"1", 1)
