"""The check after signing says the same at a glance as when everything is read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Request
from hauberk.accounts import Account
from hauberk.binding import Binding
from hauberk.request import Operation
from hauberk.signed import _is_plainly_good, check_signed
from hauberk_plugins.venues.catalogue import VenueCatalogue
from hauberk_plugins.venues.wire import FORM, JSON, added_behind, certainly_begins, read_form

CATALOGUE = VenueCatalogue()
VENUES = [CATALOGUE.venue(name) for name in CATALOGUE.names()]
FORM_HEADERS = (("X-MBX-APIKEY", "k"), ("Content-Type", FORM))

PLAIN = st.text("abXY09-._~", min_size=1, max_size=5)
NAMES = st.one_of(PLAIN, st.sampled_from(["timestamp", "recvWindow", "signature", "nonce"]))
ODD = st.text("ab=&%+#\n\0é;{}", max_size=5)
PAIRS = st.lists(st.tuples(st.one_of(NAMES, ODD), st.one_of(PLAIN, ODD)), max_size=4).map(tuple)
USUAL = st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=4).map(tuple)
#: What may happen to a query or form on its way through a signer.
CHANGES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 3), st.sampled_from([
        "", "a", "=", "&", "%", "+", "&a=b", "&timestamp=1", "&symbol=X", "%26", "#", "\n", "é",
        "&signature=", "timestamp=1&",
    ])),
    max_size=2,
)  # fmt: skip


def written(pairs):
    return "&".join(f"{name}={value}" for name, value in pairs)


def changed(text, changes):
    for at, gone, more in changes:
        text = text[:at] + more + text[at + gone :]
    return text


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
@given(
    params=st.one_of(USUAL, PAIRS), added=PAIRS, changes=CHANGES, in_query=st.booleans(),
    headers=st.sampled_from([FORM_HEADERS, (), (("Content-Type", JSON),), (("X-Other", "1"),)]),
    own=st.sampled_from([((), b""), ((("X-A", "1"),), b""), ((), b"a=b")]),
)  # fmt: skip
def test_at_a_glance_it_says_what_it_says_when_all_is_read(
    venue, params, added, changes, in_query, headers, own
):
    known, blind = (Binding("main", Account(venue.name), venue, venue.bases) for _ in range(2))
    object.__setattr__(blind, "certainly_bears", lambda *_: False)
    url = f"{venue.bases[0]}/x"
    beside, body = own
    try:
        asked = Request("POST", url, params, beside, body)
    except ValueError:
        return
    judged = asked.stamped("id", Operation.TRADE)
    declared = [(name, "1") for name in sorted(venue.added_params)]
    if venue.body == "json":  # then these headers are known to be good beside a body
        document = json.dumps(dict([*params, *declared])).encode()
        signed = judged.signed(url=url, headers=headers, body=document)
        assert told(judged, signed, known) == told(judged, signed, blind)
    good = written((*params, *declared))
    bad = changed(written((*params, *added)), changes)
    # The first two are there to have headers known.
    for text in (good, good, bad, changed(good, changes)):
        content = text.encode("utf-8", "replace")
        ways = [(f"{url}?{text}", b"")] if in_query else [(url, content)]
        for to, sent in (*ways, (f"{url}?{text}", content)):
            for all_headers in (beside + headers, headers):
                signed = judged.signed(url=to, headers=all_headers, body=sent)
                assert told(judged, signed, known) == told(judged, signed, blind)


def told(judged, signed, binding):
    try:
        return check_signed(judged, signed, binding)
    except ValueError as error:
        return str(error)


@given(USUAL, PAIRS, CHANGES)
def test_what_certainly_begins_is_read_just_so(params, added, changes):
    text = changed(written((*params, *added)), changes)
    names = ["timestamp", "signature"]
    wire = text.encode("utf-8", "replace")
    if (end := certainly_begins(wire, params)) and added_behind(names).match(wire, end):
        pairs = read_form(wire.decode())
        assert pairs[: len(params)] == params
        assert {name for name, _ in pairs[len(params) :]} <= set(names)


def test_the_usual_order_needs_but_a_glance():
    venue = CATALOGUE.venue("binance")
    binding = Binding("main", Account("binance"), venue, venue.bases)
    url = f"{venue.bases[0]}/api/v3/order"
    judged = Request("POST", url, {"symbol": "BTCUSDT"}).stamped("id", Operation.TRADE)
    text = "symbol=BTCUSDT&recvWindow=5000&timestamp=1&signature=ab"
    form = judged.signed(url=url, headers=FORM_HEADERS, body=text.encode())
    query = judged.signed(url=f"{url}?{text}", headers=FORM_HEADERS, body=b"")
    for signed in (form, query):
        assert check_signed(judged, signed, binding) is None
        assert _is_plainly_good(judged, signed, binding)


@pytest.mark.parametrize("place", range(8))
def test_a_glance_takes_nothing_that_only_looks_like_what_was_judged(place):
    class Text(str):
        __slots__ = ()

    venue = CATALOGUE.venue("binance")
    binding = Binding("main", Account("binance"), venue, venue.bases)
    url = f"{venue.bases[0]}/api/v3/order"
    judged = Request("POST", url, {"symbol": "BTCUSDT"}).stamped("id", Operation.TRADE)
    text = b"symbol=BTCUSDT&recvWindow=5000&timestamp=1&signature=ab"
    signed = judged.signed(url=url, headers=FORM_HEADERS, body=text)
    assert check_signed(judged, signed, binding) is None
    fields = list(signed)
    others = [Text("POST"), Text(url), [], list(FORM_HEADERS), bytearray(text), Text("main"),
              Text("id"), Operation.READ]  # fmt: skip
    fields[place] = others[place]
    assert not _is_plainly_good(judged, tuple.__new__(Request, fields), binding)


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_nothing_in_an_envelope_is_judged_at_a_glance(venue):
    assert venue.certainly_bears((("a", "1"),), b"a=1") is (venue.envelope is None)
    assert venue.reads_form(FORM_HEADERS) is (venue.body == "form" and venue.envelope is None)


def test_a_url_with_half_a_character_is_refused_in_words():
    venue = CATALOGUE.venue("binance")
    binding = Binding("main", Account("binance"), venue, venue.bases)
    url = f"{venue.bases[0]}/api/v3/order"
    judged = Request("GET", url, {"symbol": "X"}).stamped("id", Operation.READ)
    for query in ("symbol=X&signature=1", "symbol=X&signature=\ud800"):
        signed = judged.signed(url=f"{url}?{query}", headers=FORM_HEADERS, body=b"")
        problem = check_signed(judged, signed, binding)
    assert problem is not None
    assert "visible ASCII" in problem
