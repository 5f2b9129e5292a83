"""Hypothesis strategies for every kernel type: valid values only, as wide as they may be.

    @given(strategies.requests())
    def test_reads_are_free(request): ...

Text is any Unicode that the type takes, collections are often empty, and numbers reach to their
ends. What `requests()` draws is what a guard of `make_guard` shows to its hooks: an account that
it has, a URL of the venue `open`, the operation that this URL maps to, and an id.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import string
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote, urlencode

from hauberk.accounts import Account
from hauberk.batch import SignedBatch
from hauberk.binding import STEERING
from hauberk.records import Event, Identity, Incident, Login, Outcome, Severity
from hauberk.request import MAX_URL, Operation, Pairs, Request, Response
from hauberk.secret import Secret
from hauberk.testing.extras import Absent
from hauberk.testing.ports import OpenVenue
from hauberk.verdicts import Deny, Wait

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

try:
    from hypothesis import strategies as st
except ModuleNotFoundError:
    st = Absent("hypothesis")  # type: ignore[assignment]


__all__ = [
    "accounts",
    "batches",
    "denies",
    "durations",
    "events",
    "identities",
    "incidents",
    "logins",
    "operations",
    "outcomes",
    "requests",
    "responses",
    "secrets",
    "severities",
    "waits",
]

_OPEN: Final = OpenVenue()
LONGEST_PATH: Final = "/" + "a" * 8_000
#: What signing puts into a URL behind the parameters, at most.
_SIGNED: Final = 100
_TOKEN: Final = string.ascii_letters + string.digits + "!#$%&'*+.^_`|~-"
_SEGMENT: Final = string.ascii_letters + string.digits + "-._~!$&'()*+,=:@"
_WALL_NS: Final = st.integers(0, 2**63 - 1) | st.integers(1_600_000_000, 1_900_000_000).map(
    lambda seconds: seconds * 1_000_000_000
)

_ORDER: Final[dict[str, SearchStrategy[str]]] = {
    "symbol": st.sampled_from(["BTCUSDT", "ETHUSDT", "LTCBTC"]),
    "side": st.sampled_from(["BUY", "SELL"]),
    "type": st.sampled_from(["LIMIT", "MARKET", "STOP_LOSS"]),
    "quantity": st.sampled_from(["1", "0.001", "0", "-1", "1e400", "NaN", "", "9" * 40]),
    "price": st.sampled_from(["60000", "0.00000001", "0", "-0", "inf", "1,5", "9" * 40]),
    "timeInForce": st.sampled_from(["GTC", "IOC"]),
    "reduceOnly": st.sampled_from(["true", "false"]),
}


def operations() -> SearchStrategy[Operation]:
    """What a request may do."""
    return st.sampled_from(Operation)


def severities() -> SearchStrategy[Severity]:
    """How bad an incident may be."""
    return st.sampled_from(Severity)


def durations() -> SearchStrategy[float | int]:
    """Seconds, as verdicts hold them: finite, not negative, int or float."""
    usual: SearchStrategy[float | int] = st.sampled_from([0, 0.001, 1, 59.9, 60, 3_600.0])
    return usual | st.floats(0, allow_infinity=False) | st.integers(0, 10**12)


def denies() -> SearchStrategy[Deny]:
    """Denials, with and without a time to try again."""
    return st.builds(Deny, st.text(min_size=1), retry_after=st.none() | durations())


def waits() -> SearchStrategy[Wait]:
    """Waits from nothing to the largest float."""
    return st.builds(Wait, durations())


def secrets() -> SearchStrategy[Secret]:
    """Secrets of text or bytes, empty ones too."""
    return (st.text() | st.binary(max_size=64)).map(Secret)


def logins(*, users: SearchStrategy[str] | None = None) -> SearchStrategy[Login]:
    """Attempts to log in, with and without password, code and device.

    Args:
        users: Names; any text unless given.
    """
    sources = st.sampled_from(["", "127.0.0.1", "2001:db8::1"]) | st.text(max_size=30)
    names = st.text() if users is None else users
    secret = st.none() | secrets()
    return st.builds(Login, names, secret, secret, sources, secret)


def identities() -> SearchStrategy[Identity]:
    """Who somebody is, with and without roles and a session."""
    roles = st.lists(st.sampled_from(["admin", "operator", "viewer"]) | st.text(), max_size=3)
    return st.builds(Identity, st.text(min_size=1), roles.map(tuple), st.none() | secrets())


def outcomes() -> SearchStrategy[Outcome]:
    """What responders did."""
    return st.builds(
        Outcome, st.text(), st.booleans(), plugin=st.text(max_size=20),
        took_ns=st.integers(0, 2**63 - 1),
    )  # fmt: skip


def incidents() -> SearchStrategy[Incident]:
    """Incidents as responders are shown them, fresh and handled."""
    return st.builds(
        Incident,
        _ids("inc-"),
        st.text(min_size=1, max_size=200),
        severities(),
        st.sampled_from(["bot", "kernel", "monitor"]),
        _WALL_NS,
        _json_objects(),
        st.lists(outcomes(), max_size=3).map(tuple),
        st.just("") | st.text(),
    )


def events() -> SearchStrategy[Event]:
    """Events as recorders are shown them: the kernel's own kinds, and others."""
    kinds = ["request.intent", "request.left", "request.denied", "response", "login.granted"]
    return st.builds(
        Event,
        st.sampled_from([*kinds, "incident.reported"]) | st.text(min_size=1, max_size=40),
        _WALL_NS,
        st.sampled_from(["kernel", "bot", "policy"]),
        st.booleans(),
        st.just("") | _ids(""),
        st.sampled_from(["", "main"]),
        _json_objects(),
    )


