"""`RequestSigner` with the venue file of Binance."""

from __future__ import annotations

import hashlib
import hmac
import json
import traceback
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.request import Operation, Request
from hauberk.secret import Secret
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.venues.catalogue import VenueCatalogue

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "exchange.json").read_text())
BINANCE = [vector for vector in VECTORS if vector["exchange"] == "binance"]
VENUE = VenueCatalogue().venue("binance")
SCHEME = read_scheme(VENUE)
ORDER_URL = "https://api.binance.com/api/v3/order"
AT_MS = 1_499_827_319_559
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "c4nary-NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fA"
CREDENTIALS = Credentials(Secret(KEY), Secret(SECRET))
APIKEY = ("X-MBX-APIKEY", KEY)
FORM = ("Content-Type", "application/x-www-form-urlencoded")

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in ("timestamp", "signature")
)
PARAMS = st.dictionaries(NAMES, TEXT, max_size=12).map(lambda given: tuple(given.items()))
# A caller's own recvWindow of the configured value, given last, is what signing would add.
WITHOUT_WINDOW = PARAMS.filter(lambda params: "recvWindow" not in dict(params))
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE"])


def sign(request, credentials=CREDENTIALS, at_ms=AT_MS, **options):
    return RequestSigner(SCHEME, **options).sign(request, credentials, at_ms * 1_000_000)


def request(method="POST", params=(), url=ORDER_URL, **fields):
    return Request(method, url, params, **fields)


def text_of(signed):
    return signed.body.decode() if signed.body else signed.url.partition("?")[2]


@pytest.mark.parametrize("vector", BINANCE, ids=["ascii", "unicode"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_the_published_examples_come_out_to_the_byte(vector, method):
    given = dict(parse_qsl(vector["payload"]))
    assert int(given.pop("timestamp")) == AT_MS
    signed = sign(request(method, given), Credentials(Secret(KEY), Secret(vector["secret"])))
    text = f"{vector['payload']}&signature={vector['signature']}"
    if method in ("GET", "DELETE"):
        assert (signed.url, signed.body) == (f"{ORDER_URL}?{text}", b"")
        assert signed.headers == (APIKEY,)
    else:
        assert (signed.url, signed.body) == (ORDER_URL, text.encode())
        assert signed.headers == (APIKEY, FORM)
    assert signed.params == ()


def test_parameters_are_never_sorted():
    signed = sign(request(params={"z": "1", "a": "2"}))
    assert text_of(signed).startswith("z=1&a=2&recvWindow=5000&timestamp=1499827319559&signature=")


def test_a_recv_window_of_the_caller_stands_where_he_put_it():
    text = text_of(sign(request(params={"recvWindow": "60000", "a": "2"}), window_ms=7))
    assert text.startswith("recvWindow=60000&a=2&timestamp=1499827319559&signature=")


def test_the_configured_recv_window_is_added_where_there_is_none():
    assert text_of(sign(request(params={"a": "2"}), window_ms=250)).startswith(
        "a=2&recvWindow=250&timestamp="
    )


def test_a_request_without_parameters_has_only_what_is_added():
    url = "https://api.binance.com/api/v3/account"
    signed = sign(request("GET", url=url))
    assert signed.url.startswith(f"{url}?recvWindow=5000&timestamp=1499827319559&signature=")


def test_the_timestamp_is_cut_to_whole_milliseconds():
    signed = RequestSigner(SCHEME).sign(request(), CREDENTIALS, 1_999_999)
    assert "timestamp=1&" in text_of(signed)


def test_id_account_operation_and_headers_of_the_caller_are_kept():
    given = request(headers={"User-Agent": "bot"}, account="second")
    signed = sign(given.stamped("id-1", Operation.TRADE))
    assert (signed.id, signed.account, signed.operation) == ("id-1", "second", Operation.TRADE)
    assert signed.headers == (("User-Agent", "bot"), APIKEY, FORM)


@given(method=METHODS, params=PARAMS, at_ms=st.integers(0, 2**52))
@example(method="POST", params=(("a b", "é&="), ("recvWindow", "1"), ("z", "")), at_ms=AT_MS)
def test_what_is_sent_reads_back_in_order_and_verifies_with_other_code(method, params, at_ms):
    given = request(method, params)
    before = tuple(given)
    signed = sign(given, at_ms=at_ms)
    text = text_of(signed)
    assert tuple(given) == before
    assert signed.problem() is None

    message, _, signature = text.rpartition("&signature=")
    expected = hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()
    assert hmac.compare_digest(signature, expected)

    sent = VENUE.sent(signed)
    assert list(sent) == parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    assert sent[: len(params)] == params
    added = [("timestamp", str(at_ms)), ("signature", signature)]
    if "recvWindow" not in dict(params):
        added.insert(0, ("recvWindow", "5000"))
    assert list(sent[len(params) :]) == added


@given(one=WITHOUT_WINDOW, other=WITHOUT_WINDOW)
def test_two_requests_have_one_signature_only_if_they_have_the_same_parameters(one, other):
    texts = [text_of(sign(request(params=params))) for params in (one, other)]
    assert (texts[0] == texts[1]) == (one == other)


def test_the_collision_of_naive_joining_is_none():
    one = sign(request(params={"a": "1&b=2"}))
    other = sign(request(params={"a": "1", "b": "2"}))
    assert text_of(one).rpartition("=")[2] != text_of(other).rpartition("=")[2]


def test_new_credentials_are_used_from_the_next_request_on():
    signer = RequestSigner(SCHEME)
    rotated = Credentials(Secret("other-key"), Secret("other-secret"))
    first = signer.sign(request(), CREDENTIALS, 0)
    second = signer.sign(request(), rotated, 0)
    assert second == RequestSigner(SCHEME).sign(request(), rotated, 0)
    assert first == signer.sign(request(), CREDENTIALS, 0)


def test_accounts_do_not_mix():
    signer = RequestSigner(SCHEME)
    mine = signer.sign(request(account="a"), CREDENTIALS, 0)
    other = Credentials(Secret("other-key"), Secret("other-secret"))
    assert signer.sign(request(account="b"), other, 0).body != mine.body
    assert signer.sign(request(account="a"), CREDENTIALS, 0) == mine


@pytest.mark.parametrize("size", [1, 63, 64, 65, 200])
def test_a_secret_of_any_length_gives_the_mac_of_the_standard_library(size):
    secret = b"s" * size
    text = text_of(sign(request(), Credentials(Secret(KEY), Secret(secret))))
    message, _, signature = text.rpartition("&signature=")
    assert signature == hmac.new(secret, message.encode(), "sha256").hexdigest()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("POST", ("https://api.binance.com/sapi/v1/userDataStream", (APIKEY, FORM), b"a=%20")),
        ("PUT", ("https://api.binance.com/sapi/v1/userDataStream", (APIKEY, FORM), b"a=%20")),
        (
            "DELETE",
            ("https://api.binance.com/sapi/v1/userDataStream?a=%20", (APIKEY,), b""),
        ),
    ],
)
def test_an_endpoint_that_takes_only_the_key_gets_only_the_key(method, expected):
    url = "https://api.binance.com/sapi/v1/userDataStream"
    signed = sign(request(method, {"a": " "}, url=url))
    assert (signed.url, signed.headers, signed.body) == expected


