"""A disk that is full, or fails, is no defect: it is said, with what to do, and nothing is lost."""

import errno
import io
import os
import sys

import pytest

from hauberk.files import FileOperations

CODES = [
    (errno.ENOSPC, "No space left on device", "make room on that disk"),
    (errno.EDQUOT, "Disk quota exceeded", "make room, or have your quota raised"),
    (errno.EIO, "Input/output error", "check that disk"),
]


@pytest.fixture(params=CODES, ids=lambda given: errno.errorcode[given[0]])
def disk(request, monkeypatch):
    """A disk that takes nothing; returns what is to be said."""
    code, problem, remedy = request.param

    def fails(*_args, **_named):
        raise OSError(code, os.strerror(code))

    def broken():
        monkeypatch.setattr(FileOperations, "write", staticmethod(fails))
        return f"{problem}: ", remedy

    return broken


def said(ran, disk):
    problem, remedy = disk
    assert ran.status == 3
    assert ran.document["error"] == "DiskFailed"
    for text in (ran.err, ran.document["message"]):
        assert problem in text
        assert remedy in text
        assert "internal failure" not in text
        assert "defect" not in text


def everything(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_init_says_so_and_leaves_nothing(hauberk, tmp_path, disk):
    expected = disk()
    said(hauberk("init", "bot", "--json"), expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("set", "mode", "shadow"), ("unset", "logs.format")])
def test_an_edit_of_the_configuration_says_so_and_changes_nothing(hauberk, config, disk, words):
    before, expected = everything(config.parent), disk()
    said(hauberk("config", *words, "--config", config, "--json"), expected)
    assert everything(config.parent) == before


def test_so_does_a_login_that_cannot_keep_its_session(hauberk, config, edit, disk, monkeypatch):
    edit("bots, throttle", "bots, auth, throttle")
    password = "a heron stands in cold water\n"
    for words in (("user", "add", "alice"), ("login", "alice")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(password))
        if words[0] == "login":
            expected = disk()
        ran = hauberk(*words, "--config", config, "--json")
    said(ran, expected)


def test_so_does_a_plugin_that_cannot_be_written(hauberk, tmp_path, monkeypatch):
    def fails(*_args, **_named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "quiet/pyproject.toml")

    monkeypatch.setattr("pathlib.Path.write_text", fails)
    ran = hauberk("plugin", "new", "hauberk-quiet", "quiet", "--json")
    said(ran, ("No space left on device: ", "make room on that disk"))
    assert "quiet/pyproject.toml" in ran.err
