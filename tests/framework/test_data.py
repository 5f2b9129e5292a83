"""The data (DESIGN 2): deeply immutable, of exact types, and showing no secret."""

import copy
import json
import logging
import pickle
import pprint
import re
import reprlib
import string
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction
from math import inf, nan
from types import MappingProxyType
from typing import Any

import attrs
import pytest
import rich.pretty as rich_pretty
from hypothesis import example, given
from hypothesis import strategies as st

from hauberk.errors import HauberkError, InvalidValue
from hauberk.ports import Credentials
from hauberk.records import (
    MAX_DETAILS,
    Event,
    Identity,
    Incident,
    Login,
    Outcome,
    Severity,
    to_json,
)
from hauberk.request import MAX_BODY, MAX_URL, Operation, Request, Response
from hauberk.secret import HIDDEN, Secret
from hauberk.verdicts import Deny, Wait

URL = "https://api.open.test/trade/order"
REQUEST = Request("POST", URL, {"symbol": "BTCUSDT"}, {"X-Trace": "7"}, b"x", "main")
RESPONSE = Response(200, {"X-Used": "1"}, b"{}")
LOGIN = Login("alice", Secret("pw"), Secret("123456"), "203.0.113.9", Secret("phone"))
IDENTITY = Identity("alice", ("operator",), Secret("token"))
OUTCOME = Outcome("halted")
INCIDENT = Incident("inc-1", "keys stolen", Severity.HIGH, "bot", 5, "{}", (OUTCOME,))
EVENT = Event("request.left", 5, "kernel", False, "id-1", "main", '{"a": 1}')
DATA = [REQUEST, RESPONSE, LOGIN, IDENTITY, OUTCOME, INCIDENT, EVENT, Deny("no"), Wait(1)]


class MyText(str):
    """Text with methods of its own."""


class MyInt(int):
    """A number with methods of its own."""


class Side(StrEnum):
    BUY = "BUY"


def fields(value: Any) -> tuple[str, ...]:
    return (
        value._fields
        if type(value) is Request
        else tuple(a.name for a in attrs.fields(type(value)))
    )


# Immutability.


@pytest.mark.parametrize("value", DATA, ids=lambda value: type(value).__name__)
def test_no_field_can_be_assigned_added_or_deleted(value: Any) -> None:
    for name in (*fields(value), "added"):
        with pytest.raises(AttributeError):
            setattr(value, name, "x")
        with pytest.raises(AttributeError):
            delattr(value, name)
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("value", DATA, ids=lambda value: type(value).__name__)
def test_every_field_holds_what_cannot_be_changed(value: Any) -> None:
    for name in fields(value):
        _check_deeply(getattr(value, name))


def _check_deeply(value: object) -> None:
    if type(value) is tuple:
        for item in value:
            _check_deeply(item)
    else:
        assert type(value) in {
            str, bytes, int, float, bool, type(None), Secret, Severity, Operation, Outcome,
        }  # fmt: skip


@pytest.mark.parametrize("name", REQUEST._fields)
def test_no_field_of_a_request_can_be_assigned_even_through_object(name: str) -> None:
    with pytest.raises(AttributeError):
        object.__setattr__(REQUEST, name, "x")
    with pytest.raises(AttributeError):
        object.__delattr__(REQUEST, name)


def test_what_a_request_is_made_from_can_be_changed_without_changing_it() -> None:
    params, headers, body = {"qty": "1"}, [("X", "1")], bytearray(b"x")
    request = Request("POST", URL, params, headers, bytes(body))
    params["qty"] = "1000"
    headers.append(("Y", "2"))
    body[0] = 0
    assert (request.params, request.headers, request.body) == ((("qty", "1"),), (("X", "1"),), b"x")


def test_details_are_a_fresh_copy_each_time() -> None:
    EVENT.fields["a"] = 1000
    assert EVENT.fields == {"a": 1}
    incident = attrs.evolve(INCIDENT, details_json='{"list": [1]}')
    incident.details["list"].append(2)
    assert incident.details == {"list": [1]}


