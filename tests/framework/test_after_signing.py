"""After signing (DESIGN 2, rule 6): what leaves is what was judged, plus what the venue declares.

Each test is a way in which a signer might cheat, or be careless.
"""

import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.accounts import Account
from hauberk.binding import bind_accounts
from hauberk.errors import Denied
from hauberk.guard import Guard
from hauberk.hooks import hookimpl
from hauberk.protocol import Cleared
from hauberk.request import Operation, Pairs, Request
from hauberk.signed import check_signed
from hauberk.testing import DEFAULT_URL, OpenVenues, PlainSigner, make_guard
from hauberk.testing.guards import Providers
from hauberk.testing.ports import OpenVenue

PARAMS = {"symbol": "BTCUSDT", "side": "BUY", "qty": "1"}
ORDER = Request("POST", DEFAULT_URL, PARAMS, headers={"X-Trace": "7"})
FORM = Request("POST", DEFAULT_URL, body="symbol=BTCUSDT&qty=1")
QUERY = "symbol=BTCUSDT&side=BUY&qty=1"
SIGNED = f"{DEFAULT_URL}?{QUERY}&timestamp=0&signature=none"
BINDING = bind_accounts({"main": Account("open")}, OpenVenues())["main"]

Forge = Callable[[Request], Any]


