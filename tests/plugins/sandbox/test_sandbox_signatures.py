import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.sandbox import SymbolRules

EXAMPLE = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
    "&recvWindow=5000&timestamp=1499827319559"
)
EXAMPLE_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
ORDER = "/api/v3/order"


def test_binances_published_example_is_accepted_at_its_own_time(desk):
    d = desk()
    query = f"{EXAMPLE}&signature={EXAMPLE_SIGNATURE}".encode()
    reply = d.send("POST", ORDER, query, keys=(d.KEY,))
    assert (reply.status, reply.payload["symbol"]) == (200, "LTCBTC")
    body_only = d.send("POST", ORDER, b"", query, keys=(d.KEY,))
    assert body_only.status == 200


def test_binances_published_mixed_example_is_signed_without_a_joint(desk):
    # rest-api.md, "Mixed query string and request body": nothing stands between GTC and quantity.
    d = desk()
    query = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
    body = (
        b"quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559&signature="
        b"0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    )
    assert d.send("POST", ORDER, query, body, keys=(d.KEY,)).status == 200


def test_binances_published_unicode_example_is_accepted(desk):
    symbol = "１２３４５６"  # noqa: RUF001 - the name in Binance's own example
    rules = SymbolRules(symbol, "ONE", "BTC", "0.02", tick="0.01", step="1", min_notional="0.01")
    d = desk(symbols=[rules])
    query = (
        b"symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT"
        b"&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
        b"&signature=e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"
    )
    reply = d.send("POST", ORDER, query, keys=(d.KEY,))
    assert (reply.status, reply.payload["symbol"]) == (200, symbol)


@given(data=st.data(), in_body=st.integers(0, 6))
def test_a_signed_order_passes_and_with_any_byte_changed_it_is_refused(desk, data, in_body):
    d = desk()
    pieces = d.query(
        symbol="LTCBTC", side="BUY", type="LIMIT", timeInForce="GTC", quantity=1, price="0.1"
    ).split("&")
    cut = len(pieces) - 1 - in_body
    text, split = "&".join(pieces[:-1]), "&".join(pieces[:cut])
    # Only the joint between query and body is not signed over.
    joined = text if in_body == 0 else text.replace(split + "&", split, 1)
    signature = f"signature={d.sign(joined)}"
    if in_body:
        query, body = split, "&".join([*pieces[cut:-1], signature])
    else:
        query, body = f"{text}&{signature}", ""
    parts = [query.encode(), body.encode(), d.KEY.encode()]
    assert d.send("POST", ORDER, *parts[:2], keys=(d.KEY,)).status == 200

    which = data.draw(st.sampled_from([n for n, part in enumerate(parts) if part]))
    at = data.draw(st.integers(0, len(parts[which]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != parts[which][at]))
    parts[which] = parts[which][:at] + bytes([byte]) + parts[which][at + 1 :]
    reply = d.send("POST", ORDER, *parts[:2], keys=(parts[2].decode("latin-1"),))
    assert reply.status in (400, 401)
    assert len(d.exchange.orders()) == 1


@given(data=st.data())
def test_moving_removing_or_adding_a_byte_is_refused(desk, data):
    d = desk()
    query = d.query(symbol="LTCBTC").encode()
    at = data.draw(st.integers(0, len(query) - 1))
    shorter = query[:at] + query[at + 1 :]
    longer = query[:at] + data.draw(st.binary(min_size=1, max_size=3)) + query[at:]
    assert d.send("GET", "/api/v3/openOrders", query, keys=(d.KEY,)).status == 200
    for changed in (shorter, longer, query + b"&", query + b"0"):
        assert d.send("GET", "/api/v3/openOrders", changed, keys=(d.KEY,)).status in (400, 401)


@given(text=st.text(min_size=1, max_size=40))
def test_any_unicode_is_signed_as_the_bytes_that_are_sent(desk, text):
    # A name nobody has: the answer -1121 comes after the signature was found good.
    d = desk()
    reply = d.signed("GET", "/api/v3/openOrders", symbol=text)
    control = any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text)
    assert (reply.status, reply.code) == (400, -1100 if control else -1121)


def test_a_signature_that_is_not_last_is_refused(desk):
    d = desk()
    text = f"timestamp={d.now_ms}"
    query = f"signature={d.sign(text)}&{text}".encode()
    assert d.send("GET", "/api/v3/account", query, keys=(d.KEY,)).code == -1022


def test_upper_case_digits_of_a_signature_are_refused(desk):
    d = desk()
    text = f"timestamp={d.now_ms}"
    good = d.sign(text)
    for signature, status in ((good, 200), (good.upper(), 400)):
        query = f"{text}&signature={signature}".encode()
        assert d.send("GET", "/api/v3/account", query, keys=(d.KEY,)).status == status


def test_the_secret_of_another_key_is_refused(desk):
    d = desk()
    _, other = d.exchange.add_key(account="other")
    assert d.signed("GET", "/api/v3/account", secret=other).code == -1022


@pytest.mark.parametrize(
    ("age_ms", "window", "code"),
    [
        (5_000, None, 0),
        (5_001, None, -1021),
        (100, 100, 0),
        (101, 100, -1021),
        (60_000, 60_000, 0),
        (0, 60_001, -1131),
        (-999, None, 0),
        (-1_000, None, -1021),
        (-1_000, 60_000, -1021),
    ],
)
def test_a_timestamp_is_good_within_the_window_and_a_second_ahead(desk, age_ms, window, code):
    d = desk()
    extra = {} if window is None else {"recvWindow": window}
    reply = d.signed("GET", "/api/v3/account", timestamp=d.now_ms - age_ms, **extra)
    assert reply.code == code


@given(age_ms=st.integers(-(10**13), 1_499_827_319_559), window=st.integers(0, 60_000))
def test_no_stale_and_no_future_timestamp_passes(desk, age_ms, window):
    d = desk()
    reply = d.signed("GET", "/api/v3/account", timestamp=d.now_ms - age_ms, recvWindow=window)
    assert (reply.status == 200) == (-1_000 < age_ms <= window)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("timestamp=now", -1102),
        ("signature=00", -1102),
        ("timestamp=&signature=00", -1105),
        ("timestamp=1&timestamp=1&signature=00", -1101),
        ("timestamp=1&time%73tamp=1&signature=00", -1101),
        ("timestamp=1&signature=00", -1022),
        ("timestamp=1&signature=", -1105),
        ("timestamp=1&signature", -1105),
    ],
)
def test_a_signed_endpoint_names_what_is_missing_or_twice(desk, query, code):
    d = desk()
    assert d.send("GET", "/api/v3/account", query.encode(), keys=(d.KEY,)).code == code


