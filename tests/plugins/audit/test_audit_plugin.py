"""The plugin `audit` in a whole guard: what it permits, refuses and resumes; and its commands."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from base64 import b64encode
from contextlib import contextmanager

import pytest

import hauberk
from hauberk.cli.main import main
from hauberk.errors import ConfigError, Denied, StartFailed
from hauberk.records import Severity
from hauberk.request import Request
from hauberk_plugins.audit import logger as module
from hauberk_plugins.audit.disk import REAL, Disk
from hauberk_plugins.audit.examine import lines
from hauberk_plugins.audit.record import read_line

CONFIG = """
state: state
plugins: [killswitch, policy, bots, throttle, signing, audit]
required: [killswitch, policy, throttle, signing, audit]
encryption: {{key: "file:{folder}/key"}}
signing: {{sample_clock: false}}
accounts:
  main: {{venue: binance, key: env:BINANCE_KEY, secret: env:BINANCE_SECRET}}
audit: {audit}
"""
ORDER = Request("POST", "https://api.binance.com/api/v3/order", {"symbol": "BTCUSDT"})
READ = Request("GET", "https://api.binance.com/api/v3/account")


class Full(Disk):
    """A disk that can be full."""

    is_full = False

    def write(self, descriptor, data):
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return REAL.write(descriptor, data)


@pytest.fixture
def disk(monkeypatch):
    made = Full()

    class Patched(module.AuditLogger):
        def __init__(self, *args, **options):
            super().__init__(*args, **{**options, "disk": made})

    monkeypatch.setattr("hauberk_plugins.audit.plugin.AuditLogger", Patched)
    return made


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("BINANCE_KEY", "k")
    monkeypatch.setenv("BINANCE_SECRET", "s")
    key = tmp_path / "key"
    key.write_bytes(b64encode(bytes(32)))
    key.chmod(0o600)

    def write(audit="{}"):
        path = tmp_path / "hauberk.yml"
        path.write_text(CONFIG.format(folder=tmp_path, audit=audit))
        path.chmod(0o600)
        return path

    return write


@contextmanager
def opened(path):
    with hauberk.open(path) as guard:
        yield guard


def recorded(path):
    return [read_line(raw) for raw in lines(path.parent / "state" / "audit")]


def kinds(path):
    return [record.kind for record in recorded(path)]


def test_an_order_is_on_the_disk_before_it_is_signed(config):
    path = config()
    with opened(path) as guard:
        seen = []

        @guard.on_event
        def look(event):
            if event.kind == "request.left":
                seen.extend(kinds(path))

        guard.clear(ORDER)
    assert seen == ["audit.begin", "request.intent"]
    assert kinds(path) == ["audit.begin", "request.intent", "request.left"]
    intent = recorded(path)[1]
    assert intent.account == "main"
    assert intent.fields["params"] == [["symbol", "BTCUSDT"]]


def test_a_full_disk_refuses_what_changes_something_and_all_resumes_by_itself(config, disk):
    path = config()
    with opened(path) as guard:
        guard.clear(ORDER)
        disk.is_full = True
        with pytest.raises(Denied, match="no room for another record"):
            guard.clear(ORDER)
        guard.clear(READ)  # it may wait
        disk.is_full = False
        guard.clear(ORDER)
    assert kinds(path).count("request.intent") == 3
    assert "request.denied" in kinds(path), "what was refused is recorded when there is room"


def test_a_kill_switch_works_when_nothing_can_be_recorded(config, disk):
    path = config()
    with opened(path) as guard:
        disk.is_full = True
        guard.report("a leak", Severity.CRITICAL)
        with pytest.raises(Denied, match="killswitch"):
            guard.clear(READ)
        disk.is_full = False
    assert "incident.reported" in kinds(path)


def test_a_log_that_was_changed_stops_the_start(config):
    path = config()
    with opened(path) as guard:
        guard.clear(ORDER)
    log = path.parent / "state" / "audit" / "000000000000000.jsonl"
    log.write_bytes(log.read_bytes().replace(b"BTCUSDT", b"ETHUSDT"))
    with pytest.raises(StartFailed, match="record 1 was changed"):
        hauberk.open(path)


def test_a_log_that_was_put_back_is_seen_by_the_witness_at_the_start(config):
    path = config('{witnesses: ["file:witness"]}')
    with opened(path) as guard:
        guard.clear(ORDER)
    shutil.copytree(path.parent / "state", path.parent / "before")
    with opened(path) as guard:
        guard.clear(ORDER)
    shutil.rmtree(path.parent / "state")
    (path.parent / "before").rename(path.parent / "state")
    with pytest.raises(StartFailed, match=r"witness .* saw 5"):
        hauberk.open(path)


def test_a_log_that_was_put_back_without_its_keys_is_seen_without_a_witness(config):
    path = config()
    audit = path.parent / "state" / "audit"
    with opened(path) as guard:
        guard.clear(ORDER)
    before = {one.name: one.read_bytes() for one in audit.iterdir()}
    with opened(path) as guard:
        guard.clear(ORDER)
    for one in audit.iterdir():
        one.write_bytes(before[one.name])
    with pytest.raises(StartFailed, match="the checkpoint that is remembered of it saw 5"):
        hauberk.open(path)


def test_a_witness_that_takes_nothing_is_reported_once(config, tmp_path):
    (tmp_path / "usb").mkdir(mode=0o700)
    path = config('{witnesses: ["file:usb/witness"]}')
    with opened(path) as guard:
        (tmp_path / "usb").rmdir()
        (tmp_path / "usb").write_text("a file, no folder")
        audit = guard.snapshot.part("audit").plugin
        for _ in range(2):
            guard.clear(ORDER)
            audit.seal()
        assert [i.title for i in guard.incidents] == ["A witness does not take checkpoints"]


def test_one_witness_that_fails_keeps_no_other_from_its_checkpoint(config, tmp_path):
    (tmp_path / "usb").mkdir(mode=0o700)
    path = config('{witnesses: ["file:usb/witness", "file:other"]}')
    with opened(path) as guard:
        (tmp_path / "usb").rmdir()
        (tmp_path / "usb").write_text("a file, no folder")
        guard.clear(ORDER)
    assert (tmp_path / "other").read_text().splitlines()[1] == "3"


def test_a_witness_that_saw_another_log_of_the_same_length_stops_the_start(config, tmp_path):
    path = config('{witnesses: ["file:witness"]}')
    with opened(path) as guard:
        guard.clear(ORDER)
    before = tmp_path / "before"
    shutil.copytree(path.parent / "state", before)
    with opened(path) as guard:
        guard.clear(ORDER)
    shutil.rmtree(path.parent / "state")
    before.rename(path.parent / "state")
    (tmp_path / "witness").rename(tmp_path / "kept")
    with opened(path) as guard:
        guard.clear(READ)
    (tmp_path / "kept").rename(tmp_path / "witness")
    with pytest.raises(StartFailed, match=r"do not lead to the root that witness .* saw"):
        hauberk.open(path)


def test_nothing_opens_the_log_again_once_the_guard_is_closed(config, caplog):
    path = config()
    with opened(path) as guard:
        guard.clear(READ)  # something waits to be written
        audit = guard.snapshot.part("audit").plugin
    assert not audit._keeper.is_alive()
    assert audit._logger is None
    assert "takes nothing" not in caplog.text


def test_a_witness_that_cannot_be_asked_stops_the_start(config, tmp_path):
    (tmp_path / "usb").write_text("a file, no folder")
    with pytest.raises(StartFailed, match=r"witness .*usb/witness: Not a directory"):
        hauberk.open(config('{witnesses: ["file:usb/witness"]}'))


def test_what_is_no_witness_is_told_with_its_line(config):
    with pytest.raises(ConfigError, match=r"audit\.witnesses\.0: a witness is file:PATH or a URL"):
        hauberk.open(config('{witnesses: ["ftp://x"]}'))


def run(capsys, path, *words):
    code = main([*words, "--config", str(path), "--json"])
    out = capsys.readouterr()
    return code, json.loads(out.out) if out.out else out.err


def test_the_commands_show_and_verify_and_export(config, capsys):
    path = config()
    with opened(path) as guard:
        guard.clear(ORDER)
    code, shown = run(capsys, path, "audit", "show", "--action", "request.*")
    assert code == 0
    assert [record["kind"] for record in shown["records"]] == ["request.intent", "request.left"]
    code, verified = run(capsys, path, "audit", "verify")
    assert (code, verified["ok"], verified["records"]) == (0, True, 3)
    code, proof = run(capsys, path, "audit", "export", "--proof", "1", "--consistency", "2")
    assert (code, proof["index"]) == (0, 1)
    log = path.parent / "state" / "audit" / "000000000000000.jsonl"
    log.write_bytes(log.read_bytes().replace(b"BTCUSDT", b"ETHUSDT", 1))
    code, verified = run(capsys, path, "audit", "verify")
    assert (code, verified["ok"]) == (1, False)
    assert [finding["index"] for finding in verified["findings"]] == [1]


EVIL = "mallory\x1b[2J\r\n7  2026-01-01T00:00:00.000Z  login.granted\u202e"


def test_what_somebody_called_himself_forges_nothing_where_it_is_shown(config, capsys, monkeypatch):
    path = config()
    with opened(path) as guard:
        guard.report("x", Severity.LOW)
        guard.snapshot.part("audit").plugin.opened().log_action(EVIL, EVIL)
    (raw,) = (raw for raw in lines(path.parent / "state" / "audit") if b"mallory" in raw)
    assert raw.isascii()
    assert raw.decode().isprintable()

    def stop(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("hauberk_plugins.audit.commands.time.sleep", stop)
    for words in (["audit", "show"], ["audit", "show", "--follow"]):
        assert main([*words, "--config", str(path)]) == 0
        out = capsys.readouterr().out
        assert "mallory" in out
        assert all(char.isprintable() or char == "\n" for char in out)
        assert not any(line.startswith("7  2026") for line in out.splitlines())


def test_a_log_that_a_start_refuses_is_set_aside_and_another_tells_of_it(config, capsys):
    path = config()
    with opened(path) as guard:
        guard.clear(ORDER)
    audit = path.parent / "state" / "audit"
    before = {one.name: one.read_bytes() for one in audit.iterdir()}
    (audit / "checkpoint").unlink()
    with pytest.raises(StartFailed, match="it was removed"):
        hauberk.open(path)
    code, told = run(capsys, path, "audit", "begin", "--reason", "the disk was lost")
    assert code == 0
    aside = path.parent / "state" / told["aside"]
    del before["checkpoint"]
    assert {one.name: one.read_bytes() for one in aside.iterdir()} == before
    (begun, succeeds) = recorded(path)
    assert (begun.kind, succeeds.kind) == ("audit.begin", "audit.succeeds")
    assert succeeds.fields["reason"] == "the disk was lost"
    assert succeeds.fields["aside"] == aside.name
    code, verified = run(capsys, path, "audit", "verify")
    assert (code, verified["records"]) == (0, 2)
    key = succeeds.fields["key"]
    code, verified = run(capsys, path, "audit", "verify", "--folder", str(aside), "--key", key)
    assert (code, [f["what"] for f in verified["findings"]]) == (1, ["checkpoint"])


def test_a_proof_that_proves_nothing_is_not_given(config, capsys, monkeypatch):
    path = config()
    with opened(path) as guard:
        guard.clear(ORDER)
    # Changed after the start has looked at it.
    monkeypatch.setattr(
        "hauberk_plugins.audit.export_command.lines", lambda *_: iter([b'{"forged":1}'])
    )
    code, told = run(capsys, path, "audit", "export", "--proof", "1")
    assert (code, told["error"]) == (2, "AuditDamaged")


def test_an_unwritable_log_lets_a_bot_read_and_wait(config, disk):
    path = config()
    with opened(path) as guard:
        disk.is_full = True
        for _ in range(3):
            guard.clear(READ)
            with pytest.raises(Denied, match="no room"):
                guard.clear(ORDER)
        disk.is_full = False
        guard.clear(ORDER)
    assert kinds(path).count("request.left") == 4


def test_what_an_outsider_makes_endless_is_cut_and_the_log_goes_on(config):
    path = config()
    endless = Request("POST", "https://api.binance.com/api/v3/nosuch", {"x": "A" * (1 << 20)})
    with opened(path) as guard:
        guard.report("odd answer", Severity.LOW, {"body": "A" * (1 << 20)})
        with pytest.raises(Denied):
            guard.clear(endless)
        guard.clear(ORDER)
    found = {record.kind: record.fields for record in recorded(path)}
    assert "incident.reported" in found
    assert found["request.denied"]["params"].keys() == {"cut", "sha256"}
    assert "request.left" in found


def test_a_process_that_hangs_with_the_lock_hangs_nobody_else(config, disk, monkeypatch):
    path = config()
    monkeypatch.setattr("hauberk_plugins.audit.lock.WAIT_S", 0.01)
    with opened(path) as guard:
        guard.clear(ORDER)
        told = []

        @guard.on_incident
        def hear(incident):
            told.append(incident)

        with (path.parent / "state" / "audit" / "lock").open() as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(Denied, match="keeps its lock"):
                guard.clear(ORDER)
            guard.clear(READ)  # it may wait
            incident = guard.report("gone mad", Severity.CRITICAL)
            assert (incident.is_contained, len(told)) == (True, 1)
    assert {"request.denied", "incident.reported"} <= set(kinds(path)), "recorded when it can be"


def test_a_log_on_a_read_only_mount_is_verified_and_proved(config, capsys, monkeypatch):
    path = config()
    with opened(path) as guard:
        guard.clear(ORDER)

    def refusing(name, flags, *rest):
        if "audit" in str(name) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system")
        return os.open(name, flags, *rest)

    before = kinds(path)
    monkeypatch.setattr(Disk, "open", staticmethod(refusing))
    assert main(["audit", "verify", "--config", str(path)]) == 0
    capsys.readouterr()
    assert main(["audit", "export", "--proof", "1", "--config", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["index"] == 1
    assert kinds(path) == before
