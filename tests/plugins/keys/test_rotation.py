"""Keys that are rotated or taken away while requests are on their way."""

from __future__ import annotations

import threading

import pytest

import hauberk
from hauberk import Denied, Request

CONFIG = """\
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {venue: binance, key: file:key, secret: file:secret}
signing: {sample_clock: false}
throttle:
  windows:
    binance:
      - {name: orders, kind: rolling, scope: account, seconds: 50, size: 1, counts: orders}
"""
ORDER = Request("POST", "https://api.binance.com/api/v3/order", {"symbol": "BTCUSDT"})


@pytest.fixture
def bot(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.touch(0o600)
        path.write_text(text, "utf-8")

    write("hauberk.yml", CONFIG)
    write("key", "k1")
    write("secret", "s1")
    with hauberk.open(tmp_path / "hauberk.yml") as guard:
        guard.write = write
        yield guard


class Asked:
    """Seen by a bot's hook: a request that waits was asked before."""

    def __init__(self):
        self.seen = threading.Semaphore(0)

    @hauberk.hookimpl
    def on_request(self, request):
        self.seen.release()


def test_a_request_that_waits_is_denied_at_once_when_its_account_is_disabled(bot):
    bot.clear(ORDER)
    asked, denied = Asked(), []
    bot.register(asked)

    def wait():
        with pytest.raises(Denied) as caught:
            bot.clear(ORDER)
        denied.append(caught.value)

    thread = threading.Thread(target=wait)
    thread.start()
    assert asked.seen.acquire(timeout=30)
    bot.write("hauberk.yml", CONFIG.replace("file:secret", "file:secret, disabled: true"))
    bot.reload()
    thread.join(timeout=30)  # the window is 50 s long
    assert [one.plugin for one in denied] == ["policy"]
    assert "account 'main' is disabled" in str(denied[0])


def test_key_and_secret_of_a_request_are_of_one_rotation(bot, tmp_path):
    """The file of the key is rotated, and that of the secret is not there yet."""
    signed = bot.clear(ORDER).request
    assert ("X-MBX-APIKEY", "k1") in signed.headers
    (tmp_path / "secret").unlink()
    bot.write("key", "k2")
    manager = next(part.plugin for part, _ in bot.snapshot.parts if part.name == "keys").manager
    held = manager.credentials("main")
    assert (held.key.reveal_text(), held.secret.reveal_text()) == ("k1", "s1")
