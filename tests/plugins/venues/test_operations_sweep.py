"""Every private endpoint that ccxt knows, against the operations maps of the venue files.

The lists are in `tests/vectors/operations/`; `tests/peer_operations/` makes them with ccxt, and
says by rules of its own what each endpoint does.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from hauberk import Operation
from hauberk_plugins.policy.capabilities import objection
from hauberk_plugins.venues.catalogue import VenueCatalogue
from hauberk_plugins.venues.venue import ByParameter

LISTS = Path(__file__).parents[2] / "vectors" / "operations"
CATALOGUE = VenueCatalogue()
DEFAULT = (Operation.READ, Operation.TRADE, Operation.CANCEL)
#: Classes of what is allowed by default.
HARMLESS = {"look", "trade", "public"}
#: ccxt's exchanges that have more than one file here.
FILES = {"mexc": ("mexc", "mexccontract")}
EXCHANGES = sorted(path.stem for path in LISTS.glob("*.json"))
#: What ccxt makes one path of several with: `level{level}_{limit}`.
MADE_UP = {
    ("kucoin", "/api/v1/market/orderbook/level{level}_{limit}"): (
        "/api/v1/market/orderbook/level2_20",
        "/api/v1/market/orderbook/level2_100",
    ),
}


def kept(exchange):
    return json.loads((LISTS / f"{exchange}.json").read_text("utf-8"))


def rows(exchange):
    """The endpoints at hosts that keys of the venue sign for, each with the files for its host."""
    files = [CATALOGUE.venue(name) for name in FILES.get(exchange, (exchange,))]
    for host, endpoints in kept(exchange)["hosts"].items():
        at_host = [venue for venue in files if f"https://{host}" in venue.bases]
        for method, path, kind, needed in endpoints if at_host else ():
            paths = MADE_UP.get((exchange, path), (path.replace("{", "").replace("}", ""),))
            for one in paths:
                yield at_host, method, one, kind, needed.split()


def possible(venue, method, path):
    """All that an endpoint may be, whatever its parameters."""
    found = venue._endpoints.find(method, path)
    meaning = venue._operations.get(found)
    if isinstance(meaning, ByParameter):
        return {meaning.otherwise, *(operation for _, _, operation in meaning.rules)}
    return {venue.operation(method, path, (), b"")}


def passes(operation, allow=DEFAULT):
    return not objection("main", allow, operation)


def told(method, path, operations):
    return f"{method} {path} is {', '.join(sorted(operations))}"


def test_every_venue_is_swept():
    assert {name for one in EXCHANGES for name in FILES.get(one, (one,))} == set(CATALOGUE.names())


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_nothing_that_moves_funds_or_changes_rights_passes_by_default(exchange):
    wrong = [
        told(method, path, operations)
        for files, method, path, kind, _ in rows(exchange)
        for venue in files
        if kind not in HARMLESS
        for operations in [possible(venue, method, path)]
        if any(map(passes, operations))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_nothing_that_a_unified_method_needs_is_denied_by_default(exchange):
    wrong = [
        told(method, path, operations)
        for files, method, path, kind, needed in rows(exchange)
        if needed and kind in HARMLESS
        for operations in [set().union(*(possible(venue, method, path) for venue in files))]
        if not any(map(passes, operations))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_no_unified_method_of_trading_cancelling_and_reading_needs_what_is_not_harmless(exchange):
    assert not [
        f"{method} {path} is {kind}"
        for _, method, path, kind, needed in rows(exchange)
        if needed and kind not in HARMLESS
    ]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_who_may_transfer_does_not_withdraw(exchange):
    allow = (*DEFAULT, Operation.TRANSFER)
    wrong = [
        told(method, path, operations)
        for files, method, path, kind, _ in rows(exchange)
        for venue in files
        if kind == "withdraw"
        for operations in [possible(venue, method, path)]
        if any(passes(operation, allow) for operation in operations)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_who_may_only_look_does_not_act(exchange):
    wrong = [
        told(method, path, operations)
        for files, method, path, kind, _ in rows(exchange)
        for venue in files
        if kind not in {"look", "public"}
        for operations in [possible(venue, method, path)]
        if any(passes(operation, (Operation.READ,)) for operation in operations)
    ]
    assert not wrong, "\n".join(wrong)


def test_what_withdraws_transfers_or_administers_is_known_as_that():
    """What no map knows is denied, too, but to those as well who are allowed to do it."""
    known = Counter(
        (kind, any(possible(venue, method, path) != {Operation.UNKNOWN} for venue in files))
        for exchange in EXCHANGES
        for files, method, path, kind, _ in rows(exchange)
        if method != "GET"
    )
    assert known["withdraw", False] == 0
    for kind in ("transfer", "admin"):
        assert known[kind, True] >= 0.97 * (known[kind, True] + known[kind, False])


#: By action, what ccxt sends to Hyperliquid's one endpoint, from its unified methods and others.
ACTIONS = {
    "order": "trade", "twapOrder": "trade", "batchModify": "trade", "cancel": "cancel",
    "cancelByCloid": "cancel", "twapCancel": "cancel", "scheduleCancel": "cancel",
    "withdraw3": "withdraw", "sendAsset": "withdraw", "usdSend": "withdraw",
    "spotSend": "withdraw", "usdClassTransfer": "transfer", "subAccountTransfer": "transfer",
    "subAccountSpotTransfer": "transfer", "vaultTransfer": "transfer", "createVault": "transfer",
    "updateIsolatedMargin": "transfer", "updateLeverage": "admin", "createSubAccount": "admin",
    "approveBuilderFee": "admin", "approveAgent": "admin", "setReferrer": "admin",
    "agentSetAbstraction": "admin", "reserveRequestWeight": "admin", "": "admin",
}  # fmt: skip


@pytest.mark.parametrize(("action", "expected"), ACTIONS.items())
def test_hyperliquids_one_endpoint_does_what_the_action_says(action, expected):
    body = json.dumps({"action": {"type": action}, "nonce": 1}).encode()
    venue = CATALOGUE.venue("hyperliquid")
    assert venue.operation("POST", "/exchange", (), body) == expected


def test_the_counts():
    """Printed with `pytest -s`."""
    total = Counter()
    for exchange in EXCHANGES:
        counts = Counter()
        for files, method, path, kind, needed in rows(exchange):
            if kind == "public":
                continue
            is_ok = any(
                passes(operation) for venue in files for operation in possible(venue, method, path)
            )
            counts["private"] += 1
            counts[f"{kind} {'passes' if is_ok else 'denied'}"] += 1
            counts["needed"] += bool(needed)
        every = sum(
            kind != "public" for at in kept(exchange)["hosts"].values() for _, _, kind, _ in at
        )
        counts["elsewhere"] = every - counts["private"]
        total += counts
        print(f"{exchange:17}", line(counts))  # noqa: T201
    print(f"{'all':17}", line(total))  # noqa: T201
    for kind in ("withdraw", "transfer", "admin", "unclear"):
        assert total[f"{kind} passes"] == 0 < total[f"{kind} denied"]


def line(counts):
    names = ("private", "needed", "look passes", "trade passes", "look denied", "trade denied",
             "transfer denied", "withdraw denied", "admin denied", "unclear denied",
             "elsewhere")  # fmt: skip
    return ", ".join(f"{name} {counts[name]}" for name in names)
