"""Logins, incidents and events: what hooks are told besides requests.

Each is flat and frozen. Free-form details are kept as JSON text, so that nothing in them can be
changed behind another hook's back, and any key and any value that JSON has is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any, Final

from attrs import asdict, evolve, field, frozen

from hauberk.errors import InvalidValue
from hauberk.secret import HIDDEN, Secret

#: How deep details may be nested, how many values they may hold, and how long an integer may be.
MAX_DEPTH: Final = 20
MAX_DETAILS: Final = 10_000
MAX_BITS: Final = 4_096
#: Of how many repeats an incident keeps the details, and how long they may be together.
_MAX_REPEATS: Final = 5
_MAX_REPEATED: Final = 16_384
#: Names under which credentials stand; of values nobody can tell.
_CREDENTIAL: Final = re.compile(
    r"(?i)secret|passw(?:or)?d|passphrase|token|signature|authorization|cookie|mnemonic"
    r"|(?:api|private|access)[-_ ]?key|credentials?$|^(?:key|otp|pin|seed)$"
)


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
    """An attempt to log in. Only the authenticator is shown `password`, `code` and `device`.

    Attributes:
        user: The name given.
        source: Where it comes from, for example an address; empty if unknown.
        password: `None` for every hook but the authenticator's.
        code: Second factor; `None` likewise.
        device: A token of a device seen before; `None` likewise.
        id: Of this attempt, stamped by the kernel; empty before.
    """

    user: str
    password: Secret | None = None
    code: Secret | None = None
    source: str = ""
    device: Secret | None = None
    id: str = field(default="", init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if not all(type(text) is str for text in (self.user, self.source)):
            raise InvalidValue("Login: user and source must be text")
        secrets = (self.password, self.code, self.device)
        if not all(secret is None or type(secret) is Secret for secret in secrets):
            raise InvalidValue("Login: wrap password, code and device in Secret")

    def without_secrets(self) -> Login:
        """Return what every hook but the authenticator's is shown."""
        return evolve(self, password=None, code=None, device=None).stamped(self.id)

    def stamped(self, attempt_id: str) -> Login:
        """Return a copy that bears the id of an attempt."""
        stamped = evolve(self)
        object.__setattr__(stamped, "id", attempt_id)
        return stamped


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
        # `object.__new__` makes one without fields.
        user, roles = getattr(self, "user", None), getattr(self, "roles", None)
        if type(user) is not str or not user:
            return "user must be text"
        if type(roles) is not tuple or not all(type(role) is str for role in roles):
            return "roles must be a tuple of text"
        session = getattr(self, "session", "")
        if session is not None and type(session) is not Secret:
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
        names = ("did", "ok", "plugin", "took_ns")
        did, ok, plugin, took_ns = (type(getattr(self, name, None)) for name in names)
        if did is not str or ok is not bool:
            return "did must be text and ok a bool"
        if plugin is not str or took_ns is not int:
            return "plugin and took_ns are stamped by the kernel"
        return None


