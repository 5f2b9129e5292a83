"""The sandbox exchange as a server on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final

from hauberk.errors import HauberkError
from hauberk_plugins.sandbox.app import SandboxApp
from hauberk_plugins.sandbox.exchange import SandboxExchange

if TYPE_CHECKING:
    import uvicorn

STOP_TIMEOUT_S: Final = 10.0
_KEEP_ALIVE_S: Final = 75


class SandboxServer:
    """Serves an exchange over HTTP on 127.0.0.1 while the `with` block lasts.

    Several may run in one process, each with its own port. A server serves once: make another to
    serve the same exchange again.

    Args:
        exchange: What answers; an exchange with default limits if left out.
        port: 0 for any free one.

    Attributes:
        exchange: The exchange, with its controls.
        url: For example `http://127.0.0.1:41234`, known once the block is entered.
    """

    def __init__(self, exchange: SandboxExchange | None = None, *, port: int = 0) -> None:
        self.exchange = SandboxExchange() if exchange is None else exchange
        self.url = ""
        self._port = port
        self._app = SandboxApp(self.exchange)
        self._thread: threading.Thread | None = None
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._server: uvicorn.Server | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> SandboxServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Bind, then serve from a daemon thread; connections are accepted on return.

        Raises:
            HauberkError: It was started before.
            OSError: The port is taken.
        """
        if self._thread is not None:
            raise HauberkError("a SandboxServer starts once: make another one")
        self._server = _uvicorn(self._app)
        listener = _listener(self._port)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="hauberk-sandbox", daemon=True
        )
        self._thread.start()
        self._loop.result()

    def stop(self) -> None:
        """Stop serving: what is held back is answered 503. Does nothing if it is not serving.

        Raises:
            HauberkError: The server failed, or did not end within `STOP_TIMEOUT_S`.
        """
        if self._thread is None or self._server is None:
            return
        if self._thread.is_alive():
            self._server.should_exit = True
            with suppress(RuntimeError):  # its loop has just closed
                self._loop.result().call_soon_threadsafe(self._app.stop)
            self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            raise HauberkError(f"the sandbox at {self.url} did not stop in {STOP_TIMEOUT_S:g} s")
        if self._failure is not None:
            raise HauberkError(f"the sandbox at {self.url} failed") from self._failure

    def _run(self, listener: socket.socket) -> None:
        try:
            with listener:
                asyncio.run(self._serve(listener))
        except BaseException as failure:  # raised again by stop()
            self._failure = failure
            if not self._loop.done():
                self._loop.set_exception(failure)

    async def _serve(self, listener: socket.socket) -> None:
        self._loop.set_result(asyncio.get_running_loop())
        if self._server is not None:
            await self._server.serve(sockets=[listener])


def _listener(port: int) -> socket.socket:
    # asyncio turns Nagle's delay off only where the protocol is named, which `create_server` does
    # not; without that every answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _uvicorn(app: SandboxApp) -> uvicorn.Server:
    import uvicorn  # takes longer to import than the rest of the sandbox

    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            workers=1,
            log_config=None,
            access_log=False,
            # A client that names its own address would have limits of its own.
            proxy_headers=False,
            server_header=False,
            # The exchange's time is its clock's, not the machine's.
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(STOP_TIMEOUT_S) // 2,
            h11_max_incomplete_event_size=16 * 1024,
        )
    )
