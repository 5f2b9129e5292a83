"""Reading a dotenv file."""

from __future__ import annotations

import os
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import ConfigError
from hauberk_plugins.keys.dotenv import Dotenv

CANARY = "c4nary-s3cret-value"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / ".env"
    path.touch(0o600)
    return path


def read(path):
    return {name: value.reveal_text() for name, value in Dotenv(path).values().items()}


def refusal(path):
    with pytest.raises(ConfigError) as caught:
        Dotenv(path).values()
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    assert caught.value.__context__ is None or CANARY not in repr(vars(caught.value))
    return str(caught.value)


def test_values_are_read_as_they_stand_and_never_interpolated(path):
    path.write_text("A=1\nexport B='two words'\n# C=3\nD=\nE=${A}-${HOME}\nF\n")
    assert read(path) == {"A": "1", "B": "two words", "E": "${A}-${HOME}"}


def test_nothing_of_it_reaches_the_environment(path, monkeypatch):
    monkeypatch.delenv("DOTENV_TEST_NAME", raising=False)
    path.write_text("DOTENV_TEST_NAME=1\n")
    assert read(path) == {"DOTENV_TEST_NAME": "1"}
    assert "DOTENV_TEST_NAME" not in os.environ


def test_a_file_that_is_not_there_holds_nothing(tmp_path):
    assert read(tmp_path / ".env") == {}
    (tmp_path / "file").touch()
    assert read(tmp_path / "file" / ".env") == {}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602, 0o610])
def test_a_file_that_others_can_reach_is_refused_with_the_command_to_run(path, mode):
    path.write_text(f"A={CANARY}\n")
    path.chmod(mode)
    text = refusal(path)
    assert f"has mode {mode:04o}" in text
    assert f"run: chmod 600 {path}" in text


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_ones_own_is_read(path, mode):
    path.write_text("A=1\n")
    path.chmod(mode)
    assert read(path) == {"A": "1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_somebody_else_may_change_is_refused(path, tmp_path):
    path.write_text(f"A={CANARY}\n")
    os.chown(path, 4321, 0)
    assert "is not safe to take keys from: it belongs to user id 4321" in refusal(path)
    os.chown(path, 0, 0)
    os.chown(tmp_path, 4321, 0)
    assert refusal(path).startswith(f"{tmp_path}: ")


@pytest.mark.parametrize("mode", [0o777, 0o703])
def test_a_file_in_whose_place_anybody_can_put_another_is_refused(path, tmp_path, mode):
    path.write_text(f"A={CANARY}\n")
    tmp_path.chmod(mode)
    text = refusal(path)
    assert text.startswith(f"{tmp_path}: ")
    assert f"run: chmod go-w {tmp_path}" in text


@pytest.mark.parametrize("mode", [0o1777, 0o770, 0o755])
def test_a_folder_where_nobody_can_replace_a_file_of_ours_will_do(path, tmp_path, mode):
    path.write_text("A=1\n")
    tmp_path.chmod(mode)
    assert read(path) == {"A": "1"}


def test_of_a_symlink_the_target_is_checked(path, tmp_path):
    path.write_text(f"A={CANARY}\n")
    link = tmp_path / "link"
    link.symlink_to(path)
    assert read(link) == {"A": CANARY}
    path.chmod(0o644)
    assert "has mode 0644" in refusal(link)


def test_what_is_not_a_regular_file_is_refused_and_never_waited_for(tmp_path):
    (tmp_path / "folder").mkdir(0o700)
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "is not a regular file" in refusal(tmp_path / "folder")
    assert "is not a regular file" in refusal(tmp_path / "fifo")


def test_a_loop_of_symlinks_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be read" in refusal(tmp_path / "loop")


def test_bytes_that_are_not_utf8_are_refused_without_showing_them(path):
    path.write_bytes(f"A={CANARY}".encode() + b"\xff\n")
    assert "is not UTF-8" in refusal(path)


def test_a_file_of_more_than_a_mebibyte_is_refused(path):
    path.write_text("A" * (1 << 20) + "=1")
    assert "is larger than" in refusal(path)


def test_the_byte_order_mark_of_an_editor_is_no_part_of_a_name(path):
    path.write_text("A=1\n", encoding="utf-8-sig")
    assert read(path) == {"A": "1"}


def test_a_change_is_seen_though_time_and_size_stay_the_same(path):
    file = Dotenv(path)
    path.write_text("A=1\n")
    os.utime(path, ns=(1, 1))
    assert file.values()["A"].reveal_text() == "1"
    path.write_text("A=2\n")
    os.utime(path, ns=(1, 1))
    assert file.values()["A"].reveal_text() == "2"


def test_unchanged_bytes_are_not_parsed_again(path):
    file = Dotenv(path)
    path.write_text("A=1\n")
    assert file.values()["A"] is file.values()["A"]


def test_a_mode_that_is_loosened_later_is_noticed(path):
    file = Dotenv(path)
    path.write_text("A=1\n")
    file.values()
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        file.values()


def test_a_file_that_goes_away_takes_its_values_with_it(path):
    file = Dotenv(path)
    path.write_text("A=1\n")
    assert file.values()
    path.unlink()
    assert not file.values()


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_typed_error(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("dotenv") / ".env"
    path.touch(0o600)
    path.write_bytes(content)
    try:
        values = Dotenv(path).values()
    except ConfigError:
        return
    assert all(value.reveal() for value in values.values())


def test_no_repr_shows_a_value(path):
    path.write_text(f"A={CANARY}\n")
    file = Dotenv(path)
    assert CANARY not in f"{file!r} {file.values()!r} {vars(file)!r}"
