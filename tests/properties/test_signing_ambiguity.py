"""No two different lists of parameters sign the same bytes, at any venue that signs them at all."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Request, Secret
from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk_plugins.signing.message import Wording
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.venues.catalogue import VenueCatalogue

VECTORS = Path(__file__).parents[1] / "vectors" / "signing"
CATALOGUE = VenueCatalogue()
#: Venues that join names and values without a sign between them: their own definition, told on
#: their pages.
JOINED = {"cryptocom"}


def schemes():
    """Each venue, method and place whose parameters are signed."""
    for name in CATALOGUE.names():
        venue = CATALOGUE.venue(name)
        if "scheme" in venue.section("signing") or name in JOINED:
            continue
        scheme = read_scheme(venue)
        covers = Wording(scheme).covers
        for method, place in scheme.place.items():
            part = "query" if place == "query" else "body"
            if part in covers and " " not in method:
                yield pytest.param(venue, scheme, method, id=f"{name}-{method}")


# Few letters and all that separates, so that what collides is soon found.
WORDS = st.text('ab&=%+#?/ "\\{}:,;é\n1', max_size=6)
NAMES = WORDS.filter(bool)
PARAMS = st.dictionaries(NAMES, WORDS, max_size=4).map(lambda given: tuple(given.items()))


def credentials_of(name):
    vector = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["vectors"][0]["credentials"]
    passphrase = Secret(vector["passphrase"]) if "passphrase" in vector else None
    return Credentials(Secret(vector["key"]), Secret(vector["secret"]), passphrase)


def signed_bytes(scheme, credentials, method, url, params):
    """What is signed of a request; `None` where signing refuses it."""
    messages = []
    word = Wording.message

    def kept(self, *arguments):
        messages.append(word(self, *arguments))
        return messages[-1]

    request = Request(method, url, params)
    with patch.object(Wording, "message", kept):
        try:
            RequestSigner(scheme).sign(request, credentials, 1_700_000_000 * 10**9, lambda: "7")
        except SigningError:
            return None
    return messages[0]


def merged(params):
    """Lists that read alike where nothing is escaped: two neighbours as one."""
    for at in range(len(params) - 1):
        (name, value), (next_name, next_value) = params[at : at + 2]
        for sign in ("&", "%26", ",", '","', ""):
            one = (name, f"{value}{sign}{next_name}={next_value}")
            yield (*params[:at], one, *params[at + 2 :])
            yield (*params[:at], (name, f'{value}{sign}"{next_name}":"{next_value}'),
                   *params[at + 2 :])  # fmt: skip


@pytest.mark.parametrize(("venue", "scheme", "method"), list(schemes()))
@given(one=PARAMS, other=PARAMS)
def test_other_parameters_are_other_bytes(venue, scheme, method, one, other):
    credentials = credentials_of(venue.name)
    url = f"{venue.bases[0]}/x"
    first = signed_bytes(scheme, credentials, method, url, one)
    if first is None:
        return
    for params in (other, *merged(one)):
        same = sorted(one) == sorted(params) if venue.sorts_params else one == params
        # What stands for no parameters is the exchange's own word.
        if not same and not (scheme.empty_body and () in (one, params)):
            assert signed_bytes(scheme, credentials, method, url, params) != first
