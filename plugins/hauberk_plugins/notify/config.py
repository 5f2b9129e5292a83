"""The section `notify` of `hauberk.yml`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

from attrs import Attribute, field, frozen, validators

from hauberk.keypath import KeyPath
from hauberk.records import Severity
from hauberk.sealed import Sealed
from hauberk.written import Written
from hauberk_plugins.notify.entry import Retrying
from hauberk_plugins.notify.reference import Reference
from hauberk_plugins.notify.routing import Route

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\Z")
_NS: Final = 1_000_000_000
#: How much longer a lease is than an attempt may take.
_MARGIN_S: Final = 30.0


class Least(StrEnum):
    """The least severity that a route is for."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


def _check_name(_: Any, __: Attribute[str], name: str) -> None:
    if not _NAME.match(name):
        raise ValueError("must be of a-z, 0-9, '-' and '_', 32 at most, such as pager")


def _check_reference(_: Any, __: Attribute[Any], to: str | Sealed) -> None:
    if isinstance(to, str):
        Reference.read(to)


@frozen
class RouteConfig:
    """One route.

    Attributes:
        name: Unique; what is shown and stored in place of the URL.
        to: Where its URL is: `env:NAME`, `vault:NAME`, `keyring:NAME`, `file:PATH`, or the URL
            itself, sealed (`hauberk config set notify.routes.0.to --sealed`).
        severity: The least severity: `low`, `medium`, `high` or `critical`.
        plugins: Only what these plugins report, `bot` for the program itself; of anybody unless
            given.
        titles: Only titles that match one of these patterns, as `login*`; any unless given.
        digest_s: For how long what follows a message is counted, and then told in one.
        max_chars: How long a message may be; what the service takes at most holds besides.
    """

    name: str = field(validator=_check_name)
    to: str | Sealed = field(repr=False, validator=_check_reference)
    severity: Least = Least.MEDIUM
    plugins: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    digest_s: float = field(default=60.0, validator=[validators.ge(1), validators.le(86_400)])
    max_chars: int = field(default=2_000, validator=[validators.ge(80), validators.le(100_000)])

    def route(self) -> Route:
        """Return the route."""
        return Route(
            self.name,
            Severity[self.severity.name],
            frozenset(self.plugins),
            self.titles,
            round(self.digest_s * _NS),
            self.max_chars,
        )


@frozen
class NotifyConfig:
    """The section `notify` of `hauberk.yml`.

    Attributes:
        routes: Where messages go, and which.
        where: What messages call this machine and bot; the host's name unless given.
        timeout_s: How long one attempt may take.
        wait_s: How long an incident's report waits for the first attempts, to say what came of
            them; less than `kernel.responders_s`.
        retry_s: The pause after the first attempt; each later one is twice as long.
        max_retry_s: The longest pause.
        expires_h: After how many hours what could not be sent is given up.
    """

    routes: tuple[RouteConfig, ...] = ()
    where: str = ""
    timeout_s: float = field(default=15.0, validator=[validators.ge(0.1), validators.le(300)])
    wait_s: float = field(default=1.5, validator=[validators.ge(0), validators.le(60)])
    retry_s: float = field(default=5.0, validator=[validators.ge(1), validators.le(3_600)])
    max_retry_s: float = field(default=900.0, validator=[validators.ge(1), validators.le(86_400)])
    expires_h: float = field(default=24.0, validator=[validators.gt(0), validators.le(720)])

    def retrying(self) -> Retrying:
        """Return how often it is tried, and for how long."""
        return Retrying(
            first_ns=round(self.retry_s * _NS),
            longest_ns=round(max(self.retry_s, self.max_retry_s) * _NS),
            expires_ns=round(self.expires_h * 3_600 * _NS),
            lease_ns=round((self.timeout_s + _MARGIN_S) * _NS),
        )


def problems(written: Written) -> Iterator[tuple[KeyPath, str]]:
    """Say what is wrong that stands in more than one place."""
    routes = written.section.get("routes")
    seen: dict[object, int] = {}
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        name = route.get("name") if isinstance(route, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            where = (written.name, "routes", index, "name")
            yield where, f"route {seen[name]} is called so too: each needs a name of its own"
        seen.setdefault(name, index)
