"""ccxt: an exchange whose requests are cleared; of `ccxt`, `ccxt.async_support` and `ccxt.pro`.

    exchange = hauberk.clients.ccxt.guarded(ccxt.binance(), guard, account="main")
    exchange.create_order("BTC/USDT", "limit", "buy", 0.001, 60_000)

The exchange holds no key. Its own throttle is off: the guard paces, public calls too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hauberk import errors
from hauberk.clients.ccxtstreams import objection
from hauberk.clients.ccxtunsigned import MARK, STAND_INS, stripped
from hauberk.clients.denials import denial
from hauberk.clients.passage import ON_ITS_WAY, Passage, Trip
from hauberk.clients.unsigned import unsigned
from hauberk.request import Request, Response

if TYPE_CHECKING:
    from hauberk.guard import Guard

_E = TypeVar("_E")
#: Whether ccxt is writing a request, which is the only thing that it may want to sign.
_IN_SIGN: Final[ContextVar[bool]] = ContextVar("hauberk_ccxt_in_sign", default=False)
_NO_SIGNATURE: Final = (
    "Hauberk signs HTTP requests only, and this wants a signature elsewhere: use the method that "
    "goes over HTTP, as create_order in place of create_order_ws"
)


def guarded(
    exchange: _E, guard: Guard, account: str = "main", *, timeout_s: float | None = None
) -> _E:
    """Put an exchange of ccxt behind a guard.

    Args:
        exchange: Made without keys; it is changed, and returned.
        guard: What clears its requests.
        account: Whose they are. Where it has a `base_url`, requests go there.
        timeout_s: How long a request may wait to be cleared; `kernel.timeout_s` unless given. The
            exchange's own `timeout` counts from when it leaves.

    Raises:
        MisuseError: It holds keys, has a session of its own, or is guarded already; or there is no
            such account.
    """
    made: Any = exchange
    for name in ("apiKey", "secret", "password", "privateKey"):
        if getattr(made, name, None):
            raise errors.MisuseError(
                f"ccxt is not to hold {name}: put it where hauberk.yml says, and make the exchange "
                "without it"
            )
    binding = guard.snapshot.bindings.get(account)
    if binding is None:
        raise errors.MisuseError(f"hauberk.yml has no account {account!r}")
    is_async = iscoroutinefunction(made.fetch)
    if is_async and not made.own_session:
        raise errors.MisuseError(
            "an exchange with a session of its own cannot be guarded: leave it out"
        )
    if hasattr(made, "_hauberk"):
        raise errors.MisuseError("this exchange is guarded already")
    made.enableRateLimit = False
    for name, text in STAND_INS.items():
        if made.requiredCredentials.get(name):
            setattr(made, name, text)
    made._hauberk = Passage(guard, account, timeout_s=timeout_s, denied=denied())
    kind: Any = type(made)
    made.__class__ = (_async_kind if is_async else _sync_kind)(kind)
    if not is_async:
        from hauberk.clients import requests as beneath

        adapter = beneath.parts().Adapter(guard, account, timeout_s=timeout_s, denied=denied())
        for scheme in ("https://", "http://"):
            made.session.mount(scheme, adapter)
        if type(made.session) is beneath.parts().Straight.__base__:
            made.session.__class__ = beneath.parts().Straight
    return exchange


@cache
def denied() -> type[errors.Denied]:
    """Return the class of denials: a `ccxt.PermissionDenied`, which ccxt does not try again."""
    import ccxt  # type: ignore[import-not-found,unused-ignore]

    return denial(ccxt.PermissionDenied, __name__)


class _Unsigned:
    """What an exchange has that cannot sign: mixed in before ccxt's class."""

    _hauberk: Passage

    def sign(
        self, path: Any, api: Any = "public", method: Any = "GET", params: Any = None, *rest: Any
    ) -> Any:
        """Write a request as ccxt does, and leave out what signing adds."""
        binding = self._hauberk.guard.snapshot.bindings[self._hauberk.account]
        params = {} if params is None else params
        names = list(params) if isinstance(params, dict) else []
        before = _IN_SIGN.set(True)
        try:
            made = super().sign(path, api, method, params, *rest)  # type: ignore[misc]
        finally:
            _IN_SIGN.reset(before)
        return stripped(made, names, binding.venue, binding.account.base_url)

    def check_required_credentials(self, error: bool = True) -> bool:  # noqa: ARG002
        """Say yes: they are with Hauberk."""
        return True

    def on_rest_response(
        self, code: Any, reason: Any, url: Any, method: Any, headers: Any, body: Any, *rest: Any
    ) -> Any:
        trip = ON_ITS_WAY.get()
        if trip is not None:
            pairs = [(str.__str__(name), str.__str__(text)) for name, text in headers.items()]
            trip.response = Response(int(code), pairs, body.encode())
        return super().on_rest_response(code, reason, url, method, headers, body, *rest)  # type: ignore[misc]

    def _asked(self, url: str, method: str, headers: Any, body: Any) -> Request:
        if body is not None and not isinstance(body, str):
            raise self._refusal("the body is no text: Hauberk cannot judge it")
        # What ccxt adds to these is its HTTP client's own, and nothing else of it is sent.
        all_headers = {**(headers or {}), **self.headers}  # type: ignore[attr-defined]
        pairs = [(str(name), str(text)) for name, text in all_headers.items()]
        content = (body or "").encode()
        return unsigned(method, url, pairs, content, self._hauberk.account)[0]

    def _refusal(self, why: str) -> errors.Denied:
        return denied()("clients.ccxt", why)

    def _no_signature(self, *args: Any, **options: Any) -> Any:  # noqa: ARG002
        if _IN_SIGN.get():
            return MARK
        raise self._refusal(_NO_SIGNATURE)

    def hmac(self, *args: Any, **options: Any) -> Any:
        """Stand in for ccxt's."""
        is_binary = "binary" in (*args[3:4], options.get("digest"))
        made = self._no_signature()
        return made.encode() if is_binary else made

    def rawencode(self, params: Any = {}, *rest: Any) -> Any:  # noqa: B006 - as ccxt has it
        """Escape what ccxt would leave to its HTTP client: what is judged has one reading."""
        if _IN_SIGN.get():
            return self.urlencode(params, *rest)  # type: ignore[attr-defined]
        return super().rawencode(params, *rest)  # type: ignore[misc]

    rsa = eddsa = ecdsa = jwt = sign_hash = sign_message = sign_message_string = _no_signature
    totp = starknet_sign = eth_sign = _no_signature


