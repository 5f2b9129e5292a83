from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest
import zxcvbn  # noqa: F401 - loaded before a test replaces it
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Secret
from hauberk_plugins.auth.errors import AuthError, WeakPassword
from hauberk_plugins.auth.strength import MIN_LENGTH, check_strength


def check(password: str, name: str = "alice", *, has_factor: bool = False) -> None:
    check_strength(Secret(password), name, has_factor=has_factor)


@pytest.mark.parametrize(
    "password",
    [
        "a heron stands in cold water",
        "zdqvxmfkqjwpyhb",
        "лошадь батарея скрепка верно",
        "ünïcödé déjà vu là-bas",
        "  spaces at both ends count  ",
        "x" * 3 + " a heron stands in cold water " * 2 + "and looks at seven lanterns, " * 20,
        "a heron, alice, stands in cold water",
        "correct horse battery staple, a heron in cold water",
        "to the moon went seven lanterns",
    ],
)
def test_length_is_enough_without_digits_signs_or_capitals(password: str) -> None:
    check(password)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "from 1 to 1024 bytes"),
        ("short", "at least 15 characters"),
        ("zdqvxmfkqjwpyh", r"at least 15 characters \(8 with a second factor\)"),
        ("e\u0301" * 14, "at least 15 characters"),
        ("x" * 1_025, "from 1 to 1024 bytes"),
        ("a" * 40, "different characters"),
        ("abababababababababab", "different characters"),
        ("heronheronheron", "repeats one part"),
        ("password12345678", "list of common passwords"),
        ("!!!trustno1!!!!", "list of common passwords"),
        ("Alice.Alice.2024", "the user's name"),
        ("hauberkbinance99", "words that belong to trading"),
        ("BinanceTradingBot1", "words that belong to trading"),
        ("abcdefghijklmnop", "Sequences"),
        ("qwertyuiopasdfgh", "easy to guess"),
        ("correct horse battery staple", "phrase that everybody knows"),
        ("CorrectHorseBatteryStaple", "phrase that everybody knows"),
        ("correct-horse_battery.staple!", "phrase that everybody knows"),
        ("c0rrect h0r$e b4ttery st@ple", "phrase that everybody knows"),
        ("my correct horse battery staple 1", "phrase that everybody knows"),
        ("To be, or not to be: that is the question", "phrase that everybody knows"),
        ("may the force be with you 2024", "phrase that everybody knows"),
        ("a" * 72 + "zdqvxmfkqjwpyhb", "judged by its first 72 characters"),
    ],
)
def test_what_is_easy_to_guess_is_refused_and_the_reason_told(password: str, why: str) -> None:
    with pytest.raises(WeakPassword, match=why) as caught:
        check(password)
    assert len(password) < 5 or password not in str(caught.value)


def test_with_a_second_factor_eight_characters_do() -> None:
    check("zdqvxmfk", has_factor=True)
    with pytest.raises(WeakPassword, match=r"at least 8 characters\Z"):
        check("zdqvxmf", has_factor=True)
    with pytest.raises(WeakPassword):
        check("alice123", has_factor=True)
    with pytest.raises(WeakPassword):
        check("passw0rd", has_factor=True)


def test_the_name_counts_in_any_case_and_by_its_parts() -> None:
    for password in ("BARTHOLOMEW-quince!", "quincebartholomew7", "Bartholomew.Quince"):
        with pytest.raises(WeakPassword, match="the user's name"):
            check(password, "bartholomew.quince")


@given(st.text(max_size=120))
def test_whatever_is_chosen_is_judged_and_never_quoted(password: str) -> None:
    try:
        chosen = Secret(password)
    except ValueError:
        return
    try:
        check_strength(chosen, "alice", has_factor=False)
    except WeakPassword as error:
        told, chain = str(error), (error.__context__, error.__cause__)
    else:
        assert len(password) >= MIN_LENGTH
        return
    assert len(password) < 4 or password not in told
    assert chain == (None, None)


def test_what_the_judge_keeps_of_the_context_is_forgotten() -> None:
    from zxcvbn import matching

    check("a heron stands in cold water", "zebulon")
    assert "user_inputs" not in matching.RANKED_DICTIONARIES


def test_a_judge_that_fails_refuses_and_its_words_are_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(password: str, **_: Any) -> Any:
        raise KeyError(password)

    broken: Any = ModuleType("zxcvbn")
    broken.zxcvbn, broken.matching = fails, sys.modules["zxcvbn.matching"]
    monkeypatch.setitem(sys.modules, "zxcvbn", broken)
    with pytest.raises(AuthError, match=r"judging a password failed: KeyError\Z"):
        check("a heron stands in cold water")


@pytest.mark.parametrize(
    "text", [lambda: "4@8({[<361!|0$5+7%2" * 4, lambda: "aA1!" * 30, lambda: "12/31/1999" * 8]
)
def test_judging_takes_no_time_that_anybody_could_use(text: Callable[[], str]) -> None:
    began = time.perf_counter()
    with suppress(WeakPassword):
        check(text())
    assert time.perf_counter() - began < 5
