from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.sandbox import Limit
from hauberk_plugins.sandbox.limits import Bans, seconds_until

S = 1_000_000_000
PING = ("GET", "/api/v3/ping")
WEIGHTS = {"/api/v3/ping": 1, "/api/v3/ticker/price": 4, "/api/v3/exchangeInfo": 20}

steps = st.tuples(
    # Clocks step back too.
    st.integers(-15 * S, 15 * S),
    st.sampled_from(["127.0.0.1", "127.0.0.2"]),
    st.sampled_from(sorted(WEIGHTS)),
)


@given(steps=st.lists(steps, max_size=40), size=st.integers(0, 40), window_s=st.integers(1, 20))
def test_a_calendar_window_never_lets_more_than_its_size_through(desk, steps, size, window_s):
    d = desk(weight_limit=Limit(size, window_s), patience=10**9)
    asked, passed = Counter(), Counter()
    for advance_ns, ip, path in steps:
        d.now_ns += advance_ns
        window = (ip, d.now_ns // (window_s * S))
        reply = d.send("GET", path, ip=ip)
        asked[window] += WEIGHTS[path]
        assert (reply.status == 200) == (asked[window] <= size)
        assert reply.headers["x-mbx-used-weight"] == str(asked[window])
        if reply.status == 200:
            passed[window] += WEIGHTS[path]
        else:
            assert (reply.status, reply.code) == (429, -1003)
            left_ns = (window[1] + 1) * window_s * S - d.now_ns
            assert (int(reply.headers["retry-after"]) - 1) * S < left_ns
            assert left_ns <= int(reply.headers["retry-after"]) * S
    assert all(weight <= size for weight in passed.values())


@given(
    gaps=st.lists(st.integers(0, 4 * S), max_size=30),
    small=st.integers(0, 6),
    large=st.integers(0, 9),
)
def test_orders_stay_within_every_window_of_their_account(desk, gaps, small, large):
    limits = (Limit(small, 3), Limit(large, 20))
    d = desk(order_limits=limits, patience=10**9)
    passed = Counter()
    for gap_ns in gaps:
        d.now_ns += gap_ns
        keys = [(limit, d.now_ns // (limit.window_s * S)) for limit in limits]
        room = all(passed[key] < key[0].size for key in keys)
        reply = d.order(timeInForce="IOC", price="0.00001", quantity="20")
        assert (reply.status == 200) == room
        if room:
            passed.update(keys)
        else:
            assert (reply.status, reply.code) == (429, -1015)
            assert int(reply.headers["retry-after"]) >= 1
        assert reply.headers["x-mbx-order-count-3s"] == str(passed[keys[0]])
        assert reply.headers["x-mbx-order-count-20s"] == str(passed[keys[1]])


def test_who_goes_on_after_429_is_banned_with_418_for_two_minutes(desk):
    d = desk(weight_limit=Limit(2, 10), patience=2)
    d.now_ns = 1_000 * S
    statuses = [d.send(*PING).status for _ in range(7)]
    assert statuses == [200, 200, 429, 429, 418, 418, 418]
    assert d.exchange.answered(429) == 2
    d.now_ns += 119 * S
    still = d.send(*PING)
    assert (still.status, still.code, still.headers["retry-after"]) == (418, -1003, "1")
    d.now_ns += S
    assert d.send(*PING).status == 200


def test_a_ban_shuts_out_signed_requests_and_unknown_paths_but_no_other_address(desk):
    d = desk(weight_limit=Limit(0, 10), patience=0)
    assert d.send(*PING).status == 418
    assert d.order().status == 418
    assert d.send("GET", "/nowhere").status == 418
    d.exchange.set_weight_limit(100, 10)
    assert d.send(*PING, ip="127.0.0.2").status == 200
    assert d.exchange.orders() == ()


def test_who_waits_as_told_is_never_banned(desk):
    d = desk(weight_limit=Limit(1, 10), patience=1)
    for _ in range(5):
        assert d.send(*PING).status == 200
        refused = d.send(*PING)
        assert refused.status == 429
        d.now_ns += int(refused.headers["retry-after"]) * S


def test_each_ban_is_twice_as_long_up_to_three_days():
    bans, now_ns, lengths = Bans(patience=0), 0, []
    for _ in range(14):
        bans.strike("ip", now_ns + S, now_ns)
        until_ns = bans.until_ns("ip", now_ns)
        lengths.append((until_ns - now_ns) // S)
        now_ns = until_ns
        assert bans.until_ns("ip", now_ns) is None
    assert lengths[:3] == [120, 240, 480]
    assert lengths[-1] == 259_200


def test_orders_over_the_limit_lead_to_a_ban_as_well(desk):
    d = desk(order_limits=[Limit(1, 10)], patience=1)
    assert [d.order().status for _ in range(3)] == [200, 429, 418]


def test_a_test_order_does_not_count(desk):
    d = desk(order_limits=[Limit(1, 10)])
    ticket = {"symbol": "LTCBTC", "side": "BUY", "type": "MARKET", "quantity": 1}
    for _ in range(3):
        reply = d.signed("POST", "/api/v3/order/test", **ticket)
        assert (reply.status, reply.payload) == (200, {})
    assert d.order().status == 200


def test_what_cannot_be_read_and_what_is_unknown_costs_weight(desk):
    d = desk(weight_limit=Limit(3, 10))
    assert d.send("GET", "/nowhere").status == 404
    assert d.send(*PING, b"%").status == 400
    assert d.signed("GET", "/api/v3/account", secret="wrong").status == 429
    assert [arrival.weight for arrival in d.exchange.arrivals] == [1, 1, 20]


@pytest.mark.parametrize(
    ("query", "weight"),
    [
        (b"", 5),
        (b"&limit=100", 5),
        (b"&limit=101", 25),
        (b"&limit=1000", 50),
        (b"&limit=9999", 250),
    ],
)
def test_weight_depends_on_parameters(desk, query, weight):
    d = desk()
    reply = d.send("GET", "/api/v3/depth", b"symbol=BTCUSDT" + query)
    assert reply.headers["x-mbx-used-weight-1m"] == str(weight)
    assert d.exchange.arrivals[-1].weight == weight


def test_limits_and_bans_can_be_changed_while_it_runs(desk):
    d = desk(weight_limit=Limit(1, 60), patience=0)
    d.now_ns = 6_000 * S
    assert [d.send(*PING).status for _ in range(2)] == [200, 418]
    d.exchange.lift_bans()
    d.exchange.set_weight_limit(3)
    assert [d.send(*PING).status for _ in range(2)] == [200, 418]
    d.exchange.lift_bans()
    d.exchange.set_weight_limit(1, 10)
    reply = d.send(*PING)
    assert (reply.status, reply.headers["x-mbx-used-weight-10s"]) == (200, "1")


def test_limits_of_orders_can_be_changed_while_it_runs(desk):
    d = desk()
    d.exchange.set_order_limits(Limit(1, 7), Limit(5, 70))
    assert d.order().headers["x-mbx-order-count-70s"] == "1"
    assert d.order().status == 429


@pytest.mark.parametrize(
    ("window_s", "suffix"), [(1, "1S"), (10, "10S"), (60, "1M"), (90, "90S"), (86_400, "1D")]
)
def test_the_header_is_named_for_its_window(window_s, suffix):
    assert Limit(1, window_s).suffix == suffix


@given(now_ns=st.integers(0, 10**20), left_ns=st.integers(1, 10**12))
def test_retry_after_is_rounded_up_to_whole_seconds(now_ns, left_ns):
    seconds = seconds_until(now_ns + left_ns, now_ns)
    assert (seconds - 1) * S < left_ns <= seconds * S


def test_the_memory_of_addresses_is_bounded():
    bans = Bans()
    for n in range(10_000):
        bans.strike(str(n), S, 0)
    assert len(bans._conduct) <= 4_096
