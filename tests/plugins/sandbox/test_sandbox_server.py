import hashlib
import hmac
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from hauberk.errors import HauberkError
from hauberk_plugins.sandbox import Limit, SandboxExchange, SandboxServer
from hauberk_plugins.sandbox.wire import HttpCall

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
EXAMPLE = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
    "&recvWindow=5000&timestamp=1499827319559"
    "&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
)
THEN_NS = 1_499_827_320_000 * 1_000_000


def exchange(**settings):
    made = SandboxExchange(lambda: THEN_NS, **settings)
    made.add_key(KEY, SECRET)
    return made


def connect(server, **options):
    return http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20, **options)


def ask(server, method, target, body=None, headers=None, **options):
    connection = connect(server, **options)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, json.loads(response.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server():
    with SandboxServer(exchange(weight_limit=Limit(10**6, 60))) as serving:
        yield serving


def test_binances_published_example_is_accepted_over_http(server):
    auth = {"X-MBX-APIKEY": KEY}
    status, headers, order = ask(server, "POST", f"/api/v3/order?{EXAMPLE}", headers=auth)
    assert (status, order["symbol"]) == (200, "LTCBTC")
    assert headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert int(headers["X-MBX-USED-WEIGHT-1M"]) >= 1
    assert headers["Content-Type"] == "application/json;charset=UTF-8"
    form = auth | {"Content-Type": "application/x-www-form-urlencoded"}
    status, _, _ = ask(server, "POST", "/api/v3/order", EXAMPLE, form)
    assert status == 200
    changed = EXAMPLE.replace("quantity=1", "quantity=9")
    status, _, error = ask(server, "POST", "/api/v3/order", changed, form)
    assert (status, error["code"]) == (400, -1022)


def test_by_the_machines_clock_a_request_signed_now_passes_and_a_stale_one_does_not():
    made = SandboxExchange()
    key, secret = made.add_key()
    with SandboxServer(made) as serving:
        for age_ms, expected in ((0, 200), (6_000, 400)):
            text = f"timestamp={time.time_ns() // 1_000_000 - age_ms}"
            signature = hmac.digest(secret.encode(), text.encode(), hashlib.sha256).hex()
            target = f"/api/v3/account?{text}&signature={signature}"
            status, _, payload = ask(serving, "GET", target, headers={"X-MBX-APIKEY": key})
            assert status == expected
            assert payload.get("code", 0) == (0 if expected == 200 else -1021)


def test_many_clients_at_once_never_get_more_than_the_window_holds():
    made = exchange(weight_limit=Limit(50, 60), patience=10**6)
    with SandboxServer(made) as serving, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: ask(serving, "GET", "/api/v3/ping"), range(80)))
    statuses = [status for status, _, _ in replies]
    assert (statuses.count(200), statuses.count(429)) == (50, 30)
    assert made.answered(429) == 30


def test_the_exchange_handles_one_request_at_a_time():
    meeting, met = threading.Barrier(2), []

    def clock():
        with suppress(threading.BrokenBarrierError):
            met.append(meeting.wait(0.05))
        return THEN_NS

    made = SandboxExchange(clock)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(made.handle, [HttpCall("GET", "/api/v3/ping")] * 2))
    assert [answer.status for answer in answers] == [200, 200]
    assert met == []


def test_429_with_retry_after_and_then_418_over_http():
    with SandboxServer(exchange(weight_limit=Limit(1, 10), patience=1)) as serving:
        replies = [ask(serving, "GET", "/api/v3/ping") for _ in range(3)]
        assert [status for status, _, _ in replies] == [200, 429, 418]
        assert replies[1][1]["Retry-After"] == "10"
        assert replies[2][1]["Retry-After"] == "120"
        assert [payload.get("code") for _, _, payload in replies] == [None, -1003, -1003]
        elsewhere = ask(serving, "GET", "/api/v3/ping", source_address=("127.0.0.2", 0))
        assert elsewhere[0] == 200


def test_an_address_that_a_client_claims_for_itself_counts_for_nothing():
    with SandboxServer(exchange(weight_limit=Limit(1, 10))) as serving:
        claims = [{"X-Forwarded-For": f"10.0.0.{n}"} for n in range(2)]
        statuses = [ask(serving, "GET", "/api/v3/ping", headers=claim)[0] for claim in claims]
    assert statuses == [200, 429]


def test_two_servers_run_in_one_process_and_keep_apart():
    with SandboxServer(exchange()) as one, SandboxServer(exchange()) as two:
        assert one.url != two.url
        assert ask(one, "GET", "/api/v3/ping")[0] == 200
        assert (len(one.exchange.arrivals), len(two.exchange.arrivals)) == (1, 0)
    with SandboxServer(one.exchange) as again:
        assert ask(again, "GET", "/api/v3/ping")[0] == 200
    assert len(one.exchange.arrivals) == 2


def test_a_server_starts_once_and_stops_as_often_as_one_likes():
    serving = SandboxServer(exchange())
    serving.stop()
    serving.start()
    with pytest.raises(HauberkError, match="once"):
        serving.start()
    serving.stop()
    serving.stop()


