"""Every venue, from its file alone: judged, cleared, signed, checked, and verified again.

The cases of a venue are in `cleared/`: requests, and what each does there.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import hauberk
from hauberk import Denied, Operation, Request, Secret
from hauberk.ports import Credentials
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.verifier import RequestVerifier
from hauberk_plugins.venues.catalogue import VenueCatalogue

HERE = Path(__file__).parent
SECRETS = json.loads((HERE.parents[1] / "peer_signing" / "secrets.json").read_text("utf-8"))
CATALOGUE = VenueCatalogue()
ALLOWED = (Operation.READ, Operation.TRADE, Operation.REDUCE, Operation.CANCEL)
#: Of which kind a venue's secrets are, other than text.
KINDS = {
    "coinbase": "ecdsa",
    "coinbaseexchange": "base64",
    "kraken": "base64",
    "krakenfutures": "base64",
    "hyperliquid": "secp256k1",
}
#: What a venue's keys are like, where that is checked.
API_KEYS = {"hyperliquid": "0x14791697260e4c9a71f18484c9f997b308e59325"}
CONFIG = """\
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
signing: {{sample_clock: false}}
accounts:
  main:
    venue: {name}
    key: file:key
    secret: file:secret
    passphrase: file:passphrase
    allow: [read, trade, cancel]
"""


def cases(name):
    return YAML(typ="safe").load((HERE / "cleared" / f"{name}.yml").read_text("utf-8"))


CASES = [
    pytest.param(name, case, id=f"{name}-{number}")
    for name in CATALOGUE.names()
    for number, case in enumerate(cases(name))
]


def private(folder, name, text):
    path = folder / name
    path.touch(0o600)
    path.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def guards(tmp_path_factory):
    """A guard for an account at each venue, as a bot opens it."""
    made = {}

    def guard(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            private(folder, "hauberk.yml", CONFIG.format(name=name))
            private(folder, "key", API_KEYS.get(name, "account-" + "k" * 24))
            private(folder, "secret", SECRETS[KINDS.get(name, "text")])
            private(folder, "passphrase", "a-passphrase")
            made[name] = hauberk.open(folder / "hauberk.yml")
        return made[name]

    yield guard
    for one in made.values():
        one.close()


def request(case):
    return Request(case["method"], case["url"], case.get("params", {}), body=case.get("body", ""))


@pytest.mark.parametrize("name", CATALOGUE.names())
def test_every_venue_has_cases_of_reading_trading_cancelling_and_more(name):
    told = {case["operation"] for case in cases(name)}
    assert {"read", "trade", "cancel"} <= told
    assert told & {"withdraw", "transfer", "admin"}


@pytest.mark.parametrize("name", CATALOGUE.names())
def test_every_venue_says_all_that_others_need_of_it(name):
    venue = CATALOGUE.venue(name)
    assert all(base.startswith("https://") for base in venue.bases)
    assert venue.section("limits")["windows"]
    assert venue.section("key_check") or name == "hyperliquid"
    endpoints = set(venue.endpoints())
    named = [
        venue.section(what)["endpoint"]
        for what in ("key_check", "server_time")
        if venue.section(what)
    ]
    assert set(named) <= endpoints
    if check := venue.section("key_check"):
        method, _, path = check["endpoint"].partition(" ")
        params = tuple(check.get("params", {}).items())
        assert venue.operation(method, path, params, check.get("body", "").encode()) is (
            Operation.READ
        )


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_request_is_judged_by_what_it_does_and_leaves_as_it_was_judged(guards, name, case):
    operation, guard = Operation(case["operation"]), guards(name)
    if operation not in (*ALLOWED, Operation.PUBLIC):
        with pytest.raises(Denied) as caught:
            guard.clear(request(case), timeout_s=0)
        assert caught.value.plugin in ("policy", "kernel"), caught.value
        return
    cleared = guard.clear(request(case), timeout_s=0)
    assert cleared.judged.operation is operation
    guard.settle(cleared, hauberk.Response(200))
    venue = CATALOGUE.venue(name)
    if operation is Operation.PUBLIC or "scheme" in venue.section("signing"):
        return
    folder = guard.kernel.settings.folder
    held = [Secret((folder / what).read_text().strip()) for what in ("key", "secret", "passphrase")]
    found = RequestVerifier(venue, read_scheme(venue)).verify(
        cleared.request, Credentials(*held), None
    )
    assert sorted(found.params) == sorted(cleared.judged.params) or cleared.judged.body
