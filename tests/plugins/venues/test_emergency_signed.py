"""Every request of every venue's section `emergency`: built, signed, checked and sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hauberk
from hauberk import Request, Response
from hauberk.emergency import Emergency
from hauberk.guard import Guard
from hauberk.recipes import CANCEL_ALL, DEAD_MAN, recipes
from hauberk_plugins.transport.http import HttpTransport
from hauberk_plugins.venues.catalogue import VenueCatalogue

SECRETS = json.loads(
    (Path(__file__).parents[2] / "peer_signing" / "secrets.json").read_text("utf-8")
)
CATALOGUE = VenueCatalogue()
#: Of which kind a venue's secrets are, other than text.
KINDS = {"kraken": "base64", "krakenfutures": "base64", "coinbaseexchange": "base64",
         "hyperliquid": "secp256k1"}  # fmt: skip
KEYS = {"hyperliquid": "0x14791697260e4c9a71f18484c9f997b308e59325"}
CONFIG = """\
plugins: [killswitch, policy, bots, signing]
signing: {{sample_clock: false}}
accounts:
  main: {{venue: {name}, key: file:key, secret: file:secret, passphrase: file:passphrase}}
"""
ALL = [
    pytest.param(name, action, market, id=f"{name}-{action}-{market}")
    for name in CATALOGUE.names()
    for action in (CANCEL_ALL, DEAD_MAN)
    for market in recipes(CATALOGUE.venue(name), action)
]


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Guard]]:
    made: dict[str, Guard] = {}

    def guard(name: str) -> Guard:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            texts = {
                "hauberk.yml": CONFIG.format(name=name), "key": KEYS.get(name, "k" * 32),
                "secret": SECRETS[KINDS.get(name, "text")], "passphrase": "a-passphrase",
            }  # fmt: skip
            for file, text in texts.items():
                (folder / file).touch(0o600)
                (folder / file).write_text(text, "utf-8")
            made[name] = hauberk.open(folder / "hauberk.yml", transient=True)
        return made[name]

    yield guard
    for one in made.values():
        one.close()


@pytest.mark.parametrize(("name", "action", "market"), ALL)
def test_it_is_signed_as_it_stands_in_the_file(
    guards: Callable[[str], Guard],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    action: str,
    market: str,
) -> None:
    sent: list[Request] = []

    def send(_self: HttpTransport, request: Request, *, timeout_s: float) -> Response:
        assert timeout_s == 5
        sent.append(request)
        return Response(200, (), b"{}")

    monkeypatch.setattr(HttpTransport, "send", send)
    kernel = guards(name).kernel
    door = Emergency(kernel, kernel.crew.view)
    recipe = door.recipes("main", action)[market]
    symbol = "BTC-USDT" if recipe.by_symbol else ""
    if action == CANCEL_ALL:
        door.cancel_all("main", market, symbol, timeout_s=5)
    else:
        seconds = recipe.seconds[0]
        door.beat("main", market, symbol, countdown_s=seconds, timeout_s=5, still=lambda: True)
        if recipe.disarm is not None:
            door.disarm("main", market, symbol, timeout_s=5)
    assert all(one.method == recipe.method for one in sent)
    assert all(one.url.partition("?")[0].endswith(recipe.path) for one in sent)
    assert len({(one.url, one.body) for one in sent}) == len(sent) == 1 + (action == DEAD_MAN)
