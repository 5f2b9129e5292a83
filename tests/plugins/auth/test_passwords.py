from __future__ import annotations

import secrets
import sys
import time
import unicodedata
from collections.abc import Callable
from subprocess import run

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Secret
from hauberk.testing import MemoryStore
from hauberk_plugins.auth.errors import AuthError, BadRecord, PepperMissing, WeakPassword
from hauberk_plugins.auth.passwords import (
    BARE,
    COST,
    MAX_BYTES,
    PEPPERED,
    Hashed,
    PasswordHasher,
)
from hauberk_plugins.auth.peppers import Peppers

GIVEN = Secret("a heron stands in cold water")


def hasher(cost: int = 4, store: MemoryStore | None = None) -> PasswordHasher:
    kept = store or MemoryStore()
    return PasswordHasher(Peppers(lambda: kept, secrets.token_bytes), secrets.token_bytes, cost)


def bare(password: bytes, cost: int = 4) -> Hashed:
    return Hashed(BARE, "", Secret(bcrypt.hashpw(password, bcrypt.gensalt(cost))))


HASHER = hasher()


@given(st.text(min_size=1, max_size=400))
def test_any_text_is_a_password_and_no_other_is_taken_for_it(text: str) -> None:
    try:
        password = Secret(text)
    except ValueError:  # a lone surrogate
        return
    if len(unicodedata.normalize("NFC", text).encode()) > MAX_BYTES:
        return
    hashed = HASHER.hash(password)
    assert HASHER.check(hashed, password)
    assert not HASHER.check(hashed, Secret(text + "x"))
    assert not HASHER.check(hashed, Secret(text[:-1]))


@pytest.mark.parametrize("length", [71, 72, 73, 100, MAX_BYTES])
def test_no_byte_is_cut_off_whatever_the_length(length: int) -> None:
    password = "p" * (length - 1)
    hashed = HASHER.hash(Secret(password + "a"))
    assert HASHER.check(hashed, Secret(password + "a"))
    assert not HASHER.check(hashed, Secret(password + "b"))
    assert not HASHER.check(hashed, Secret(password))


def test_a_password_typed_composed_and_decomposed_is_the_same() -> None:
    composed = "é" * 100
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    assert HASHER.check(HASHER.hash(Secret(composed)), Secret(decomposed))