# Requests.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("BTCUSDT", "BTCUSDT"), ("", ""), ("a b&c=d", "a b&c=d"), ("币", "币"), ("\x00", "\x00"),
        (1, "1"), (-1, "-1"), (0, "0"), (10**30, "1" + "0" * 30),
        (True, "true"), (False, "false"),
        (0.1, "0.1"), (1e-7, "0.0000001"), (1e22, "1" + "0" * 22), (1.0, "1.0"), (-0.0, "-0.0"),
        (123456789.123, "123456789.123"), (5e-324, "0." + "0" * 323 + "5"),
        (Decimal("0.10"), "0.10"), (Decimal("1E+2"), "100"), (Decimal("1E-7"), "0.0000001"),
        (Decimal("-0"), "-0"), (Decimal(10) ** 308, "1" + "0" * 308),
    ],
)  # fmt: skip
def test_a_parameter_is_written_out_without_exponent_or_capitals(value: Any, text: str) -> None:
    assert Request("GET", URL, {"p": value}).params == (("p", text),)
    assert Request("GET", URL, [("p", value)]).params == (("p", text),)


@pytest.mark.parametrize(
    "value",
    [
        nan, inf, -inf, Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), None, b"1",
        bytearray(), [], (), {}, {"a": 1}, object(), 1j, Fraction(1, 3), MyText("x"), MyInt(1),
        Side.BUY,
        Severity.LOW, Enum, Secret("x"), "\ud800", Decimal("1E+999999999"), Decimal("1E-999999999"),
        10**5_000,
    ],
    ids=lambda value: f"{type(value).__name__}",
)  # fmt: skip
def test_a_parameter_without_one_unambiguous_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue):
        Request("GET", URL, {"p": value})
    with pytest.raises(InvalidValue):
        Request("GET", URL, (("p", value),))


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**40), 10**40)))
def test_a_numbers_text_is_that_number_and_no_other(value: float) -> None:
    text = Request("GET", URL, {"p": value}).params[0][1]
    assert type(value)(text) == value
    assert not set(text) & set("eE+_ ")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**50), max_value=10**50))
def test_a_decimals_text_keeps_every_digit(value: Decimal) -> None:
    text = Request("GET", URL, {"p": value}).params[0][1]
    assert Decimal(text) == value
    assert not set(text) & set("eE+")


@pytest.mark.parametrize(
    "params",
    [
        "ab", b"ab", ["ab", "cd"], [b"ab"], [("a",)], [("a", "1", "2")], [()], {("a", "1")},
        frozenset({("a", "1")}), [{"a", "b"}], [{"a": 1, "b": 2}], 5, None, object(), [None], [5],
        {1: "x"}, {b"a": "x"}, {None: "x"}, {MyText("a"): "x"}, [(MyText("a"), "x")],
    ],
)  # fmt: skip
def test_parameters_that_are_no_mapping_or_pairs_are_refused(params: Any) -> None:
    with pytest.raises(InvalidValue):
        Request("GET", URL, params)
    with pytest.raises(InvalidValue):
        Request("GET", URL, headers=params)


@pytest.mark.parametrize(
    "params",
    [
        {"a": "1", "b": "2"},
        OrderedDict(a="1", b="2"),
        MappingProxyType({"a": "1", "b": "2"}),
        [("a", "1"), ("b", "2")],
        [["a", "1"], ["b", "2"]],
        (("a", "1"), ("b", "2")),
        {"a": "1", "b": "2"}.items(),
        iter([("a", "1"), ("b", "2")]),
        ((name, value) for name, value in [("a", "1"), ("b", "2")]),
    ],
    ids=lambda params: type(params).__name__,
)
def test_parameters_keep_their_order_whatever_they_come_in(params: Any) -> None:
    assert Request("GET", URL, params).params == (("a", "1"), ("b", "2"))


def test_the_same_name_twice_is_kept_twice() -> None:
    assert Request("GET", URL, [("id", "1"), ("id", "2")]).params == (("id", "1"), ("id", "2"))


def test_parameters_of_exact_type_are_taken_as_they_are() -> None:
    params = (("a", "1"),)
    assert Request("GET", URL, params).params is params