def accounts() -> SearchStrategy[Account]:
    """Accounts as `hauberk.yml` may describe them."""
    references = st.sampled_from(["", "env:KEY", "vault:open/main", "file:/run/key"])
    return st.builds(
        Account,
        venue=st.sampled_from(["open", "binance"]) | st.text(min_size=1, max_size=20),
        key=references,
        secret=references,
        passphrase=references,
        allow=st.lists(operations(), unique=True).map(tuple),
        signer=st.sampled_from(["signing", "hsm"]),
        base_url=st.sampled_from(["", "https://testnet.open.test", "http://127.0.0.1:8080"]),
    )


def responses() -> SearchStrategy[Response]:
    """Answers from an exchange, good, bad and absurd, and what takes the place of one."""
    errors = st.sampled_from(["ConnectTimeout", "ReadError", "SSLError", ""]) | st.text(max_size=30)
    answered = st.builds(Response, _statuses(), _response_headers(), _answers())
    return answered | answered | st.builds(Response, error=errors)


def requests(
    *,
    account_names: Iterable[str] = ("main",),
    base: str = _OPEN.bases[0],
    operation: SearchStrategy[Operation] | None = None,
) -> SearchStrategy[Request]:
    """Requests as hooks are shown them: judged, unsigned, with an id.

    Args:
        account_names: The accounts that they are for.
        base: Scheme and host, where the venue is not `open`; its paths are kept.
        operation: What they do; anything unless given.
    """
    usual = st.tuples(st.sampled_from(["GET", "POST", "DELETE"]), _orders(), st.just(b""))
    with_body = st.tuples(st.sampled_from(["POST", "PUT"]), _distinct_pairs(), _distinct_forms())
    with_bytes = st.tuples(_methods(), st.just(()), _bodies())
    contents = usual | with_body | st.tuples(_methods(), _pairs(), st.just(b"")) | with_bytes
    return st.builds(
        _request,
        contents,
        operations() if operation is None else operation,
        _paths(),
        _headers(),
        st.sampled_from(tuple(account_names)),
        _ids(""),
        base=st.just(base),
    )


def batches(*, max_rows: int = 8) -> SearchStrategy[SignedBatch]:
    """Batches of HMAC-SHA256 signatures, right ones and wrong ones, down to no row at all.

    Args:
        max_rows: The most rows.
    """
    keys = st.lists(st.binary(max_size=200), min_size=1, max_size=3)
    messages = st.binary(max_size=8) | st.sampled_from([b"\0" * n for n in (55, 56, 63, 64, 65)])
    rows = st.lists(
        st.tuples(messages, st.integers(0, 2), st.none() | st.binary(max_size=40)),
        max_size=max_rows,
    )
    return st.builds(_batch, keys, rows)


def _request(
    content: tuple[str, Pairs, bytes],
    operation: Operation,
    path: str,
    headers: Pairs,
    account: str,
    request_id: str,
    base: str,
) -> Request:
    method, params, body = content
    url = f"{base}/{operation}{path}"
    if len(url) + len(urlencode(params, quote_via=quote)) + _SIGNED > MAX_URL:
        params = ()  # signing may put them into the URL, and there is no room
    made = Request(method, url, params, headers, body, account)
    return made.stamped(request_id, operation)


def _batch(keys: list[bytes], rows: list[tuple[bytes, int, bytes | None]]) -> SignedBatch:
    indices = tuple(key % len(keys) for _, key, _ in rows)
    messages = [message for message, _, _ in rows]
    signatures = [
        hmac.digest(keys[index], message, hashlib.sha256) if wrong is None else wrong
        for index, (message, _, wrong) in zip(indices, rows, strict=True)
    ]
    return SignedBatch(
        "hmac-sha256",
        b"".join(messages),
        tuple(itertools.accumulate(map(len, messages), initial=0)),
        b"".join(signatures),
        tuple(itertools.accumulate(map(len, signatures), initial=0)),
        indices,
        tuple(keys),
    )


