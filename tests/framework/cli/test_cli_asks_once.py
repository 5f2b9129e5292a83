"""Whoever types a command is asked for the passphrase once, however often it is needed."""

import io
import sys

import pytest

from hauberk.prompts import Prompts, asking_once
from hauberk.secret import Secret
from hauberk_plugins.encryption.scrypt import Scrypt

PASSPHRASE = "correct horse battery staple"
ASKED = "passphrase of the key ring: "


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(hauberk, config, edit, monkeypatch):
    """Run a command at a terminal where passphrases are typed; return what was asked for."""
    monkeypatch.setattr(
        "hauberk_plugins.encryption.unlocking.Scrypt", lambda salt: Scrypt(salt, n=2**14)
    )
    lines = config.read_text().splitlines()
    (section,) = (line for line in lines if line.startswith('  key: "file:'))
    edit(section, "  passphrase: prompt")
    edit("bots, throttle", "bots, auth, throttle")

    def run(line, passphrase=PASSPHRASE):
        asked = []

        def ask(prompt):
            asked.append(prompt)
            return passphrase if prompt == ASKED else "seven lanterns under the bridge"

        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", Terminal())
            patch.setattr("getpass.getpass", ask)
            return hauberk(*line.split(), "--config", config), asked

    assert run("user add bob")[0].status == 0  # the gate opens his record from here on
    return run


@pytest.mark.parametrize("line", ["vault list", "user list", "vault rotate", "sessions list"])
def test_the_gate_and_the_command_ask_once(typed, line):
    ran, asked = typed(line)
    assert (ran.status, asked) == (0, [ASKED]), ran.err


def test_the_next_command_asks_again(typed):
    typed("vault list")
    ran, asked = typed("vault list", "not the passphrase")
    assert (ran.status, asked) == (2, [ASKED])
    assert "it is another passphrase" in ran.err


def test_outside_of_a_command_it_is_asked_each_time():
    """A bot that reloads after another passphrase was chosen is to be told that one."""
    answers = iter(["first", "second", "third", "fourth"])
    prompts = Prompts(Terminal(), io.StringIO(), lambda _: next(answers))
    assert prompts.secret_once("passphrase") == Secret("first")
    with asking_once():
        assert prompts.secret_once("passphrase") == Secret("second")
        assert prompts.secret_once("passphrase") == Secret("second")
        assert prompts.secret_once("another") == Secret("third")
    assert prompts.secret_once("passphrase") == Secret("fourth")
