"""URLs are bound to their venue (DESIGN 3): keys sign for their venue and nothing else.

What the kernel judges is text; what a client, a proxy and a server make of that text may differ.
So only what all of them read alike is let through: exactly a base URL, then a plain path.
"""

import posixpath
import re
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hauberk.accounts import Account
from hauberk.binding import Binding, bind_accounts
from hauberk.errors import Denied, InvalidValue
from hauberk.request import Operation, Request, base_of
from hauberk.testing import OpenVenues, make_guard
from hauberk.testing.guards import Providers
from hauberk.testing.ports import OpenVenue

BASES = ("https://api.open.test", "https://api2.open.test:8443")
VENUE = OpenVenue("two", bases=BASES)
BINDING = bind_accounts({"main": Account("two")}, OpenVenues(VENUE))["main"]
BASE = BASES[0]
GOOD = f"{BASE}/trade/order"


def fresh(base_url: str = "") -> Binding:
    """A binding that remembers nothing."""
    return bind_accounts({"main": Account("two", base_url=base_url)}, OpenVenues(VENUE))["main"]


def reason(url: str) -> str:
    """Clear it: refused where it is made, or denied by the kernel before any guard is asked."""
    asked = []
    try:
        request = Request("POST", url)
    except InvalidValue as error:
        return str(error)
    with make_guard(accounts={"main": Account("two")}, providers=Providers(VENUE)) as guard:
        guard.on_request(lambda request: asked.append(request))
        with pytest.raises(Denied) as caught:
            guard.clear(request)
    assert caught.value.plugin == "kernel"
    assert asked == []
    assert "account 'main'" in caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/order",
        "/api/v3/order/",
        "/0/private/AddOrder",
        "/v5/order/create",
        "/api/v5/trade/order-algo",
        "/products/BTC-USD/book",
        "/symbol/BTC:USDT",
        "/a.b/c~d/_e/f@g/(h)/i,j",
        "/...",
        "/.well-known/x",
        "/v1..2/x",
        "/%E5%B8%81%E5%AE%89",
        "/a%20b",
    ],
)
@pytest.mark.parametrize("base", BASES)
def test_a_base_url_of_the_venue_and_a_plain_path_pass(base: str, path: str) -> None:
    assert fresh().path(base + path) == path