def test_a_port_that_is_taken_is_said_so(server):
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        SandboxServer(exchange(), port=port).start()


def test_answers_are_not_held_back_by_nagles_algorithm():
    with SandboxServer(exchange()) as serving:
        connection = connect(serving)
        connection.request("GET", "/api/v3/ping")
        connection.getresponse().read()
        (protocol,) = serving._server.server_state.connections
        accepted = protocol.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.close()


def test_stopping_answers_what_hangs_and_drops_what_is_half_sent():
    arrived = threading.Event()

    def clock():
        arrived.set()
        return THEN_NS

    serving = SandboxServer(SandboxExchange(clock))
    serving.start()
    hanging, half, idle = connect(serving), connect(serving), connect(serving)
    idle.request("POST", "/nowhere", "")
    idle.getresponse().read()
    half.putrequest("POST", "/api/v3/order")
    half.putheader("Content-Length", "10")
    half.endheaders(b"12345")
    serving.exchange.hang_next()
    arrived.clear()
    hanging.request("GET", "/api/v3/ping")
    assert arrived.wait(20)
    serving.stop()
    response = hanging.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (503, -1007)
    for connection in (hanging, half, idle):
        connection.close()


def test_it_starts_and_stops_twice_without_a_warning_and_loads_no_other_plugin():
    code = """
import sys
from hauberk_plugins.sandbox import SandboxServer
assert "uvicorn" not in sys.modules
assert {name.split(".")[1] for name in sys.modules if "hauberk_plugins." in name} == {"sandbox"}
import http.client
for _ in range(2):
    with SandboxServer() as server:
        connection = http.client.HTTPConnection(server.url[7:])
        connection.request("GET", "/api/v3/ping")
        assert connection.getresponse().read() == b"{}"
    connection.close()
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # asyncio's own remark in this mode, on a machine that was busy.
    told = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.returncode, told, done.stdout) == (0, [], "")


def get(target, *headers):
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: x", *headers, b"", b""])


def post(body, *headers):
    path = b"POST /api/v3/order HTTP/1.1"
    return b"\r\n".join([path, b"Host: x", *headers, b"", body])


PRICE = b"/api/v3/ticker/price?symbol="
HOSTILE = {
    "no HTTP": b"\x16\x03\x01\x02\x00\r\n\r\n",
    "a header without a colon": get(b"/api/v3/ping", b"X-MBX-APIKEY"),
    "a bare return in a header": get(b"/api/v3/ping", b"X-MBX-APIKEY: a\rX-Evil: 1"),
    "a NUL in a header": get(b"/api/v3/ping", b"X-MBX-APIKEY: a\x00"),
    "a space before the colon": get(b"/api/v3/ping", b"Content-Length : 3"),
    "two lengths": post(b"abc", b"Content-Length: 3", b"Content-Length: 4"),
    "a negative length": post(b"abc", b"Content-Length: -3"),
    "a length and chunks": post(b"0\r\n\r\n", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunks": post(b"3\r\na=1\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "broken chunks": post(b"zz\r\nabc\r\n", b"Transfer-Encoding: chunked"),
    "a URL too long": get(PRICE + b"x" * 10_000),
    "a URL without end": b"GET /api/v3/ping?a=" + b"x" * 20_000,
    "a header without end": b"GET /api/v3/ping HTTP/1.1\r\nX-A: " + b"x" * 20_000,
    "a body too long": post(b"x" * 70_000, b"Content-Length: 70000"),
    "a percent sign alone": get(PRICE + b"%"),
    "half an escape": get(PRICE + b"%4"),
    "an escape that is none": get(PRICE + b"%ZZ"),
    "an escaped line feed": get(PRICE + b"a%0d%0aX-Evil:%201"),
    "an escaped NUL": get(PRICE + b"BTC%00USDT"),
    "an escape that is not UTF-8": get(PRICE + b"%ff"),
    "a surrogate": get(PRICE + b"%ed%a0%80"),
    "an escaped name with a line feed": get(b"/api/v3/ping?a%0ab=1"),
    "an ampersand too many": get(PRICE + b"BTCUSDT&"),
    "a hundred parameters": get(b"/api/v3/ping?" + b"&".join(b"a%d=1" % n for n in range(100))),
    "JSON": post(b'{"symbol":1}', b"Content-Length: 12", b"Content-Type: application/json"),
    "raw bytes in a body": post(b"a=\xff", b"Content-Length: 3"),
}


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_is_answered_400_and_the_server_lives_on(server, sent):
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(sent)
        answer = client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"evil" not in answer.lower().partition(b"\r\n\r\n")[0]
    assert ask(server, "GET", "/api/v3/ping")[0] == 200


def test_a_body_of_megabytes_and_a_client_that_hangs_up_do_no_harm(server):
    host, _, port = server.url.removeprefix("http://").partition(":")
    for sent in (
        post(b"x" * 3_000_000, b"Content-Length: 3000000"),
        post(b"x", b"Content-Length: 3000000"),
        b"GET /api",
        b"",
    ):
        with socket.create_connection((host, int(port)), timeout=20) as client:
            try:
                client.sendall(sent)
            except OSError:
                continue
    assert ask(server, "GET", "/api/v3/ping")[0] == 200
