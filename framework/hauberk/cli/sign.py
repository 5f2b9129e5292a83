"""`hauberk sign`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from cyclopts import Parameter

from hauberk.accounts import Account
from hauberk.cli.answer import Answer
from hauberk.cli.failure import UsageError
from hauberk.cli.options import Options
from hauberk.clock import SystemClock
from hauberk.errors import Denied, HauberkError, SigningError, StoreError
from hauberk.protocol import Cleared
from hauberk.request import Request

#: The last millisecond of the year 9999.
_LAST_MS: Final = 253_402_300_799_999
_DIGITS: Final = re.compile(r"[0-9]{1,15}\Z")


class _ClockAt(SystemClock):
    """The system's clock, but for the wall, which stands still at the time to sign at."""

    def __init__(self, at_ms: int) -> None:
        self.wall_ns = lambda: at_ms * 1_000_000


def sign(
    method: str,
    url: str,
    /,
    *params: str,
    account: str = "main",
    venue: str | None = None,
    body: str | None = None,
    at: Annotated[str | None, Parameter(metavar="MS")] = None,
    options: Options = Options(),
) -> Answer:
    """Sign a request and print it as it is to be sent. Sends nothing.

    Kill switch, policy and every other guard judge it, as they would a bot's.

    For example:
        hauberk sign GET https://api.binance.com/api/v3/account
        hauberk sign GET https://api.binance.com/api/v3/order symbol=BTCUSDT orderId=1 --json

    Args:
        method: GET, POST, PUT or DELETE.
        url: Scheme, host and path, without a query.
        params: Parameters in order, each NAME=VALUE. After `--`, a name may begin with a dash.
        account: The account of hauberk.yml that it is for.
        venue: Refuse unless the account is at this venue.
        body: A body, for schemes that sign one.
        at: Sign as at this time, in milliseconds since the epoch.
    """
    from hauberk.opening import open as open_guard

    request = Request(method.upper(), url, _pairs(params), body=body or "", account=account)
    clock = None if at is None else _ClockAt(_milliseconds(at))
    with open_guard(options.config, clock=clock, transient=True) as guard:
        _check_account(guard.kernel.settings.accounts, account, venue, str(options.config))
        try:
            cleared = guard.clear(request, timeout_s=0)
        except Denied as denied:
            raise _cause(denied) from None
    return _answer(cleared)


def _milliseconds(at: str) -> int:
    """Read a time strictly: 1.5 must not become 2."""
    if not _DIGITS.match(at) or int(at) > _LAST_MS:
        raise UsageError("--at: give milliseconds since the epoch, as 1499827319559")
    return int(at)


def _pairs(params: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for number, text in enumerate(params, start=1):
        name, equals, value = text.partition("=")
        if not equals or not name:
            # Not repeated: it may be a secret that went astray.
            raise UsageError(f"parameter {number} is no NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _check_account(
    accounts: Mapping[str, Account], name: str, venue: str | None, file: str
) -> None:
    """Say what is configured where the account, or its venue, is not what was asked for."""
    if name not in accounts:
        known = ", ".join(accounts) or "none"
        raise UsageError(
            f"{file} has no account {name!r}: name one with --account (it has {known})"
        )
    if venue is not None and venue != accounts[name].venue:
        raise UsageError(
            f"account {name!r} of {file} is at {accounts[name].venue!r}, not at {venue!r}: name "
            "another with --account, or its own venue"
        )


def _cause(denied: Denied) -> HauberkError:
    """Return what is behind a denial if the configuration is at fault, such as a missing key."""
    cause = denied.__cause__
    if isinstance(cause, SigningError | StoreError) or not isinstance(cause, HauberkError):
        return denied
    return cause


def _answer(cleared: Cleared) -> Answer:
    signed = cleared.request
    document: dict[str, Any] = {
        "method": signed.method,
        "url": signed.url,
        "headers": dict(signed.headers),
        "body": signed.body.decode(),
    }
    lines = [f"{signed.method} {signed.url}", *(f"{n}: {v}" for n, v in signed.headers)]
    return Answer(document, "\n".join([*lines, "", document["body"]]).rstrip())
