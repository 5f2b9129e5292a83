"""What commands do is counted from one process to the next, whatever stands in the store."""

from __future__ import annotations

import json

import pytest

from hauberk.errors import StoreError
from hauberk.records import Event
from hauberk.testing.ports import MemoryStore
from hauberk_plugins.monitor.kept import RECORD, KeptMonitor
from hauberk_plugins.monitor.rule import Counting, Per, Rule
from hauberk_plugins.monitor.security_monitor import SecurityMonitor

S = 10**9
READ = Rule("read", "Much is read", ("vault.read",), 4, per=Per.USER, window_s=60)
PLACE = Rule("place", "From elsewhere", ("login",), 1, per=Per.USER, counts=Counting.UNSEEN)
SHARE = Rule("share", "Cancels", ("left",), 80, counts=Counting.SHARE, of={"op": ("cancel",)},
             least=4)  # fmt: skip


def event(kind, **fields):
    return Event(kind, 0, "storage", fields_json=json.dumps(fields))


def alerts(store, *events, at=0):
    """Each event in a process of its own."""
    found = []
    for number, one in enumerate(events):
        kept = KeptMonitor(SecurityMonitor([READ, PLACE, SHARE]), store)
        found += [(a.rule.name, a.key) for a in kept.observe(one, at + number * S)]
    return found


def test_an_alert_is_told_once_by_whichever_process_counts_the_last():
    store, read = MemoryStore(), event("vault.read", by="alice")
    assert alerts(store, *[read] * 6) == [("read", "alice")]
    assert alerts(store, *[read] * 3, at=600 * S) == []
    assert alerts(store, *[read] * 3, at=610 * S) == [("read", "alice")], "another episode"


def test_where_a_user_comes_from_and_shares_are_known_to_the_next():
    store = MemoryStore()
    home, away = event("login", user="a", source="home"), event("login", user="a", source="away")
    assert alerts(store, home, home, away) == [("place", "a")]
    cancels = [event("left", op="cancel")] * 4
    assert alerts(store, *cancels) == [("share", "")]


def test_what_nobody_counts_touches_no_store():
    store = MemoryStore()
    assert alerts(store, event("other")) == []
    assert store.get(RECORD) is None


@pytest.mark.parametrize(
    "spoilt", [b"", b"\xff", b"[]", b"{}", b'{"read": 1}', b'{"read": {"counts": {"a": [1]}}}']
)
def test_counts_that_cannot_be_read_begin_anew(spoilt):
    store = MemoryStore()
    store.put(RECORD, spoilt)
    assert alerts(store, *[event("vault.read", by="alice")] * 4) == [("read", "alice")]


def test_a_store_that_fails_keeps_nothing_from_being_counted():
    class Broken(MemoryStore):
        def transaction(self):
            raise StoreError("the disk is full")

    kept = KeptMonitor(SecurityMonitor([READ]), Broken())
    found = [kept.observe(event("vault.read", by="alice"), n) for n in range(4)]
    assert [len(one) for one in found] == [0, 0, 0, 1]
