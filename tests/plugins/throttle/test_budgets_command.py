from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hauberk.cli import Options
from hauberk.leftfiles import leave
from hauberk_plugins.throttle.commands import as_data, budgets
from hauberk_plugins.throttle.limiting import Row
from hauberk_plugins.throttle.windows import Kind, Scope, Window

CONFIG = """\
state: state
plugins: [killswitch, policy, throttle, signing]
ports: {venues: venues}
grants: {policy: [], throttle: [venues], signing: [sign, keys, venues]}
accounts: {main: {venue: binance}}
"""


def row(**changes: Any) -> Row:
    said: dict[str, Any] = {
        "key": ("binance", "", "account", "main", "orders"),
        "window": Window("orders", Kind.ROLLING, Scope.ACCOUNT, 10, 100, "orders", 10),
        "used": 40, "theirs": 41, "left": 59, "waiting": 2, "frozen_ns": 0,
    }  # fmt: skip
    return Row(**{**said, **changes})


@pytest.fixture
def options(tmp_path: Path) -> Options:
    (tmp_path / "state").mkdir(mode=0o700)
    path = tmp_path / "hauberk.yml"
    path.write_text(CONFIG)
    return Options(config=str(path))


def told(options: Options, said: Any) -> Any:
    state = Path(options.config).parent / "state"
    leave(state, "status", {"at_ns": 1, "plugins": {"throttle": said}})
    return budgets(options=options)


def test_every_window_is_shown_as_a_running_guard_left_it(options: Options) -> None:
    answer = told(options, {"budgets": as_data([row()])})
    [shown] = answer.document["budgets"]
    assert shown == {
        "pid": os.getpid(), "venue": "binance", "base": "", "window": "orders", "kind": "rolling",
        "seconds": 10, "scope": "account", "sharer": "main", "size": 100, "reserved": 10,
        "used": 40, "theirs": 41, "left": 59, "waiting": 2, "frozen_s": 0.0,
    }  # fmt: skip
    head, line = answer.shown.splitlines()
    assert head.split()[:4] == ["venue", "window", "scope", "of"]
    assert line.split() == [
        "binance",
        "orders",
        "account",
        "main",
        "40",
        "41",
        "100",
        "59",
        "2",
        "0.0",
    ]


def test_what_is_frozen_comes_first_and_then_the_fullest() -> None:
    rows = [row(left=50), row(left=1), row(left=90, frozen_ns=1_500_000_000)]
    assert [(one["left"], one["frozen_s"]) for one in as_data(rows)] == [(90, 1.5), (1, 0), (50, 0)]


def test_no_more_is_told_than_a_person_could_read() -> None:
    assert len(as_data([row()] * 10_000)) == 500


def test_without_a_running_bot_it_says_so(options: Options) -> None:
    answer = budgets(options=options)
    assert answer.document == {"budgets": []}
    assert "no bot is running" in answer.shown


@pytest.mark.parametrize(
    "said",
    [None, [], {"budgets": 3}, {"budgets": [3]}, {"budgets": [{}]}, {"other": []}],
)
def test_what_is_not_what_a_guard_leaves_is_passed_over(options: Options, said: Any) -> None:
    assert told(options, said).document == {"budgets": []}


def test_a_name_that_would_move_the_cursor_is_not_drawn(options: Options) -> None:
    said = as_data([row(key=("\x1b[2J", "", "account", "main", "orders"))])
    answer = told(options, {"budgets": said})
    assert "\x1b" not in answer.shown
    json.dumps(answer.document)


def test_a_figure_that_is_none_is_not_believed(options: Options) -> None:
    [said] = as_data([row()])
    assert told(options, {"budgets": [{**said, "used": "many"}]}).document == {"budgets": []}
