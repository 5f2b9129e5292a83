"""What plugins say of themselves is left for commands in other processes."""

from __future__ import annotations

import json
import os
import threading

import pytest
from attrs import evolve

from hauberk import process
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.leftfiles import MAX_BYTES, leave
from hauberk.status import statuses
from hauberk.testing import FakeClock, make_plan

PATIENCE_S = 30


def talker(said):
    class Talker(Plugin):
        interface = (1, 1)

        @hookimpl
        def on_status(self):
            return said() if callable(said) else said

    return Talker()


@pytest.fixture
def resident(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "TELL_EVERY_S", 80_000.0)  # only when a test says so

    def make(*plugins):
        plan = make_plan(*plugins)
        plan = evolve(plan, settings=evolve(plan.settings, state_dir=tmp_path))
        return Guard(plan, clock=FakeClock(), resident=True)

    return make


def test_each_plugin_is_read_under_its_name_while_the_guard_is_open(resident, tmp_path):
    with resident(("one", talker({"left": 3})), ("two", talker({"ok": None}))) as guard:
        assert list(statuses(tmp_path)) == [], "nobody was asked yet"
        guard.kernel.tell_status()
        (status,) = statuses(tmp_path)
        assert status.pid == os.getpid()
        assert status.at_ns == guard.kernel.clock.wall_ns()
        assert {name: status.plugins[name] for name in ("one", "two")} == {
            "one": {"left": 3},
            "two": {"ok": None},
        }
        assert (tmp_path / f"status-{os.getpid()}.json").stat().st_mode & 0o777 == 0o600
    assert list(statuses(tmp_path)) == [], "what is past would be read as the present"


def test_one_that_fails_hides_no_other(resident, tmp_path):
    def broken():
        raise RuntimeError("no")

    plugins = [("bad", talker(broken)), ("list", talker([1])), ("good", talker({"a": 1}))]
    with resident(*plugins) as guard:
        guard.kernel.tell_status()
        (status,) = statuses(tmp_path)
    assert {"bad", "list"}.isdisjoint(status.plugins)
    assert status.plugins["good"] == {"a": 1}


@pytest.mark.parametrize("said", [{"a": float("nan")}, {"a": object()}, {"a": "x" * MAX_BYTES}])
def test_what_json_cannot_say_is_told_and_not_left(resident, tmp_path, caplog, said):
    with resident(("odd", talker(said))) as guard:
        guard.kernel.tell_status()
        assert list(statuses(tmp_path)) == []
    assert "is not left" in caplog.text


def test_the_thread_comes_by_itself(resident, tmp_path, monkeypatch):
    told = threading.Semaphore(0)
    monkeypatch.setattr(process, "TELL_EVERY_S", 0.01)

    def said():
        told.release()
        return {}

    plan = make_plan(("odd", talker(said)))
    plan = evolve(plan, settings=evolve(plan.settings, state_dir=tmp_path))
    with Guard(plan, clock=FakeClock(), resident=True) as guard:
        for _ in range(2):
            assert told.acquire(timeout=PATIENCE_S)
        assert guard.kernel.closed == ""


@pytest.mark.parametrize(
    "document",
    [[], {}, {"at_ns": "1", "plugins": {}}, {"at_ns": 1, "plugins": []}, {"at_ns": 1}, None],
)
def test_what_is_no_status_is_passed_over(tmp_path, document):
    leave(tmp_path, "status", document)
    assert list(statuses(tmp_path)) == []


def test_a_process_that_is_no_more_says_nothing(tmp_path):
    document = {"at_ns": 1, "plugins": {"a": {}}}
    (tmp_path / "status-999999999.json").write_text(json.dumps(document))
    leave(tmp_path, "status", document)
    assert [status.pid for status in statuses(tmp_path)] == [os.getpid()]
    assert list(statuses(None)) == []
