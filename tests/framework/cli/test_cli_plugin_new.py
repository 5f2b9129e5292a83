"""`hauberk plugin new`: what it hands to the scaffold, and what it says afterwards."""

import errno
import os
import sys
import types
from pathlib import Path

import pytest

from hauberk.errors import MisuseError


@pytest.fixture
def scaffold(monkeypatch):
    """Put something else in the scaffold's place."""

    def replace(write_plugin):
        stand_in = types.SimpleNamespace(write_plugin=write_plugin)
        monkeypatch.setitem(sys.modules, "hauberk.cli.scaffold", stand_in)

    return replace


def test_it_names_every_file_and_the_next_steps(hauberk, scaffold):
    scaffold(lambda name, folder: [folder / "pyproject.toml", folder / "src" / f"{name}.py"])
    ran = hauberk("plugin", "new", "hauberk-quiet-hours", "quiet", "--json")
    assert ran.document == {
        "name": "hauberk-quiet-hours",
        "folder": "quiet",
        "files": ["quiet/pyproject.toml", "quiet/src/hauberk-quiet-hours.py"],
    }
    out = hauberk("plugin", "new", "hauberk-quiet-hours", "quiet").out
    assert "Wrote 2 files to quiet." in out
    for step in ("cd quiet", "pip install", "pytest", "mypy --strict"):
        assert step in out


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (MisuseError("quiet is not empty: name another folder"), 2, "quiet is not empty"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "quiet"), 2, "Permission denied"),
        (NotADirectoryError(errno.ENOTDIR, "", "quiet"), 2, "quiet: it is no folder"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "quiet"), 3, "No space left"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_it_cannot_write_is_said_and_whose_fault_it_is(hauberk, scaffold, error, status, said):
    def failing(_name, _folder):
        raise error

    scaffold(failing)
    ran = hauberk("plugin", "new", "hauberk-quiet-hours", "quiet", "--json")
    assert ran.status == status
    assert said in ran.err
    assert said in ran.document["message"]


def test_a_name_and_a_folder_are_needed(hauberk, scaffold):
    scaffold(lambda _name, _folder: [Path("never")])
    assert hauberk("plugin", "new").status == 2
    assert "FOLDER" in hauberk("plugin", "new", "hauberk-quiet-hours").err
