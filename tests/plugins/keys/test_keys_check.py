"""`hauberk keys check`, against the sandbox exchange and what answers otherwise."""

from __future__ import annotations

import json

import pytest

from hauberk.cli.main import main
from hauberk_plugins.sandbox.exchange import SandboxExchange
from hauberk_plugins.sandbox.server import SandboxServer

KEY, SECRET = "theKeyOfMain", "c4nary-theSecretOfMain"

CONFIG = """\
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {{venue: binance, key: env:MAIN_KEY, secret: env:MAIN_SECRET, base_url: "{url}"}}
  spare: {{venue: binance, key: env:SPARE_KEY, secret: env:SPARE_SECRET, base_url: "{url}"}}
"""


@pytest.fixture
def exchange():
    exchange = SandboxExchange()
    exchange.add_key(KEY, SECRET)
    return exchange


@pytest.fixture
def bot(exchange, tmp_path, monkeypatch, capsys):
    with SandboxServer(exchange) as server:
        config = tmp_path / "hauberk.yml"
        config.write_text(CONFIG.format(url=server.url), "utf-8")
        config.chmod(0o600)
        monkeypatch.setenv("HAUBERK_CONFIG", str(config))
        monkeypatch.setenv("MAIN_KEY", KEY)
        monkeypatch.setenv("MAIN_SECRET", SECRET)

        def run(*words):
            capsys.readouterr()
            status = main(["keys", "check", *words, "--json"])
            out, err = capsys.readouterr()
            assert SECRET not in out + err
            assert KEY not in out + err
            return status, json.loads(out) if out else err

        run.config = config
        yield run


def states(document):
    return {one["account"]: one["state"] for one in document["accounts"]}


def test_a_key_that_works_and_one_that_is_missing(bot):
    status, document = bot()
    assert status == 1
    assert states(document) == {"main": "works", "spare": "missing"}
    assert "env:SPARE_KEY is not set (looked in the environment" in document["accounts"][1]["found"]
    status, document = bot("main")
    assert (status, document["works"]) == (0, True)


def test_a_revoked_key_is_refused(bot, exchange):
    exchange.revoke_key(KEY)
    status, document = bot("main")
    assert (status, states(document)) == (1, {"main": "refused"})


def test_a_secret_of_another_key_is_refused_or_not_known(bot, monkeypatch):
    monkeypatch.setenv("MAIN_SECRET", "another")
    status, document = bot("main")
    assert status == 1
    assert states(document)["main"] in ("refused", "unknown")


def test_a_disabled_account_is_not_asked_for(bot, exchange):
    text = bot.config.read_text("utf-8").replace(
        "env:MAIN_SECRET,", "env:MAIN_SECRET, disabled: true,"
    )
    bot.config.write_text(text, "utf-8")
    status, document = bot("main")
    assert (status, states(document)) == (0, {"main": "disabled"})
    assert exchange.arrivals == ()


def test_an_account_without_read_is_denied_by_the_guards(bot, exchange):
    text = bot.config.read_text("utf-8").replace(
        "env:MAIN_SECRET,", "env:MAIN_SECRET, allow: [trade],"
    )
    bot.config.write_text(text, "utf-8")
    status, document = bot("main")
    assert (status, states(document)) == (1, {"main": "denied"})
    assert "/api/v3/account" not in {one.path for one in exchange.arrivals}


def test_an_exchange_that_is_not_there_is_not_known(bot, tmp_path):
    text = bot.config.read_text("utf-8")
    url = text.partition('base_url: "')[2].partition('"')[0]
    bot.config.write_text(text.replace(url, "http://127.0.0.1:1"), "utf-8")
    status, document = bot("main")
    assert (status, states(document)) == (1, {"main": "unknown"})
    assert "ConnectionRefusedError" in document["accounts"][0]["found"]


def test_an_unknown_account_is_said_with_those_there_are(bot):
    status, err = bot("mian")
    assert status == 2
    assert "has no account of that name" in str(err)
    assert "main, spare" in str(err)