def test_the_longest_password_is_taken_decomposed_too() -> None:
    longest = "ǖ" * (MAX_BYTES // 2)
    assert len(unicodedata.normalize("NFD", longest).encode()) > 2 * MAX_BYTES
    assert HASHER.check(HASHER.hash(Secret(longest)), Secret(unicodedata.normalize("NFD", longest)))


@pytest.mark.parametrize("password", [b"", b"x" * (MAX_BYTES + 1), b"\xff\xfe" * 10, b"x" * 10**6])
def test_what_can_be_nobodys_password_is_refused_and_checked_like_any_other(
    password: bytes, bcrypts: list[int]
) -> None:
    with pytest.raises(WeakPassword, match="from 1 to 1024 bytes"):
        HASHER.hash(Secret(password))
    assert bcrypts == []
    hashed = HASHER.hash(GIVEN)
    bcrypts.clear()
    assert not HASHER.check(hashed, Secret(password))
    assert bcrypts == [4]


def test_a_password_with_a_nul_in_it_is_not_cut_there() -> None:
    hashed = HASHER.hash(Secret("before\0after"))
    assert not HASHER.check(hashed, Secret("before"))
    assert not HASHER.check(hashed, Secret("before\0other"))


# One check at equal cost.


@pytest.mark.parametrize(
    ("hashed", "password"),
    [
        (HASHER.hash(GIVEN), GIVEN),
        (HASHER.hash(GIVEN), Secret("wrong")),
        (HASHER.hash(GIVEN), None),
        (HASHER.hash(GIVEN), Secret("")),
        (None, GIVEN),
        (None, None),
        (bare(b"guide"), Secret("guide")),
        (bare(b"guide"), Secret("x" * 73)),
        (bare(b"guide"), None),
    ],
)
def test_every_check_is_one_bcrypt_at_the_same_cost(
    hashed: Hashed | None, password: Secret | None, bcrypts: list[int]
) -> None:
    HASHER.check(hashed, password)
    assert bcrypts == [4]


def test_a_hash_of_a_lower_cost_takes_as_much_as_one_of_today(bcrypts: list[int]) -> None:
    store = MemoryStore()
    before, today = hasher(5, store), hasher(8, store)
    hashed = before.hash(GIVEN)
    bcrypts.clear()
    assert today.check(hashed, GIVEN)
    assert bcrypts[0] == 5
    assert sum(2**cost for cost in bcrypts) == 2**8
    assert today.is_outdated(hashed)


def test_the_hash_that_stands_in_for_nobodys_is_no_password_of_anybody() -> None:
    assert not HASHER.check(None, GIVEN)
    assert not HASHER.check(None, Secret(""))


def test_the_cost_is_12_and_takes_its_time() -> None:
    made = PasswordHasher(Peppers(lambda: STORE, secrets.token_bytes), secrets.token_bytes)
    began = time.perf_counter()
    hashed = made.hash(GIVEN)
    assert time.perf_counter() - began > 0.05
    assert hashed.cost == COST == 12
    assert hashed.hash.reveal().startswith(b"$2b$12$")


STORE = MemoryStore()


# Old hashes.


def test_a_hash_of_the_guides_code_is_verified_and_outdated() -> None:
    hashed = bare(b"correct horse", 4)
    assert HASHER.check(hashed, Secret("correct horse"))
    assert not HASHER.check(hashed, Secret("correct horse "))
    assert HASHER.is_outdated(hashed)
    assert not HASHER.is_outdated(HASHER.hash(GIVEN))


def test_a_password_that_the_guides_bcrypt_cut_off_is_not_let_in_by_its_beginning() -> None:
    hashed = bare(b"x" * 72)
    assert HASHER.check(hashed, Secret("x" * 72))
    assert not HASHER.check(hashed, Secret("x" * 73))


@pytest.mark.parametrize("password", ["", "x" * 73, "x" * 2_000])
def test_a_guides_hash_of_an_empty_password_is_nobodys(password: str) -> None:
    assert not HASHER.check(bare(b""), Secret(password))


def test_a_hash_under_an_older_pepper_is_verified_and_outdated() -> None:
    store = MemoryStore()
    made = hasher(4, store)
    hashed = made.hash(GIVEN)
    Peppers(lambda: store, secrets.token_bytes).rotate()
    assert made.check(hashed, GIVEN)
    assert made.is_outdated(hashed)
    assert not made.is_outdated(made.hash(GIVEN))


def test_without_its_pepper_a_hash_is_of_no_use() -> None:
    hashed = hasher().hash(GIVEN)
    with pytest.raises(PepperMissing, match=r"restore it from a backup"):
        hasher().check(hashed, GIVEN)


@pytest.mark.parametrize(
    ("scheme", "pepper", "text"),
    [
        ("md5", "", "$2b$04$" + "." * 53),
        (PEPPERED, "", "$2b$04$" + "." * 53),
        (BARE, "p", "$2b$04$" + "." * 53),
        (BARE, "", ""),
        (BARE, "", "plain"),
        (BARE, "", "$2b$04$" + "." * 52),
        (BARE, "", "$2b$04$" + "." * 53 + "\n"),
        (BARE, "", "$2b$04$" + "z" * 53),
        (BARE, "", "$2b$31$" + "." * 53),
        (BARE, "", "$2b$17$" + "." * 53),
        (BARE, "", "$2b$03$" + "." * 53),
        (BARE, "", "$1$04$" + "." * 53),
    ],
)
def test_what_is_no_hash_that_can_be_checked_in_time_is_refused(
    scheme: str, pepper: str, text: str
) -> None:
    with pytest.raises(BadRecord):
        Hashed(scheme, pepper, Secret(text))


@pytest.mark.parametrize(
    "act", [lambda: HASHER.hash(GIVEN), lambda: HASHER.check(None, GIVEN)], ids=["hash", "check"]
)
def test_what_bcrypt_raises_is_told_without_its_words(
    act: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(password: bytes, salt: bytes) -> bytes:
        raise ValueError(f"cannot take {password!r}")

    monkeypatch.setattr(bcrypt, "hashpw", fails)
    with pytest.raises(AuthError, match=r"ing a password failed: ValueError\Z") as caught:
        act()
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_nothing_of_it_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys, hauberk_plugins.auth.plugin;"
        "print([name for name in ('bcrypt', 'pyotp', 'zxcvbn', 'cyclopts') if name in sys.modules])"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
