"""What is typed is shown to nobody, read to its end and no further, and asked for once."""

from __future__ import annotations

import getpass
import io
import sys
import traceback
import warnings
from collections.abc import Callable

import pytest

from hauberk.errors import HauberkError, InvalidValue
from hauberk.prompts import MAX_LINE, NothingTyped, Prompts
from hauberk.secret import Secret


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def piped(content: bytes) -> Prompts:
    return Prompts(io.TextIOWrapper(io.BytesIO(content)), io.StringIO())


def typed(*answers: str | BaseException, lines: str = "") -> tuple[Prompts, list[str]]:
    asked: list[str] = []
    left = iter(answers)

    def ask(prompt: str) -> str:
        asked.append(prompt)
        answer = next(left)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return Prompts(Terminal(lines), io.StringIO(), ask), asked


def shown(error: BaseException) -> str:
    """All that a report of it with locals shows, also of what it came from."""
    found, waiting = "", [error]
    while waiting:
        one = waiting.pop()
        found += repr(one.args)
        told = traceback.TracebackException.from_exception(one, capture_locals=True)
        # The frames of the test are its own.
        found += "".join(
            f"{frame.filename} {frame.locals}" for frame in told.stack if frame.filename != __file__
        )
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
    return found


def test_in_a_pipe_each_secret_is_a_line() -> None:
    prompts = piped(b"first\r\n  second \nth\xffrd")
    found = [prompts.secret("password").reveal() for _ in range(3)]
    assert found == [b"first", b"  second ", b"th\xffrd"]
    with pytest.raises(NothingTyped, match="no line for the password: nothing was changed"):
        prompts.secret("password")
    assert not prompts.secret("code", may_be_missing=True)


def test_a_stream_that_has_no_bytes_beneath_will_do() -> None:
    prompts = Prompts(io.StringIO("first\nse\udcffcond"), io.StringIO())
    assert [prompts.secret("x").reveal() for _ in range(2)] == [b"first", b"se\xffcond"]
    assert Prompts(io.StringIO("a\nb\n"), io.StringIO()).content("x", 10).reveal() == b"a\nb"


def test_an_empty_line_is_an_empty_secret_and_not_the_end() -> None:
    assert piped(b"\n").secret("code").reveal() == b""


def test_in_a_pipe_nothing_is_asked_twice() -> None:
    prompts = piped(b"chosen\nnext\n")
    assert prompts.chosen("password").reveal() == b"chosen"
    assert prompts.secret("code").reveal() == b"next"


def test_a_line_that_is_too_long_is_refused_and_not_cut_in_two() -> None:
    longest = b"x" * (MAX_LINE - 1)
    assert piped(longest + b"\nnext\n").secret("password").reveal() == longest
    with pytest.raises(InvalidValue, match="longer than anything"):
        piped(b"x" * (MAX_LINE + 1)).secret("password")


def test_closed_streams_are_the_end_of_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stderr", None)
    prompts = Prompts()
    assert not prompts.is_terminal
    assert not prompts.is_seen
    prompts.show("nothing comes of it")
    for ask in (
        lambda: prompts.secret("password"),
        lambda: prompts.content("value", 10),
        lambda: prompts.name("name", "name the user"),
    ):
        with pytest.raises(NothingTyped):
            ask()


def test_on_a_terminal_a_chosen_secret_is_asked_for_twice() -> None:
    prompts, asked = typed("a", "a")
    assert prompts.chosen("password").reveal() == b"a"
    assert asked == ["password: ", "password again: "]
    prompts, _ = typed("canary-a", "canary-b")
    with pytest.raises(InvalidValue, match="not the same password: nothing was changed") as caught:
        prompts.chosen("password")
    assert "canary" not in shown(caught.value)


def test_the_end_of_the_terminal_is_told() -> None:
    prompts, _ = typed(EOFError())
    with pytest.raises(NothingTyped):
        prompts.secret("password")


def test_ctrl_c_goes_on() -> None:
    prompts, _ = typed("canary", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt) as caught:
        prompts.chosen("password")
    assert "canary" not in shown(caught.value)


@pytest.mark.parametrize("content", [b"canary\n", b"canary\r\n", b"canary"])
def test_all_of_a_pipe_is_one_value_without_its_last_line_end(content: bytes) -> None:
    assert piped(content).content("value", 6).reveal() == b"canary"
    assert piped(b"a\n" + content).content("value", 8).reveal() == b"a\ncanary"


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_an_empty_value_is_refused(content: bytes) -> None:
    with pytest.raises(NothingTyped, match=r"the value is empty: .*; nothing was changed"):
        piped(content).content("value", 6)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n", b"y\r\n", b"yyyyyyyy"])
def test_a_value_that_is_too_long_is_refused_and_not_cut(end: bytes) -> None:
    with pytest.raises(InvalidValue, match="more than 6 bytes: nothing was changed") as caught:
        piped(b"canary!" + end).content("value", 6)
    assert "canary" not in shown(caught.value)


def test_on_a_terminal_a_value_is_one_line_that_is_not_shown() -> None:
    prompts, asked = typed("canary")
    assert prompts.content("value of x", 10) == Secret("canary")
    assert asked == ["value of x: "]


def test_a_name_is_asked_for_on_a_terminal_alone() -> None:
    prompts, _ = typed(lines=" alice \n")
    assert prompts.name("name", "say who") == "alice"
    with pytest.raises(NothingTyped, match="no name was typed"):
        typed(lines="")[0].name("name", "say who")
    with pytest.raises(NothingTyped, match="say who"):
        piped(b"alice\n").name("name", "say who")


def test_what_is_shown_once_is_seen_only_where_no_file_sees_it() -> None:
    assert Prompts(Terminal(), Terminal()).is_seen
    assert not Prompts(Terminal(), io.StringIO()).is_seen
    assert not Prompts(io.StringIO(), Terminal()).is_seen


def test_a_terminal_that_would_show_what_is_typed_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fallback(prompt: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, 2)
        return "canary"

    monkeypatch.setattr(getpass, "getpass", fallback)
    with pytest.raises(InvalidValue, match="would show what is typed: pipe it in"):
        Prompts(Terminal(), io.StringIO()).secret("password")


def broken(what: Callable[[], object]) -> HauberkError:
    with pytest.raises(HauberkError) as caught:
        what()
    return caught.value


class Broken(io.BytesIO):
    """Fails with what it has read in its frame and in its error."""

    def readline(self, size: int | None = -1) -> bytes:
        held = super().readline()
        raise ValueError(f"cannot use {held!r}")

    def read(self, size: int | None = -1) -> bytes:
        return self.readline()


def test_no_failure_holds_what_was_read() -> None:
    def ask(prompt: str) -> str:
        held = "canary"
        raise RuntimeError(held)

    stream = io.StringIO()
    for what in (
        lambda: Prompts(io.TextIOWrapper(Broken(b"canary\n")), stream).secret("password"),
        lambda: Prompts(io.TextIOWrapper(Broken(b"canary\n")), stream).content("value", 10),
        lambda: Prompts(io.StringIO("canary\ud800\n"), stream).secret("password"),
        lambda: Prompts(Terminal(), stream, lambda prompt: "canary\ud800").secret("password"),
        lambda: Prompts(Terminal(), stream, ask).secret("password"),
    ):
        assert "canary" not in shown(broken(what))
