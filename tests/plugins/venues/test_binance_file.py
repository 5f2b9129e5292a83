"""The venue file of Binance."""

from __future__ import annotations

import pytest

from hauberk.request import Operation, Response
from hauberk_plugins.venues.catalogue import VenueCatalogue

BINANCE = VenueCatalogue().venue("binance")


def operation(endpoint):
    method, path = endpoint.split(" ")
    return BINANCE.operation(method, path, (), b"")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("GET /api/v3/time", Operation.PUBLIC),
        ("GET /api/v3/depth", Operation.PUBLIC),
        ("GET /api/v3/account", Operation.READ),
        ("GET /api/v3/order", Operation.READ),
        ("POST /api/v3/order", Operation.TRADE),
        ("POST /api/v3/order/test", Operation.TRADE),
        ("POST /api/v3/order/cancelReplace", Operation.TRADE),
        ("PUT /api/v3/order/amend/keepPriority", Operation.TRADE),
        ("DELETE /api/v3/order", Operation.CANCEL),
        ("DELETE /api/v3/openOrders", Operation.CANCEL),
        ("POST /sapi/v1/userDataStream", Operation.READ),
        ("POST /sapi/v1/capital/withdraw/apply", Operation.WITHDRAW),
        ("GET /sapi/v1/capital/withdraw/history", Operation.READ),
        ("POST /sapi/v1/asset/transfer", Operation.TRANSFER),
        ("POST /sapi/v1/sub-account/universalTransfer", Operation.TRANSFER),
        ("POST /sapi/v1/margin/borrow-repay", Operation.TRANSFER),
        ("POST /sapi/v1/sub-account/virtualSubAccount", Operation.ADMIN),
        ("POST /sapi/v2/sub-account/subAccountApi/ipRestriction", Operation.ADMIN),
        ("POST /sapi/v1/account/enableFastWithdrawSwitch", Operation.ADMIN),
        ("GET /sapi/v1/account/apiRestrictions", Operation.READ),
        ("POST /sapi/v1/equity/order/place", Operation.TRADE),
        # By patterns.
        ("POST /sapi/v1/giftcard/createCode", Operation.WITHDRAW),
        ("POST /sapi/v1/managed-subaccount/deposit", Operation.WITHDRAW),
        ("POST /sapi/v2/loan/flexible/borrow", Operation.TRANSFER),
        ("POST /sapi/v1/broker/transfer", Operation.TRANSFER),
        ("POST /sapi/v1/broker/subAccountApi", Operation.ADMIN),
        ("GET /sapi/v1/broker/subAccountApi", Operation.UNKNOWN),
        ("POST /api/v3/withdraw", Operation.UNKNOWN),
    ],
)
def test_an_endpoint_does_what_the_documentation_says(endpoint, expected):
    assert operation(endpoint) is expected


def test_whatever_has_withdraw_and_is_not_a_look_needs_the_right_to_withdraw_or_administer():
    for method, path in BINANCE._operations:
        if "withdraw" in path.lower() and method != "GET":
            assert operation(f"{method} {path}") in (Operation.WITHDRAW, Operation.ADMIN), path


def test_nothing_under_get_moves_anything_but_the_documented_exception():
    movers = {
        path
        for method, path in BINANCE._operations
        if method == "GET" and operation(f"GET {path}") not in (Operation.PUBLIC, Operation.READ)
    }
    assert movers == {"/sapi/v1/simple-earn/locked/setRedeemOption"}


def test_no_testnet_stands_among_the_bases():
    assert set(BINANCE.bases) == {
        f"https://api{n}.binance.com" for n in ("", "-gcp", "1", "2", "3", "4")
    }


def test_every_endpoint_that_a_section_names_is_in_the_map():
    named = [*BINANCE.section("signing")["key_only"], BINANCE.section("server_time")["endpoint"]]
    named += [name for name in BINANCE.section("limits")["costs"] if name != "default"]
    assert [name for name in named if operation(name) is Operation.UNKNOWN] == []


def test_errors_are_told_apart_by_status_or_code():
    def said(status, body=b""):
        return BINANCE.said(Response(status, body=body))

    assert said(400, b'{"code":-1021,"msg":"Timestamp for this request is outside"}') == "skew"
    assert said(401, b'{"code":-2015,"msg":"Invalid API-key"}') == "revoked"
    assert said(418) == "banned"
    assert said(429, b"not JSON") == "throttled"
    assert said(200, b'{"orderId":-1021}') == ""
    assert said(200, b'{"deep":{"code":-1021}}') == ""
