"""What the fixture `sandbox` is: an exchange on loopback, and a key for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from attrs import frozen

from hauberk.ports import Clock
from hauberk.secret import Secret
from hauberk_plugins.sandbox import SandboxExchange, SandboxServer


@frozen
class RunningSandbox:
    """A sandbox exchange that is being served.

    Attributes:
        url: Where, for example `http://127.0.0.1:41234`: an account's `base_url`.
        key: An API key that may read and trade.
        secret: What it signs with.
        exchange: The exchange, with its controls and what it saw.
    """

    url: str
    key: str
    secret: Secret
    exchange: SandboxExchange


@contextmanager
def running_sandbox(clock: Clock) -> Iterator[RunningSandbox]:
    """Serve an exchange that goes by a clock while the `with` block lasts.

    Args:
        clock: The exchange's time; a guard on the same clock is never out of step with it.
    """
    exchange = SandboxExchange(clock.wall_ns)
    key, secret = exchange.add_key()
    with SandboxServer(exchange) as server:
        yield RunningSandbox(server.url, key, Secret(secret), exchange)
