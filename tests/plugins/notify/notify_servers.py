"""Servers on loopback: a webhook, a mail server, and some that misbehave."""

from __future__ import annotations

import json
import queue
import socket
import socketserver
import struct
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PATIENCE_S = 30.0


class Served:
    """A server that runs on a thread within a `with` block."""

    server: socketserver.BaseServer

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])  # type: ignore[call-overload]


class Webhook(Served):
    """Takes what is posted as JSON; answers `status`, which a test may set."""

    def __init__(self, port: int = 0) -> None:
        self.got: queue.Queue[dict[str, Any]] = queue.Queue()
        self.status = 200
        self.paths: list[str] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.paths.append(self.path)
                self.send_response(hook.status)
                self.end_headers()
                if hook.status == 200:
                    hook.got.put(json.loads(body))

            def log_message(self, *args: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True

    def url(self, last: str = "hook") -> str:
        return f"json://127.0.0.1:{self.port}/{last}"

    def take(self) -> dict[str, Any]:
        return self.got.get(timeout=PATIENCE_S)


class MailServer(Served):
    """Speaks as much of SMTP as it takes to be given a message."""

    def __init__(self) -> None:
        self.got: queue.Queue[EmailMessage] = queue.Queue()
        self.refuses = ""
        mail = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 local")
                while line := self.rfile.readline():
                    verb = line[:4].upper().strip()
                    if verb == b"QUIT":
                        return self.say("221 bye")
                    if verb == b"EHLO":
                        self.say("250-local\r\n250 AUTH PLAIN LOGIN")
                    elif verb == b"AUTH":
                        self.say("235 good" if not mail.refuses else mail.refuses)
                    elif verb == b"DATA":
                        self.say("354 go on")
                        lines = iter(self.rfile.readline, b".\r\n")
                        raw = b"".join(one.removeprefix(b".") for one in lines)
                        message = message_from_bytes(raw, policy=policy.default)
                        mail.got.put(message)
                        self.say("250 taken")
                    else:
                        self.say("250 fine")
                return None

            def say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def url(self, last: str = "mail-password") -> str:
        query = "from=bot@example.com&to=ops@example.com&mode=insecure"
        return f"mailto://bot:{last}@127.0.0.1:{self.port}?{query}"

    def take(self) -> EmailMessage:
        return self.got.get(timeout=PATIENCE_S)


class Misbehaving(Served):
    """A server that `hangs`, `drips` a byte now and then, `resets` or `refuses` the connection."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.over = threading.Event()
        self.asked = threading.Event()
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(1)
                server.asked.set()
                if how == "resets":
                    linger = struct.pack("ii", 1, 0)
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.request.close()
                elif how == "hangs":
                    server.over.wait(PATIENCE_S)
                else:
                    self.drip()

            def drip(self) -> None:
                try:
                    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000:
                        self.request.sendall(bytes([byte]))
                        if server.over.wait(0.1):
                            return
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def shutdown_request(self, request: Any) -> None:
                self.close_request(request)

        self.server = Server(("127.0.0.1", 0), Handler)
        self._port = int(self.server.server_address[1])
        if how == "refuses":
            self.server.server_close()

    def __enter__(self) -> Self:
        return self if self.how == "refuses" else super().__enter__()

    def __exit__(self, *args: object) -> None:
        self.over.set()
        if self.how != "refuses":
            super().__exit__(*args)

    @property
    def port(self) -> int:
        return self._port

    def url(self, last: str = "hook") -> str:
        return f"json://127.0.0.1:{self.port}/{last}?rto=60&cto=60"
