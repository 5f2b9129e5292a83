"""Exactly the signed bytes are sent, by every client: seen on a raw socket."""

from __future__ import annotations

import pytest

import hauberk

WILD = "~*'()!$ %2b+/?:@;,[]{}|^`\"<>é中\\&=#"
REDIRECT = (
    b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /api/v3/elsewhere\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)
#: What the client's library says by itself; everything else was judged and signed.
OWN = {b"host", b"accept", b"accept-encoding", b"user-agent", b"connection", b"content-length"}


@pytest.fixture
def signed(monkeypatch):
    """What the guard cleared, in order."""
    kept = []
    for name in ("clear", "aclear"):
        _keep(monkeypatch, name, kept)
    return kept


def _keep(monkeypatch, name, kept):
    cleared = getattr(hauberk.Guard, name)
    if name == "clear":

        def keep(self, *args, **options):
            kept.append(cleared(self, *args, **options))
            return kept[-1]
    else:

        async def keep(self, *args, **options):
            kept.append(await cleared(self, *args, **options))
            return kept[-1]

    monkeypatch.setattr(hauberk.Guard, name, keep)


def parted(arrived):
    head, _, body = arrived.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.split(b" ")
    return method, target, [tuple(line.split(b": ", 1)) for line in lines], body


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_url_headers_and_body_go_out_as_they_were_signed(method, call, open_guard, wire, signed):
    socket = wire()
    caller = call(open_guard(socket.url), socket.url)
    params = {"symbol": "BTCUSDT", "newClientOrderId": WILD, "empty": ""}
    if method == "POST":
        caller.send("POST", "/api/v3/order", params, headers={"X-Note": "judged"})
    else:
        caller.send(method, "/api/v3/order", params=params, headers={"X-Note": "judged"})
    (cleared,) = signed
    request = cleared.request
    sent, target, headers, body = parted(socket.arrived[0])
    assert sent.decode() == request.method == method
    assert socket.url + target.decode() == request.url
    assert body == request.body
    judged = [(name, value) for name, value in headers if name.lower() not in OWN]
    assert judged == [(name.encode(), value.encode()) for name, value in request.headers]
    assert len({name.lower() for name, _ in headers}) == len(headers)
    assert dict(cleared.judged.params) == params
    length = {name.lower(): value for name, value in headers}.get(b"content-length")
    assert length == (str(len(body)).encode() if method == "POST" else length)


def test_characters_that_libraries_rewrite_go_out_as_signed(call, open_guard, wire, monkeypatch):
    socket = wire()
    caller = call(open_guard(socket.url), socket.url)
    odd = "/api/v3/account?a=%7E%2b%2B~'()*!$[]|<\">^`&signature=%41bc"

    def sign(request):
        return request.signed(url=socket.url + odd, headers=(("X-MBX-APIKEY", "k"),), body=b"")

    monkeypatch.setattr("hauberk.dispatch.check_signed", lambda *_: None)
    monkeypatch.setattr(caller.guard.snapshot.signers["signing"], "function", sign)
    caller.send("GET", "/api/v3/account")
    assert parted(socket.arrived[0])[1].decode() == odd


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_not_followed(method, call, open_guard, wire):
    socket = wire(REDIRECT, REDIRECT)
    options = {"follow_redirects": True} if "httpx" in str(call) else {}
    caller = call(open_guard(socket.url), socket.url, **options)
    if caller.name.startswith("httpx"):
        caller.client.follow_redirects = True
    path = "/api/v3/order" if method == "POST" else "/api/v3/account"
    if caller.name == "aiohttp":
        with pytest.raises(caller.library.TooManyRedirects, match="one URL") as caught:
            caller.send(method, path)
        assert "signature" not in str(caught.value)
    else:
        assert caller.send(method, path).status == 307
    assert len(socket.arrived) == 1


def test_nothing_is_sent_twice_when_the_exchange_hangs_up(call, open_guard, wire):
    socket = wire(b"", b"")
    caller = call(open_guard(socket.url), socket.url)
    with pytest.raises(caller.error):
        caller.send("DELETE", "/api/v3/order", params={"symbol": "BTCUSDT", "orderId": "1"})
    assert len(socket.arrived) == 1


@pytest.mark.parametrize(
    "headers",
    [{"X-HTTP-Method-Override": "DELETE"}, {"Host": "evil.example"}, {"Transfer-Encoding": "gzip"}],
    ids=["method", "host", "framing"],
)
def test_a_header_that_steers_is_denied(headers, call, open_guard, wire):
    socket = wire()
    caller = call(open_guard(socket.url), socket.url)
    with pytest.raises((hauberk.Denied, ValueError)):
        caller.send("POST", "/api/v3/order", {"symbol": "BTCUSDT"}, headers=headers)
    assert socket.arrived == []


def test_the_bot_sees_what_it_asked_for(call, open_guard, wire, signed):
    socket = wire()
    caller = call(open_guard(socket.url), socket.url)
    answer = caller.send("GET", "/api/v3/account", params={"omitZeroBalances": "true"}).raw
    shown = answer.request_info if caller.name == "aiohttp" else answer.request
    assert str(answer.url) == str(shown.url) == f"{socket.url}/api/v3/account?omitZeroBalances=true"
    assert "X-MBX-APIKEY" not in shown.headers
