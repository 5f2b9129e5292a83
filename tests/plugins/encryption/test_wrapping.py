"""Wrapping keys from files and passphrases."""

from __future__ import annotations

import os
import re
import subprocess
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from hauberk.errors import InvalidValue, UnsafeFile
from hauberk.secret import Secret
from hauberk_plugins.encryption.errors import NoKey
from hauberk_plugins.encryption.wrapping import (
    KeyFile,
    Passphrase,
    decoded,
    fetched_first,
    normalised,
)

KEY = bytes(range(224, 256))


def of_variable(value: str | None, name: str = "PASS") -> Passphrase:
    return Passphrase(f"env:{name}", {} if value is None else {name: value}, _never_asked)


def _never_asked() -> Secret | None:
    raise AssertionError


@pytest.mark.parametrize(
    "text",
    [
        b64encode(KEY),
        urlsafe_b64encode(KEY),
        b64encode(KEY) + b"\n",
        b" " + b64encode(KEY) + b"\r\n",
    ],
)
def test_a_key_is_32_bytes_in_base64_of_either_alphabet(text: bytes) -> None:
    found = decoded(text)
    assert found is not None
    assert found.reveal() == KEY


@pytest.mark.parametrize(
    "text",
    [b"", KEY, KEY.hex().encode(), b64encode(KEY[:31]), b64encode(KEY + b"x"), b"\xff" * 44,
     b64encode(KEY)[:20] + b"\n" + b64encode(KEY)[20:], b64encode(KEY) + b"!"],
)  # fmt: skip
def test_anything_else_is_none(text: bytes) -> None:
    assert decoded(text) is None


def test_a_key_file_is_read(key_file: Callable[..., Path]) -> None:
    source = KeyFile(key_file(KEY))
    assert source.fetch().reveal() == KEY
    assert not source.is_passphrase
    assert source.reference == f"file:{source.path}"


def test_a_key_file_that_is_gone_is_not_to_be_made_anew_but_put_back(tmp_path: Path) -> None:
    path = tmp_path / "a key"
    with pytest.raises(NoKey) as caught:
        KeyFile(path).fetch()
    assert str(caught.value) == (
        f"no wrapping key from file:{path}: there is no such file (looked in {path}); "
        "put it back from your copy of it: what is sealed opens under no other"
    )


def test_where_nothing_is_wrapped_yet_there_is_a_command_that_makes_a_key(tmp_path: Path) -> None:
    path = tmp_path / "a key"
    with pytest.raises(NoKey, match="make one: ") as caught:
        fetched_first(KeyFile(path))
    made = re.search(r"\(.*\)$", caught.value.remedy)
    assert made is not None
    subprocess.run(["sh", "-c", made[0]], check=True)
    key = KeyFile(path).fetch()
    # Run once more, by somebody who has not looked: it leaves the key alone.
    assert subprocess.run(["sh", "-c", made[0]], capture_output=True).returncode != 0
    assert KeyFile(path).fetch() == key


def test_no_command_is_offered_that_would_write_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text("almost a key")
    with pytest.raises(NoKey) as caught:
        fetched_first(KeyFile(path))
    assert ">" not in str(caught.value)
    assert caught.value.remedy == "name another file in the section `encryption` of hauberk.yml"


def test_a_path_through_a_file_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoKey, match="there is no such file"):
        KeyFile(tmp_path / "file" / "key").fetch()


def test_a_key_file_that_holds_something_else_is_said_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text("not-a-key-c4nary")
    with pytest.raises(NoKey, match="does not hold 32 bytes in base64") as caught:
        KeyFile(path).fetch()
    assert "c4nary" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_file_that_others_can_read_is_refused_with_the_command_to_run(
    key_file: Callable[..., Path], mode: int
) -> None:
    path = key_file(KEY)
    path.chmod(mode)
    with pytest.raises(UnsafeFile, match=f"chmod 600 {path}"):
        KeyFile(path).fetch()


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "folder").mkdir(0o700)
    for name in ("fifo", "folder"):
        with pytest.raises(UnsafeFile):
            KeyFile(tmp_path / name).fetch()


def test_a_key_file_inside_the_state_folder_is_refused_also_through_a_link(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "key").touch(0o600)
    (folder / "key").write_bytes(b64encode(KEY))
    (tmp_path / "link").symlink_to(folder)
    for path, state in [
        (folder / "key", folder),
        (folder / ".." / "state" / "key", folder),
        (tmp_path / "link" / "key", folder),
        (folder / "key", tmp_path / "link"),
    ]:
        with pytest.raises(UnsafeFile, match=r"lies inside the state folder.*move it out"):
            KeyFile(path, state).fetch()
    assert KeyFile(folder / "key", tmp_path / "other").fetch().reveal() == KEY


def test_a_passphrase_comes_from_the_environment() -> None:
    source = of_variable("correct horse battery staple")
    assert source.fetch().reveal_text() == "correct horse battery staple"
    assert source.is_passphrase
    assert not source.is_asked_for


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_named(value: str | None) -> None:
    with pytest.raises(NoKey, match=r"env:PASS: the variable PASS is not set \(looked in the env"):
        of_variable(value).fetch()


def test_a_passphrase_typed_in_two_ways_is_one() -> None:
    composed, combining = "pass\u00e9 compos\u00e9", "passe\u0301 compose\u0301"
    assert of_variable(composed).fetch() == of_variable(combining).fetch()


def test_bytes_that_are_no_text_are_a_passphrase_as_they_are() -> None:
    raw = b"\xff\xfe\x00 not utf-8"
    assert of_variable(raw.decode("utf-8", "surrogateescape")).fetch().reveal() == raw
    assert normalised(Secret(raw)).reveal() == raw


def test_a_passphrase_is_asked_for_only_where_that_is_configured() -> None:
    source = Passphrase("prompt", {"prompt": "no"}, lambda: Secret("typed passphrase"))
    assert source.is_asked_for
    assert source.fetch().reveal_text() == "typed passphrase"


@pytest.mark.parametrize(
    ("typed", "told"), [(None, "there is no terminal to ask on"), ("", "nothing was typed")]
)
def test_a_passphrase_that_cannot_be_asked_for_is_said(typed: str | None, told: str) -> None:
    source = Passphrase("prompt", {}, lambda: None if typed is None else Secret(typed))
    with pytest.raises(NoKey, match=f"{told}.*passphrase: env:NAME"):
        source.fetch()


@pytest.mark.parametrize("text", ["c4nary", "env:", "env:c4nary-", "env:1", "file:c4nary", ""])
def test_a_passphrase_put_where_its_reference_belongs_is_not_repeated(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Passphrase(text, {}, _never_asked)
    assert "c4nary" not in str(caught.value)
