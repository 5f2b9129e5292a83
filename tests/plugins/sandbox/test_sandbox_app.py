import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.sandbox import app
from hauberk_plugins.sandbox.app import MAX_BODY

ORDER = "/api/v3/order"


def test_a_hung_answer_does_what_was_asked_and_is_never_sent(desk):
    d = desk()
    d.exchange.hang_next()
    query = d.query(
        symbol="LTCBTC", side="BUY", type="LIMIT", timeInForce="GTC", quantity=1, price="0.1"
    )
    messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    assert d.send("POST", ORDER, query.encode(), keys=(d.KEY,), receive=receive) is None
    assert len(d.exchange.orders()) == 1
    assert d.signed("GET", "/api/v3/account").status == 200


def test_a_slow_answer_is_sent_all_the_same(desk):
    d = desk()
    d.exchange.slow_next(0.001, times=2)
    messages = iter([{"type": "http.request"}])

    async def receive():
        try:
            return next(messages)
        except StopIteration:
            await asyncio.Event().wait()

    assert d.send("GET", "/api/v3/ping", receive=receive).status == 200


def test_a_client_that_goes_while_it_sends_its_body_leaves_no_arrival(desk):
    d = desk()
    messages = iter([{"type": "http.request", "more_body": True}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    assert d.send("POST", ORDER, receive=receive) is None
    assert d.exchange.arrivals == ()


def test_a_body_that_never_ends_is_given_up(desk, monkeypatch):
    monkeypatch.setattr(app, "READ_TIMEOUT_S", 0.001)
    d = desk()

    async def receive():
        await asyncio.Event().wait()

    reply = d.send("POST", ORDER, receive=receive)
    assert (reply.status, reply.code, reply.headers["connection"]) == (503, -1007, "close")


@given(sizes=st.lists(st.integers(0, 40_000), max_size=60))
def test_no_more_of_a_body_is_read_than_its_limit(desk, sizes):
    d = desk()
    read = []

    async def receive():
        size = sizes[len(read)] if len(read) < len(sizes) else 0
        read.append(size)
        return {"type": "http.request", "body": b"x" * size, "more_body": len(read) < len(sizes)}

    reply = d.send("DELETE", ORDER, receive=receive)
    assert reply.status in (400, 401)
    assert ("connection" in reply.headers) == (sum(read) > MAX_BODY)
    assert sum(read) <= app.MAX_DRAINED + 40_000


def test_a_body_without_end_is_refused_before_it_ends(desk):
    reads = iter(range(100))

    async def receive():
        next(reads)  # raises where the application would read for ever
        return {"type": "http.request", "body": b"x" * 100_000, "more_body": True}

    reply = desk().send("POST", ORDER, receive=receive)
    assert (reply.status, reply.headers["connection"]) == (400, "close")


@pytest.mark.parametrize(
    ("name", "value"), [(b"transfer-encoding", b"chunked"), (b"content-type", b"application/json")]
)
def test_a_body_in_chunks_or_of_another_kind_is_refused(desk, name, value):
    d = desk()
    body = d.query(symbol="LTCBTC").encode()
    path = "/api/v3/openOrders"
    reply = d.send("DELETE", path, body=body, keys=(d.KEY,), headers=((name, value),))
    assert (reply.status, reply.code, reply.headers["connection"]) == (400, -1100, "close")
    form = ((b"content-type", b"application/x-www-form-urlencoded; charset=utf-8"),)
    assert d.send("DELETE", path, body=body, keys=(d.KEY,), headers=form).code == -2011


def test_a_get_with_a_body_is_refused(desk):
    d = desk()
    assert d.send("GET", "/api/v3/account", body=d.query().encode(), keys=(d.KEY,)).code == -1104


def test_what_is_not_http_is_ignored(desk):
    async def never(*_):
        raise AssertionError

    asyncio.run(desk().app({"type": "lifespan"}, never, never))


def test_arrivals_tell_what_came_and_how_it_was_answered_but_no_signature(desk):
    d = desk()
    d.order(price="0.001")
    d.signed("GET", "/api/v3/account", secret="wrong")
    good, bad = d.exchange.arrivals
    assert (good.method, good.path, good.status, good.code) == ("POST", ORDER, 200, 0)
    assert (good.account, good.weight, good.at_ns) == ("main", 1, d.now_ns)
    assert dict(good.parameters)["symbol"] == "LTCBTC"
    assert "signature" not in dict(good.parameters)
    assert (bad.account, bad.status, bad.code) == ("", 400, -1022)
    assert d.exchange.answered(400) == 1
    d.exchange.clear_arrivals()
    assert (d.exchange.arrivals, d.exchange.answered(400)) == ((), 0)


def test_the_log_of_arrivals_is_bounded(desk, monkeypatch):
    monkeypatch.setattr("hauberk_plugins.sandbox.exchange.MAX_ARRIVALS", 5)
    d = desk()
    for _ in range(9):
        d.send("GET", "/api/v3/ping")
    assert len(d.exchange.arrivals) == 5
    assert d.exchange.answered(200) == 9


def test_no_repr_shows_a_secret_or_a_body(desk):
    d = desk()
    assert d.SECRET not in repr(vars(d.exchange)) + repr(d.exchange._state)
    call = app._call(
        {
            "method": "POST",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [(b"x-mbx-apikey", d.KEY.encode())],
        },
        b"body",
    )
    assert d.KEY not in repr(call)
    assert "body" not in repr(call).replace("body=", "")
