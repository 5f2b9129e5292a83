"""Each shipped rule, by what really happens: a guard, the sandbox exchange, commands."""

from __future__ import annotations

import http.client
import time
from base64 import b64encode
from urllib.parse import urlsplit

import pytest

import hauberk
from hauberk import Denied, Login, Request, Response, Secret, Severity
from hauberk.command import started
from hauberk_plugins.monitor.shipped import RULES
from hauberk_plugins.sandbox import Limit, SandboxExchange, SandboxServer

CONFIG = """
state: state
plugins: [killswitch, policy, bots, signing, auth, monitor]
required: [killswitch, policy, signing, monitor]
encryption: {{key: "file:{folder}/key"}}
signing: {{sample_clock: false}}
accounts:
  main: {{venue: binance, key: env:BINANCE_KEY, secret: env:BINANCE_SECRET, base_url: "{url}"}}
  bait: {{venue: binance, key: env:BINANCE_KEY, secret: env:BINANCE_SECRET, base_url: "{url}"}}
monitor: {{canaries: [bait]}}
"""
PASSWORD = "a heron stands in cold water"
ORDER = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
    "quantity": "0.001", "price": "60000.00",
}  # fmt: skip
#: Each rule that ships has a test of its own here.
TESTED = set()


def covers(name):
    assert name in {rule.name for rule in RULES} | {"canary"}
    TESTED.add(name)
    return lambda function: function


class World:
    """A sandbox exchange, and a guard for it."""

    def __init__(self, folder, monkeypatch, **settings):
        self.skew_ns = 0
        self.exchange = SandboxExchange(lambda: time.time_ns() + self.skew_ns, **settings)
        key, secret = self.exchange.add_key()
        self.key = key
        monkeypatch.setenv("BINANCE_KEY", key)
        monkeypatch.setenv("BINANCE_SECRET", secret)
        self.server = SandboxServer(self.exchange)
        self.server.__enter__()
        self.url = self.server.url
        (folder / "key").write_bytes(b64encode(bytes(32)))
        (folder / "key").chmod(0o600)
        self.config = folder / "hauberk.yml"
        self.config.write_text(CONFIG.format(folder=folder, url=self.url))
        self.config.chmod(0o600)
        self.guard = hauberk.open(self.config)

    def close(self):
        self.guard.close()
        self.server.__exit__(None, None, None)

    def request(self, method, path, params=None, account="main"):
        return Request(method, self.url + path, params or {}, account=account)

    def ask(self, *words, **options):
        """Clear, send, settle."""
        cleared = self.guard.clear(self.request(*words, **options))
        parts = urlsplit(cleared.request.url)
        connection = http.client.HTTPConnection(parts.netloc)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(
            cleared.request.method, target, cleared.request.body, dict(cleared.request.headers)
        )
        answer = connection.getresponse()
        response = Response(answer.status, dict(answer.getheaders()), answer.read())
        connection.close()
        self.guard.settle(cleared, response)
        return response

    @property
    def told(self):
        """Rule, severity and for whom, of what the monitor has reported."""
        found = [one for one in self.guard.incidents if one.source == "monitor"]
        return [(one.details["rule"], one.severity, who(one.details)) for one in found]


def who(details):
    return next((details[name] for name in ("account", "user", "source") if name in details), "")


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path, monkeypatch)
    yield made
    made.close()


@pytest.fixture
def alice(world):
    with started(world.config, "auth") as auth:
        auth.plugin.auth.create("alice", Secret(PASSWORD), ["trader"])


def login(world, user, password, source):
    try:
        world.guard.login(Login(user, Secret(password), source=source))
    except Denied:
        return False
    return True


@covers("failed-logins-of-a-source")
def test_guesses_from_one_place_whatever_the_names(world):
    for number in range(10):
        assert not login(world, f"nobody{number}", "a wrong password", "10.0.0.9")
    assert world.told == [("failed-logins-of-a-source", Severity.MEDIUM, "10.0.0.9")]


@covers("failed-logins-of-a-user")
def test_guesses_at_one_user_from_wherever(world, alice):
    for number in range(5):
        assert not login(world, "alice", "a wrong password", f"10.0.0.{number}")
    assert world.told == [("failed-logins-of-a-user", Severity.MEDIUM, "alice")]


@covers("login-from-a-new-source")
def test_a_login_from_where_a_user_never_was(world, alice):
    assert login(world, "alice", PASSWORD, "10.0.0.1")
    assert world.told == []
    assert login(world, "alice", PASSWORD, "203.0.113.7")
    assert world.told == [("login-from-a-new-source", Severity.MEDIUM, "alice")]


@covers("burst-of-requests")
def test_a_loop_that_asks_and_asks(world):
    for _ in range(3_000):
        world.guard.clear(world.request("GET", "/api/v3/time"))
    assert world.told == [("burst-of-requests", Severity.MEDIUM, "main")]


