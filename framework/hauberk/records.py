"""Logins, incidents and events: what hooks are told besides requests.

Each is flat and frozen. Free-form details are kept as JSON text, so that nothing in them can be
changed behind another hook's back, and any key and any value that JSON has is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from attrs import asdict, evolve, field, frozen

from hauberk.errors import InvalidValue
from hauberk.secret import HIDDEN, Secret


class Severity(IntEnum):
    """How bad. What an outsider can trigger is at most `MEDIUM`."""

    LOW = 1
    MEDIUM = 2
    #: The kill switch restricts trading to reading, cancelling and reducing.
    HIGH = 3
    #: The kill switch halts everything.
    CRITICAL = 4

    def __str__(self) -> str:
        return self.name


@frozen
class Login:
    """An attempt to log in. Only the authenticator is shown `password` and `code`.

    Attributes:
        user: The name given.
        source: Where it comes from, for example an address; empty if unknown.
        device: A token of a device seen before; empty if none.
        password: `None` for every hook but the authenticator's.
        code: Second factor; `None` likewise.
    """

    user: str
    password: Secret | None = None
    code: Secret | None = None
    source: str = ""
    device: str = field(default="", repr=False)

    def __attrs_post_init__(self) -> None:
        if not all(type(text) is str for text in (self.user, self.source, self.device)):
            raise InvalidValue("Login: user, source and device must be text")
        if not all(s is None or type(s) is Secret for s in (self.password, self.code)):
            raise InvalidValue("Login: wrap password and code in Secret")

    def without_secrets(self) -> Login:
        """Return what every hook but the authenticator's is shown."""
        return evolve(self, password=None, code=None, device="")


@frozen
class Identity:
    """Who logged in, and as what.

    Attributes:
        user: The user's name.
        roles: For example `("operator",)`.
        session: The session's token, for the one who logged in.
    """

    user: str
    roles: tuple[str, ...] = ()
    session: Secret | None = None

    def __attrs_post_init__(self) -> None:
        if (problem := self.problem()) is not None:
            raise InvalidValue(f"Identity: {problem}")

    def problem(self) -> str | None:
        """Say what is wrong with the fields; asked again when a hook returns one."""
        if type(self.user) is not str or not self.user:
            return "user must be text"
        if type(self.roles) is not tuple or not all(type(role) is str for role in self.roles):
            return "roles must be a tuple of text"
        if self.session is not None and type(self.session) is not Secret:
            return "session must be a Secret"
        return None


@frozen
class Outcome:
    """What a responder did about an incident.

    Attributes:
        did: In a few words, for example `halted`.
        ok: Whether it worked.
        plugin: Stamped by the kernel.
        took_ns: Stamped by the kernel; 0 where it was not waited for.
    """

    did: str
    ok: bool = True
    plugin: str = field(default="", kw_only=True)
    took_ns: int = field(default=0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if (problem := self.problem()) is not None:
            raise InvalidValue(f"Outcome: {problem}")

    def problem(self) -> str | None:
        """Say what is wrong with the fields; asked again when a hook returns one."""
        if type(self.did) is not str or type(self.ok) is not bool:
            return "did must be text and ok a bool"
        if type(self.plugin) is not str or type(self.took_ns) is not int:
            return "plugin and took_ns are stamped by the kernel"
        return None


@frozen
class Incident:
    """Something wrong that somebody must know about.

    Attributes:
        id: Set by the kernel.
        title: One line.
        severity: How bad.
        source: Who reported it; stamped by the kernel, `bot` for the program itself.
        at_ns: Wall clock, nanoseconds since the epoch.
        details_json: A JSON object; `details` parses it.
        outcomes: What each responder did.
        resolution: Empty while it is open.
    """

    id: str
    title: str
    severity: Severity
    source: str
    at_ns: int
    details_json: str = "{}"
    outcomes: tuple[Outcome, ...] = ()
    resolution: str = ""

    @property
    def details(self) -> dict[str, Any]:
        """A fresh copy of the details."""
        return dict(json.loads(self.details_json))

    def told(self) -> dict[str, Any]:
        """Everything about it, as a JSON-able mapping."""
        return {
            "incident": self.id,
            "title": self.title,
            "severity": self.severity.name,
            "source": self.source,
            "details": self.details,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
            "resolution": self.resolution,
        }


@frozen
class Event:
    """Something that happened, for the recorders.

    Attributes:
        kind: Dotted, for example `request.intent`; a plugin's own begin with its name.
        at_ns: Wall clock, nanoseconds since the epoch.
        source: Who says so: `kernel`, `bot` or a plugin's name, stamped by the kernel.
        permission: Whether something is held back until every required recorder has it.
        request_id: Of the request concerned, or empty.
        account: Of the request concerned, or empty.
        fields_json: A JSON object; `fields` parses it.
    """

    kind: str
    at_ns: int
    source: str
    permission: bool = False
    request_id: str = ""
    account: str = ""
    fields_json: str = "{}"

    @property
    def fields(self) -> dict[str, Any]:
        """A fresh copy of the fields."""
        return dict(json.loads(self.fields_json))


def to_json(details: Mapping[str, Any] | None) -> str:
    """Write details as a JSON object, secrets masked, the unknown as text.

    Never raises: an incident must not be lost over its details.
    """
    if not details:
        return "{}"
    try:
        return json.dumps(_plain(details, 0), ensure_ascii=False, allow_nan=False)
    except Exception as error:  # hostile keys, values or mappings
        return json.dumps({"unreadable_details": type(error).__name__})


def _plain(value: Any, depth: int) -> Any:
    """Reduce to what JSON has; text that is not valid Unicode is escaped."""
    if depth > 20:
        return "[too deep]"
    if value is None or type(value) in (bool, int):
        return value
    if isinstance(value, Secret):
        return HIDDEN
    if isinstance(value, str):
        return str(value).encode("utf-8", "backslashreplace").decode()
    if type(value) is float:
        return value if value - value == 0 else repr(value)
    if isinstance(value, Mapping):
        return {
            _plain(key, 20) if isinstance(key, str) else repr(key): _plain(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return _plain(repr(value), depth)
