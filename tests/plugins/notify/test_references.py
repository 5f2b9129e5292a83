"""A route's URL is looked up where its reference says; what is wrong is told without the URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hauberk import Secret, StoreError
from hauberk.errors import HauberkError, InvalidValue
from hauberk.oskeyring import Entry
from hauberk_plugins.notify.addresses import Addresses
from hauberk_plugins.notify.errors import NoSuchRoute, RouteUnusable
from hauberk_plugins.notify.reference import Kind, Places, Reference, resolved

URL = "json://host/hunter2"
THERE = Secret(URL)


def places(folder: Path = Path(), **environ: str) -> Places:
    return Places(environ, folder, lambda name: {"pager": THERE}.get(name), _keyring)


def _keyring(name: str) -> Entry:
    value = THERE if name == "pager" else None
    return Entry(value, ("backend",), is_there=True, why="")


@pytest.mark.parametrize(
    "text", ["env:PAGER_URL", "vault:pager", "keyring:pager", "file:pager.url"]
)
def test_each_kind_of_reference_leads_to_its_url(text: str, tmp_path: Path) -> None:
    (tmp_path / "pager.url").write_text(URL + "\n")
    (tmp_path / "pager.url").chmod(0o600)
    found = resolved("pager", Reference.read(text), places(tmp_path, PAGER_URL=URL + "\r\n"))
    assert found == THERE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("json://host/hunter2", "must be where its URL is"),
        ("hunter2", "must be where its URL is"),
        ("evn:PAGER_URL", "'evn' is no place for a URL; did you mean 'env'?"),
        ("volt:hunter2", "'volt' is no place for a URL; did you mean 'vault'?"),
        ("HUNTER2:x", "it is no reference"),
        ("env:not a name", "what follows 'env:' is not a variable's name"),
        ("file:", "what follows 'file:' is not a name"),
    ],
)
def test_what_is_no_reference_is_refused_without_its_text(text: str, why: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Reference.read(text)
    assert why in str(caught.value)
    assert "hunter2" not in str(caught.value).lower()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("env:OTHER_URL", "the variable of its reference env:… is not set"),
        ("vault:other", "run: hauberk notify put other"),
        ("keyring:other", "run: keyring set hauberk other"),
        ("file:other", "is not there"),
        ("file:open", "chmod 600"),
        ("env:BROKEN", "no URL of apprise's"),
        ("env:LINES", "no URL of apprise's"),
    ],
)
def test_what_leads_nowhere_says_what_to_do(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "open").write_text(URL)
    (tmp_path / "open").chmod(0o644)
    where = places(tmp_path, BROKEN="hunter2", LINES="json://host\nhunter2")
    with pytest.raises(RouteUnusable) as caught:
        resolved("pager", Reference.read(text), where)
    assert why in str(caught.value)
    assert str(caught.value).startswith("route 'pager': ")
    assert "hunter2" not in str(caught.value)


def test_a_rotated_url_is_used_at_once_and_the_last_one_while_the_vault_does_not_answer() -> None:
    answers: list[Callable[[], Secret]] = [
        lambda: Secret("json://first"),
        lambda: Secret("json://second"),
        _broken,
    ]
    addresses = Addresses({"pager": lambda: answers.pop(0)(), "mail": _broken})
    assert addresses.url("pager") == Secret("json://first")
    assert addresses.url("pager") == Secret("json://second")
    assert addresses.url("pager") == Secret("json://second")
    with pytest.raises(StoreError):
        addresses.url("mail")
    with pytest.raises(NoSuchRoute, match="did you mean 'pager'"):
        addresses.url("pagr")


def test_a_url_that_was_taken_away_is_not_used_on() -> None:
    answers: list[Callable[[], Secret]] = [lambda: Secret("json://first"), _gone]
    addresses = Addresses({"pager": lambda: answers.pop(0)()})
    addresses.url("pager")
    with pytest.raises(RouteUnusable):
        addresses.url("pager")


def _broken() -> Secret:
    raise StoreError("the disk is gone")


def _gone() -> Secret:
    raise RouteUnusable("pager", "it is gone")


def test_every_error_is_one_of_ours() -> None:
    assert issubclass(RouteUnusable, HauberkError)
    assert [str(kind) for kind in Kind] == ["env", "vault", "keyring", "file"]