def _last_few(details: Any) -> Any:
    """Return the last, and those before it that there is room for; what is no text, as it is."""
    if type(details) not in {tuple, list} or {*map(type, details)} - {str}:
        return details
    kept: list[str] = []
    for one in reversed(details):
        if kept and (len(kept) == _MAX_REPEATS or sum(map(len, kept)) + len(one) > _MAX_REPEATED):
            break
        kept.insert(0, one)
    return tuple(kept)


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
        count: How often it was reported while it was open; stamped by the kernel.
        is_contained: Whether every required responder has acted; stamped by the kernel.
        repeats: Details of the last few reports after the first, the latest last, each a JSON
            object as `details_json`; what is the same stands once.
    """

    id: str
    title: str
    severity: Severity
    source: str
    at_ns: int
    details_json: str = "{}"
    outcomes: tuple[Outcome, ...] = ()
    resolution: str = ""
    count: int = field(default=1, kw_only=True)
    is_contained: bool = field(default=False, kw_only=True)
    repeats: tuple[str, ...] = field(default=(), kw_only=True, converter=_last_few)

    def __attrs_post_init__(self) -> None:
        texts = (self.id, self.title, self.source, self.details_json, self.resolution)
        if not all(type(text) is str for text in texts):
            raise InvalidValue("Incident: id, title, source, details and resolution must be text")
        if type(self.count) is not int or type(self.is_contained) is not bool:
            raise InvalidValue("Incident: count and is_contained are stamped by the kernel")
        if type(self.severity) is not Severity or type(self.at_ns) is not int:
            raise InvalidValue("Incident: severity must be a Severity and at_ns an int")
        if type(self.outcomes) is not tuple or {*map(type, self.outcomes)} - {Outcome}:
            raise InvalidValue("Incident: outcomes must be a tuple of Outcome")
        if type(self.repeats) is not tuple or {*map(type, self.repeats)} - {str}:
            raise InvalidValue("Incident: repeats must be a tuple of text")

    @property
    def details(self) -> dict[str, Any]:
        """A fresh copy of the details."""
        return dict(json.loads(self.details_json))

    @property
    def latest(self) -> dict[str, Any]:
        """A fresh copy of the details of the last report."""
        return dict(json.loads(self.repeats[-1] if self.repeats else self.details_json))

    @property
    def state(self) -> str:
        """`open`, `contained` or `resolved`."""
        if self.resolution:
            return "resolved"
        return "contained" if self.is_contained else "open"

    @property
    def sameness(self) -> tuple[str, str, Severity]:
        """What reports of the same have in common while it is open: who, what, how bad."""
        return self.source, self.title, self.severity

    def again(self, *details_json: str) -> Incident:
        """Return it with the details of later reports, the latest last."""
        before = (one for one in self.repeats if one not in details_json)
        return evolve(self, repeats=(*before, *details_json))

    def told(self) -> dict[str, Any]:
        """Everything about it, as a JSON-able mapping."""
        return {
            "incident": self.id,
            "title": self.title,
            "severity": self.severity.name,
            "state": self.state,
            "count": self.count,
            "source": self.source,
            "details": self.details,
            "repeats": [json.loads(one) for one in self.repeats],
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

    def __attrs_post_init__(self) -> None:
        texts = (self.kind, self.source, self.request_id, self.account, self.fields_json)
        if not all(type(text) is str for text in texts):
            raise InvalidValue("Event: kind, source, request, account and fields must be text")
        if type(self.at_ns) is not int or type(self.permission) is not bool:
            raise InvalidValue("Event: at_ns must be an int and permission a bool")

    @property
    def fields(self) -> dict[str, Any]:
        """A fresh copy of the fields."""
        return dict(json.loads(self.fields_json))


def to_json(details: Mapping[str, Any] | None, *, masks_names: bool = False) -> str:
    """Write details as a JSON object, secrets masked, the unknown as text.

    Args:
        details: Whatever it is.
        masks_names: Whether what stands under the name of a credential, as `api_key`, is masked
            too: for what people write by hand.

    Never raises, and ends whatever refers to itself: an incident must not be lost, nor its
    containment held up, over its details. What cannot be read is named in its place.
    """
    if details is None:
        return "{}"
    plain = _Plain(masks_names=masks_names).reduce(details)
    if type(plain) is not dict:
        plain = {"details": plain}
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


class _Plain:
    """Reduces values to what JSON has, up to so many in all."""

    def __init__(self, *, masks_names: bool) -> None:
        self._left = MAX_DETAILS
        self._masks_names = masks_names

    def reduce(self, value: Any, depth: int = 0) -> Any:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            return "[too deep]" if depth > MAX_DEPTH else "[too many]"
        kind = type(value)
        if kind is str:
            return value if value.isascii() else _text(value)
        if value is None or kind is bool:
            return value
        try:
            return self._reduced(value, kind, depth)
        except KeyboardInterrupt:
            raise
        except BaseException:  # a hostile __class__, __repr__, __iter__, items
            return "[unreadable]"

    def _reduced(self, value: Any, kind: type, depth: int) -> Any:
        if kind is int:
            return value if value.bit_length() <= MAX_BITS else hex(value)
        if kind is float:
            return value if value - value == 0 else repr(value)
        if kind is list or kind is tuple:
            return [self.reduce(item, depth + 1) for item in value[: max(self._left, 0) + 1]]
        if isinstance(value, Secret):
            return HIDDEN
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, Mapping):
            return dict(self._items(value, depth))
        if isinstance(value, list | tuple | set | frozenset):
            return list(self._elements(value, depth))
        return _text(repr(value))

    def _items(self, value: Mapping[Any, Any], depth: int) -> Iterator[tuple[str, Any]]:
        for key, item in value.items():
            if self._left < 0:
                return
            name = self.reduce(key if isinstance(key, str) else repr(key), MAX_DEPTH)
            is_hidden = self._masks_names and item is not None and _CREDENTIAL.search(name)
            yield name, HIDDEN if is_hidden else self.reduce(item, depth + 1)

    def _elements(self, value: Iterable[Any], depth: int) -> Iterator[Any]:
        for item in value:
            if self._left < 0:
                return
            yield self.reduce(item, depth + 1)


def _text(value: str) -> str:
    """The text itself, whatever a subclass makes of it; what is not valid Unicode is escaped."""
    return str.encode(value, "utf-8", "backslashreplace").decode()
