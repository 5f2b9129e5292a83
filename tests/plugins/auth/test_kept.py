from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hauberk import Secret
from hauberk.errors import UnsafeFile
from hauberk_plugins.auth.kept import device_path, keep, kept

CONFIG = Path("hauberk.yml")


def test_a_device_is_known_after_a_restart_too(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/1000", "XDG_STATE_HOME": str(tmp_path / "state")}
    assert device_path(CONFIG, environ, tmp_path).parent == tmp_path / "state/hauberk"
    assert device_path(CONFIG, {}, tmp_path).parent == tmp_path / ".local/state/hauberk"


@pytest.mark.parametrize("relative", ["", "run", "../run"])
def test_a_relative_path_in_the_environment_is_ignored(tmp_path: Path, relative: str) -> None:
    found = device_path(CONFIG, {"XDG_STATE_HOME": relative}, tmp_path)
    assert found.parent == tmp_path / ".local/state/hauberk"


def test_each_configuration_has_its_own_however_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    one = device_path(tmp_path / "a" / "hauberk.yml", {}, tmp_path)
    assert device_path(tmp_path / "a" / ".." / "a" / "hauberk.yml", {}, tmp_path) == one
    assert device_path(tmp_path / "hauberk.yml", {}, tmp_path) != one


def test_what_is_kept_is_ours_alone_whatever_the_umask(tmp_path: Path) -> None:
    at = device_path(CONFIG, {}, tmp_path)
    before = os.umask(0)
    try:
        keep(at, Secret("token"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(at.stat().st_mode) == 0o600
    assert stat.S_IMODE(at.parent.stat().st_mode) == 0o700
    assert kept(at) == Secret("token")
    keep(at, Secret("other"))
    assert kept(at) == Secret("other")


def test_nothing_kept_is_nothing(tmp_path: Path) -> None:
    assert kept(tmp_path / "no" / "where") is None


def test_what_others_could_have_read_or_put_there_is_refused(tmp_path: Path) -> None:
    at = device_path(CONFIG, {}, tmp_path)
    keep(at, Secret("token"))
    at.chmod(0o644)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        kept(at)
    at.unlink()
    at.symlink_to("/etc/hostname")
    with pytest.raises(UnsafeFile, match="symbolic link"):
        kept(at)


DYING = """
import os, signal, sys
from pathlib import Path
from hauberk import Secret
from hauberk.files import FileOperations, REAL
from hauberk_plugins.auth.kept import keep


def dying(*_args, **_named):
    os.kill(os.getpid(), signal.SIGKILL)


for name in sys.argv[2].split(","):
    setattr(FileOperations, name, staticmethod(dying))
    setattr(os, name, dying)
keep(Path(sys.argv[1]), Secret("the-second-token"))
"""


@pytest.mark.parametrize("at_once", ["link,rename", "fsync", "close", "fchmod"])
def test_a_command_killed_at_any_step_leaves_no_token_under_another_name(
    tmp_path: Path, at_once: str
) -> None:
    at = device_path(CONFIG, {}, tmp_path)
    keep(at, Secret("the-first-token"))
    done = subprocess.run([sys.executable, "-c", DYING, str(at), at_once], check=False)
    assert done.returncode == -signal.SIGKILL
    for path in at.parent.iterdir():
        assert path == at
        assert b"token" in path.read_bytes()


def test_of_two_that_keep_at_once_one_is_kept_and_neither_fails(tmp_path: Path) -> None:
    at = device_path(CONFIG, {}, tmp_path)
    failed: list[BaseException] = []

    def keeps(number: int) -> None:
        try:
            for _ in range(20):
                keep(at, Secret(f"token-{number}"))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=keeps, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert kept(at) in (Secret("token-0"), Secret("token-1"))
    assert len(list(at.parent.iterdir())) == 1
