"""Counts in the state folder: whole or absent, and nothing in them taken on trust."""

import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk import leftfiles as module
from hauberk.counts import HookCounts, counts, publish, published
from hauberk.hooks import Plugin, hookimpl
from hauberk.leftfiles import forget_dead, is_running
from hauberk.registry import Part, implementations
from hauberk.snapshot import Snapshot

ROW = {
    "plugin": "policy",
    "hook": "on_request",
    "calls": 3,
    "failures": 1,
    "overruns": 0,
    "mean_us": 1.5,
    "worst_us": 2,
}


class Quiet(Plugin):
    interface = (1, 1)

    @hookimpl
    def on_request(self, request):
        return None


@pytest.fixture
def snapshot():
    part = Part("quiet", Quiet())
    return Snapshot(((part, implementations(part)),), ("quiet",))


def test_each_hook_has_its_calls_and_times_in_microseconds(snapshot):
    impl = snapshot.guards[0]
    impl.calls = 32
    impl.sample(1_000)
    impl.sample(4_000)
    impl.failed()
    impl.overran()
    assert counts(snapshot) == [HookCounts("quiet", "on_request", 32, 1, 1, 2.5, 4.0)]


def test_without_a_timed_call_there_is_no_time(snapshot):
    assert counts(snapshot) == [HookCounts("quiet", "on_request", 0, 0, 0, None, None)]


def test_what_is_published_is_read_back(tmp_path, snapshot):
    publish(tmp_path, snapshot)
    assert list(published(tmp_path)) == [(os.getpid(), counts(snapshot))]


def test_the_file_is_private_and_nothing_else_is_left(tmp_path, snapshot):
    before = os.umask(0)
    try:
        publish(tmp_path, snapshot)
        publish(tmp_path, snapshot)
    finally:
        os.umask(before)
    (path,) = tmp_path.iterdir()
    assert path.name == f"counts-{os.getpid()}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_in_the_files_place_is_replaced_and_not_followed(tmp_path, snapshot):
    victim = tmp_path / "victim"
    victim.write_text("mine", "utf-8")
    (tmp_path / f"counts-{os.getpid()}.json").symlink_to(victim)
    publish(tmp_path, snapshot)
    assert victim.read_text("utf-8") == "mine"
    assert len(list(published(tmp_path))) == 1


def test_a_failing_write_leaves_what_was_there(tmp_path, snapshot, monkeypatch):
    publish(tmp_path, snapshot)
    before = list(published(tmp_path))

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        publish(tmp_path, snapshot)
    assert list(published(tmp_path)) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_guards_that_publish_at_once_never_leave_a_torn_file(tmp_path, snapshot):
    torn = []

    def write():
        for _ in range(50):
            publish(tmp_path, snapshot)
            if len(list(published(tmp_path))) != 1:
                torn.append(1)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torn


def test_counts_come_in_the_order_of_process_ids(tmp_path):
    for pid in (10, 9, 100):
        (tmp_path / f"counts-{pid}.json").write_text(json.dumps([ROW]), "utf-8")
    assert [pid for pid, _ in published(tmp_path)] == [9, 10, 100]


def test_a_folder_that_is_not_there_has_none(tmp_path):
    assert list(published(tmp_path / "none")) == []
    forget_dead(tmp_path / "none")


@pytest.mark.parametrize(
    "name",
    ["counts-.json", "counts-0.json", "counts--1.json", "counts-+1.json", "counts-1_0.json",
     "counts-\uff11.json", "counts-01.json", "counts-1.json.bak", "counts-99999999999.json"],
)  # fmt: skip
def test_a_name_that_publish_does_not_give_is_passed_over_and_kept(tmp_path, name):
    (tmp_path / name).write_text(json.dumps([ROW]), "utf-8")
    assert list(published(tmp_path)) == []
    forget_dead(tmp_path)
    assert (tmp_path / name).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"plugin": 7},
        {"plugin": ""},
        {"plugin": "x" * 65},
        {"plugin": "a\x1b[2J"},
        {"hook": "on_nothing"},
        {"hook": ["on_request"]},
        {"calls": -1},
        {"calls": True},
        {"calls": 1.5},
        {"calls": 1 << 70},
        {"failures": "1"},
        {"overruns": None},
        {"mean_us": None},
        {"mean_us": float("nan")},
        {"mean_us": float("inf")},
        {"worst_us": -1},
        {"worst_us": "1"},
        {"surplus": 1},
    ],
)
def test_one_row_that_is_not_what_publish_writes_spoils_the_file(tmp_path, change):
    (tmp_path / "counts-1.json").write_text(json.dumps([ROW, ROW | change]), "utf-8")
    (tmp_path / "counts-2.json").write_text(json.dumps([ROW]), "utf-8")
    assert [pid for pid, _ in published(tmp_path)] == [2]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"{}",
        b"null",
        b"[[]]",
        b"[1]",
        b"\xff",
        b"[" * 100_000,
        b"[]" + b" " * module.MAX_BYTES,
    ],
    ids=range(9),
)
def test_a_file_that_is_torn_or_no_list_is_passed_over(tmp_path, content):
    (tmp_path / "counts-1.json").write_bytes(content)
    assert list(published(tmp_path)) == []


def test_links_fifos_and_folders_are_passed_over_without_waiting(tmp_path):
    real = tmp_path / "real"
    real.write_text(json.dumps([ROW]), "utf-8")
    (tmp_path / "counts-1.json").symlink_to(real)
    os.mkfifo(tmp_path / "counts-2.json")
    (tmp_path / "counts-3.json").mkdir()
    assert list(published(tmp_path)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_passed_over_unless_the_folder_is_theirs(tmp_path):
    path = tmp_path / "counts-1.json"
    path.write_text(json.dumps([ROW]), "utf-8")
    os.chown(path, 4242, -1)
    assert list(published(tmp_path)) == []
    os.chown(tmp_path, 4242, -1)
    assert len(list(published(tmp_path))) == 1


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = [f"counts-{os.getpid()}.json", f"counts-{os.getpid()}.0123abcd.tmp", "counts-1.json",
            "other.json"]  # fmt: skip
    for name in (*kept, f"counts-{ended.pid}.json", f"counts-{ended.pid}.0123abcd.tmp"):
        (tmp_path / name).write_text("[]", "utf-8")
    forget_dead(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_folder_that_cannot_be_changed_stops_nothing(tmp_path, monkeypatch):
    (tmp_path / "counts-4194305.json").write_text("[]", "utf-8")

    def refused(*_args, **_kwargs):
        raise PermissionError

    monkeypatch.setattr(module.Path, "unlink", refused)
    forget_dead(tmp_path)


@given(pid=st.integers(min_value=1, max_value=9_999_999_999))
def test_any_number_may_be_asked_for(pid):
    assert type(is_running(pid)) is bool


def test_this_process_runs_and_one_of_somebody_else_does_too(monkeypatch):
    assert is_running(os.getpid())

    def forbidden(*_args):
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert is_running(1)
