"""What `keys check` makes of an answer: several exchanges send errors with HTTP status 200."""

from __future__ import annotations

import pytest

from hauberk.request import Response
from hauberk_plugins.keys.check import _judged
from hauberk_plugins.venues.catalogue import VenueCatalogue

CATALOGUE = VenueCatalogue()


@pytest.mark.parametrize(
    ("venue", "status", "body", "state"),
    [
        ("binance", 200, b'{"balances":[]}', "works"),
        ("binance", 200, b"<html>a portal</html>", "unknown"),
        ("binance", 403, b"<html>a firewall</html>", "unknown"),
        ("binance", 401, b'{"code":-2015}', "refused"),
        ("kraken", 200, b'{"error":[],"result":{}}', "works"),
        ("kraken", 200, b'{"error":["EAPI:Invalid signature"]}', "unknown"),
        ("kraken", 200, b'{"error":["EAPI:Invalid key"]}', "refused"),
        ("bybit", 200, b'{"retCode":0,"result":{}}', "works"),
        ("bybit", 200, b'{"retCode":10004,"retMsg":"error sign"}', "unknown"),
        ("htx", 200, b'{"status":"ok","data":[]}', "works"),
        ("htx", 200, b'{"code":1003,"message":"invalid"}', "unknown"),
        ("okx", 200, b'{"code":"50113","msg":"Invalid Sign"}', "unknown"),
        ("mexccontract", 200, b'{"success":true,"code":0}', "works"),
        ("bitfinex", 200, b"[]", "works"),
        ("bitfinex", 500, b'["error",10100,"apikey: invalid"]', "refused"),
    ],
)
def test_only_what_a_good_answer_says_is_good(venue, status, body, state):
    assert _judged(CATALOGUE.venue(venue), Response(status, body=body))[0] == state
