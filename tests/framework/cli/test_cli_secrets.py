"""What is typed and what is printed: no secret where it does not belong.

That nothing else shows one, whatever fails, is for the tests of `canary` to see.
"""

import re

import pytest

from hauberk.cli import commands
from hauberk.cli.commands import COMMANDS
from hauberk.cli.contributed import contributed

CANARY = "c4n4rYs3cr3t"
BASE = "https://api.binance.com"
ACCOUNT = f"{BASE}/api/v3/account"


@pytest.fixture
def everything(config, edit, monkeypatch):
    """Have the commands of every built-in."""
    edit("signing, monitor", "signing, auth, monitor")
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))
    return [*COMMANDS, *(one.command.name for one in contributed(config, COMMANDS))]


def test_a_defect_that_quotes_a_secret_does_not_print_it(hauberk, monkeypatch):
    def broken(line):
        secret = CANARY
        raise KeyError(secret)

    monkeypatch.setattr(commands, "run", broken)
    for words in (["doctor"], ["doctor", "--json"]):
        ran = hauberk(*words)
        assert ran.status == 3
        assert CANARY not in ran.out + ran.err


def test_the_signature_and_the_key_are_printed_where_they_belong_and_nowhere_else(
    hauberk, config, monkeypatch
):
    monkeypatch.setenv("BINANCE_KEY", "theKeyItself")
    monkeypatch.setenv("BINANCE_SECRET", CANARY)
    ran = hauberk("sign", "--config", config, "GET", ACCOUNT, "--json")
    assert ran.document["headers"]["X-MBX-APIKEY"] == "theKeyItself"
    signature = ran.document["url"].rpartition("signature=")[2]
    assert len(signature) == 64
    assert "theKeyItself" not in ran.err
    assert signature not in ran.err
    for words in (["doctor"], ["plugins"]):
        ran = hauberk(*words, "--config", config)
        assert "theKeyItself" not in ran.out + ran.err


def test_no_secret_is_asked_for_as_an_argument(hauberk, everything):
    # Each takes where a secret is, and refuses what is none of these; that of `audit verify` is
    # what anybody may verify by.
    places = {
        *[("init", "--key"), ("vault rewrap", "--key"), ("vault rewrap", "--passphrase")],
        ("audit verify", "--key"),
    }
    assert {"vault rewrap", "user add", "login", "token create"} <= set(everything)
    for name in everything:
        parameters = hauberk(*name.split(), "--help").out.partition("Every command takes")[0]
        for word in ("--key", "--secret", "--password", "--passphrase", "--token", "--code"):
            asked = re.search(rf"{word}(?![-a-z])", parameters)
            assert not asked or (name, word) in places


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["vault", "put", "name", CANARY], "1 argument too many"),
        (["vault", "put", "name", CANARY, f"{CANARY}2"], "2 arguments too many"),
        (["vault", CANARY], 'Unknown command "…"'),
        ([CANARY], 'Unknown command "…"'),
        (["doctor", f"--{CANARY}"], "Unknown option: …"),
        (["vault", "get", "name", f"-{CANARY}"], "Unknown option: …"),
        (["vault", "get", "name", f"--revel={CANARY}"], "Unknown option: --revel"),
        (["vault", "get", "name", f"--reveal={CANARY}"], "--reveal"),
        (["token", "rotate", "name", "--overlap-hours", CANARY], "--overlap-hours"),
        (["sign", "GET", ACCOUNT, "--at", CANARY], "--at"),
    ],
)
def test_what_was_typed_in_the_wrong_place_is_not_repeated(hauberk, everything, line, told):
    for words in (line, ["--json", *line]):
        ran = hauberk(*words)
        assert ran.status == 2
        assert told in ran.err
        assert CANARY not in ran.out + ran.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["docter"], 'Unknown command "docter". Did you mean "doctor"?'),
        (["vault", "gte", "name"], 'Unknown command "gte"'),
        (["vault", "get", "name", "--reveel"], "Unknown option: --reveel. Did you mean --reveal?"),
        (["plugins", "1"], "1 argument too many"),
    ],
)
def test_a_name_that_was_mistyped_is(hauberk, everything, line, told):
    assert told in hauberk(*line).err
