"""What `keys check` makes of an answer: several exchanges send errors with HTTP status 200."""

from __future__ import annotations

import pytest

from hauberk.request import Response
from hauberk.yamlfile import load_yaml
from hauberk_plugins.keys.check import _judged
from hauberk_plugins.venues.catalogue import BUILT_IN, VenueCatalogue

CATALOGUE = VenueCatalogue()


class Written:
    """A venue whose sections are as its file has them."""

    def __init__(self, name):
        self.said = CATALOGUE.venue(name).said
        self._sections = load_yaml(BUILT_IN / f"{name}.yml").data

    def section(self, name):
        return self._sections.get(name, {})


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
        ("bitfinex", 200, b'[["account",1,0],["history",1,0],["orders",1,1]]', "works"),
        ("bitfinex", 200, b'["error",10100,"apikey: unheard of"]', "unknown"),
        ("binance", 200, b'{"code":-1022,"msg":"Signature is not valid."}', "unknown"),
        ("binance", 200, b'{"code":-2015.0}', "unknown"),
        ("binance", 200, b'{"code":0}', "unknown"),
        ("binance", 200, b'{"code":null,"balances":[]}', "works"),
        ("binance", 200, b'{"code":"","balances":[]}', "works"),
        ("binance", 200, b'{"pad":"%s","code":-2015}' % (b"x" * 70_000), "refused"),
        ("binance", 200, b'{"pad":"%s","code":-1022}' % (b"x" * 70_000), "unknown"),
        ("binance", 200, b'{"code":1,"code":null}', "unknown"),
        ("binance", 200, b'{"balances":NaN}', "unknown"),
        ("bitmex", 200, b'{"error":{"message":"Signature not valid."}}', "unknown"),
        ("bitmex", 200, b'{"error":{}}', "works"),
        ("coinbaseexchange", 200, b"[]", "works"),
        ("kraken", 200, b'{"error":[],"error":["EAPI:Invalid signature"]}', "unknown"),
        ("bitfinex", 500, b'["error",10100,"apikey: invalid"]', "refused"),
    ],
)
def test_only_what_a_good_answer_says_is_good(venue, status, body, state):
    assert _judged(Written(venue), Response(status, body=body))[0] == state