@pytest.mark.parametrize(
    ("url", "why"),
    [
        # Another host, port or scheme.
        ("https://evil.test/trade/order", "none of its venue's base URLs"),
        ("https://api3.open.test/trade/order", "none of its venue's base URLs"),
        ("https://open.test/trade/order", "none of its venue's base URLs"),
        ("https://api.open.test.evil.test/trade/order", "none of its venue's base URLs"),
        ("https://api.open.testevil/trade/order", "none of its venue's base URLs"),
        ("https://api.open.test.:443/trade/order", "none of its venue's base URLs"),
        ("https://api.open.test./trade/order", "none of its venue's base URLs"),
        ("https://api.open.test:443/trade/order", "none of its venue's base URLs"),
        ("https://api.open.test:/trade/order", "none of its venue's base URLs"),
        ("https://api.open.test:8443/trade/order", "none of its venue's base URLs"),
        ("https://api2.open.test/trade/order", "none of its venue's base URLs"),
        ("https://api2.open.test:08443/trade/order", "none of its venue's base URLs"),
        ("https://api2.open.test:84430/trade/order", "none of its venue's base URLs"),
        ("http://api.open.test/trade/order", "none of its venue's base URLs"),
        ("wss://api.open.test/trade/order", "none of its venue's base URLs"),
        ("file://api.open.test/trade/order", "none of its venue's base URLs"),
        ("https://api%2Eopen.test/trade/order", "none of its venue's base URLs"),
        ("https://127.0.0.1/trade/order", "none of its venue's base URLs"),
        ("https://2130706433/trade/order", "none of its venue's base URLs"),
        ("https://[::1]/trade/order", "none of its venue's base URLs"),
        ("https://[::ffff:127.0.0.1]/trade/order", "none of its venue's base URLs"),
        ("https://[fe80::1%25eth0]/trade/order", "none of its venue's base URLs"),
        ("https://xn--pi-7ia.open.test/trade/order", "none of its venue's base URLs"),
        # Another spelling of the same host.
        ("HTTPS://api.open.test/trade/order", "none of its venue's base URLs"),
        ("Https://api.open.test/trade/order", "none of its venue's base URLs"),
        ("https://API.open.test/trade/order", "none of its venue's base URLs"),
        ("https://api.Open.Test/trade/order", "none of its venue's base URLs"),
        # No host at all, or one that only some see.
        ("/trade/order", "none of its venue's base URLs"),
        ("//api.open.test/trade/order", "none of its venue's base URLs"),
        ("https:api.open.test/trade/order", "none of its venue's base URLs"),
        ("https:/api.open.test/trade/order", "none of its venue's base URLs"),
        ("https:///api.open.test/trade/order", "none of its venue's base URLs"),
        ("https:\\\\api.open.test\\trade\\order", "none of its venue's base URLs"),
        ("https://api.open.test\\trade/order", "none of its venue's base URLs"),
        ("https://evil.test\\.api.open.test/x", "none of its venue's base URLs"),
        ("https://api.open.test;evil.test/x", "none of its venue's base URLs"),
        ("https://[api.open.test/trade/order", "cannot be read"),
        ("javascript:alert(1)", "none of its venue's base URLs"),
        ("x", "none of its venue's base URLs"),
        # User information.
        ("https://user:hunter2@api.open.test/trade/order", "user information"),
        ("https://api.open.test@evil.test/trade/order", "user information"),
        ("https://api.open.test:8443@evil.test/x", "user information"),
        ("https://@api.open.test/trade/order", "user information"),
        ("https://api.open.test\\@evil.test/x", "user information"),
        ("user:hunter2@api.open.test/trade/order", "user information"),
        # A query or a fragment.
        (f"{GOOD}?symbol=BTCUSDT", "has a query"),
        (f"{GOOD}?", "has a query"),
        ("https://api.open.test?x=/trade/order", "has a query"),
        (f"{GOOD}#x", "has a fragment"),
        (f"{GOOD}#", "has a fragment"),
        ("https://api.open.test#@evil.test/x", "fragment|user information"),
        ("https://api.open.test?@evil.test/x", "query|user information"),
        # No path.
        ("https://api.open.test", "no path"),
        ("https://api.open.test/", "no path"),
        # Dot segments.
        (f"{BASE}/trade/../withdraw/apply", "dot segment"),
        (f"{BASE}/trade/./order", "dot segment"),
        (f"{BASE}/../trade/order", "dot segment"),
        (f"{BASE}/..", "dot segment"),
        (f"{BASE}/.", "dot segment"),
        (f"{BASE}/trade/..", "dot segment"),
        (f"{BASE}/trade/.", "dot segment"),
        (f"{BASE}/trade/../", "dot segment"),
        # Empty segments.
        (f"{BASE}//trade/order", "//"),
        (f"{BASE}/trade//order", "//"),
        (f"{BASE}/trade/order//", "//"),
        (f"{BASE}//evil.test/trade/order", "//"),
        (f"{BASE}///", "//"),
    ],
)
def test_a_url_that_is_not_of_the_venue_is_denied_with_the_rule_it_breaks(
    url: str, why: str
) -> None:
    assert re.search(why, reason(url))
    assert "hunter2" not in reason(url)