class Signer(PlainSigner):
    """Signs honestly, then does what a function makes of it."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge

    @hookimpl
    def sign_request(self, request: Request) -> Any:
        return self.forge(super().sign_request(request))


def guard_with(forge: Forge) -> Guard:
    return make_guard(("signing", Signer(forge)))


def reason(forge: Forge, request: Request = ORDER) -> str:
    """Clear with a cheating signer; the denial must name it."""
    with guard_with(forge) as guard, pytest.raises(Denied) as caught:
        guard.clear(request)
    assert caught.value.plugin == "signing"
    assert caught.value.request_id
    return caught.value.reason


def cleared(forge: Forge, request: Request = ORDER) -> Cleared:
    with guard_with(forge) as guard:
        return guard.clear(request)


def forged(signed: Request, **changes: Any) -> Request:
    """A copy that no constructor checked."""
    made: Request = tuple.__new__(Request, {**signed._asdict(), **changes}.values())
    return made


def with_query(query: str) -> Forge:
    return lambda signed: signed.amend(url=f"{DEFAULT_URL}?{query}")


# What an honest signer may do.


def test_what_was_judged_leaves_with_what_the_venue_declares() -> None:
    assert cleared(lambda signed: signed).request.url == SIGNED
    added = (*ORDER.headers, ("X-Key", "k"))
    assert cleared(lambda s: s.amend(headers=added)).request.headers == added


@pytest.mark.parametrize(
    "query",
    [
        f"timestamp=0&{QUERY}&signature=x",
        "symbol=BTCUSDT&timestamp=0&side=BUY&signature=x&qty=1",
        QUERY,
        "symbol=%42TCUSDT&side=BUY&qty=1",
    ],
)
def test_where_additions_stand_and_how_characters_are_escaped_is_the_signers_affair(
    query: str,
) -> None:
    assert cleared(with_query(query)).request.url == f"{DEFAULT_URL}?{query}"


def test_judged_parameters_may_travel_in_the_body_where_the_venue_reads_them_there() -> None:
    sent = cleared(lambda s: s.amend(url=DEFAULT_URL, body=f"{QUERY}&signature=x")).request
    assert (sent.url, sent.body) == (DEFAULT_URL, f"{QUERY}&signature=x".encode())


def test_a_request_without_parameters_may_leave_with_a_bare_question_mark() -> None:
    plain = Request("GET", "https://api.open.test/read/account")
    assert cleared(lambda s: s.amend(url=f"{plain.url}?"), plain).request.url == f"{plain.url}?"


# What it may not.


@pytest.mark.parametrize(
    "forge",
    [
        lambda s: s.amend(method="DELETE"),
        lambda s: s.amend(url=s.url.replace("/trade/order", "/withdraw/apply")),
        lambda s: s.amend(url=s.url.replace("/trade/order", "/trade/order/")),
        lambda s: s.amend(url=s.url.replace("/trade/order", "/trade/./order")),
        lambda s: s.amend(url=s.url.replace("/trade/order", "/trade/%6Frder")),
        lambda s: s.amend(url=s.url.replace("/trade/order", "/TRADE/order")),
        lambda s: s.amend(url=s.url.replace("api.open.test", "evil.test")),
        lambda s: s.amend(url=s.url.replace("api.open.test", "api.open.test:8443")),
        lambda s: s.amend(url=s.url.replace("api.open.test", "api.open.test.evil.test")),
        lambda s: s.amend(url=s.url.replace("api.open.test", "x@api.open.test")),
        lambda s: s.amend(url=s.url.replace("https://", "http://")),
        lambda s: s.amend(url=s.url.replace("https://", "HTTPS://")),
        lambda s: s.amend(url=s.url.replace("?", "/?")),
        lambda s: s.amend(url=f"https://evil.test/?{s.url}"),
        lambda s: s.amend(url="/trade/order"),
    ],
)
def test_another_method_host_or_path_than_was_judged_does_not_leave(forge: Forge) -> None:
    assert reason(forge) == "the signer changed method, host or path"


@pytest.mark.parametrize("tail", ["#", "#x", "#&symbol=ETHUSDT"])
def test_a_fragment_does_not_leave_since_clients_differ_in_what_they_do_with_it(tail: str) -> None:
    assert reason(lambda s: s.amend(url=s.url + tail)) == "the signer added a fragment"
    assert reason(lambda s: s.amend(url=f"{DEFAULT_URL}{tail}?{QUERY}"))


@pytest.mark.parametrize("end", ["\r\nX: y", "\n", " HTTP/1.1", "\t", "\x00", "\x7f", "é"])
def test_a_line_is_not_ended_within_the_url_so_that_no_second_request_is_smuggled(
    end: str,
) -> None:
    assert "visible ASCII" in reason(lambda s: forged(s, url=s.url + end))


@pytest.mark.parametrize(
    "query",
    [
        "side=BUY&qty=1",
        "symbol=BTCUSDT&qty=1&side=BUY",
        "side=BUY&symbol=BTCUSDT&qty=1",
        "symbol=BTCUSDT&side=BUY&qty=1000",
        "symbol=BTCUSDT&side=SELL&qty=1",
        "symbol=BTCUSDT&side=BUY&qty=1.0",
        "symbol=BTCUSDT&side=BUY&qty=",
        "symbol=BTCUSDT&side=BUY&qty=%31%00",
        "symbol=BTCUSDT&side=buy&qty=1",
        f"{QUERY}&qty=1000",
        f"qty=1000&{QUERY}",
        f"{QUERY}&qty=1",
        f"{QUERY}&q%74y=1000",
        f"{QUERY}&{QUERY}",
        "timestamp=0&signature=x",
        "",
    ],
)
def test_a_judged_parameter_dropped_changed_reordered_or_given_twice_does_not_leave(
    query: str,
) -> None:
    assert reason(with_query(query)) == "the signer changed a judged parameter"


@pytest.mark.parametrize(
    "name",
    ["stopPrice", "Symbol", "symbol ", "symbol\0", "symbol[]", " qty", "Timestamp", "", "\u0430"],
)
def test_a_parameter_that_the_venue_does_not_declare_does_not_leave(name: str) -> None:
    query = f"{QUERY}&{quote(name)}=1"
    assert reason(with_query(query)) == (
        f"the signer added parameter {name!r}, which the venue file does not declare"
    )


@pytest.mark.parametrize("name", ["timestamp", "signature"])
def test_what_signing_adds_does_not_stand_beside_a_judged_parameter_of_that_name(
    name: str,
) -> None:
    judged = Request("POST", DEFAULT_URL, {**PARAMS, name: "mine"})
    assert reason(lambda s: s, judged) == "the signer changed a judged parameter"
    kept = f"{QUERY}&{name}=mine"
    assert cleared(with_query(kept), judged).request.url.endswith(kept)


def test_a_judged_parameter_is_not_overruled_from_the_body() -> None:
    assert reason(lambda s: s.amend(body="qty=1000")) == "the signer changed a judged parameter"
    assert "does not declare" in reason(lambda s: s.amend(body="reduceOnly=false"))


def test_a_signed_body_is_bytes_that_nobody_can_change_afterwards() -> None:
    assert "body must be bytes" in reason(
        lambda s: forged(s, url=DEFAULT_URL, body=bytearray(QUERY.encode()))
    )


def test_parameters_left_in_the_signed_request_would_be_encoded_by_whoever_sends_it() -> None:
    assert "a signed request has no params" in reason(lambda s: s.amend(params=PARAMS))
    assert "a signed request has no params" in reason(lambda s: s.amend(params={"x": "1"}))


@pytest.mark.parametrize(
    "body", ["", "symbol=BTCUSDT&qty=1000", "symbol=BTCUSDT&qty=1&qty=1000", "qty=1&symbol=BTCUSDT"]
)
def test_a_judged_body_is_sent_to_the_byte(body: str) -> None:
    assert reason(lambda s: s.amend(body=body), FORM) == "the signer changed the body"
    assert cleared(lambda s: s, FORM).request.body == FORM.body


def test_a_parameter_of_a_judged_body_is_not_repeated_in_the_query() -> None:
    why = reason(lambda s: s.amend(url=f"{DEFAULT_URL}?qty=1000"), FORM)
    assert why == "the signer added parameter 'qty', which the venue file does not declare"


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("X-Trace", "8"),),
        (("x-trace", "7"),),
        (("X-Key", "k"), ("X-Trace", "7")),
    ],
)
def test_a_judged_header_dropped_changed_or_moved_does_not_leave(headers: Pairs) -> None:
    assert reason(lambda s: s.amend(headers=headers)) == "the signer changed a header"


@pytest.mark.parametrize("name", ["X-Trace", "x-trace", "X-TRACE"])
def test_a_judged_header_is_not_given_a_second_time(name: str) -> None:
    why = reason(lambda s: s.amend(headers=(*s.headers, (name, "8"))))
    assert why == f"the signer added header {name}, which the request already has"


@pytest.mark.parametrize(
    "name",
    ["Host", "X-HTTP-Method-Override", "Content-Length", "Transfer-Encoding", "X_Key", "Cookie"],
)
def test_a_header_that_the_venue_does_not_declare_does_not_leave(name: str) -> None:
    why = reason(lambda s: s.amend(headers=(*s.headers, (name, "1"))))
    assert why == f"the signer added header {name}, which the venue file does not declare"


@pytest.mark.parametrize(
    "pair",
    [
        ("X-Key", "k\r\nHost: evil.test"), ("X-Key", "k\n"), ("X-Key", "\u00e9"), ("X-Key", b"k"),
        ("X-Key", "k", "more"), ["X-Key", "k"], ("X-Key", None),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_declared_header_does_not_leave_with_what_cannot_stand_in_one(pair: Any) -> None:
    assert "header" in reason(lambda s: forged(s, headers=(*s.headers, pair)))
    plain = Request("POST", DEFAULT_URL, PARAMS)
    assert "header" in reason(lambda s: forged(s, headers=(pair,)), plain)


def test_a_header_found_good_once_does_not_vouch_for_another() -> None:
    plain = Request("POST", DEFAULT_URL, PARAMS)
    good, bad = (("X-Key", "k"),), (("X-Key", "k\r\nHost: evil.test"),)
    answers = [good, good, bad, (*good, ("X-Other", "1")), good]
    with guard_with(lambda s: forged(s, headers=answers.pop(0))) as guard:
        for _ in range(2):
            assert guard.clear(plain).request.headers == good
        for _ in range(2):
            with pytest.raises(Denied, match="denied by signing"):
                guard.clear(plain)
        assert guard.clear(plain).request.headers == good


@pytest.mark.parametrize(
    "forge",
    [
        lambda s: s._replace(account="rich"),
        lambda s: s.stamped("another-1", s.operation),
        lambda s: s.stamped("", s.operation),
    ],
)
def test_the_account_and_the_id_are_those_that_were_judged(forge: Forge) -> None:
    assert reason(forge) == "the signer changed account or id"


def test_the_operation_is_the_one_that_was_judged() -> None:
    assert reason(lambda s: s.stamped(s.id, Operation.READ))


@pytest.mark.parametrize(
    "answer", [None, True, SIGNED, SIGNED.encode(), (), {"url": SIGNED}, object(), Request],
    ids=lambda answer: type(answer).__name__,
)  # fmt: skip
def test_what_is_no_request_does_not_leave(answer: object) -> None:
    assert reason(lambda s: answer) == f"returned {type(answer).__name__} instead of a Request"


class MyRequest(Request):
    """Shows the kernel another URL than the client."""

    __slots__ = ()

    @property
    def url(self) -> str:  # type: ignore[override]
        return SIGNED


def test_a_subclass_of_a_request_does_not_leave() -> None:
    why = reason(lambda s: MyRequest("POST", "https://evil.test/"))
    assert why == "returned MyRequest instead of a Request"


async def _coroutine() -> None: ...


def test_an_awaitable_in_place_of_a_signed_request_does_not_leave() -> None:
    with warnings.catch_warnings(record=True) as given_warnings:
        warnings.simplefilter("always")
        assert reason(lambda s: _coroutine()) == "returned coroutine instead of a Request"
    assert [str(warning.message) for warning in given_warnings] == []


class Elsewhere(Request):
    """What a hostile signer would turn the judged request into."""

    __slots__ = ()

    @property
    def url(self) -> str:  # type: ignore[override]
        return "https://evil.test/"


@pytest.mark.parametrize(
    "fails",
    [
        False,
        True,
    ],
)
def test_the_judged_request_stays_what_it_was_whatever_its_signer_does_to_it(fails: bool) -> None:
    ends: list[tuple[type, str]] = []

    class Watching:
        @hookimpl
        def on_request(self, request: Request) -> None: ...

        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            ends.append((type(request), request.url))

    class Changing(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            signed = super().sign_request(request)
            object.__setattr__(request, "__class__", Elsewhere)
            if fails:
                raise OSError
            return signed

    with (
        make_guard(Watching(), ("signing", Changing())) as guard,
        pytest.raises(Denied, match="denied by signing"),
    ):
        guard.clear(ORDER)
    assert ends == [(Request, DEFAULT_URL)]


def test_what_a_signer_raises_is_named_by_its_type_alone_since_it_may_quote_a_secret() -> None:
    def leak(signed: Request) -> None:
        raise ValueError("cannot use secret canary-4711")

    assert reason(leak) == "raised ValueError"


def test_the_unsigned_request_does_not_leave_in_place_of_the_signed_one() -> None:
    assert "no params" in reason(lambda s: s.amend(url=DEFAULT_URL, params=PARAMS))


class OddVenue(OpenVenue):
    """Reads back whatever `answer` is, or raises it."""

    answer: Any = None

    def sent(self, signed: Request) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer", [ValueError("?"), StopIteration(()), [["symbol", "BTCUSDT"]], [()], None, (), 5],
    ids=lambda answer: type(answer).__name__,
)  # fmt: skip
def test_what_the_venue_cannot_read_back_as_judged_does_not_leave(answer: Any) -> None:
    venue = type("Odd", (OddVenue,), {"answer": answer})("odd")
    accounts = {"main": Account("odd")}
    with (
        make_guard(accounts=accounts, providers=Providers(venue)) as guard,
        pytest.raises(
            Denied, match=r"denied by signing: (what was signed cannot|the signer changed)"
        ),
    ):
        guard.clear(ORDER)


def test_an_error_in_reading_back_is_a_denial_that_shows_nothing_of_what_was_signed() -> None:
    denied = reason(with_query("symbol=%ZZ&broken"))
    assert denied.startswith("what was signed cannot be read back")
    assert "symbol" not in denied


# Whatever a signer writes, what the venue reads of the judged names is what was judged.

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "timestamp", "signature", "x"]), TEXT))


@given(st.dictionaries(st.sampled_from(["a", "b", "timestamp"]), TEXT), PAIRS)
def test_only_what_reads_back_as_judged_with_declared_additions_passes(
    judged_params: dict[str, str], sent: list[tuple[str, str]]
) -> None:
    judged = BINDING.judged(Request("POST", DEFAULT_URL, judged_params))
    query = urlencode(sent, quote_via=quote)
    signed = judged.amend(url=f"{DEFAULT_URL}?{query}", params=())
    kept = [pair for pair in sent if pair[0] in judged_params]
    added = {name for name, _ in sent} - set(judged_params)
    passes = kept == list(judged_params.items()) and added <= {"timestamp", "signature"}
    assert (check_signed(judged, signed, BINDING) is None) is passes


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40))
def test_no_text_behind_the_judged_url_hides_a_parameter(tail: str) -> None:
    judged = BINDING.judged(Request("POST", DEFAULT_URL, {"a": "1"}))
    signed = judged.amend(url=DEFAULT_URL + tail, params=())
    try:
        problem = check_signed(judged, signed, BINDING)
    except ValueError:
        return
    if problem is None:
        assert tail[0] == "?"
        assert "#" not in tail
        names = [name for name, _ in BINDING.venue.sent(signed)]
        assert names.count("a") == 1
        assert set(names) <= {"a", "timestamp", "signature"}