@pytest.mark.parametrize(
    "changes",
    [
        *({"method": m} for m in ("get", "", "GET ", "GET\r\nX", None, "G" * 17, MyText("GET"))),
        *({"method": m} for m in (b"GET", "\uff27\uff25\uff34")),
        *({"url": u} for u in ("", None, b"https://x/", MyText(URL), f"{URL} ", f"{URL}\n")),
        *({"url": u} for u in (f"{URL}\x00", f"{URL}é", "x" * (MAX_URL + 1))),
        *({"body": b} for b in (bytearray(b"x"), memoryview(b"x"), None, {"a": 1}, MyText("x"))),
        *({"body": b} for b in ("\ud800", bytes(MAX_BODY + 1))),
        *({"account": a} for a in ("", None, MyText("main"), 5)),
        *({"headers": {name: "1"}} for name in ("", "X Y", "X:", "X\r\n", "Ä")),
        *({"headers": {"X": v}} for v in (1, b"1", "1\r\nHost: e", "1\n", "\x00", "é")),
        *({"headers": h} for h in ([("X", "1", "2")], {"X": MyText("1")})),
    ],
    ids=lambda changes: re.sub(r" at 0x\w+", "", ascii(changes))[:40],
)  # fmt: skip
def test_what_cannot_be_put_on_the_wire_as_it_stands_makes_no_request(
    changes: dict[str, Any],
) -> None:
    given_fields: dict[str, Any] = {"method": "POST", "url": URL, **changes}
    with pytest.raises(InvalidValue):
        Request(**given_fields)
    if "account" not in changes and None not in changes.values():
        with pytest.raises(InvalidValue):
            REQUEST.amend(**changes)


def test_a_body_that_is_text_is_sent_as_utf_8() -> None:
    assert Request("POST", URL, body="qty=½").body == "qty=½".encode()


def test_the_id_and_the_operation_are_no_arguments_of_the_constructor() -> None:
    assert (REQUEST.id, REQUEST.operation) == ("", Operation.UNKNOWN)
    for name in ("id", "operation"):
        with pytest.raises(TypeError):
            Request("GET", URL, **{name: "x"})


def test_an_amended_copy_keeps_id_account_and_operation_and_leaves_the_original() -> None:
    stamped = REQUEST.stamped("id-1", Operation.TRADE)
    amended = stamped.amend(params={"symbol": "ETHUSDT"}, body="y")
    assert (amended.id, amended.account, amended.operation) == ("id-1", "main", Operation.TRADE)
    assert (amended.params, amended.body) == ((("symbol", "ETHUSDT"),), b"y")
    assert (amended.method, amended.url, amended.headers) == (*stamped[:2], stamped.headers)
    assert stamped.params == REQUEST.params
    assert amended.amend() == amended


def test_a_request_survives_a_pickle_and_a_copy_unchanged() -> None:
    stamped = REQUEST.stamped("id-1", Operation.TRADE)
    for made in (
        pickle.loads(pickle.dumps(stamped)),  # noqa: S301 - our own bytes
        copy.copy(stamped),
        copy.deepcopy(stamped),
    ):
        assert made == stamped
        assert type(made) is Request
        assert type(made.operation) is Operation


def test_a_request_shows_what_it_is_for_and_no_value() -> None:
    signed = REQUEST.amend(
        url=f"{URL}?symbol=X&signature=canary-signature",
        params={"qty": "canary-param"},
        headers={"X-MBX-APIKEY": "canary-key"},
        body="canary-body",
    )
    rich = rich_pretty.pretty_repr([signed])
    for shown in (repr(signed), str(signed), f"{signed}", pprint.pformat([signed]), rich):
        assert "canary" not in shown
        assert URL in shown


TEXT = st.text(max_size=10)
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), TEXT, st.binary(max_size=5), TEXT.map(MyText),
    st.lists(st.tuples(TEXT, TEXT), max_size=2), st.lists(st.lists(TEXT, max_size=3), max_size=2),
    st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple), st.sampled_from(list(Operation)),
    st.sampled_from(["GET", URL, "main", (), b"", "read"]),
)  # fmt: skip


