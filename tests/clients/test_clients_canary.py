"""Keys, signatures and signed URLs: in no log, exception or traceback, whatever goes wrong."""

from __future__ import annotations

import http.client
import logging
import traceback

import pytest

KEY, SECRET = "canarykey" + "k" * 55, "canarysecret" + "s" * 52

MARKS = (KEY, SECRET, "signature", "X-MBX-APIKEY")
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
BROKEN = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{}",
    b"no HTTP\r\n\r\n",
)


@pytest.fixture
def said(caplog, capfd, monkeypatch):
    """All that was logged or printed: every logger at its lowest level, http.client's print too."""
    caplog.set_level(1)
    for name in list(logging.root.manager.loggerDict):
        monkeypatch.setattr(logging.getLogger(name), "level", 1)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)

    def text():
        out, err = capfd.readouterr()
        write = logging.Formatter().format
        # The sandbox's server, which knows what it is sent, is no client.
        lines = [write(one) for one in caplog.records if not one.name.startswith("uvicorn")]
        return "\n".join(lines) + out + err

    return text


def show(error):
    """An error as it may end up in a log: its text, its chain, its repr, and its notes."""
    chain, one = [], error
    while one is not None:
        chain += [str(one), repr(one), repr(getattr(one, "args", ()))]
        one = one.__cause__ or one.__context__
    return "".join(traceback.format_exception(error)) + "".join(chain)


def attempts(caller, *answers):
    errors = []
    for send in (
        lambda: caller.send("GET", "/api/v3/account", timeout=0.3),
        lambda: caller.send("DELETE", "/api/v3/order", params={"symbol": "A"}, timeout=0.3),
        lambda: caller.send("POST", "/api/v3/order", {"symbol": "A"}, timeout=0.3),
    ):
        try:
            raw = send().raw
            raw.raise_for_status()
        except Exception as error:
            errors.append(show(error))
    return errors


@pytest.mark.parametrize(
    "answer", [b"", b"hang", REFUSED, *BROKEN], ids=["hung up", "timeout", "401", "cut", "nonsense"]
)
def test_an_exchange_that_misbehaves_makes_nobody_tell(answer, call, open_guard, wire, said):
    socket = wire(answer, answer, answer)
    errors = attempts(call(open_guard(socket.url), socket.url))
    assert len(errors) == len(socket.arrived) == 3
    assert all(b"signature=" in arrived for arrived in socket.arrived)
    told = said() + "".join(errors)
    assert [mark for mark in MARKS if mark in told] == []


def test_an_exchange_that_is_not_there_makes_nobody_tell(call, open_guard, wire, said):
    socket = wire()
    socket.close()
    errors = attempts(call(open_guard(socket.url), socket.url))
    assert len(errors) == 3
    told = said() + "".join(errors)
    assert [mark for mark in MARKS if mark in told] == []


def test_what_goes_well_is_logged_without_secrets(call, open_guard, market, said):
    caller = call(open_guard(market.url), market.url)
    caller.order()
    caller.send("GET", "/api/v3/account")
    told = said()
    assert [mark for mark in MARKS if mark in told] == []
    assert caller.name == "aiohttp" or "/api/v3/order" in told  # that the logs were on
