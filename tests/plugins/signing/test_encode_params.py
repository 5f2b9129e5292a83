"""Percent-encoding parameters."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from hauberk_plugins.signing.encode import encode

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from("aZ9-._~&=+% é"))
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=40).map(tuple)


@given(pairs=PAIRS)
@example(pairs=())
@example(pairs=(("a", "1&b=2"),))
@example(pairs=(("a=b", ""), ("", "")))
@example(pairs=(("a", "-._~"),))
@example(pairs=(("a", "b"),) * 33)
def test_it_equals_what_urllib_makes(pairs):
    assert encode(pairs) == urlencode(pairs, quote_via=quote)


def test_unreserved_characters_stand_and_a_space_is_escaped():
    assert encode((("a", "x-._~ +/\uff11"),)) == "a=x-._~%20%2B%2F%EF%BC%91"


@given(one=PAIRS, other=PAIRS)
def test_two_lists_never_give_the_same_text(one, other):
    assert (encode(one) == encode(other)) == (one == other)


@given(pairs=PAIRS.filter(bool), data=st.data())
def test_a_list_cut_anywhere_else_gives_another_text(pairs, data):
    """Moves one character over a boundary, the change that naive joining does not see."""
    joined = "".join(f"{name}={value}&" for name, value in pairs)
    at = data.draw(st.integers(0, len(joined)))
    other = ((joined[:at], joined[at:]),)
    assert (encode(pairs) == encode(other)) == (pairs == other)
