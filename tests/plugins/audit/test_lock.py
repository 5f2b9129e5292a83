"""The lock of a log that another process keeps: nobody waits for it for ever."""

from __future__ import annotations

import fcntl
import os

import pytest

from hauberk_plugins.audit.disk import Disk
from hauberk_plugins.audit.errors import AuditUnwritable
from hauberk_plugins.audit.lock import AGAIN_S, WAIT_S
from hauberk_plugins.audit.logfile import LogFile


class Clock(Disk):
    """Time passes while somebody sleeps, and each call says when it would wait without end."""

    def __init__(self, on_sleep=lambda: None):
        self.now = 0.0
        self.on_sleep = on_sleep

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.on_sleep()

    def flock(self, descriptor, how):
        assert how & (fcntl.LOCK_NB | fcntl.LOCK_UN), "it would wait without a deadline"
        fcntl.flock(descriptor, how)


@pytest.fixture
def other(tmp_path):
    """Another process's descriptor of the lock."""
    opened(tmp_path).close()
    descriptor = os.open(tmp_path / "audit" / "lock", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def opened(folder, disk=None):
    return LogFile(folder / "audit", lambda *_: b"torn", disk=disk or Clock())


def test_a_process_that_hangs_with_the_lock_costs_a_deadline_and_then_hardly_more(tmp_path, other):
    disk = Clock()
    log = opened(tmp_path, disk)
    fcntl.flock(other, fcntl.LOCK_EX)
    waited = []
    for _ in range(3):
        since = disk.now
        with pytest.raises(AuditUnwritable, match="another process keeps its lock"):
            log.append([b"refused"])
        waited.append(disk.now - since)
    assert waited == pytest.approx([WAIT_S, AGAIN_S, AGAIN_S], abs=0.01)
    fcntl.flock(other, fcntl.LOCK_UN)
    assert log.append([b"taken"]) == 0
    fcntl.flock(other, fcntl.LOCK_EX)
    since = disk.now
    with pytest.raises(AuditUnwritable):
        log.state()
    assert disk.now - since == pytest.approx(WAIT_S, abs=0.01), "patient again, once it was had"
    log.close()


def test_a_start_does_not_wait_without_end_either(tmp_path, other):
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(AuditUnwritable, match="another process keeps its lock"):
        opened(tmp_path)


def test_whoever_has_the_lock_for_a_moment_keeps_nobody_from_his_record(tmp_path, other):
    disk = Clock(lambda: fcntl.flock(other, fcntl.LOCK_UN))
    log = opened(tmp_path, disk)
    fcntl.flock(other, fcntl.LOCK_EX)
    assert log.append([b"a"]) == 0
    assert 0 < disk.now < 0.1
    log.close()
