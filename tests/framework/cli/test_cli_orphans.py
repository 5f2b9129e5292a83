"""What a killed writer left is removed by whichever command comes next, and none left a secret."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

NAME = ".hauberk-1-0123456789abcdef.tmp"
COMMANDS = [
    ("vault", "list"),
    ("vault", "put", "x"),
    ("vault", "rotate"),
    ("doctor",),
    ("sign", "GET", "https://api.binance.com/api/v3/account", "--account", "main"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_any_command_that_starts_plugins_cleans_the_state_folder(
    hauberk, config, keys, monkeypatch, command
):
    orphan = config.parent / "hauberk-state" / NAME
    orphan.touch(0o600)
    monkeypatch.setattr(sys, "stdin", io.StringIO("value"))
    assert hauberk(*command, "--config", config).status == 0
    assert not orphan.exists()


def test_one_that_reads_the_wrapping_key_cleans_its_folder(hauberk, config, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("value"))
    orphan = Path(os.environ["XDG_CONFIG_HOME"]) / "hauberk" / NAME
    orphan.touch(0o600)
    assert hauberk("vault", "put", "x", "--config", config).status == 0
    assert not orphan.exists()


DYING = """
import os, signal, sys
from hauberk.aside import FileOperations
from hauberk.cli.main import main

left = int(sys.argv[2])
real = {name: getattr(os, name) for name in ("link", "rename")}


def dying(name):
    def run(*args, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real[name](*args, **named)

    return staticmethod(run)


for name in real:
    setattr(FileOperations, name, dying(name))
main(["init", sys.argv[1]])
"""


@pytest.mark.parametrize("steps", range(4))
def test_an_init_that_is_killed_leaves_no_key_under_a_name_that_nobody_looks_for(
    tmp_path, monkeypatch, steps
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    done = subprocess.run(
        [sys.executable, "-c", DYING, tmp_path / "bot", str(steps)], check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob(".hauberk-*")) == []
