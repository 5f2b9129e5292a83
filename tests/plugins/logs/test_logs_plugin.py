from __future__ import annotations

import json
from pathlib import Path

import pytest

import hauberk
from hauberk.records import Severity
from hauberk.testing import DEFAULT_URL, GuardFactory
from hauberk_plugins.logs.plugin import LogsConfig, LogsPlugin

RECORD = {"logs": ["record"]}


def test_what_a_guard_does_is_written_to_stderr(
    guard: GuardFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    made = guard(("logs", LogsPlugin(LogsConfig(format="json"))), grants=RECORD)
    made.clear(hauberk.Request("POST", DEFAULT_URL, {"symbol": "BTCUSDT", "apiKey": "s3cr3t"}))
    captured = capsys.readouterr()
    kinds = [json.loads(line)["event"] for line in captured.err.splitlines()]
    assert kinds == ["request.left"]  # the intent is told at debug
    assert "s3cr3t" not in captured.err
    assert captured.out == ""


def test_an_incident_with_any_details_is_written(guard: GuardFactory, tmp_path: Path) -> None:
    path = tmp_path / "hauberk.log"
    made = guard(("logs", LogsPlugin(LogsConfig("json", file=str(path)))), grants=RECORD)
    made.report("brute force", Severity.MEDIUM, {"name": "x", "message": "y", "event": "z\n"})
    made.close()
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert told[0]["event"] == "incident.reported"
    assert told[0]["level"] == "warning"
    assert told[0]["fields"]["details"] == {"name": "x", "message": "y", "event": "z\\n"}


def test_a_log_that_cannot_be_opened_leaves_the_plugin_out(
    guard: GuardFactory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard(("logs", LogsPlugin(LogsConfig(file=str(tmp_path / "no" / "log")))), grants=RECORD)
    assert "No such file" in caplog.text


def test_a_log_that_is_required_and_cannot_be_opened_stops_the_start(
    guard: GuardFactory, tmp_path: Path
) -> None:
    plugin = LogsPlugin(LogsConfig(file=str(tmp_path / "no" / "log")))
    with pytest.raises(hauberk.StartFailed, match="No such file"):
        guard(("logs", plugin), grants=RECORD, required=["logs"])
