"""How a venue wants requests signed: the section `signing` of its file, checked.

Every field is data: another venue is another section, not another branch. What data cannot say is
a scheme of its own (`hyperliquid`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from hauberk.ports import Venue
from hauberk.spelling import nearest
from hauberk_plugins.signing.algorithms import ALGORITHMS, OUTPUTS, SECRETS
from hauberk_plugins.signing.binding import faults, header_faults
from hauberk_plugins.signing.jwt import JWT_CLAIMS, JWT_HEADER, Token, Value
from hauberk_plugins.signing.reading import Reading
from hauberk_plugins.signing.template import Template
from hauberk_plugins.signing.times import TIMES

QUERY: Final = "query"
FORM: Final = "form"
JSON: Final = "json"
ENVELOPE: Final = "envelope"
PLACES: Final = (QUERY, FORM, JSON, ENVELOPE)
#: What a body of each place is.
CONTENT_TYPES: Final = {
    FORM: "application/x-www-form-urlencoded",
    JSON: "application/json",
    ENVELOPE: "application/json",
}
#: What nonces may be: rising numbers in a unit of time, or random.
NONCES: Final = ("ms", "us", "uuid")
METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD")
HASHES: Final = ("sha256", "sha512")
#: Stands in an envelope for the parameters: as a member's value, or, under this name, as members.
SPREAD: Final = "*"
PARAMS: Final = "{params}"

#: Known once an account's credentials are.
OF_KEYS: Final = ("key", "passphrase", "passphrase_mac")
#: What a signature or its time is made of, the same in every part of a request.
OF_TIME: Final = ("timestamp", "expires", "window_ms", "nonce")
#: What the message is made of besides.
OF_REQUEST: Final = (
    *("method", "host", "path", "tail", "content_type", "query", "?query"),
    *("raw_query", "?raw_query", "body", "concat", "envelope"),
)
#: What a digest may be, where it is of no text.
RAW: Final = "raw"


@frozen
class Added:
    """A parameter that signing adds.

    Attributes:
        param: Its name.
        value: What it is made of: text, `OF_KEYS` and `OF_TIME`.
        optional: Whether a caller may give it himself; it is not added then.
    """

    param: str
    value: Template
    optional: bool = False


@frozen
class Digest:
    """A hash that the message holds.

    Attributes:
        of: What is hashed.
        hash: A name from `HASHES`.
        written: `hex`, `base64` or `raw`.
    """

    of: Template
    hash: str
    written: str


@frozen
class Envelope:
    """A JSON object that carries the parameters.

    Attributes:
        header: The header that carries it, in base64; empty for the body.
        members: Name and value, in order.
        numbers: Members that are written as numbers.
    """

    header: str
    members: tuple[tuple[str, str], ...]
    numbers: frozenset[str] = frozenset()


@frozen(eq=False)
class Scheme:
    """A checked scheme.

    Attributes:
        venue: The venue's name, for errors.
        algorithms: Names from `ALGORITHMS`, and how each signature is written; an account's secret
            decides which.
        secret: How secret texts are written, one of `SECRETS`.
        place: Where the parameters go, by method.
        special: Endpoints that differ from their method, by method: the path, and where.
        sorts: What is sorted by name: `nothing`, `params` or `all`, that is with what is added.
        safe: Characters that are not percent-encoded, besides the unreserved ones.
        timestamp: A name from `TIMES`.
        window_ms: For how long a signed request is valid.
        nonce: A name from `NONCES`, or empty.
        before: What is put before the caller's parameters, in order.
        after: What is put behind them.
        adds_to_query: Whether these go into the query wherever the caller's go.
        empty_body: What is sent as a body where there are no parameters.
        typed: Whether a method whose parameters go into the body says the content type without.
        cut: What the token `tail` lacks of the path, at its beginning.
        digests: By the token that stands for each.
        message: What is signed.
        unsigned: Places that the exchange signs nothing of.
        signature: The parameter that carries the signature, last; empty where a header does.
        headers: Those that are added to every signed request.
        envelope: What carries the parameters of methods whose place it is.
        jwt: The JSON Web Token of each algorithm, its header and claims; empty for none.
        key_only: Endpoints, `METHOD /path`, that take the headers and no signature.
    """

    venue: str
    algorithms: Mapping[str, str]
    secret: str
    place: Mapping[str, str]
    special: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]]
    sorts: str
    safe: str
    timestamp: str
    window_ms: int
    nonce: str
    before: tuple[Added, ...]
    after: tuple[Added, ...]
    adds_to_query: bool
    empty_body: str
    typed: bool
    cut: str
    digests: Mapping[str, Digest]
    message: Template
    unsigned: frozenset[str]
    signature: str
    headers: Mapping[str, Template]
    envelope: Envelope | None
    jwt: Mapping[str, Token]
    key_only: frozenset[str]

    def place_of(self, method: str, url: str) -> str | None:
        """Return where the parameters of a request go; `None` for a method that is not taken."""
        if method in self.special:
            start = url.index("/", 8)
            for path, place in self.special[method]:
                if path.fullmatch(url, start):
                    return place
        return self.place.get(method)

    def places(self) -> frozenset[str]:
        """Return every place that parameters go."""
        special = [place for found in self.special.values() for _, place in found]
        return frozenset([*self.place.values(), *special])

    def tokens(self) -> frozenset[str]:
        """Return every token that signing computes something for."""
        templates = [self.message, *self.headers.values()]
        templates += [digest.of for digest in self.digests.values()]
        templates += [added.value for added in (*self.before, *self.after)]
        templates += [one for token in self.jwt.values() for one in token.templates()]
        if self.envelope is not None:
            templates += [Template(text) for _, text in self.envelope.members]
        return frozenset().union(*[template.tokens for template in templates])


def beside(scheme: Scheme) -> frozenset[str]:
    """Return the members that an envelope has beside parameters that are members, too."""
    members = {} if scheme.envelope is None else dict(scheme.envelope.members)
    return frozenset(members.keys() - {SPREAD} if SPREAD in members else ())


def read_scheme(venue: Venue) -> Scheme:
    """Read a venue's section `signing`.

    Raises:
        ConfigError: It is not there, or lists what is wrong with it: fields that are missing,
            unknown or of the wrong form, and what it adds without the venue file declaring it.
    """
    read = Reading(venue, ("signing",))
    section = read.mapping(venue.section("signing"), (), _FIELDS)
    digests = _digests(read, section.get("digests", {}))
    of_time = (*OF_KEYS, *OF_TIME)
    jwt = _jwt(read, section.get("jwt", {}), of_time)
    of_jwt = (JWT_HEADER, JWT_CLAIMS) if jwt else ()
    of_message = (*of_time, *OF_REQUEST, *digests, *of_jwt)
    place = _place(read, section.get("place"))
    scheme = Scheme(
        venue=venue.name,
        algorithms=_algorithms(read, section.get("algorithms")),
        secret=read.choice(section.get("secret", "text"), ("secret",), SECRETS),
        place={method: where for method, where in place.items() if " " not in method},
        special=_special(read, place),
        sorts=_sorts(read, venue, section.get("sorts_added", False)),
        safe=_safe(read, section.get("safe", "")),
        timestamp=read.choice(section.get("timestamp", "ms"), ("timestamp",), tuple(TIMES)),
        window_ms=read.whole(section.get("window_ms", 5_000), ("window_ms",), _MAX_WINDOW_MS),
        nonce=read.choice(section.get("nonce", ""), ("nonce",), ("", *NONCES)),
        before=_added(read, "before", section.get("before", ()), of_time),
        after=_added(read, "after", section.get("after", ()), of_time),
        adds_to_query=read.flag(section.get("adds_to_query", False), ("adds_to_query",)),
        empty_body=read.text(section.get("empty_body", ""), ("empty_body",)),
        typed=read.flag(section.get("typed", False), ("typed",)),
        cut=read.text(section.get("cut", ""), ("cut",)),
        digests=digests,
        message=read.template(section.get("message"), ("message",), of_message),
        unsigned=_unsigned(read, section.get("unsigned", ())),
        signature=_signature(read, section.get("signature")),
        headers={
            name: read.template(value, ("headers", name), (*of_time, "signature", *of_jwt))
            for name, value in read.mapping(section.get("headers", {}), ("headers",)).items()
        },
        envelope=_envelope(read, section.get("envelope"), of_time),
        jwt=jwt,
        key_only=frozenset(read.texts(section.get("key_only", ()), ("key_only",))),
    )
    if not read.problems:
        _check_whole(read, scheme, venue)
    read.done()
    return scheme


_FIELDS: Final = (
    *(
        "algorithms",
        "secret",
        "place",
        "sorts_added",
        "safe",
        "timestamp",
        "window_ms",
        "nonce",
        "before",
    ),
    *("after", "adds_to_query", "empty_body", "typed", "cut", "digests", "message", "signature"),
    *("headers", "envelope", "jwt", "key_only", "unsigned"),
)
#: An hour: a request that is good for longer is as good as a key.
_MAX_WINDOW_MS: Final = 3_600_000
_NEVER_SAFE: Final = frozenset("&=%+#")
#: What an envelope may hold as a number.
_NUMBERS: Final = ("{timestamp}", "{expires}", "{nonce}")


def _algorithms(read: Reading, value: Any) -> dict[str, str]:
    found = read.mapping(value, ("algorithms",), ALGORITHMS)
    if not found and isinstance(value, Mapping):
        read.fault(("algorithms",), f"names none of {', '.join(ALGORITHMS)}")
    return {
        name: read.choice(output, ("algorithms", name), tuple(OUTPUTS))
        for name, output in found.items()
    }


def _place(read: Reading, value: Any) -> dict[str, str]:
    return {
        method: read.choice(where, ("place", method), PLACES)
        for method, where in read.mapping(value, ("place",)).items()
    }


def _special(
    read: Reading, place: Mapping[str, str]
) -> dict[str, tuple[tuple[re.Pattern[str], str], ...]]:
    """Take the endpoints, `METHOD /path/{name}`, out of what says where parameters go."""
    found: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {}
    for endpoint, where in place.items():
        method, space, path = endpoint.partition(" ")
        if space and method not in place:
            read.fault(("place", endpoint), f"must stand beside one for {method}")
        if space:
            parts = ["[^/]+" if part[:1] == "{" else re.escape(part) for part in path.split("/")]
            found[method] = (*found.get(method, ()), (re.compile("/".join(parts)), where))
    return found


def _sorts(read: Reading, venue: Venue, with_added: Any) -> str:
    if read.flag(with_added, ("sorts_added",)) and not venue.sorts_params:
        read.fault(("sorts_added",), "needs `sorted: true` at the top of the file")
    return "nothing" if not venue.sorts_params else "all" if with_added else "params"


def _safe(read: Reading, value: Any) -> str:
    safe = read.text(value, ("safe",))
    if not safe.isascii() or _NEVER_SAFE.intersection(safe):
        read.fault(("safe",), "must be ASCII, and none of & = % + #, which mean something")
    return safe


def _added(read: Reading, name: str, value: Any, known: tuple[str, ...]) -> tuple[Added, ...]:
    found = []
    for index, item in enumerate(read.items(value, (name,))):
        path = (name, index)
        fields = read.mapping(item, path, ("param", "value", "optional"))
        param = read.text(fields.get("param"), (*path, "param"))
        template = read.template(fields.get("value"), (*path, "value"), known)
        optional = read.flag(fields.get("optional", False), (*path, "optional"))
        found.append(Added(param, template, optional))
    return tuple(found)


def _digests(read: Reading, value: Any) -> dict[str, Digest]:
    found: dict[str, Digest] = {}
    for name, item in read.mapping(value, ("digests",)).items():
        path = ("digests", name)
        fields = read.mapping(item, path, ("of", "hash", "written"))
        known = (*OF_KEYS, *OF_TIME, *OF_REQUEST)
        if name in known:
            read.fault(path, "is a token already: choose another name")
        of = read.template(fields.get("of"), (*path, "of"), known)
        hashing = read.choice(fields.get("hash"), (*path, "hash"), HASHES)
        written = read.choice(fields.get("written"), (*path, "written"), (*OUTPUTS, RAW))
        found[name] = Digest(of, hashing, written)
    return found


def _unsigned(read: Reading, value: Any) -> frozenset[str]:
    items = enumerate(read.items(value, ("unsigned",)))
    return frozenset(read.choice(place, ("unsigned", index), PLACES) for index, place in items)


def _signature(read: Reading, value: Any) -> str:
    if value is None:
        return ""
    fields = read.mapping(value, ("signature",), ("param",))
    return read.text(fields.get("param"), ("signature", "param"))


def _envelope(read: Reading, value: Any, known: tuple[str, ...]) -> Envelope | None:
    if value is None:
        return None
    fields = read.mapping(value, ("envelope",), ("header", "members", "numbers"))
    members = read.mapping(fields.get("members"), ("envelope", "members"))
    known = (*known, "params", "signature", "method", "path", "tail")
    for name, text in members.items():
        read.template(text, ("envelope", "members", name), known)
        if (name == SPREAD and text != PARAMS) or ("{params}" in str(text) and text != PARAMS):
            read.fault(("envelope", "members", name), f"must be {PARAMS}")
    if list(members.values()).count(PARAMS) != 1:
        read.fault(("envelope", "members"), f"must hold {PARAMS} once")
    header = read.text(fields.get("header", ""), ("envelope", "header"))
    numbers = read.texts(fields.get("numbers", ()), ("envelope", "numbers"))
    for name in numbers:
        if members.get(name) not in _NUMBERS:
            read.fault(("envelope", "numbers"), f"{name!r} is no member of {' or '.join(_NUMBERS)}")
    return Envelope(header, tuple(members.items()), frozenset(numbers))


def _jwt(read: Reading, value: Any, known: tuple[str, ...]) -> dict[str, Token]:
    known = (*known, "method", "host", "path")

    def part(value: Any, path: tuple[str, ...]) -> dict[str, Value]:
        return {
            name: tuple(
                read.template(one, (*path, name, index), known) for index, one in enumerate(item)
            )
            if isinstance(item, list | tuple)
            else read.template(item, (*path, name), known)
            for name, item in read.mapping(value, path).items()
        }

    found = {}
    for name, item in read.mapping(value, ("jwt",), ALGORITHMS).items():
        path = ("jwt", name)
        fields = read.mapping(item, path, ("header", "claims"))
        found[name] = Token(
            part(fields.get("header"), (*path, "header")),
            part(fields.get("claims"), (*path, "claims")),
        )
    return found


def _check_whole(read: Reading, scheme: Scheme, venue: Venue) -> None:
    """Parts that need each other, and what is added: declared, or the kernel denies it all."""
    tokens = scheme.tokens()
    for path, message in (*faults(scheme, venue), *header_faults(scheme)):
        read.fault(path, message)
    for endpoint in sorted(scheme.key_only.difference(venue.endpoints())):
        read.fault(("key_only",), f"{endpoint[:80]!r} is none of `operations`")
    if scheme.key_only and not _is_keyed_alone(scheme):
        read.fault(("key_only",), "needs `headers` that hold the key, and nothing of a signature")
    for method in venue.section("signing")["place"]:
        known = venue.endpoints() if " " in method else METHODS
        if method not in known:
            near = nearest(method, known)
            what = "an endpoint of `operations`" if " " in method else "a method in capitals"
            read.fault(("place", method), f"must be {what}{near}")
    if (scheme.envelope is None) != (ENVELOPE not in scheme.places()):
        read.fault(("envelope",), "is there if, and only if, it is a place")
    if scheme.jwt and scheme.jwt.keys() != scheme.algorithms.keys():
        read.fault(("jwt",), "must describe one token for each of the algorithms")
    if bool(scheme.nonce) != ("nonce" in tokens):
        read.fault(("nonce",), "is there if, and only if, {nonce} is used")
    is_told = "signature" in tokens
    if bool(scheme.signature) == is_told:
        read.fault(
            ("signature",), "stands in a parameter, or as {signature} in headers or envelope"
        )
    params = {added.param for added in (*scheme.before, *scheme.after)}
    if scheme.signature:
        params.add(scheme.signature)
    if scheme.envelope is not None:
        params |= {name for name, text in scheme.envelope.members if PARAMS not in (name, text)}
        params -= {SPREAD}
    for name in sorted(params - venue.added_params):
        read.fault((), f"adds parameter {name!r}: declare it in adds.params")
    headers = {name.lower() for name in scheme.headers}
    if any(where in CONTENT_TYPES for where in scheme.places()) and not _in_header(scheme):
        headers.add("content-type")
    if scheme.envelope is not None and scheme.envelope.header:
        headers.add(scheme.envelope.header.lower())
    for name in sorted(headers - venue.added_headers):
        read.fault((), f"adds header {name!r}: declare it in adds.headers")


def _is_keyed_alone(scheme: Scheme) -> bool:
    return all(text.tokens <= frozenset(OF_KEYS) for text in scheme.headers.values())


def _in_header(scheme: Scheme) -> bool:
    """Whether no place is a body: only the envelope is one, and a header carries it."""
    bodies = {where for where in scheme.places() if where in CONTENT_TYPES}
    return bodies == {ENVELOPE} and scheme.envelope is not None and bool(scheme.envelope.header)
