"""A configuration that somebody else could change or replace is obeyed by no command.

It names commands that are run and files that are read: whoever writes it acts as us.
"""

import io
import os

import pytest

from hauberk import opening
from hauberk.errors import ConfigError
from hauberk.secureconfig import SecureConfig

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
COMMANDS = [
    ("config", "check"),
    ("config", "get", "state"),
    ("config", "set", "state", "elsewhere"),
    ("config", "unset", "state"),
    ("doctor",),
    ("plugins",),
    ("sign", "GET", "https://api.binance.com/api/v3/account", "--account", "main"),
    ("vault", "list"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_obeys_a_file_that_others_can_write(hauberk, config, command):
    config.chmod(0o602)
    was = config.read_bytes()
    ran = hauberk(*command, "--config", config)
    assert ran.status == 2
    assert f"run: chmod go-w {config}" in ran.err
    assert config.read_bytes() == was


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_whoever_may_write_it_is_one_too_many(hauberk, config, mode):
    config.chmod(mode)
    assert hauberk("config", "check", "--config", config).status == 2


def test_a_command_that_it_names_is_not_run(hauberk, config, edit, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("value"))
    seen = tmp_path / "seen"
    edit("encryption:\n", f"encryption:\n  command: [touch, {seen}]\n")
    edit("  key: ", "  # key: ")
    config.chmod(0o666)
    assert hauberk("vault", "put", "x", "--config", config).status == 2
    assert not seen.exists()
    config.chmod(0o600)
    hauberk("vault", "put", "x", "--config", config)
    assert seen.exists()


@pytest.mark.parametrize(("mode", "status"), [(0o777, 2), (0o703, 2), (0o1777, 0), (0o770, 0)])
def test_a_folder_in_which_anybody_can_replace_it_is_as_bad(hauberk, config, mode, status):
    config.parent.chmod(mode)
    ran = hauberk("config", "check", "--config", config)
    assert ran.status == status
    assert status == 0 or f"chmod go-w {config.parent}" in ran.err


@ROOT
@pytest.mark.parametrize("what", ["hauberk.yml", "."])
def test_what_belongs_to_somebody_else_is_not_obeyed(hauberk, config, what):
    path = config.parent / what
    os.chown(path, 4242, -1)
    ran = hauberk("config", "check", "--config", config)
    assert ran.status == 2
    assert "belongs to user id 4242" in ran.err
    assert f"chown -h 0 {path}" in ran.err


@ROOT
def test_nor_is_what_somebody_elses_link_leads_to(hauberk, config, tmp_path):
    link = tmp_path / "open" / "hauberk.yml"
    link.parent.mkdir()
    link.symlink_to(config)
    os.chown(link, 4242, -1, follow_symlinks=False)
    ran = hauberk("config", "check", "--config", link)
    assert ran.status == 2
    assert "4242" in ran.err


@pytest.mark.parametrize("which", ["link", "file"])
def test_both_folders_of_a_link_count(hauberk, config, tmp_path, which):
    link = tmp_path / "elsewhere" / "hauberk.yml"
    link.parent.mkdir()
    link.symlink_to(config)
    assert hauberk("config", "check", "--config", link).status == 0
    (link if which == "link" else config).parent.chmod(0o777)
    assert hauberk("config", "check", "--config", link).status == 2


def test_nor_do_programs_obey_it(config):
    config.chmod(0o646)
    with pytest.raises(ConfigError, match="chmod go-w"):
        opening.open(config)
    with pytest.raises(ConfigError, match="chmod go-w"):
        SecureConfig(config).get("state")


def test_a_reload_keeps_what_was_read_before(config):
    with opening.open(config) as guard:
        before = guard.snapshot
        config.chmod(0o666)
        with pytest.raises(ConfigError, match="chmod go-w"):
            guard.reload()
        assert guard.snapshot is before
