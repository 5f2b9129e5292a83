"""Errors show what is ours, and nothing that may be a secret."""

import inspect

import pytest

import hauberk
from hauberk import errors
from hauberk.errors import CredentialsMissing, Denied, HauberkError, StoreError, safe_text
from hauberk.hooks import Plugin, hookimpl
from hauberk.request import Request
from hauberk.telling import told
from hauberk.testing import DEFAULT_URL, make_guard


def test_the_text_of_an_error_that_is_not_ours_is_not_shown() -> None:
    assert safe_text(StoreError("the disk is full")) == "the disk is full"
    assert safe_text(ValueError("password=hunter2")) == "ValueError"


def test_every_error_is_to_be_had_from_hauberk_itself() -> None:
    ours = {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value)
        and issubclass(value, HauberkError)
        and value.__module__ == errors.__name__
    }
    assert len(ours) > 10
    assert set(ours) <= set(hauberk.__all__)
    assert {name: getattr(hauberk, name) for name in ours} == ours


#: As many places, with as long a path, as an account's reference may be looked for in.
PLACES = [f"/srv/{'x' * 90}/{number}/.env" for number in range(4)]


class Looks(Plugin):
    """Fails as a plugin does that finds no credential."""

    @hookimpl
    def on_request(self, request: Request) -> None:
        raise CredentialsMissing("main", "env:KEY", PLACES, "set it, or name another")


def test_a_denial_says_what_to_do_to_the_end_of_what_our_own_error_says() -> None:
    with make_guard(Looks()) as guard, pytest.raises(Denied) as denied:
        guard.clear(Request("POST", DEFAULT_URL))
    assert denied.value.reason.endswith(f"{PLACES[-1]}); set it, or name another")


def test_no_error_fills_a_log_whoever_it_is_of() -> None:
    assert told(StoreError("x" * 10_000)) == f"StoreError: {'x' * 2_000}"
    assert told(OSError("x" * 10_000)) == f"OSError: {'x' * 200}"


def test_an_error_that_lies_about_its_class_is_cut_like_any_other() -> None:
    class Liar(Exception):
        @property
        def __class__(self) -> type:  # type: ignore[override]
            return StoreError

    assert told(Liar("x" * 10_000)) == f"Liar: {'x' * 200}"