@contextmanager
def _on_its_way(trip: Trip) -> Iterator[None]:
    before = ON_ITS_WAY.set(trip)
    try:
        yield
    finally:
        ON_ITS_WAY.reset(before)


@cache
def _sync_kind(kind: Any) -> Any:
    class Guarded(_Unsigned, kind):  # type: ignore[misc]
        def throttle(self, cost: Any = None) -> None:
            """Leave pacing to the guard."""

        def fetch(
            self, url: Any, method: Any = "GET", headers: Any = None, body: Any = None
        ) -> Any:
            asked = self._asked(url, method, headers, body)

            def carry(trip: Trip) -> Any:
                with _on_its_way(trip):
                    return kind.fetch(self, url, method, headers, body)

            return self._hauberk.send(asked, carry)

    Guarded.__name__ = Guarded.__qualname__ = kind.__name__
    return Guarded


@cache
def _async_kind(kind: Any) -> Any:
    from hauberk.clients import aiohttp as beneath

    class Guarded(_Unsigned, kind):  # type: ignore[misc]
        session: Any

        async def throttle(self, cost: Any = None) -> None:
            """Leave pacing to the guard."""

        async def fetch(
            self, url: Any, method: Any = "GET", headers: Any = None, body: Any = None
        ) -> Any:
            asked = self._asked(url, method, headers, body)

            async def carry(trip: Trip) -> Any:
                with _on_its_way(trip):
                    return await kind.fetch(self, url, method, headers, body)

            return await self._hauberk.asend(asked, carry)

        def open(self, lazy: bool = False) -> None:
            before = self.session
            super().open(lazy)
            if self.session is before:
                return
            passage, unguarded = self._hauberk, self.session
            self.session = beneath.session(
                passage.guard, passage.account,
                connector=self.tcp_connector, trust_env=self.aiohttp_trust_env,
            )  # fmt: skip
            unguarded.detach()

        def get_socks_proxy_session(self, proxy: Any) -> Any:  # noqa: ARG002
            raise self._refusal("SOCKS would lead requests past the guard: use an HTTP proxy")

        def watch(self, url: Any, message_hash: Any, message: Any = None, *rest: Any,
                  **options: Any) -> Any:  # fmt: skip
            self._judge(message)
            return super().watch(url, message_hash, message, *rest, **options)

        def watch_multiple(self, url: Any, message_hashes: Any, message: Any = None, *rest: Any,
                           **options: Any) -> Any:  # fmt: skip
            self._judge(message)
            return super().watch_multiple(url, message_hashes, message, *rest, **options)

        def client(self, url: Any) -> Any:
            """Return the connection to a stream, which sends only what was looked at."""
            made = super().client(url)
            if not hasattr(made, "_hauberk_send"):
                made._hauberk_send = made.send

                async def send(message: Any) -> Any:
                    self._judge(message)
                    return await made._hauberk_send(message)

                made.send = send
            return made

        def _judge(self, message: Any) -> None:
            if message is not None and (why := objection(message)):
                raise self._refusal(
                    f"a WebSocket message was not sent, since {why}. {_NO_SIGNATURE}"
                )

    Guarded.__name__ = Guarded.__qualname__ = kind.__name__
    return Guarded


def __getattr__(name: str) -> Any:
    """Make `Denied` when it is first asked for."""
    if name != "Denied":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return denied()