def test_a_path_that_only_begins_like_one_that_takes_the_key_is_signed():
    url = "https://api.binance.com/sapi/v1/userDataStreams"
    assert b"signature=" in sign(request(url=url)).body


@given(params=PARAMS)
def test_a_public_request_is_sent_with_its_query_and_nothing_else(params):
    given = request("GET", params, headers={"User-Agent": "bot"})
    sent = RequestSigner(SCHEME).unsigned(given)
    assert VENUE.sent(sent) == params
    assert sent.headers == given.headers
    assert (sent.params, sent.body) == ((), b"")
    assert sent.url.partition("?")[0] == given.url


def test_a_public_request_without_parameters_is_sent_as_it_stands():
    given = request("GET", url="https://api.binance.com/api/v3/time")
    assert RequestSigner(SCHEME).unsigned(given) == given


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (request(params={"timestamp": "1"}), "parameter 'timestamp' is set by signing: leave it"),
        (request(params={"signature": "x"}), "parameter 'signature' is set by signing: leave it"),
        (request(params=[("a", "1"), ("b", "2"), ("b", "2")]), "'b' is given twice.*give it once"),
        (request(params={"": "1"}), "a parameter has no name"),
        (request(body=b"a=1"), "give them in params, and leave body empty"),
        (request("PATCH"), "is not asked with PATCH: use one of GET, DELETE, POST, PUT"),
        (request(headers={"x-mbx-apikey": SECRET}), "header x-mbx-apikey is set by signing"),
        (request(headers={"content-type": "text/x"}), "header content-type is set by signing"),
        (request("GET", {"a": "x" * 8_200}), "the URL is longer than 8192 characters"),
    ],
)
def test_a_request_that_cannot_be_signed_is_refused_with_what_to_do(bad, message):
    with pytest.raises(SigningError, match=message) as caught:
        sign(bad)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [request("GET", [("a", "1"), ("a", "2")]), request("GET", body=b"x"), request("PATCH")],
)
def test_a_public_request_that_could_be_read_in_two_ways_is_refused(bad):
    with pytest.raises(SigningError):
        RequestSigner(SCHEME).unsigned(bad)


@pytest.mark.parametrize("key", ["", f"{SECRET}\n", f" {SECRET}", f"{SECRET}é", b"\xff" * 9])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key):
    with pytest.raises(SigningError, match="check what its reference leads to") as caught:
        sign(request(), Credentials(Secret(key), Secret("s")))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_empty_secret_is_refused():
    with pytest.raises(SigningError, match="secret for binance is empty"):
        sign(request(), Credentials(Secret(KEY), Secret("")))


def test_neither_secret_nor_key_shows_in_a_signer():
    signer = RequestSigner(SCHEME)
    signed = signer.sign(request(), CREDENTIALS, 0)
    for text in (repr(signer), repr(vars(signer)), repr(CREDENTIALS), repr(signed)):
        assert SECRET not in text
        assert KEY not in text