@given(st.lists(ANYTHING, max_size=10))
@example(["GET", URL, (), (), b"", "main", "", Operation.READ])
def test_a_request_however_it_was_made_says_what_is_wrong_with_it_or_is_of_exact_types(
    made_from: list[Any],
) -> None:
    request: Request = tuple.__new__(Request, made_from)
    problem = request.problem()
    if problem is not None:
        assert type(problem) is str
        assert problem
        return
    assert len(request) == 8
    assert [type(field) for field in request] == [
        str,
        str,
        tuple,
        tuple,
        bytes,
        str,
        str,
        Operation,
    ]
    for pair in (*request.params, *request.headers):
        assert [type(pair), *map(type, pair)] == [tuple, str, str]
    assert Request(*request[:6]) == request.stamped("", Operation.UNKNOWN)


class RaisingMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("hostile")


class Nameless(metaclass=RaisingMeta):
    """Asking for its type's name raises."""


@pytest.mark.parametrize("position", range(8))
def test_a_hostile_value_in_any_field_is_a_problem_and_no_exception(position: int) -> None:
    made_from: list[Any] = list(REQUEST)
    made_from[position] = Nameless()
    assert tuple.__new__(Request, made_from).problem() is not None


# Responses.


def test_a_response_keeps_headers_in_order_and_finds_them_in_any_case() -> None:
    response = Response(429, [("Retry-After", "2"), ("X-Used", "1"), ("x-used", "2")])
    assert response.headers == (("Retry-After", "2"), ("X-Used", "1"), ("x-used", "2"))
    assert response.header("RETRY-AFTER") == "2"
    assert response.header("x-used") == "1"
    assert response.header("absent") is None


