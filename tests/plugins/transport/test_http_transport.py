"""`HttpTransport`: what is sent is what was given, to the byte, and nothing is followed."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hauberk.request import Request
from hauberk_plugins.transport import deadline
from hauberk_plugins.transport.deadline import Deadline, addresses
from hauberk_plugins.transport.http import MAX_BODY, HttpTransport

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Used: 1\r\n\r\n{}"


class Listener:
    """Takes one connection, keeps what comes, and answers."""

    def __init__(self, answer, tls=None):
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(30)
        self.port = self._socket.getsockname()[1]
        self.heard = b""
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        connection, _ = self._socket.accept()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            while b"\r\n\r\n" not in self.heard or not self._is_whole():
                self.heard += connection.recv(65_536)
            try:
                for part in (self._answer,) if type(self._answer) is bytes else self._answer:
                    connection.sendall(part)
            except OSError:
                pass  # who asked has gone

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

    def listen(answer=ANSWER, tls=None):
        listeners.append(Listener(answer, tls))
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
    ("answer", "error"), [(b"nonsense\r\n\r\n", "BadStatusLine"), (b"", "RemoteDisconnected")]
)
def test_what_is_no_answer_is_an_error_by_name(listen, answer, error):
    found = HttpTransport().send(signed(listen(answer).port), timeout_s=5)
    assert found.status == 0
    assert found.error == error


@pytest.mark.parametrize(
    "body",
    [b'Content-Length: 900\r\n\r\n{"a":1}', b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}"],
)
def test_an_answer_that_is_cut_off_keeps_what_it_says_of_limits(listen, body):
    answer = b"HTTP/1.1 418 I'm a teapot\r\nRetry-After: 300\r\n" + body
    found = HttpTransport().send(signed(listen(answer).port), timeout_s=5)
    assert (found.status, found.error, found.body) == (418, "IncompleteRead", b"")
    assert found.header("retry-after") == "300"


class Ticking:
    """A clock that goes on by a tenth of a second each time that it is looked at."""

    def __init__(self):
        self.now_ns = 0

    def __call__(self):
        self.now_ns += 100_000_000
        return self.now_ns


ENDLESS = {
    "a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
    "a line": (b"HTTP/1.1 200 OK\r\nA: ", b"b"),
    "promises": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_that_drips_ends_at_the_deadline(listen, what):
    begin, drop = ENDLESS[what]
    listener = listen(itertools.chain([begin], itertools.repeat(drop, 1_000_000)))
    clock = Ticking()
    with small_pieces():
        found = HttpTransport(monotonic_ns=clock).send(signed(listener.port), timeout_s=2)
    has_begun = what in ("a body", "chunks", "trailers")
    assert (found.status, found.error) == (200 if has_begun else 0, "TimeoutError")
    assert clock.now_ns < 3 * 10**9


@contextlib.contextmanager
def small_pieces():
    """Have each look at the network find a few bytes at most, however quick the other side is."""
    read = deadline._TimedReader.readinto
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            deadline._TimedReader, "readinto", lambda self, into: read(self, memoryview(into)[:9])
        )
        yield


def test_an_answer_that_comes_in_pieces_within_the_time_is_whole(listen):
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (40, b"y" * 40)
    listener = listen(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    with small_pieces():
        assert HttpTransport().send(signed(listener.port), timeout_s=30).body == b"y" * 40


def test_a_name_that_nobody_resolves_in_time_ends_at_the_deadline():
    hung = threading.Event()

    def resolve(host, port, family, kind, protocol=0, flags=0):
        if flags:
            raise socket.gaierror
        hung.wait(30)
        return []

    with pytest.raises(TimeoutError):
        addresses("x.test", 443, Deadline(0.05, time.monotonic_ns), resolve)
    hung.set()


def test_a_name_that_does_not_exist_is_an_error_like_any_other():
    def resolve(host, port, family, kind, protocol=0, flags=0):
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(socket.gaierror):
        addresses("x.test", 443, Deadline(5, time.monotonic_ns), resolve)


def test_of_several_addresses_the_next_is_tried(listen, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = taken.getsockname()[1]
    port = listen().port
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one)) for one in (dead, port)
    ]
    monkeypatch.setattr(deadline, "addresses", lambda host, port, deadline: found)
    assert HttpTransport().send(signed(port), timeout_s=5).status == 200
    monkeypatch.setattr(deadline, "addresses", lambda host, port, deadline: found[:1] * 2)
    assert HttpTransport().send(signed(port), timeout_s=5).error == "ConnectionRefusedError"


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


def certified():
    """Return how a server and its client speak TLS, by a certificate of their own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(today - datetime.timedelta(1))
        .not_valid_after(today + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return certificate.public_bytes(Encoding.PEM), private


def test_over_tls_the_answer_comes_or_the_deadline(listen, tmp_path):
    certificate, private = certified()
    (tmp_path / "both.pem").write_bytes(certificate + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "both.pem")
    client = ssl.create_default_context(cadata=certificate.decode())

    def sent(answer, **given):
        request = signed(listen(answer, server).port)
        request = request.signed(
            url=request.url.replace("http://127.0.0.1", "https://localhost"), headers=(), body=b""
        )
        return HttpTransport(client, **given).send(request, timeout_s=5)

    assert sent(ANSWER).body == b"{}"
    drip = itertools.chain([ENDLESS["a body"][0]], itertools.repeat(b"x", 1_000_000))
    with small_pieces():
        assert sent(drip, monotonic_ns=Ticking()).error == "TimeoutError"
