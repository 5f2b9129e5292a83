"""`HttpTransport`: what is sent is what was given, to the byte, and nothing is followed."""

from __future__ import annotations

import socket
import threading

import pytest

from hauberk.request import Request
from hauberk_plugins.transport.http import MAX_BODY, HttpTransport

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Used: 1\r\n\r\n{}"


class Listener:
    """Takes one connection, keeps what comes, and answers."""

    def __init__(self, answer):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heard = b""
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        connection, _ = self._socket.accept()
        with connection:
            while b"\r\n\r\n" not in self.heard or not self._is_whole():
                self.heard += connection.recv(65_536)
            if self._answer is not None:
                connection.sendall(self._answer)

    def _is_whole(self):
        head, _, body = self.heard.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return len(body) >= int(line.split(b":")[1])
        return True

    def close(self):
        self._thread.join()
        self._socket.close()


@pytest.fixture
def listen():
    listeners = []

    def listen(answer=ANSWER):
        listeners.append(Listener(answer))
        return listeners[-1]

    yield listen
    for one in listeners:
        one.close()


def signed(port, method="GET", target="/x", headers=(), body=b""):
    url = f"http://127.0.0.1:{port}{target}"
    return Request(method, "https://x.test/x").signed(url=url, headers=headers, body=body)


def test_a_query_goes_out_as_it_was_signed(listen):
    listener = listen()
    target = "/x?a=%7E~%2b%2B$&b=%e4%E4&signature=ab/c=="
    answer = HttpTransport().send(signed(listener.port, target=target), timeout_s=5)
    assert listener.heard.split(b"\r\n")[0] == f"GET {target} HTTP/1.1".encode()
    assert (answer.status, answer.body, answer.header("x-used")) == (200, b"{}", "1")


def test_body_and_headers_go_out_as_they_were_signed(listen):
    listener = listen()
    headers = (("X-Key", "k"), ("Content-Type", "application/json"))
    body = '{"ä":"\\u00e4 "}'.encode()
    HttpTransport().send(signed(listener.port, "POST", "/x", headers, body), timeout_s=5)
    head, _, sent = listener.heard.partition(b"\r\n\r\n")
    assert sent == body
    assert b"X-Key: k\r\nContent-Type: application/json\r\n" in head + b"\r\n"


def test_a_redirect_is_an_answer_and_is_not_followed(listen):
    listener = listen(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    )
    assert HttpTransport().send(signed(listener.port), timeout_s=5).status == 302


def test_a_proxy_of_the_environment_is_not_used(listen, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert HttpTransport().send(signed(listen().port), timeout_s=5).status == 200


def test_an_answer_without_end_is_cut(listen):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 10)
    listener = listen(head + b"x" * (MAX_BODY + 10))
    assert len(HttpTransport().send(signed(listener.port), timeout_s=5).body) == MAX_BODY


@pytest.mark.parametrize(
    ("answer", "error"),
    [(b"nonsense\r\n\r\n", "BadStatusLine"), (b"", "RemoteDisconnected"), (None, None)],
)
def test_what_is_no_answer_is_an_error_by_name(listen, answer, error):
    found = HttpTransport().send(signed(listen(answer).port), timeout_s=5)
    assert found.status == 0
    assert found.error == (error or "RemoteDisconnected")


def test_nobody_there_is_an_error_by_name():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = HttpTransport().send(signed(port), timeout_s=5)
    assert (found.status, found.error) == (0, "ConnectionRefusedError")


def test_a_certificate_that_nobody_vouches_for_is_refused(listen):
    listener = listen(ANSWER)
    request = signed(listener.port)
    url = request.url.replace("http://", "https://")
    # A server that does not even speak TLS: the listener sees no request.
    listener.heard = b"\r\n\r\n"
    found = HttpTransport().send(request.signed(url=url, headers=(), body=b""), timeout_s=5)
    assert found.error.startswith("SSL")