@pytest.mark.parametrize(
    "made_from",
    [
        *({"status": n} for n in (99, 1000, -1, "200", 200.0, True, MyInt(200), None)),
        *({"body": b} for b in ("text", None, bytearray())),
        *({"error": e} for e in (None, b"x", MyText("x"))),
        *({"headers": h} for h in ("ab", {"X": 1}, {"X": MyText("1")}, None)),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_response_of_other_types_is_refused(made_from: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        Response(**made_from)


def test_a_response_does_not_show_its_body() -> None:
    assert "canary" not in repr(Response(200, (), b"canary"))


# Verdicts.


@pytest.mark.parametrize("seconds", [0, 0.0, 1, 0.001, 1e9, 10**300])
def test_seconds_are_finite_and_not_negative(seconds: float) -> None:
    assert Wait(seconds).seconds == seconds
    assert Deny("no", retry_after=seconds).retry_after == seconds


@pytest.mark.parametrize("reason", ["", None, b"no", 1, MyText("no"), ["no"]])
def test_a_denial_says_why_in_text(reason: Any) -> None:
    with pytest.raises(InvalidValue, match="reason must be text"):
        Deny(reason)


def test_a_delay_is_not_given_in_the_place_of_a_reason() -> None:
    with pytest.raises(TypeError):
        Deny("no", 5)  # type: ignore[misc]


# Records.


def test_severities_are_ordered_and_say_their_names() -> None:
    assert [str(s) for s in sorted(Severity)] == ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
    assert f"{Severity.HIGH}" == "HIGH"
    assert Severity.MEDIUM < Severity.HIGH <= Severity.CRITICAL
    assert Severity["CRITICAL"] is Severity.CRITICAL


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (INCIDENT, {"id": 1}), (INCIDENT, {"title": ["x"]}), (INCIDENT, {"title": MyText("x")}),
        (INCIDENT, {"severity": 4}), (INCIDENT, {"severity": "HIGH"}), (INCIDENT, {"source": None}),
        (INCIDENT, {"at_ns": 1.5}), (INCIDENT, {"at_ns": True}), (INCIDENT, {"details_json": {}}),
        (INCIDENT, {"repeats": ("{}", 1)}), (INCIDENT, {"repeats": "{}"}),
        (INCIDENT, {"outcomes": [OUTCOME]}), (INCIDENT, {"outcomes": ("halted",)}),
        (INCIDENT, {"resolution": None}),
        (EVENT, {"kind": None}), (EVENT, {"kind": MyText("request.left")}), (EVENT, {"at_ns": "5"}),
        (EVENT, {"source": b"kernel"}), (EVENT, {"permission": 1}), (EVENT, {"request_id": None}),
        (EVENT, {"account": 5}), (EVENT, {"fields_json": {"a": 1}}),
        (OUTCOME, {"did": None}), (OUTCOME, {"did": MyText("x")}), (OUTCOME, {"ok": 1}),
        (OUTCOME, {"plugin": None}), (OUTCOME, {"took_ns": 1.5}),
        (IDENTITY, {"user": ""}), (IDENTITY, {"user": MyText("x")}), (IDENTITY, {"roles": ["x"]}),
        (IDENTITY, {"roles": (1,)}), (IDENTITY, {"session": "plain"}),
        (LOGIN, {"user": 5}), (LOGIN, {"password": "plain"}), (LOGIN, {"code": b"1"}),
        (LOGIN, {"source": None}), (LOGIN, {"device": "phone"}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict) else str([*value]),
)  # fmt: skip
def test_a_record_with_a_field_of_another_type_is_refused(
    value: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidValue, match=f"{type(value).__name__}: "):
        attrs.evolve(value, **changes)


@pytest.mark.parametrize("kind", [Deny, Wait, Identity, Outcome])
def test_a_value_made_past_its_constructor_says_what_is_wrong_with_it(kind: Any) -> None:
    assert type(object.__new__(kind).problem()) is str


def test_a_login_without_secrets_keeps_who_and_from_where() -> None:
    shown = LOGIN.without_secrets()
    assert (shown.user, shown.source) == ("alice", "203.0.113.9")
    assert (shown.password, shown.code, shown.device) == (None, None, None)
    assert "phone" not in repr(LOGIN)


def test_an_incident_is_told_with_everything_and_as_json() -> None:
    told = attrs.evolve(INCIDENT, details_json='{"k": [1]}', resolution="rotated").told()
    assert json.loads(json.dumps(told)) == {
        "incident": "inc-1", "title": "keys stolen", "severity": "HIGH", "source": "bot",
        "state": "resolved", "count": 1,
        "details": {"k": [1]}, "repeats": [], "resolution": "rotated",
        "outcomes": [{"did": "halted", "ok": True, "plugin": "", "took_ns": 0}],
    }  # fmt: skip


# Secrets.

CANARY = "canary-5b1f"


@attrs.frozen
class Holder:
    """Something that holds a secret, as plugins do."""

    secret: Secret


def secret_of_a_kind(kind: str) -> Secret:
    return Secret(CANARY if kind == "str" else CANARY.encode())


@pytest.fixture(params=["str", "bytes"])
def secret(request: pytest.FixtureRequest) -> Secret:
    return secret_of_a_kind(request.param)


SHOWING: list[Callable[[Secret], object]] = [
    repr,
    str,
    ascii,
    format,
    lambda s: f"{s}",
    lambda s: f"{s!r} {s!s} {s!a} {s=}",
    lambda s: f"{s:>40}",
    lambda s: f"{s:.3}",
    lambda s: f"{s:%Y}",
    lambda s: "{}".format(s),  # noqa: UP032 - one of the ways
    lambda s: "{!r:>20} {}".format(s, s),  # noqa: UP032
    lambda s: "%s %r %a" % (s, s, s),  # noqa: UP031
    lambda s: "%(secret)s" % {"secret": s},  # noqa: UP031
    lambda s: string.Template("$s").substitute(s=s),
    lambda s: [s, (s,), {"s": s}],
    lambda s: Holder(s),
    lambda s: attrs.asdict(Holder(s)),
    lambda s: Credentials(s, s, s),
    lambda s: Login("alice", s, s),
    lambda s: Identity("alice", (), s),
    lambda s: pprint.pformat({"s": [s]}),
    lambda s: reprlib.repr(s),
    lambda s: ValueError(s),
    lambda s: HauberkError("x", s),
    lambda s: BaseExceptionGroup("x", [ValueError(s)]),
    lambda s: to_json({"s": s, "nested": [{"s": (s,)}], "holder": Holder(s)}),
    lambda s: to_json({s: 1}),  # type: ignore[dict-item]
    lambda s: {"dir": dir(s), "doc": s.__doc__, "slots": s.__slots__},
]


@pytest.mark.parametrize("show", SHOWING)
def test_no_way_of_showing_shows_a_secret(show: Callable[[Secret], object], secret: Secret) -> None:
    try:
        shown = show(secret)
    except TypeError as error:
        shown = error
    for text in (str(shown), repr(shown), f"{shown}"):
        assert CANARY not in text


@pytest.mark.parametrize(
    "convert",
    [
        lambda s: json.dumps({"s": s}),
        lambda s: bytes(s),
        lambda s: int(s),
        lambda s: list(s),
        lambda s: len(s),
        lambda s: s + "x",
        lambda s: "x" + s,
        lambda s: "".join([s]),
        lambda s: s[0],
        lambda s: "c" in s,
        lambda s: vars(s),
        lambda s: "%d" % s,  # noqa: UP031
        lambda s: hash(s),
        lambda s: {s},
        lambda s: sorted([s, s]),
        lambda s: memoryview(s),
        lambda s: s.encode(),
    ],
)
def test_a_secret_converts_to_nothing_and_the_error_does_not_show_it(
    convert: Callable[[Any], object], secret: Secret
) -> None:
    with pytest.raises((TypeError, AttributeError)) as caught:
        convert(secret)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: [s], Holder, lambda s: Login("a", s)])
