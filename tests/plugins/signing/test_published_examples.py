"""Known answers that exchanges publish; `vectors/exchange.json` says where."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl

from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.venues.catalogue import VenueCatalogue

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "exchange.json").read_text("utf-8"))


def signed(name, request, key, secret, at_ns=0, nonce=""):
    scheme = read_scheme(VenueCatalogue().venue(name))
    credentials = Credentials(Secret(key), Secret(secret))
    return RequestSigner(scheme).sign(request, credentials, at_ns, lambda: nonce)


def test_krakens_example_comes_out():
    vector = next(one for one in VECTORS if one["exchange"] == "kraken")
    params = tuple(parse_qsl(vector["payload"]))[1:]
    request = Request("POST", f"https://api.kraken.com{vector['path']}", params)
    made = signed("kraken", request, "the-key", vector["secret_b64"], nonce=vector["nonce"])
    assert made.body.decode() == vector["payload"]
    assert dict(made.headers)["API-Sign"] == vector["signature"]
