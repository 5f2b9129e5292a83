"""A file that somebody dropped is reported once, by one process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hauberk import Severity
from hauberk.errors import ClosedError, StoreError
from hauberk.testing import MemoryStore
from hauberk_plugins.killswitch.dropped import TITLE, DropReport
from hauberk_plugins.killswitch.folder import StateFolder


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path)


class Process:
    """A process, and what it reported."""

    def __init__(self, store: MemoryStore | None, error: Exception | None = None) -> None:
        self.reports: list[tuple[Any, ...]] = []
        self._error = error
        self.drop = DropReport((lambda: store) if store is not None else None, self._report)

    def _report(self, *args: Any) -> None:
        if self._error is not None:
            raise self._error
        self.reports.append(args)

    def look(self, dropped: str, folder: StateFolder) -> None:
        before = set(threading.enumerate())
        self.drop.look(dropped, folder)
        for thread in set(threading.enumerate()) - before:
            thread.join()


def test_of_several_processes_one_reports_it(folder: StateFolder) -> None:
    store = MemoryStore()
    processes = [Process(store) for _ in range(3)]
    for process in processes:
        process.look("1:1", folder)
        process.look("1:1", folder)
    assert [len(process.reports) for process in processes] == [1, 0, 0]
    title, severity, _ = processes[0].reports[0]
    assert (title, severity) == (TITLE, Severity.CRITICAL)


def test_a_restart_does_not_report_it_again(folder: StateFolder) -> None:
    store = MemoryStore()
    Process(store).look("1:1", folder)
    again = Process(store)
    again.look("1:1", folder)
    assert again.reports == []


def test_another_file_is_another_report(folder: StateFolder) -> None:
    process = Process(MemoryStore())
    for dropped in ("1:1", "", "1:1", "", "2:1", ""):
        process.look(dropped, folder)
    assert len(process.reports) == 2


@pytest.mark.parametrize("broken", [True, False])
def test_where_nobody_can_tell_who_each_reports_it(folder: StateFolder, broken: bool) -> None:
    store = MemoryStore() if broken else None
    if store is not None:
        store.error = StoreError("down")
    processes = [Process(store) for _ in range(2)]
    for process in processes:
        process.look("1:1", folder)
    assert [len(process.reports) for process in processes] == [1, 1]


def test_a_guard_that_is_closed_meanwhile_is_no_error(
    folder: StateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    Process(None, ClosedError("the guard is closed")).look("1:1", folder)
    assert "HALT is not reported: the guard is closed" in caplog.text