def test_a_secret_is_not_pickled(
    wrap: Callable[[Secret], object], protocol: int, secret: Secret
) -> None:
    with pytest.raises(TypeError, match="not pickled") as caught:
        pickle.dumps(wrap(secret), protocol)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda s: s.__getstate__(), lambda s: s.__reduce_ex__(4),
     lambda s: s.__reduce__(), lambda s: copy.deepcopy(Holder(s))],
)  # fmt: skip
def test_a_secret_is_not_copied(duplicate: Callable[[Any], object], secret: Secret) -> None:
    with pytest.raises(TypeError) as caught:
        duplicate(secret)
    assert CANARY not in str(caught.value)


def _fail_while_holding(secret: Secret) -> None:
    holder = Holder(secret)
    everything = {"secret": secret, "login": Login("alice", secret), "holder": holder}
    raise RuntimeError(f"failed with {secret} in {everything}")


def shown_with_locals(error: BaseException) -> str:
    """A traceback as a debugger, an error tracker or `rich` shows it."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format())


def test_a_traceback_with_locals_does_not_show_a_secret(secret: Secret) -> None:
    with pytest.raises(RuntimeError) as caught:
        _fail_while_holding(secret)
    shown = shown_with_locals(caught.value)
    assert HIDDEN in shown
    assert CANARY not in shown


def test_a_traceback_out_of_a_secret_itself_does_not_show_it(secret: Secret) -> None:
    def misuse(call: Callable[[], object]) -> str:
        try:
            call()
        except Exception as error:
            return shown_with_locals(error) + repr(error) + repr(error.__context__)
        raise AssertionError("nothing was raised")

    for shown in (
        misuse(secret.__getstate__),
        misuse(lambda: copy.copy(secret)),
        misuse(lambda: setattr(secret, "value", 1)),
        misuse(lambda: Secret.__init__(secret, b"other")),
    ):
        assert CANARY not in shown


@pytest.mark.parametrize(
    "raw",
    [
        bytearray(CANARY.encode()), memoryview(CANARY.encode()), [CANARY], MyText(CANARY),
        f"{CANARY}\ud800", {CANARY: 1}, None, 5,
    ],
    ids=lambda raw: type(raw).__name__,
)  # fmt: skip
def test_what_cannot_be_a_secret_is_refused_without_being_shown(raw: Any) -> None:
    with pytest.raises((TypeError, InvalidValue)) as caught:
        Secret(raw)
    error = caught.value
    assert error.__context__ is None
    assert error.__cause__ is None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = [frame.f_locals for frame in frames if frame.f_code.co_filename != __file__]
    assert inside
    assert CANARY not in repr(inside) + repr(error)


def test_bytes_that_are_no_text_are_not_shown_by_the_error_that_says_so() -> None:
    secret = Secret(CANARY.encode() + b"\xff")
    with pytest.raises(InvalidValue, match="not UTF-8") as caught:
        secret.reveal_text()
    assert caught.value.__context__ is None
    assert CANARY not in shown_with_locals(caught.value)
    assert secret.reveal() == CANARY.encode() + b"\xff"


@pytest.mark.parametrize("style", ["args", "extra", "exception", "message"])
def test_logging_does_not_show_a_secret(
    style: str, secret: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("hauberk.test")
    caplog.set_level(logging.DEBUG)
    try:
        _fail_while_holding(secret)
    except RuntimeError:
        if style == "args":
            log.error("secret %s of %r and %s", secret, Holder(secret), {"s": secret})
        elif style == "extra":
            log.error("x", extra={"secret": secret})
        elif style == "exception":
            log.exception("failed")
        else:
            log.error(secret)
    assert CANARY not in caplog.text
    assert CANARY not in repr([vars(record) for record in caplog.records])


def test_a_secret_is_had_only_by_asking_for_it_by_name(secret: Secret) -> None:
    assert secret.reveal() == CANARY.encode()
    assert secret.reveal_text() == CANARY
    assert secret
    assert not Secret("")


def test_secrets_are_equal_by_value_and_to_nothing_else(secret: Secret) -> None:
    assert secret == Secret(CANARY)
    assert secret != Secret(CANARY + "x")
    assert secret != CANARY
    assert secret != CANARY.encode()
    assert Secret("") == Secret(b"")


def test_a_secret_cannot_be_changed(secret: Secret) -> None:
    with pytest.raises(AttributeError):
        secret._Secret__value = b"x"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        secret.other = b"x"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        del secret._Secret__value  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        secret.__init__("x")  # type: ignore[misc]
    assert secret.reveal_text() == CANARY


@given(st.one_of(st.text(st.characters(codec="utf-8")), st.binary()))
def test_what_goes_in_comes_out(raw: str | bytes) -> None:
    assert Secret(raw).reveal() == (raw.encode() if isinstance(raw, str) else raw)


# Details as JSON: an incident is not lost over them.


class Hostile:
    """Raises whatever is asked of it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def _raise(self, *args: object) -> Any:
        raise self.error

    __repr__ = __str__ = __iter__ = __bool__ = __len__ = __eq__ = __hash__ = _raise  # type: ignore[assignment]

    @property
    def __class__(self) -> Any:
        raise object.__getattribute__(self, "error")


