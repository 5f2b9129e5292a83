"""Envelopes: what was judged is what they carry, whoever signs. Signers here are hostile."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.accounts import Account
from hauberk.binding import Binding
from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk.signed import check_signed
from hauberk_plugins.signing.objects import concat, read_object
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.signing.verifier import RequestVerifier, VerificationFailed
from hauberk_plugins.venues.catalogue import VenueCatalogue

CATALOGUE = VenueCatalogue()
CREDENTIALS = Credentials(Secret("account-key"), Secret("secret"))
AT_NS = 1_700_000_000_000_000_000
NESTED = '{"symbol":"btcusd", "options":["maker-or-cancel"],"order_id":1.50}'
URLS = {
    "gemini": "https://api.gemini.com/v1/order/new",
    "cryptocom": "https://api.crypto.com/exchange/v1/private/create-order",
}
PAYLOAD = "X-GEMINI-PAYLOAD"


def asked(name, body=NESTED, **parts):
    return Request("POST", URLS[name], body=body, **parts)


def sign(name, request):
    signer = RequestSigner(read_scheme(CATALOGUE.venue(name)))
    return signer.sign(request, CREDENTIALS, AT_NS, lambda: "7")


def check(name, judged, signed):
    binding = Binding("main", Account(name), CATALOGUE.venue(name), ())
    return check_signed(judged, signed, binding)


def payload(signed):
    return b64decode(dict(signed.headers)[PAYLOAD]).decode()


def with_payload(signed, text, body=b""):
    headers = tuple(
        (name, b64encode(text.encode()).decode() if name == PAYLOAD else value)
        for name, value in signed.headers
    )
    return signed.signed(url=signed.url, headers=headers, body=body)


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("body", [NESTED, f" {NESTED}\n", "{}"])
def test_a_judged_body_leaves_in_its_envelope(name, body):
    judged = asked(name, body)
    assert check(name, judged, sign(name, judged)) is None


@pytest.mark.parametrize("name", URLS)
def test_judged_parameters_leave_in_an_envelope(name):
    judged = asked(name, "", params={"b": "2", "a": "1"})
    assert check(name, judged, sign(name, judged)) is None


def test_gemini_moves_the_body_into_the_header():
    signed = sign("gemini", asked("gemini"))
    assert signed.body == b""
    assert payload(signed) == '{"request":"/v1/order/new","nonce":"7",' + NESTED[1:]


def test_cryptocom_writes_id_and_nonce_as_numbers():
    sent = json.loads(sign("cryptocom", asked("cryptocom")).body)
    assert (sent["id"], sent["nonce"]) == (1_700_000_000_000, 1_700_000_000_000)
    assert sent["params"] == json.loads(NESTED)


@pytest.mark.parametrize(
    "text",
    [
        NESTED.replace("btcusd", "ethusd"),
        NESTED.replace("1.50", "1.5"),
        NESTED.replace(', "options"', ',"options"').replace("maker-or-cancel", "x"),
        '{"symbol":"btcusd"}',
        NESTED[:-1] + ',"price":"1"}',
        NESTED[:-1] + ',"symbol":"ethusd"}',
        '{"request":"/v1/order/new","nonce":"1","x":' + NESTED + "}",
        "[]",
        "",
    ],
)
def test_a_header_that_carries_something_else_than_was_judged_does_not_leave(text):
    judged = asked("gemini")
    signed = with_payload(sign("gemini", judged), text)
    assert check("gemini", judged, signed) == "the signer changed the body"


def test_a_body_beside_the_header_does_not_leave():
    judged = asked("gemini")
    good = sign("gemini", judged)
    other = with_payload(good, payload(good), b'{"symbol":"ethusd"}')
    assert check("gemini", judged, other) == "the signer changed the body"


@pytest.mark.parametrize("text", [NESTED, NESTED.replace("btcusd", "ethusd"), '{"nonce":"1"}'])
def test_a_judged_body_left_beside_a_header_which_the_exchange_reads_does_not_leave(text):
    judged = asked("gemini")
    signed = with_payload(sign("gemini", judged), text, judged.body)
    assert check("gemini", judged, signed) == "the signer changed the body"


def test_a_body_without_an_envelope_leaves_as_it_is():
    judged = asked("gemini")
    signed = judged.signed(url=judged.url, headers=(), body=judged.body)
    assert check("gemini", judged, signed) is None


def test_a_body_without_a_header_does_not_leave_empty():
    judged = asked("gemini")
    signed = judged.signed(url=judged.url, headers=(), body=b"")
    assert check("gemini", judged, signed) == "the signer changed the body"


def test_a_query_beside_an_envelope_that_a_header_carries_does_not_leave():
    judged = asked("gemini")
    good = sign("gemini", judged)
    signed = good.signed(url=good.url + "?symbol=ethusd", headers=good.headers, body=b"")
    assert check("gemini", judged, signed) is not None


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "body", ["[1]", "1", " ", '{"a":1,"a":2}', '{"a":{"b":1,"b":2}}', '{"a":NaN}', "{" * 9_999]
)
def test_a_body_that_no_envelope_could_hold_is_refused(name, body):
    with pytest.raises(SigningError, match="takes a JSON object as a body"):
        sign(name, asked(name, body))


@pytest.mark.parametrize("parts", [{"body": '{"nonce":"1"}'}, {"params": {"nonce": "1"}}])
def test_what_signing_sets_is_not_given(parts):
    with pytest.raises(SigningError, match="'nonce' is set by signing"):
        sign("gemini", Request("POST", URLS["gemini"], **parts))


def test_beside_a_member_of_its_own_a_parameter_may_have_any_name():
    judged = asked("cryptocom", "", params={"id": "1", "nonce": "2"})
    assert check("cryptocom", judged, sign("cryptocom", judged)) is None


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("parts", [{}, {"body": "", "params": {"b": "2", "nones": "é"}}])
def test_what_an_envelope_carries_verifies_and_nothing_else(name, parts):
    venue = CATALOGUE.venue(name)
    verifier = RequestVerifier(venue, read_scheme(venue))
    signed = sign(name, asked(name, **parts))
    found = verifier.verify(signed, CREDENTIALS, AT_NS)
    assert found.params == tuple(parts.get("params", {}).items())
    elsewhere = Request("POST", URLS[name] + "x").signed(
        url=URLS[name] + "x", headers=signed.headers, body=signed.body
    )
    with pytest.raises(VerificationFailed):
        verifier.verify(elsewhere, CREDENTIALS, AT_NS)
    if name == "gemini":
        changed = with_payload(signed, payload(signed).replace("2", "3").replace("50", "51"))
        beside = with_payload(signed, payload(signed), b"{}")
    else:
        body = signed.body.replace(b'"2"', b'"3"').replace(b"1.50", b"1.51")
        changed = signed.signed(url=signed.url, headers=signed.headers, body=body)
        body = b'{"x":1,' + signed.body[1:]
        beside = signed.signed(url=signed.url, headers=signed.headers, body=body)
    for other in (changed, beside):
        with pytest.raises(VerificationFailed):
            verifier.verify(other, CREDENTIALS, AT_NS)


# The parameter string of Crypto.com.


def test_names_are_sorted_at_every_level_and_items_keep_their_order():
    body = '{"b":[{"z":1,"a":"x"},{"c":null}],"a":{"d":true,"c":[2,[3]]}}'
    assert concat(read_object(body)) == "ac23dtruebaxz1cnull"
    assert concat({"b": "2", "a": "1"}) == "a1b2"


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.booleans())))
def test_numbers_keep_their_text(members):
    found = read_object(json.dumps(members))
    assert found == {n: str(v) if type(v) is int else v for n, v in members.items()}
    assert read_object('{"a": 1.50}') == {"a": "1.50"}