def test_a_name_in_query_and_body_is_a_duplicate(desk):
    d = desk()
    query, body = b"symbol=LTCBTC", d.query(symbol="BTCUSDT").encode()
    assert d.send("DELETE", ORDER, query, body, keys=(d.KEY,)).code == -1101


@pytest.mark.parametrize("keys", [(), ("",), ("short",), ("ä" * 64,), (None, None)])
def test_a_header_that_is_absent_repeated_or_malformed_is_refused(desk, keys):
    d = desk()
    sent = tuple(d.KEY if key is None else key for key in keys)
    reply = d.send("GET", "/api/v3/account", d.query().encode(), keys=sent)
    assert (reply.status, reply.code) == (401, -2014)


def test_an_unknown_and_a_revoked_key_get_the_same_answer(desk):
    d = desk()
    unknown = d.signed("GET", "/api/v3/account", key="x" * 64)
    d.exchange.revoke_key(d.KEY)
    revoked = d.signed("GET", "/api/v3/account")
    assert (revoked.status, revoked.code) == (401, -2015)
    assert unknown.payload == revoked.payload
    d.exchange.restore_key(d.KEY)
    assert d.signed("GET", "/api/v3/account").status == 200


@pytest.mark.parametrize("may", ["read", "trade", "withdraw"])
def test_a_key_may_do_what_it_was_issued_for_and_no_more(desk, may):
    d = desk(may=[may])
    replies = {
        "read": d.signed("GET", "/api/v3/account"),
        "trade": d.order(),
        "withdraw": d.signed(
            "POST", "/sapi/v1/capital/withdraw/apply", coin="BTC", address="a", amount="0.1"
        ),
    }
    assert [name for name, reply in replies.items() if reply.status == 200] == [may]
    assert {reply.code for name, reply in replies.items() if name != may} == {-2015}


def test_a_key_of_the_wrong_form_is_not_issued(desk):
    d = desk()
    for key in ("short", "with space" * 4, "ä" * 20):
        with pytest.raises(ValueError, match="API key"):
            d.exchange.add_key(key)
    with pytest.raises(ValueError, match="fly"):
        d.exchange.add_key(may=["fly"])
