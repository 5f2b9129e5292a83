"""Whether an account's key works: one harmless request, and what the exchange says to it."""

from __future__ import annotations

import json
from typing import Any, Final

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
        return _read(venue.section("key_check").get("good"), answer.body)
    if answer.status == 401:
        return _SAID["revoked"]
    return "unknown", f"the exchange answered with HTTP status {answer.status}"


def _read(good: Any, body: bytes) -> tuple[str, str]:
    """Judge an answer with a good status: some exchanges send errors with it, too."""
    try:
        found = json.loads(body)
        for part in good["field"].split(".") if good else ():
            found = found[int(part)] if isinstance(found, list) else found[part]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return "unknown", "what answered is not the exchange's, or not an answer that is known"
    if good is None and type(found) in (dict, list):
        return "works", "the exchange answered"
    if good is not None and _text(found) == good["value"]:
        return "works", "the exchange answered"
    return "unknown", "the exchange answered with an error: look into its key and secret"


def _text(value: Any) -> str:
    return value if type(value) is str else json.dumps(value)
