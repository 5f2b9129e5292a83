"""HTTP/2: what is beneath a transport logs the headers that it writes; no key, no signed path."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import socket
import ssl
import threading
from contextlib import suppress
from importlib import import_module

import h2.config
import h2.connection
import h2.events
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY = "canarykey" + "k" * 55
MARKS = (KEY, "signature", "x-mbx-apikey")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with the key and the certificate of a server on this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36_500))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def exchange(certificate):
    """The URL of a server that speaks HTTP/2 alone, and what it was asked for."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.set_alpn_protocols(["h2"])
    listener = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with suppress(OSError), tls.wrap_socket(plain, server_side=True) as connection:
                    _talk(connection, asked)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}", asked
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(20)


def _talk(connection, asked):
    spoken = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    spoken.initiate_connection()
    connection.sendall(spoken.data_to_send())
    while data := connection.recv(65_536):
        for event in spoken.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                asked.append({bytes(name): bytes(value) for name, value in event.headers})
            if isinstance(event, h2.events.StreamEnded):
                spoken.send_headers(event.stream_id, [(":status", "200")])
                spoken.send_data(event.stream_id, b"{}", end_stream=True)
        connection.sendall(spoken.data_to_send())


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_no_key_and_no_signed_path_is_logged_over_http2(
    name, is_async, exchange, certificate, open_guard, caplog, monkeypatch
):
    url, asked = exchange
    library = import_module(name)
    module = import_module(f"hauberk.clients.{name}")
    trusted = ssl.create_default_context(cafile=str(certificate))
    guard = open_guard(url)
    path = f"{url}/api/v3/account"

    async def go():
        inner = library.AsyncHTTPTransport(http2=True, verify=trusted)
        made = module.AsyncTransport(guard, "main", inner=inner)
        async with library.AsyncClient(transport=made) as client:
            lower_all(caplog, monkeypatch)
            return [await client.get(path), await client.get(path)]

    if is_async:
        answers = asyncio.run(go())
    else:
        inner = library.HTTPTransport(http2=True, verify=trusted)
        made = module.Transport(guard, "main", inner=inner)
        with library.Client(transport=made) as client:
            lower_all(caplog, monkeypatch)
            answers = [client.get(path), client.get(path)]
    assert [answer.http_version for answer in answers] == ["HTTP/2"] * 2
    assert [one[b"x-mbx-apikey"] for one in asked] == [KEY.encode()] * 2
    assert "httpcore" in caplog.text  # that the logs were on
    assert [mark for mark in MARKS if mark in caplog.text.lower()] == []


def lower_all(caplog, monkeypatch):
    """Set every logger to its lowest level, after the transport was made."""
    caplog.set_level(1)
    for name in list(logging.root.manager.loggerDict):
        monkeypatch.setattr(logging.getLogger(name), "level", 1)
