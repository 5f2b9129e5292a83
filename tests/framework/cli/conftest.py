"""A folder made by `hauberk init`, and the command line run in this process."""

import importlib
import shutil
import sys
import textwrap
from pathlib import Path

import pytest
from tests.ran import Ran

from hauberk.cli.main import main

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Stand in an empty folder, with none of our variables set."""
    for name in ("HAUBERK_CONFIG", "BINANCE_KEY", "BINANCE_SECRET", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hauberk(capsys):
    """Run a command line in this process."""

    def run(*words: str) -> Ran:
        capsys.readouterr()
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """What `hauberk init` makes; not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "bot"
    assert main(["init", str(folder)]) == 0
    return folder


@pytest.fixture
def config(made, tmp_path) -> Path:
    """The hauberk.yml of a bot, as `hauberk init` writes it; its keys are not set."""
    shutil.copytree(made, tmp_path / "bot")
    return tmp_path / "bot" / "hauberk.yml"


@pytest.fixture
def keys(monkeypatch) -> None:
    """Set the keys of the account, in the environment."""
    monkeypatch.setenv("BINANCE_KEY", KEY)
    monkeypatch.setenv("BINANCE_SECRET", SECRET)


@pytest.fixture
def edit(config):
    """Replace text in hauberk.yml, which must be there."""

    def replace(old: str, new: str) -> None:
        text = config.read_text("utf-8")
        assert old in text
        config.write_text(text.replace(old, new), "utf-8")

    return replace


@pytest.fixture
def third_party(tmp_path, monkeypatch, edit):
    """Install a distribution with one plugin, `quiet`, and name it in hauberk.yml."""

    def install(source: str) -> None:
        site = tmp_path / "site"
        info = site / "quiet_hours-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: quiet-hours\nVersion: 1.2\n", "utf-8"
        )
        (info / "entry_points.txt").write_text("[hauberk]\nquiet = quiet_hours:Quiet\n", "utf-8")
        (site / "quiet_hours.py").write_text(PREAMBLE + textwrap.dedent(source), "utf-8")
        monkeypatch.syspath_prepend(str(site))
        importlib.invalidate_caches()
        edit("third_party: {}", "third_party:\n  quiet-hours: {plugins: [quiet], grants: []}")
        edit("policy, bots", "policy, quiet, bots")

    yield install
    sys.modules.pop("quiet_hours", None)


PREAMBLE = """\
from hauberk.cli import Answer, Options
from hauberk.command import Command
from hauberk.errors import Denied, MisuseError
from hauberk.hooks import Plugin, hookimpl
from hauberk.secret import Secret


class Base(Plugin):
    interface = (1, 1)

    @hookimpl
    def on_request(self, request):
        return None

"""
