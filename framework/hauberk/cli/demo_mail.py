"""A mail server on loopback, for `hauberk demo`: enough of SMTP (RFC 5321) to receive."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from types import TracebackType
from typing import Final

#: Bytes of a line, and of a message.
_MAX_LINE: Final = 2_000
_MAX_MAIL: Final = 1 << 20


class Mailbox:
    """Receives mail on 127.0.0.1 while the `with` block lasts.

    Attributes:
        url: Where apprise sends to.
    """

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._subjects: list[str] = []
        self._server = _Server(self._keep)
        port = self._server.server_address[1]
        self.url = f"mailto://127.0.0.1:{port}?mode=insecure&from=hauberk@demo.example&to=oncall@demo.example"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="hauberk-demo-mail", daemon=True
        )

    def __enter__(self) -> Mailbox:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Of what was received, in order."""
        with self._arrived:
            return tuple(self._subjects)

    def wait_for(self, suffices: Callable[[tuple[str, ...]], bool], seconds: float) -> bool:
        """Wait until what was received suffices; say whether it does."""
        with self._arrived:
            return self._arrived.wait_for(lambda: suffices(tuple(self._subjects)), seconds)

    def _keep(self, mail: bytes) -> None:
        subject = message_from_bytes(mail, policy=default)["Subject"]
        with self._arrived:
            self._subjects.append(str(subject))
            self._arrived.notify_all()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self.keep = keep
        super().__init__(("127.0.0.1", 0), _Session)


class _Session(socketserver.StreamRequestHandler):
    """One connection."""

    server: _Server
    timeout = 30.0

    def handle(self) -> None:
        self._say("220 demo.example ESMTP")
        while line := self.rfile.readline(_MAX_LINE):
            verb = line[:4].upper()
            if verb == b"DATA":
                self._say("354 go on, and end with a dot")
                self.server.keep(self._mail())
            if verb == b"QUIT":
                self._say("221 bye")
                return
            self._say("250 demo.example" if verb in _KNOWN else "502 not here")

    def _mail(self) -> bytes:
        lines: list[bytes] = []
        size = 0
        while (line := self.rfile.readline(_MAX_LINE)) not in (b".\r\n", b"") and size < _MAX_MAIL:
            size += len(line)
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


_KNOWN: Final = (b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP")
