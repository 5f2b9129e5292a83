"""`hauberk vault rewrap`, and what the command line says of the section."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hauberk.cli.main import main
from hauberk.secret import Secret
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given, KeyFile

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def bot(tmp_path: Path, folder: Path, key_file: Callable[..., Path]) -> Path:
    """A configuration with the plugin in it, a ring, and two keys beside it."""
    key_file(OTHER, "other.key")
    source = KeyFile(key_file(KEY))
    KeyRing(folder, source).sealing()
    path = tmp_path / "hauberk.yml"
    path.write_text(
        "state: state\nplugins: [killswitch, policy, bots, encryption, throttle, signing]\n"
        "ports: {vault: encryption}\nencryption: {key: file:wrapping.key}\n"
    )
    path.chmod(0o600)
    return path


def run(bot: Path, *words: str) -> int:
    return main([*words, "--config", str(bot)])


def test_the_command_wraps_anew_and_says_what_to_write(
    bot: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bot, "vault", "rewrap", "--key", "file:other.key") == 0
    assert '  encryption: {key: "file:other.key"}\n' in capsys.readouterr().out
    KeyRing(folder, Given(Secret(OTHER))).unlock()


def test_its_document_has_the_section(
    bot: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("vault", "rewrap", "--command", f"cat '{folder.parent}/other.key'", "--json")
    assert run(bot, *words) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ring": f"{folder}/keyring.json",
        "section": {"encryption": {"command": ["cat", f"{folder.parent}/other.key"]}},
    }


def test_a_passphrase_is_read_from_a_pipe(
    bot: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSPHRASE}\nmore\n"))
    assert run(bot, "vault", "rewrap") == 0
    told = capsys.readouterr()
    assert "passphrase: env:NAME" in told.out
    assert PASSPHRASE not in told.out + told.err
    KeyRing(folder, Given(Secret(PASSPHRASE), is_passphrase=True)).unlock()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_passphrase_is_asked_for_twice_on_a_terminal(
    bot: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter([PASSPHRASE, "something else here", PASSPHRASE, PASSPHRASE])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(typed))
    assert run(bot, "vault", "rewrap") == 2
    KeyRing(folder, Given(Secret(KEY))).unlock()
    assert run(bot, "vault", "rewrap") == 0
    KeyRing(folder, Given(Secret(PASSPHRASE), is_passphrase=True)).unlock()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--key", "file:other.key", "--passphrase", "env:A"], "more than one says where"),
        (["--key", "c4nary"], "--key, --passphrase, --command: must be file:PATH or keyring:NAME"),
        (["--key", "file:none.key"], "there is no such file"),
        (["--key", "file:state/x"], "lies inside the state folder"),
        (["--passphrase", "env:ENCRYPTION_ABSENT"], "is not set"),
        (["--command", "false"], "it exited with 1"),
        (["--command", "'unclosed"], "No closing quotation"),
        ([], "standard input has no line for the passphrase"),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_exits_with_2(
    bot: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    told: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    before = (folder / "keyring.json").read_bytes()
    assert run(bot, "vault", "rewrap", *words) == 2
    told_to_them = capsys.readouterr().err
    assert told in told_to_them
    assert "c4nary" not in told_to_them
    assert (folder / "keyring.json").read_bytes() == before


def test_a_passphrase_that_is_too_short_changes_nothing(
    bot: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("c4nary\n"))
    assert run(bot, "vault", "rewrap") == 2
    err = capsys.readouterr().err
    assert "at least 15 characters" in err
    assert "c4nary" not in err


def test_a_full_disk_is_a_failure_of_the_machine(
    bot: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("hauberk_plugins.encryption.ondisk.write_private", write)
    assert run(bot, "vault", "rewrap", "--key", "file:other.key") == 3
    assert "cannot be written: No space left on device" in capsys.readouterr().err


def test_a_section_that_cannot_be_used_is_said_with_its_line(
    bot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bot.write_text(bot.read_text().replace("{key: file:wrapping.key}", "{key: c4nary-in-clear}"))
    assert run(bot, "doctor") == 2
    err = capsys.readouterr().err
    assert "hauberk.yml:4: encryption.key: must be file:PATH" in err
    assert "c4nary" not in err
    both = "{key: 'file:a', passphrase: prompt}"
    bot.write_text(bot.read_text().replace("{key: c4nary-in-clear}", both))
    assert run(bot, "doctor") == 2
    assert "encryption: more than one says where the wrapping key is" in capsys.readouterr().err


def test_the_doctor_tells_of_it(
    bot: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(bot, "doctor", "--json")
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [c["status"] for c in checks if c["what"] in ("wrapping key", "key ring")] == ["ok"] * 2
