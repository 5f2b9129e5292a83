"""A connection that has so much time for everything together, whoever drips."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final, TypeAlias

#: `socket.getaddrinfo`, or what stands in for it.
Resolve: TypeAlias = Callable[..., list[tuple[Any, ...]]]

_NS: Final = 1_000_000_000


class Deadline:
    """A moment after which nothing is waited for.

    Args:
        timeout_s: How far off it is.
        monotonic_ns: A clock that never steps.
    """

    def __init__(self, timeout_s: float, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._end_ns = monotonic_ns() + round(timeout_s * _NS)

    def left_s(self) -> float:
        """Return how much time is left, never nothing.

        Raises:
            TimeoutError: None is.
        """
        left_ns = self._end_ns - self._monotonic_ns()
        if left_ns <= 0:
            raise TimeoutError
        return left_ns / _NS


class TimedConnection(http.client.HTTPConnection):
    """HTTP whose every step ends at a deadline."""

    def __init__(self, netloc: str, deadline: Deadline) -> None:
        super().__init__(netloc)
        self._deadline = deadline

    def connect(self) -> None:
        """Connect."""
        found = connected(self.host, self.port, self._deadline)
        self.sock: Any = _TimedSocket(found, self._deadline)


class TimedTlsConnection(http.client.HTTPSConnection):
    """HTTPS whose every step ends at a deadline."""

    def __init__(self, netloc: str, deadline: Deadline, context: ssl.SSLContext) -> None:
        super().__init__(netloc, context=context)
        self._tls = context
        self._deadline = deadline

    def connect(self) -> None:
        """Connect, and check the certificate."""
        plain = connected(self.host, self.port, self._deadline)
        try:
            plain.settimeout(self._deadline.left_s())
            found = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
        self.sock: Any = _TimedSocket(found, self._deadline)


def connected(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address of a host that takes it; each has its share of the time.

    Raises:
        OSError: None does; a `TimeoutError` where the time is over.
    """
    found = addresses(host, port, deadline)
    for index, (family, kind, protocol, _, address) in enumerate(found):
        is_last = index == len(found) - 1
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left_s() / (len(found) - index))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException as error:
            connection.close()
            if is_last or not isinstance(error, OSError):
                raise
        else:
            return connection
    raise OSError("the host has no address")


def addresses(
    host: str, port: int, deadline: Deadline, resolve: Resolve = socket.getaddrinfo
) -> list[tuple[Any, ...]]:
    """Look a host's addresses up.

    Raises:
        OSError: It has none; a `TimeoutError` where none is found in time.
    """
    try:
        return resolve(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # a name
    found: list[tuple[Any, ...]] = []
    failed: list[Exception] = []

    def look_up() -> None:
        try:
            found.extend(resolve(host, port, 0, socket.SOCK_STREAM))
        except Exception as error:  # raised below, where somebody waits for it
            failed.append(error)

    # Nothing can interrupt the system's resolver; whatever it still finds is of no use to anybody.
    thread = threading.Thread(target=look_up, name="hauberk-resolver", daemon=True)
    thread.start()
    thread.join(deadline.left_s())
    if failed:
        raise failed[0]
    if thread.is_alive():
        raise TimeoutError
    return found


class _TimedSocket:
    """As much of a socket as `http.client` uses."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(self._deadline.left_s())
        self._connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - it is always "rb"
        return io.BufferedReader(_TimedReader(self._connection, self._deadline))

    def close(self) -> None:
        self._connection.close()


class _TimedReader(io.RawIOBase):
    """What comes. It keeps the socket open, as `http.client` wants it, until it is closed too."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._raw = connection.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(self._deadline.left_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
