"""For how long a signed request verifies, where it says when it expires."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.signing.validity import AHEAD_NS, check_time
from hauberk_plugins.signing.verifier import RequestVerifier, VerificationFailed
from hauberk_plugins.venues.catalogue import VenueCatalogue

S = 1_000_000_000
AT_NS = 1_700_000_000 * S
CATALOGUE = VenueCatalogue()
KEYS = Credentials(Secret("the-key"), Secret("the-secret"))
BITMEX = CATALOGUE.venue("bitmex")
COINBASE = read_scheme(CATALOGUE.venue("coinbase"))


def signed(venue, window_ms):
    request = Request("GET", f"{venue.bases[0]}/api/v1/order", {"a": "x"})
    return RequestSigner(read_scheme(venue), window_ms).sign(request, KEYS, AT_NS)


def verify(venue, request, at_ns):
    return RequestVerifier(venue, read_scheme(venue)).verify(request, KEYS, at_ns)


@pytest.mark.parametrize("name", ["bitmex", "phemex"])
@given(window_s=st.integers(1, 60), late_ms=st.integers(-1_000, 61_000))
def test_what_says_when_it_expires_is_good_until_then_whatever_its_window(name, window_s, late_ms):
    venue = CATALOGUE.venue(name)
    request = signed(venue, window_s * 1_000)
    at_ns = AT_NS + late_ms * 1_000_000
    if at_ns < AT_NS + window_s * S:
        found = verify(venue, request, at_ns)
        assert (found.at_ns, found.expires_ns) == (None, AT_NS + window_s * S)
    else:
        with pytest.raises(VerificationFailed, match="too far from the exchange's"):
            verify(venue, request, at_ns)


def test_an_expiry_further_away_than_any_exchange_has_it_is_refused():
    request = signed(BITMEX, 60_000)
    assert verify(BITMEX, request, AT_NS - AHEAD_NS).expires_ns == AT_NS + 60 * S
    with pytest.raises(VerificationFailed):
        verify(BITMEX, request, AT_NS - AHEAD_NS - 1)
    assert verify(BITMEX, request, None).expires_ns == AT_NS + 60 * S


def judged(begins_s, expires_s, at_s):
    values = {"timestamp": str(begins_s), "expires": str(expires_s)}
    return check_time(COINBASE, values, at_s * S)


def test_with_a_beginning_and_an_end_both_count():
    assert judged(1_000, 1_030, 1_029) == (1_000 * S, 1_030 * S)
    for begins_s, expires_s, at_s in [
        (1_000, 1_030, 1_030),
        (1_000, 1_030, 998),
        (1_000, 1_121, 1_000),
        (1_000, 999, 1_000),
        (1_000, 1_000, 1_000),
    ]:
        with pytest.raises(VerificationFailed):
            judged(begins_s, expires_s, at_s)
