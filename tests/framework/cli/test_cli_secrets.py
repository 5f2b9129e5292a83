"""A canary: no secret is ever printed, whatever the command and however it fails."""

import re

import pytest

from hauberk.cli import commands
from hauberk.cli.commands import COMMANDS

CANARY = "c4n4rYs3cr3t"
BASE = "https://api.binance.com"
ACCOUNT = f"{BASE}/api/v3/account"

LINES = {
    "init": [
        ["init", "other"],
        ["init", "bot"],
        ["init", "bot/.env"],
        ["init", "third", "--key", CANARY],
        ["init", "third", f"--key={CANARY}", "--key-file", "third.key"],
    ],
    "doctor": [["doctor"], ["doctor", "surplus"]],
    "plugins": [["plugins"], ["plugins", "--nonsense"]],
    "config get": [
        ["config", "get", "accounts.main.venue"],
        ["config", "get", "accounts.main.nothing"],
        ["config", "get", "accounts.main.secret.x", "--default", "y", "--reveal"],
    ],
    "config set": [
        ["config", "set", "mode", "shadow"],
        ["config", "set", "mode", "enforce"],
        ["config", "set", "throttle.token", CANARY],
        ["config", "set", "throttle.token", f"[{CANARY}"],
        ["config", "set", "throttle.token", CANARY, "--sealed"],
        ["config", "set", "throttle.token", "--sealed"],
        ["config", "set", "accounts.main.key", CANARY],
        ["config", "set", "accounts.main.secret.x", "y"],
    ],
    "config unset": [["config", "unset", "accounts.main.nothing"], ["config", "unset", "plugins"]],
    "config check": [["config", "check"]],
    "config schema": [["config", "schema"], ["config", "nonsense"]],
    "sign": [
        ["sign", "GET", ACCOUNT],
        ["sign", "POST", f"{BASE}/api/v3/order", "symbol=A", "--at", "1"],
        ["sign", "POST", f"{BASE}/sapi/v1/capital/withdraw/apply", "coin=BTC"],
        ["sign", "GET", ACCOUNT, "signature=0"],
        ["sign", "GET", "https://evil.example/x"],
        ["sign", "GET", ACCOUNT, "--venue", "kraken"],
        ["sign", "GET", ACCOUNT, "--account", "nobody"],
        ["sign", "GET", ACCOUNT, "--at", "x"],
    ],
    "demo": [["demo", "surplus"]],
    "migrate": [["migrate", "nowhere"], ["migrate", "bot"], ["migrate", "bot", "surplus"]],
    "plugin new": [["plugin", "new"], ["plugin", "new", "../evil", "bot"]],
}


def in_environment(monkeypatch, _folder, _edit):
    monkeypatch.setenv("BINANCE_KEY", "k")
    monkeypatch.setenv("BINANCE_SECRET", CANARY)


def in_dotenv(_monkeypatch, folder, _edit, mode=0o600, text=""):
    path = folder / ".env"
    path.write_text(text or f"BINANCE_KEY=k\nBINANCE_SECRET={CANARY}\n", "utf-8")
    path.chmod(mode)


def in_a_dotenv_for_all(monkeypatch, folder, edit):
    in_dotenv(monkeypatch, folder, edit, mode=0o644)


def in_a_torn_dotenv(monkeypatch, folder, edit):
    in_dotenv(monkeypatch, folder, edit, text=f"BINANCE_SECRET='{CANARY}\n{CANARY}\n={CANARY}")


def not_text(monkeypatch, folder, edit):
    monkeypatch.setenv("BINANCE_KEY", "k")
    monkeypatch.setenv("BINANCE_SECRET", f"{CANARY}\udcff")


def a_key_that_no_header_carries(monkeypatch, folder, edit):
    monkeypatch.setenv("BINANCE_KEY", f"{CANARY}\n")
    monkeypatch.setenv("BINANCE_SECRET", CANARY)


def in_place_of_its_reference(monkeypatch, folder, edit):
    monkeypatch.setenv("BINANCE_KEY", "k")
    edit("env:BINANCE_SECRET", CANARY)


def in_broken_yaml(monkeypatch, folder, edit):
    edit("secret: env:BINANCE_SECRET", f'secret: "{CANARY}')


def in_a_list(monkeypatch, folder, edit):
    edit("secret: env:BINANCE_SECRET", f"secret: [{CANARY}]")


def behind_an_unknown_key(monkeypatch, folder, edit):
    edit("secret: env:BINANCE_SECRET", f"secrt: {CANARY}")


PLACES = [
    in_environment,
    in_dotenv,
    in_a_dotenv_for_all,
    in_a_torn_dotenv,
    not_text,
    a_key_that_no_header_carries,
    in_place_of_its_reference,
    in_broken_yaml,
    in_a_list,
    behind_an_unknown_key,
]


def test_every_command_is_tried():
    assert set(LINES) == set(COMMANDS)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_no_command_prints_a_secret(hauberk, config, edit, monkeypatch, place):
    place(monkeypatch, config.parent, edit)
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))
    for words in (words for lines in LINES.values() for words in lines):
        others = ([*words, "--help"], words) if place is in_environment else ()
        for line in ([*words, "--json"], *others):  # with --json, stderr has the words too
            ran = hauberk(*line)
            assert CANARY not in ran.out + ran.err, line
            assert ran.status in (0, 1, 2), line


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


def test_no_secret_is_asked_for_as_an_argument(hauberk):
    places = {("init", "--key")}  # takes the kind of place that a key is kept in
    for name in COMMANDS:
        parameters = hauberk(*name.split(), "--help").out.partition("Every command takes")[0]
        for word in ("--key", "--secret", "--password", "--passphrase", "--token"):
            asked = re.search(rf"{word}(?!-file)", parameters)
            assert not asked or (name, word) in places


def test_output_is_not_left_in_files(hauberk, config, monkeypatch):
    in_environment(monkeypatch, config.parent, None)
    hauberk("sign", "--config", config, "GET", ACCOUNT)
    for path in config.parent.rglob("*"):
        assert path.is_dir() or CANARY not in path.read_text("utf-8")
