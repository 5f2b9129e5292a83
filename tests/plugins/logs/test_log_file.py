from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hauberk_plugins.logs.file import LogFile, LogFileRefused


def test_a_file_is_private_from_its_birth(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        LogFile(tmp_path / "hauberk.log").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "hauberk.log").stat().st_mode) == 0o600


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "hauberk.log"
    for line in ("one\n", "two\n"):
        file = LogFile(path)
        file.write(line)
        file.close()
    assert path.read_text() == "one\ntwo\n"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "hauberk.log").symlink_to(target)
    with pytest.raises(LogFileRefused, match="symbolic link"):
        LogFile(tmp_path / "hauberk.log")
    assert target.read_text() == "precious"


def test_a_fifo_that_nobody_reads_is_refused_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hauberk.log")
    with pytest.raises(LogFileRefused):
        LogFile(tmp_path / "hauberk.log")


def test_a_device_is_no_log_file() -> None:
    with pytest.raises(LogFileRefused, match="not a regular file"):
        LogFile(Path(os.devnull))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogFileRefused, match=r"nowhere/hauberk.log: No such file"):
        LogFile(tmp_path / "nowhere" / "hauberk.log")


def test_what_comes_after_closing_is_dropped(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "hauberk.log")
    file.close()
    file.write("late\n")
    file.close()
    assert (tmp_path / "hauberk.log").read_text() == ""


def test_after_a_write_that_failed_half_way_the_next_line_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LogFile(tmp_path / "hauberk.log")
    real, room = os.write, [3]

    def full_disk(fd: int, data: memoryview) -> int:
        if not room:
            raise OSError("no space left")
        return real(fd, data[: room.pop()])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full_disk)
        with pytest.raises(OSError, match="no space"):
            file.write("half a line\n")
    file.write("whole\n")
    file.close()
    assert (tmp_path / "hauberk.log").read_text() == "hal\nwhole\n"
