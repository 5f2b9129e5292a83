"""Whether an account's key works: one harmless request, and what the exchange says to it."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from attrs import frozen

from hauberk import Guard
from hauberk.accounts import Account
from hauberk.errors import CredentialsMissing, Denied, HauberkError
from hauberk.ports import Transport, Venue
from hauberk.request import Request, Response

TIMEOUT_S: Final = 15.0
_SAID: Final = {
    "revoked": (
        "refused",
        "the exchange does not take this key: it is unknown, revoked, or not for this address; "
        "look at it there, or rotate it",
    ),
    "skew": ("unknown", "the exchange finds this machine's clock wrong: set it (NTP)"),
    "throttled": ("unknown", "the exchange asks for fewer requests: try again in a minute"),
    "banned": ("unknown", "the exchange shuts this address out for a time: stop, and wait"),
}


@frozen
class KeyCheck:
    """What is known of an account's key.

    Attributes:
        account: The account.
        venue: Where it is.
        state: `works`, `refused`, `missing`, `denied` by a guard, `disabled`, or `unknown`.
        found: What was seen, and what to do about it.
    """

    account: str
    venue: str
    state: str
    found: str


def check_key(
    guard: Guard, transport: Transport, venue: Venue, name: str, account: Account
) -> KeyCheck:
    """Ask the exchange, as a bot would: kill switch, policy and throttle are asked too.

    Args:
        guard: Opened from the configuration.
        transport: The way out.
        venue: Of the account.
        name: The account's name.
        account: The account.
    """

    def found(state: str, what: str) -> KeyCheck:
        return KeyCheck(name, account.venue, state, what)

    if account.disabled:
        return found("disabled", "it is disabled in hauberk.yml")
    section = venue.section("key_check")
    if not section:
        return found("unknown", "its venue file names no request that tells (key_check)")
    try:
        cleared = guard.clear(_question(section, venue, name, account), timeout_s=TIMEOUT_S)
    except Denied as denied:
        cause = denied.__cause__
        if isinstance(cause, CredentialsMissing):
            return found("missing", str(cause))
        return found("denied", str(cause) if isinstance(cause, HauberkError) else str(denied))
    answer = transport.send(cleared.request, timeout_s=TIMEOUT_S)
    guard.settle(cleared, answer)
    state, what = _judged(venue, answer)
    return found(state, what)


def _question(section: Any, venue: Venue, name: str, account: Account) -> Request:
    method, _, path = section["endpoint"].partition(" ")
    base = account.base_url.rstrip("/") or venue.bases[0]
    params = tuple(section.get("params", {}).items())
    return Request(method, base + path, params, body=section.get("body", ""), account=name)


def _judged(venue: Venue, answer: Response) -> tuple[str, str]:
    if answer.error:
        return "unknown", f"no answer came: {answer.error}"
    said = venue.said(answer)
    if said in _SAID:
        return _SAID[said]
    if 200 <= answer.status < 300:
        return _read(venue, answer.body)
    if answer.status == 401:
        return _SAID["revoked"]
    return "unknown", f"the exchange answered with HTTP status {answer.status}"


def _read(venue: Venue, body: bytes) -> tuple[str, str]:
    """Judge an answer with a good status: some exchanges send errors with it, too."""
    good = venue.section("key_check").get("good")
    try:
        found = json.loads(body, object_pairs_hook=_members, parse_constant=_no_constant)
        if good is not None:
            is_good = _text(_one(found, good["field"])) == good["value"]
        else:
            is_good = type(found) in (dict, list) and not _codes(venue, found)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return "unknown", "what answered is not the exchange's, or not an answer that is known"
    if is_good:
        return "works", "the exchange answered"
    return "unknown", "the exchange answered with an error: look into its key and secret"


def _codes(venue: Venue, found: Any) -> list[Any]:
    """Return what stands where errors have their code, known or not; null, say, is none."""
    fields = venue.section("errors").get("field", ())
    codes = []
    for field in [fields] if type(fields) is str else fields:
        parent, _, last = field.rpartition(".")
        try:
            if last == "*":
                codes += _one(found, parent)
            else:
                codes.append(_one(found, field))
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # it has none of these
    # A list is none either: of Bitfinex's permissions, the third one stands where its code would.
    return [
        code
        for code in codes
        if code is not None
        and code is not False
        and code not in ("", {})
        and type(code) is not list
    ]


def _one(found: Any, field: str) -> Any:
    for part in field.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands there twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # RFC 8259, 6


def _text(value: Any) -> str:
    return value if type(value) is str else json.dumps(value)
