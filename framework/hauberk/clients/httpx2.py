"""httpx2: a client whose requests are cleared, or a transport for a client of one's own.

client = hauberk.clients.httpx2.client(guard, account="main")
client.post("https://api.binance.com/api/v3/order", data={"symbol": "BTCUSDT", ...})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hauberk.clients.httpxfamily import family, refuse_bypass

if TYPE_CHECKING:
    import httpx2

    from hauberk.guard import Guard


def client(
    guard: Guard,
    account: str = "main",
    *,
    transport: httpx2.BaseTransport | None = None,
    timeout_s: float | None = None,
    **options: Any,
) -> httpx2.Client:
    """Make a client that is guarded.

    Args:
        guard: What clears its requests.
        account: Whose they are.
        transport: What sends what was cleared; `httpx2.HTTPTransport()` unless given, for example
            with a proxy. Give one that does not retry: each attempt is to be cleared.
        timeout_s: How long a request may wait to be cleared; `kernel.timeout_s` unless given. The
            client's own timeouts count from when it leaves.
        **options: As for `httpx2.Client`, but what leads past the transport: `proxy`, `mounts`.

    Raises:
        MisuseError: An option would lead past it.
        ImportError: httpx2 is not installed: `pip install 'hauberk[httpx2]'`.
    """
    refuse_bypass(options)
    made = family("httpx2")
    beneath = made.Transport(guard, account, inner=transport, timeout_s=timeout_s)
    guarded: httpx2.Client = made.library.Client(transport=beneath, **options)
    return guarded


def async_client(
    guard: Guard,
    account: str = "main",
    *,
    transport: httpx2.AsyncBaseTransport | None = None,
    timeout_s: float | None = None,
    **options: Any,
) -> httpx2.AsyncClient:
    """The same for asyncio."""
    refuse_bypass(options)
    made = family("httpx2")
    beneath = made.AsyncTransport(guard, account, inner=transport, timeout_s=timeout_s)
    guarded: httpx2.AsyncClient = made.library.AsyncClient(transport=beneath, **options)
    return guarded


def __getattr__(name: str) -> Any:
    """Make `Denied`, `Transport` and `AsyncTransport` when they are first asked for."""
    if name not in ("Denied", "Transport", "AsyncTransport"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(family("httpx2"), name)