def _ids(prefix: str) -> SearchStrategy[str]:
    return st.integers(0, 2**48 - 1).map(lambda n: f"{prefix}{n:012x}-1")


def _methods() -> SearchStrategy[str]:
    return st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]) | st.text(
        string.ascii_uppercase, min_size=1, max_size=16
    )


def _paths() -> SearchStrategy[str]:
    """Paths below the operation; without dot segments, which no request may have."""
    usual = st.sampled_from(["/order", "", "/", "/v3/account", LONGEST_PATH])
    return usual | st.text(_SEGMENT + " \u00fc/", max_size=30).map(_path)


def _path(text: str) -> str:
    names = [quote(name, safe=_SEGMENT) for name in text.split("/") if name not in ("", ".", "..")]
    end = "/" if text.endswith("/") else ""
    return "".join(f"/{name}" for name in names) + end


def _headers() -> SearchStrategy[Pairs]:
    values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
    usual = st.sampled_from(["Content-Type", "User-Agent", "Authorization", "Cookie"])
    names = usual | st.text(_TOKEN, min_size=1, max_size=12)
    denied = _OPEN.added_headers | STEERING
    return st.just(()) | _tuples(names.filter(lambda name: name.lower() not in denied), values)


def _orders() -> SearchStrategy[Pairs]:
    """Parameters of an order, any of them missing."""
    drawn = st.fixed_dictionaries({}, optional=_ORDER)
    return drawn.map(lambda order: tuple(order.items()))


def _pairs() -> SearchStrategy[Pairs]:
    """Any parameters, repeated names too, but for those that signing adds."""
    text = st.text(max_size=12)
    return _tuples(text.filter(lambda name: name not in _OPEN.added_params), text)


def _distinct_pairs() -> SearchStrategy[Pairs]:
    """Parameters whose names no form of `_distinct_forms` bears: none may be in both."""
    return _tuples(st.text(max_size=8).map("q{}".format), st.text(max_size=8))


def _distinct_forms() -> SearchStrategy[bytes]:
    fields = _tuples(st.text(max_size=8).map("b{}".format), st.text(max_size=8))
    return fields.map(lambda pairs: urlencode(pairs).encode())


def _bodies() -> SearchStrategy[bytes]:
    return st.just(b"") | _json_objects().map(str.encode) | st.binary(max_size=40)


def _statuses() -> SearchStrategy[int]:
    usual = st.sampled_from([200, 200, 201, 400, 401, 403, 418, 429, 500, 502, 503, 504])
    return usual | st.integers(100, 999)


def _response_headers() -> SearchStrategy[Pairs]:
    names = st.sampled_from(
        ["Retry-After", "retry-after", "X-MBX-USED-WEIGHT-1M", "X-Bapi-Limit-Status", "Date"]
    )
    values = st.sampled_from(["0", "1", "1199", "-1", "soon", "", "1e9", "9" * 400, "\u00bd"])
    # Clients decode what is not UTF-8 to lone surrogates.
    wild = st.text(st.characters(max_codepoint=0xFF) | st.sampled_from("\udc80\udcff"), max_size=20)
    usual = _tuples(names, values, min_size=1)
    return st.just(()) | usual | usual | _tuples(wild, wild)


def _answers() -> SearchStrategy[bytes]:
    errors = st.sampled_from([-1021, -2015, -1003, 50011]).map(
        lambda code: json.dumps({"code": code, "msg": "refused"})
    )
    texts = errors | _json_objects() | st.sampled_from(["", "[]", "null", "<html>", "[" * 5_000])
    return texts.map(str.encode) | st.binary(max_size=60)


def _json_objects() -> SearchStrategy[str]:
    """JSON objects as the kernel writes them."""
    plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    finite = plain.filter(lambda value: value not in (float("inf"), float("-inf")))
    nested = finite | st.lists(finite, max_size=3) | st.dictionaries(st.text(), finite, max_size=3)
    objects = st.dictionaries(st.text(max_size=8), nested, max_size=3)
    return objects.map(lambda value: json.dumps(value, ensure_ascii=False))


def _tuples(
    names: SearchStrategy[str], values: SearchStrategy[str], min_size: int = 0
) -> SearchStrategy[Pairs]:
    pairs = st.lists(st.tuples(names, values), min_size=min_size, max_size=4)
    return pairs.map(lambda drawn: cast(Pairs, tuple(drawn)))
