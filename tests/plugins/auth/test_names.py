from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.auth.errors import BadName
from hauberk_plugins.auth.names import MAX_BYTES, name_at_login, normalised


@pytest.mark.parametrize(
    ("typed", "one"),
    [
        ("Alice", "alice"),
        ("\uff21\uff2c\uff29\uff23\uff25", "alice"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("café", "café"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("Ελένη", "ελένη"),
        ("田中", "田中"),
    ],
)
def test_names_that_people_take_for_one_are_one(typed: str, one: str) -> None:
    assert normalised(typed) == one


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "two words", "a\nb", "a\0b", "a\x1b[31m", "zero\u200bwidth", "right\u202eleft",
        "\ud800", "☃", "a" * (MAX_BYTES + 1), "é" * MAX_BYTES, "\ufdfa" * MAX_BYTES,
        "no\u00a0break",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_could_forge_a_line_or_look_like_another_is_nobodys_name(typed: str) -> None:
    with pytest.raises(BadName) as caught:
        normalised(typed)
    assert str(caught.value).isprintable()


@given(st.text(max_size=40))
def test_the_one_form_of_a_name_is_its_own(typed: str) -> None:
    try:
        one = normalised(typed)
    except BadName:
        return
    assert normalised(one) == one
    assert normalised(typed.upper()) == normalised(typed.upper().lower())
    assert 0 < len(one.encode()) <= MAX_BYTES


@given(st.text(max_size=40) | st.text(st.characters(categories=["Cs", "Cc", "So"])))
def test_whatever_is_typed_at_a_login_is_a_name_and_never_a_users_by_mistake(typed: str) -> None:
    name = name_at_login(typed)
    name.encode()
    try:
        assert name == normalised(typed)
    except BadName:
        assert name.startswith("\0")
        assert len(name) == 65
        with pytest.raises(BadName):
            normalised(name)


def test_a_name_of_any_length_costs_no_memory_at_a_login() -> None:
    assert len(name_at_login("x" * 1_000_000)) == 65
