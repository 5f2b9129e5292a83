"""An answer that ends too soon, or cannot be decoded: its status and headers count all the same."""

from __future__ import annotations

import pytest

import hauberk

TEAPOT = b"HTTP/1.1 418 I'm a teapot\r\nRetry-After: 300\r\nConnection: close\r\n"
CUT = {
    "cut": TEAPOT + b"Content-Length: 100\r\n\r\nxxx",
    "cut before its body": TEAPOT + b"Content-Length: 100\r\n\r\n",
    "cut in a chunk": TEAPOT + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}",
    "no gzip": TEAPOT + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxxx",
}


@pytest.mark.parametrize("answer", CUT.values(), ids=list(CUT))
def test_a_bot_that_is_shut_out_goes_no_further_though_the_answer_was_cut(
    answer, call, open_guard, wire
):
    socket = wire(answer, answer)
    guard = open_guard(socket.url)
    caller = call(guard, socket.url, timeout_s=0.1)
    seen = []
    guard.on_response(lambda request, response: seen.append(response))
    with pytest.raises(caller.error):
        caller.send("GET", "/api/v3/account")
    with pytest.raises(hauberk.Denied, match="shut"):
        caller.send("GET", "/api/v3/account")
    assert len(socket.arrived) == len(seen) == 1
    assert seen[0].status == 418
    assert seen[0].header("retry-after") == "300"
    assert seen[0].error
    assert seen[0].body == b""


@pytest.mark.parametrize("answer", CUT.values(), ids=list(CUT))
def test_an_exchange_that_shuts_us_out_when_asked_for_its_time_is_asked_no_more(
    answer, open_guard, wire
):
    socket = wire(answer, answer)
    guard = open_guard(socket.url, samples="true")
    with pytest.raises(hauberk.Denied, match="shut"):
        guard.clear(hauberk.Request("GET", f"{socket.url}/api/v3/account"), timeout_s=0.1)
    guard.close()
    for is_command in (False, True):
        again = open_guard(socket.url, samples="true", transient=is_command)
        with pytest.raises(hauberk.Denied, match="shut"):
            again.clear(hauberk.Request("GET", f"{socket.url}/api/v3/account"), timeout_s=0.1)
        again.close()
    assert [line.split()[1] for line in socket.arrived] == [b"/api/v3/time"]


def test_a_cut_answer_that_begins_well_does_not_look_whole(call, open_guard, wire):
    socket = wire(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{}")
    guard = open_guard(socket.url)
    seen = []
    guard.on_response(lambda request, response: seen.append(response))
    caller = call(guard, socket.url)
    with pytest.raises(caller.error):
        caller.order()
    assert [(one.status, bool(one.error), one.body) for one in seen] == [(200, True, b"")]


def test_a_header_that_stands_twice_is_settled_twice(call, open_guard, wire):
    head = (
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
    socket = wire(head)
    guard = open_guard(socket.url)
    seen = []
    guard.on_response(lambda request, response: seen.append(response))
    call(guard, socket.url).send("GET", "/api/v3/account")
    told = [(name.lower(), value) for name, value in seen[0].headers]
    assert [value for name, value in told if name == "x-a"] == ["1", "2"]