@pytest.mark.parametrize(
    "piece",
    [
        # Dots, slashes and backslashes, encoded once, twice, overlong, in UTF-16's manner.
        "%2e%2e", "%2E%2E", ".%2e", "%2e", "..%2f", "%2f", "%2F", "..%5c", "%5c", "%5C", "\\",
        "..\\", "%252e", "%252E%252E", "%252f", "%25252f", "%25", "%c0%ae", "%C0%AE", "%c0%af",
        "%C0%AF", "%E0%80%AE", "%E0%80%AF", "%F0%80%80%AF", "%C1%9C", "%u002f", "%u002e", "%%32%66",
        # What some servers cut, drop or end at.
        ";", "..;", ".;", "..;x=1", ";/..", "order;jsessionid=1", "%3B", "%3b", "..%3B", "%3F",
        "%3f", "%23", "%00", "%0d%0a", "%0D%0A", "%0A", "%09", "%7F", "%1F",
        # One character in two spellings.
        "%61", "%41", "%3A", "%40", "%28", "%2B", "%26", "%3D", "%21", "ord%65r", "%7E", "%2D",
        "%5F", "%30", "%e5%b8%81", "%c3%bc",
        # Broken escapes and bytes that are not UTF-8.
        "%", "%2", "%zz", "%G0", "% 2", "%FF", "%C3", "%80", "%ED%A0%80", "%F8%88%80%80%80",
        # What becomes something else under Unicode's compatibility forms, or is not seen.
        "%EF%BC%8F", "%EF%BC%8E%EF%BC%8E", "%E2%80%A5", "%E2%80%A4", "%EF%BC%9F", "%EF%BC%85",
        "%E2%80%AE", "%E2%80%8B", "%EF%BB%BF", "%C2%A0", "%C2%85", "%E2%80%A8", "e%CC%81",
        # What no path holds.
        '"', "<", ">", "[", "]", "^", "`", "{", "}", "|",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["/trade/{}/order", "/{}", "/{}/trade/order", "/trade/x{}y"])
def test_a_path_that_a_server_may_read_otherwise_is_denied(piece: str, where: str) -> None:
    with pytest.raises(Denied, match="kernel"):
        fresh().path(BASE + where.format(piece))


@pytest.mark.parametrize(
    "url",
    [
        f" {GOOD}",
        f"{GOOD} ",
        f"{GOOD}\n",
        f"{GOOD}\r\nHost: evil.test",
        "https://api.open.test\t/trade/order",
        "ht\ntps://api.open.test/trade/order",
        "https://api.open.test/tra\tde/order",
        "https://api.open.test/\x00",
        "https://äpi.open.test/trade/order",
        "https://api.open.test/trade/ordér",
        "https://api。open.test/trade/order",
        "https://\uff41pi.open.test/trade/order",
        "https://api.open.test\uff0ftrade/order",
        "https://api.open.test/trade/order\u202e",
        "\ufeff" + GOOD,
        "",
    ],
    ids=lambda url: ascii(url)[:40],
)
def test_what_is_not_visible_ascii_makes_no_request(url: str) -> None:
    assert "url must be" in reason(url)
    with pytest.raises(Denied):
        fresh().path(url)


def test_a_url_longer_than_servers_read_makes_no_request() -> None:
    assert "at most 8192" in reason(GOOD + "x" * 9_000)


def test_an_accepted_url_does_not_make_a_refused_one_acceptable_by_being_remembered() -> None:
    binding = fresh()
    binding.path(GOOD)
    for url in (f"{GOOD}?", f"{GOOD}#", f"{GOOD}//", GOOD.upper(), f" {GOOD}"):
        for _ in range(2):
            with pytest.raises(Denied):
                binding.path(url)


def test_what_is_remembered_has_an_end() -> None:
    binding = fresh()
    for number in range(3_000):
        assert binding.path(f"{BASE}/trade/{number}") == f"/trade/{number}"
    assert len(binding._paths) <= 1_024


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8080", "http://[::1]:8080/"])
def test_an_accounts_own_base_url_takes_the_place_of_the_venues(base_url: str) -> None:
    binding = fresh(base_url)
    assert binding.path(f"{base_url.rstrip('/')}/trade/order") == "/trade/order"
    with pytest.raises(Denied, match="none of its venue's base URLs"):
        binding.path(GOOD)


# Headers that say something else than the URL, the method and the body.


@pytest.mark.parametrize(
    "name",
    [
        "Host", "host", "HOST", "Content-Length", "Transfer-Encoding", "Trailer", "Upgrade",
        "Forwarded", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-HTTP-Method-Override",
        "x-http-method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL",
    ],
)  # fmt: skip
def test_a_header_that_steers_a_request_past_what_is_judged_is_denied(name: str) -> None:
    request = Request("POST", GOOD, headers={name: "evil.test"})
    with pytest.raises(Denied, match=f"denied by kernel: header {name} would steer it"):
        BINDING.judged(request)


def test_other_headers_pass() -> None:
    headers = {"X-Trace": "7", "User-Agent": "bot", "Accept": "*/*", "Cache-Control": "no-store"}
    assert BINDING.judged(Request("POST", GOOD, headers=headers)).headers == tuple(headers.items())


# Parameters in two places, and accounts.


def test_a_parameter_in_both_query_and_body_is_denied_since_servers_differ_in_which_counts() -> (
    None
):
    request = Request("POST", GOOD, {"symbol": "BTCUSDT"}, body="qty=1&symbol=ETHUSDT")
    with pytest.raises(Denied, match="denied by kernel: parameter 'symbol' is in both"):
        BINDING.judged(request)
    BINDING.judged(Request("POST", GOOD, {"symbol": "BTCUSDT"}, body="qty=1"))


def test_a_body_that_the_venue_cannot_read_is_denied_beside_parameters() -> None:
    with make_guard() as guard, pytest.raises(Denied, match="denied by kernel: its venue"):
        guard.clear(Request("POST", GOOD, {"symbol": "BTCUSDT"}, body=b"\xff\xfe"))


def test_an_account_that_does_not_exist_is_denied_with_those_that_do() -> None:
    with make_guard() as guard, pytest.raises(Denied, match=r"unknown account 'rich' .*main"):
        guard.clear(Request("POST", GOOD, account="rich"))


@pytest.mark.parametrize("operation", ["read", None, 0, Operation])
def test_a_venue_that_does_not_say_what_a_request_does_is_a_denial(operation: Any) -> None:
    class Vague(OpenVenue):
        def operation(self, *args: Any) -> Any:
            return operation

    binding = bind_accounts({"main": Account("vague")}, OpenVenues(Vague("vague")))["main"]
    with pytest.raises(Denied, match="does not say what it does"):
        binding.judged(Request("POST", GOOD))


def test_the_operation_is_the_venues_word_whatever_the_bot_stamped() -> None:
    claimed = Request("POST", f"{BASE}/withdraw/apply").stamped("mine-1", Operation.READ)
    assert BINDING.judged(claimed).operation is Operation.WITHDRAW
    with make_guard() as guard:
        judged = guard.clear(claimed).judged
    assert judged.operation is Operation.WITHDRAW
    assert judged.id != "mine-1"


# Properties: whatever the text, what passes is read alike by everyone.

PIECES = st.sampled_from(
    [
        *BASES, "https://", "http://", "//", "/", "@", ":", "?", "#", ";", "\\", ".", "..", "%2e",
        "%2F", "%252e", "%c0%af", "%EF%BC%8F", "%41", "%E5%B8%81", "api.open.test", "evil.test",
        "trade",
        "order", "[::1]", "\t", "\n", " ", "é", "%",
    ]
)  # fmt: skip
URLS = st.one_of(
    st.text(max_size=40),
    st.lists(PIECES, max_size=8).map("".join),
    st.tuples(st.sampled_from(BASES), st.lists(PIECES, max_size=8).map("".join)).map("".join),
    st.tuples(st.sampled_from(BASES), st.from_regex(r"/[!-~]{0,20}", fullmatch=True)).map("".join),
    st.tuples(st.sampled_from(BASES), st.text(st.characters(codec="utf-8"), max_size=20))
    .map(lambda pair: pair[0] + "/" + pair[1]),
)  # fmt: skip


@given(URLS)
@example(GOOD)
def test_what_is_accepted_names_the_venue_and_one_path_to_every_reader(url: str) -> None:
    try:
        path = fresh().path(url)
    except Denied:
        return
    parts = urlsplit(url)
    base = next(base for base in BASES if f"{parts.scheme}://{parts.netloc}" == base)
    assert url == base + path
    assert base_of(url) == base
    assert (parts.path, parts.query, parts.fragment) == (path, "", "")
    assert (parts.username, parts.password) == (None, None)
    assert (parts.hostname, parts.port) == (urlsplit(base).hostname, urlsplit(base).port)
    assert "?" not in url
    assert "#" not in url
    # Decoded once, twice, normalised, cut at ";", or read with "\" for "/": the same segments.
    decoded = unquote(path, errors="strict")
    assert unquote(decoded) == decoded
    assert normalize("NFKC", decoded) == decoded
    assert decoded.count("/") == path.count("/")
    assert posixpath.normpath(decoded.replace("\\", "/")) == decoded.rstrip("/")
    assert not {";", "\\", "?", "#"} & {*decoded}
    assert decoded.isprintable()


@given(st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=10))
def test_of_all_spellings_of_a_segment_at_most_the_plainest_passes(segment: str) -> None:
    """So a venue's map, which compares text, cannot be told another name for an endpoint."""
    spellings = {segment, "".join(f"%{byte:02X}" for byte in segment.encode("utf-8"))}
    spellings |= {spelling.lower() for spelling in spellings if "%" in spelling}
    passed = set()
    for spelling in spellings:
        try:
            passed.add(fresh().path(f"{BASE}/{spelling}"))
        except Denied:
            continue
    assert len(passed) <= 1


@given(
    st.sampled_from(BASES),
    st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True), min_size=1),
)
def test_a_path_of_plain_segments_always_passes(base: str, segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    assert fresh().path(base + path) == path