@covers("burst-of-refusals")
def test_a_loop_that_is_refused_and_goes_on(world):
    for _ in range(100):
        with pytest.raises(Denied):
            world.guard.clear(Request("GET", "https://elsewhere.example/x", account="main"))
    assert ("burst-of-refusals", Severity.MEDIUM, "main") in world.told


@covers("unknown-endpoints")
def test_endpoints_that_nobody_knows(world):
    for number in range(5):
        with pytest.raises(Denied):
            world.guard.clear(world.request("POST", f"/sapi/v9/odd/{number}"))
    assert world.told == [("unknown-endpoints", Severity.MEDIUM, "main")]


@covers("denied-withdrawals")
def test_a_withdrawal_that_is_denied(world):
    with pytest.raises(Denied):
        world.guard.clear(world.request("POST", "/sapi/v1/capital/withdraw/apply"))
    assert world.told == [("denied-withdrawals", Severity.HIGH, "main")]


@covers("rejected-by-the-exchange")
def test_orders_that_the_exchange_rejects(world):
    for _ in range(50):
        answer = world.ask("POST", "/api/v3/order", {**ORDER, "symbol": "NOSUCH"})
        assert answer.status == 400
    assert world.told == [("rejected-by-the-exchange", Severity.MEDIUM, "main")]


@covers("revoked-key")
def test_a_key_that_was_revoked(world):
    world.exchange.revoke_key(world.key)
    for _ in range(3):
        assert world.ask("GET", "/api/v3/account").status == 401
    assert world.told == [("revoked-key", Severity.HIGH, "main")]


def test_a_401_that_says_nothing_more_counts_as_one_too(world):
    for _ in range(3):
        cleared = world.guard.clear(world.request("GET", "/api/v3/account"))
        world.guard.settle(cleared, Response(401, body=b"<html>who are you</html>"))
    assert world.told == [("revoked-key", Severity.HIGH, "main")]


@covers("banned")
def test_a_ban(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch, weight_limit=Limit(size=20, window_s=60))
    try:
        seen = [world.ask("GET", "/api/v3/account").status for _ in range(30)]
        assert 418 in seen
        assert ("banned", Severity.MEDIUM, "main") in world.told
    finally:
        world.close()


@covers("skew")
def test_a_clock_that_the_exchange_finds_wrong(world):
    world.skew_ns = 3_600 * 10**9
    for _ in range(5):
        assert b"-1021" in world.ask("GET", "/api/v3/account").body
    assert world.told == [("skew", Severity.MEDIUM, "main")]


@covers("data-access")
def test_much_is_read_out_of_the_vault_by_one_command_after_the_other(world, monkeypatch, capsys):
    from hauberk.cli.main import main

    with started(world.config, "storage") as storage:
        storage.plugin.sealed.scoped("keys").put("x", b"v")
    monkeypatch.chdir(world.config.parent)
    found = []
    for number in range(20):
        if number in (0, 19):  # as it is typed
            assert main(["vault", "get", "x", "--reveal"]) == 0
            assert "v\n" in capsys.readouterr().out
            continue
        with started(world.config, "storage") as storage:
            storage.plugin.tell("vault.revealed", {"name": "x", "by": owner()})
            found += storage.guard.incidents
    assert found == []
    with started(world.config, "monitor", is_recorded=False) as monitor:
        record = monitor.plugin._context.store.get("counts")
        assert f'"alerting": [["{owner()}", '.encode() in record.value


def owner():
    from os import geteuid
    from pwd import getpwuid

    return getpwuid(geteuid()).pw_name


@covers("order-rate")
def test_orders_that_come_faster_than_anybody_trades(world):
    for _ in range(1_000):
        world.guard.clear(world.request("POST", "/api/v3/order", ORDER))
    assert world.told == [("order-rate", Severity.HIGH, "main")]
    with pytest.raises(Denied, match="restricted"):
        world.guard.clear(world.request("POST", "/api/v3/order", ORDER))


@covers("cancel-ratio")
def test_nearly_everything_is_cancelled(world):
    for number in range(200):
        order = world.request("POST", "/api/v3/order", ORDER)
        cancel = world.request("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": "1"})
        world.guard.clear(order if number % 6 == 0 else cancel)
    assert world.told == [("cancel-ratio", Severity.MEDIUM, "main")]


@covers("canary")
def test_bait_that_is_taken(world):
    with pytest.raises(Denied, match="halted"):
        world.guard.clear(world.request("GET", "/api/v3/account", account="bait"))
    assert world.told == [("canary-bait", Severity.CRITICAL, "")]


def test_every_rule_that_ships_is_tested_here():
    assert {rule.name for rule in RULES} <= TESTED
