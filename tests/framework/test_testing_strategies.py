"""The strategies draw valid values only, and as wide as they claim."""

from __future__ import annotations

import pickle

import pytest
from attrs import evolve
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from hauberk import Operation, Request, Response, Secret
from hauberk.testing import make_guard, strategies
from hauberk.testing.ports import OpenVenue

# Looks for an example and does not make it smaller.
_ONLY_FIND = settings(max_examples=2_000, database=None, phases=[Phase.generate])

EVERY = {
    "accounts": strategies.accounts(),
    "batches": strategies.batches(),
    "denies": strategies.denies(),
    "events": strategies.events(),
    "identities": strategies.identities(),
    "incidents": strategies.incidents(),
    "logins": strategies.logins(),
    "outcomes": strategies.outcomes(),
    "responses": strategies.responses(),
    "waits": strategies.waits(),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_value_passes_its_own_constructor_again(name: str) -> None:
    @given(EVERY[name])
    def check(value: object) -> None:
        assert evolve(value) == value  # type: ignore[type-var]
        problem = getattr(value, "problem", None)
        assert problem is None or problem() is None

    check()


def test_a_guard_of_the_kit_clears_every_request() -> None:
    with make_guard() as guard:

        @given(strategies.requests())
        def check(request: Request) -> None:
            assert request.problem() is None
            cleared = guard.clear(request)
            assert cleared.judged == request.stamped(cleared.id, request.operation)

        check()


def test_the_longest_path_and_the_longest_parameters_still_make_what_a_guard_clears() -> None:
    """Drawn together so seldom that the property above would come across them once a month."""
    longest = "\U0010ffff" * 12
    pairs = tuple((f"{n}{longest[1:]}", longest) for n in range(4))
    base = OpenVenue().bases[0]
    with make_guard() as guard:
        for operation in Operation:
            made = strategies._request(
                ("GET", pairs, b""), operation, strategies.LONGEST_PATH, (), "main", "id-1", base
            )
            guard.clear(made)


@given(strategies.requests(account_names=("a", "b"), base="https://other.test"))
def test_requests_go_where_they_are_told(request: Request) -> None:
    assert request.account in ("a", "b")
    assert request.url.startswith("https://other.test/")


@given(strategies.requests())
def test_a_request_has_the_operation_that_its_path_maps_to(request: Request) -> None:
    path = request.url.removeprefix(OpenVenue().bases[0])
    assert OpenVenue().operation(request.method, path, (), b"") is request.operation


@given(strategies.events() | strategies.incidents())
def test_details_are_json_objects(value: object) -> None:
    assert isinstance(getattr(value, "fields", None) or getattr(value, "details", {}), dict)


@given(strategies.secrets())
def test_secrets_are_wrapped(secret: Secret) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(secret)


WIDE = [
    (strategies.requests(), lambda r: bool(r.body) and bool(r.params)),
    (strategies.requests(), lambda r: not r.params and not r.body and not r.headers),
    (strategies.requests(), lambda r: len(r.url) > 8_000),
    (strategies.requests(), lambda r: any(not value.isascii() for _, value in r.params)),
    (strategies.requests(), lambda r: len({name for name, _ in r.params}) < len(r.params)),
    (strategies.responses(), lambda r: r.status == 0 and r.error != ""),
    (strategies.responses(), lambda r: r.header("retry-after") == "soon"),
    (strategies.responses(), lambda r: any("\udc80" in value for _, value in r.headers)),
    (strategies.waits(), lambda w: type(w.seconds) is int and w.seconds > 10**9),
    (strategies.waits(), lambda w: w.seconds > 1e200),
    (strategies.denies(), lambda d: d.retry_after is None),
    (strategies.incidents(), lambda i: i.outcomes != () and i.resolution != ""),
    (strategies.batches(), lambda b: len(b) == 0),
    (strategies.batches(), lambda b: len(b) > 3 and len(b.keys) > 1),
]


@pytest.mark.parametrize("number", range(len(WIDE)))
def test_the_corners_are_drawn(number: int) -> None:
    strategy, corner = WIDE[number]
    assert corner(find(strategy, corner, settings=_ONLY_FIND))  # type: ignore[arg-type, operator]


def test_the_enumerations_are_drawn_whole() -> None:
    for strategy in (strategies.operations(), strategies.severities()):
        for member in type(find(strategy, lambda _: True)):
            find(strategy, lambda value, member=member: value is member, settings=_ONLY_FIND)


@given(st.data())
def test_responses_have_text_for_every_header(data: st.DataObject) -> None:
    response = data.draw(strategies.responses())
    assert type(response) is Response
    assert all(type(text) is str for pair in response.headers for text in pair)