class HostileMapping(Mapping[str, Any]):
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def __getitem__(self, key: str) -> Any:
        return self

    def __iter__(self) -> Iterator[str]:
        if self.error is not None:
            raise self.error
        yield from (str(n) for n in range(10**12))

    def __len__(self) -> int:
        raise RuntimeError("no length")


class EndlessList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        while True:
            yield self


class HostileText(str):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def encode(self, *args: object) -> Any:
        return Secret("not bytes")


class HostileRepr:
    def __repr__(self) -> str:
        return HostileText("shown\ud800")


def _circular() -> dict[str, Any]:
    ring: dict[str, Any] = {}
    ring["self"] = ring
    ring["twins"] = [ring, ring, ring, ring]
    return ring


def _deep() -> Any:
    value: Any = "bottom"
    for _ in range(5_000):
        value = [value]
    return value


ERRORS = [RuntimeError("x"), SystemExit(1), GeneratorExit(), MemoryError(), RecursionError()]
# Made when they are used: pytest itself looks at parameters, and falls over some of these.
HOSTILE: dict[str, Callable[[], Any]] = {
    **{f"raises {e!r}": lambda e=e: Hostile(e) for e in ERRORS},  # type: ignore[misc]
    **{f"mapping raises {e!r}": lambda e=e: HostileMapping(e) for e in ERRORS},  # type: ignore[misc]
    "endless mapping": HostileMapping,
    "endless list": lambda: EndlessList([1]),
    "hostile text": lambda: HostileText("x"),
    "hostile repr": HostileRepr,
    "circular": _circular,
    "deep": _deep,
    "long integer": lambda: 10**5_000,
    "nameless": Nameless,
    "nameless type": lambda: Nameless,
    "iterator": lambda: iter([1]),
    "secret": lambda: Secret(CANARY),
    **{
        ascii(value)[:30]: lambda value=value: value  # type: ignore[misc]
        for value in (
            nan, inf, -inf, "\ud800", b"\xff", {1, 2}, frozenset(), (), 1j, Decimal("NaN"), len,
            Severity, Severity.HIGH, Side.BUY, {("a", 1): 2}, {None: 1}, {"\ud800": 1}, REQUEST,
            {MyText("a"): MyText("b")}, ValueError("x"), range(3), "x" * 100_000,
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize(
    "wrap", [lambda v: {"v": v}, lambda v: v, lambda v: {"v": [v], "w": 1}, lambda v: {"v": {v: v}}]
)
def test_details_are_written_whatever_they_hold(
    wrap: Callable[[Any], Any], make: Callable[[], Any]
) -> None:
    try:
        details = wrap(make())
    except BaseException:  # it cannot be a key, or is not hashed: then it is not in details either
        return
    text = to_json(details)
    assert type(json.loads(text, parse_constant=pytest.fail)) is dict
    assert text.encode("utf-8")
    assert CANARY not in text


@pytest.mark.parametrize("kind", [Hostile, HostileMapping])
@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_one_value_that_cannot_be_read_does_not_hide_the_others(
    kind: Callable[[BaseException], Any], error: BaseException
) -> None:
    read = json.loads(to_json({"before": 1, "bad": kind(error), "after": "2"}))
    assert read == {"before": 1, "bad": "[unreadable]", "after": "2"}


def test_details_that_refer_to_themselves_come_to_an_end_and_say_so() -> None:
    text = to_json(_circular())
    assert "[too deep]" in text
    assert len(text) < 100 * MAX_DETAILS
    many = json.loads(to_json({"list": list(range(2 * MAX_DETAILS)), "after": 1}))
    assert many["list"][-1] == "[too many]"
    assert len(many["list"]) <= MAX_DETAILS


def test_ctrl_c_while_details_are_read_is_not_taken_for_a_hostile_value() -> None:
    with pytest.raises(KeyboardInterrupt):
        to_json({"v": Hostile(KeyboardInterrupt())})


def test_names_that_a_log_records_uses_itself_are_just_names() -> None:
    """The guide's handler lost the incident over `extra={"message": …}`."""
    details = {"name": "n", "message": "m", "args": 1, "asctime": None}
    assert json.loads(to_json(details)) == details


def test_what_json_has_is_kept_as_it_is() -> None:
    details = {
        "text": "币\n\u2028", "int": -5, "float": 0.1, "true": True, "none": None, "list": [1, [2]],
        "mapping": {"a": {"b": []}}, "empty": "",
    }  # fmt: skip
    assert json.loads(to_json(details)) == details
    assert to_json(None) == to_json({}) == "{}"
    assert "\n" not in to_json(details)


class _Named(str):
    """Stands for a hostile value while details are drawn: hypothesis looks at what it draws."""

    __slots__ = ()


def _with_hostile(drawn: Any) -> Any:
    if type(drawn) is _Named:
        return HOSTILE[drawn]()
    if type(drawn) is dict:
        return {key: _with_hostile(value) for key, value in drawn.items()}
    if type(drawn) in (list, tuple):
        return type(drawn)(map(_with_hostile, drawn))
    return drawn


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
        st.sampled_from(sorted(HOSTILE)).map(_Named),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.none()), inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
    ),
    max_leaves=8,
)  # fmt: skip


@given(JSON)
def test_any_details_become_one_line_of_valid_json_without_secrets(details: Any) -> None:
    text = to_json(_with_hostile(details))
    assert type(json.loads(text, parse_constant=pytest.fail)) is dict
    assert "\n" not in text
    assert text.encode("utf-8").decode("utf-8") == text
    assert CANARY not in text
