"""Asking for what a person types: a secret without an echo, or from standard input, a line each.

Whatever goes wrong, nothing that was typed is in the error or in a frame that it leaves behind.
"""

from __future__ import annotations

import getpass
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TextIO

from hauberk.errors import HauberkError, InvalidValue
from hauberk.quiet import quietly
from hauberk.secret import Secret

#: Bytes of a line; what is longer is no password, passphrase, code or name.
MAX_LINE: Final = 8_192


_answers: ContextVar[dict[str, Secret] | None] = ContextVar("answers", default=None)


@contextmanager
def asking_once() -> Iterator[None]:
    """Have `Prompts.secret_once` remember what is typed, until the block ends.

    For what runs one command: whoever types it is asked for one thing once, however often it is
    needed on the way.
    """
    token = _answers.set({})
    try:
        yield
    finally:
        _answers.reset(token)


class NothingTyped(HauberkError):
    """Standard input ended where something had to be typed; nothing was changed."""


class Prompts:
    """Asks whoever types a command; a person at a terminal, or a line of standard input each.

    Args:
        stdin: Where lines are read where it is no terminal; the process's own unless given.
        stderr: Where what is shown goes; likewise.
        ask: Asks on the terminal without an echo; given the prompt.
    """

    def __init__(
        self,
        stdin: TextIO | None = None,
        stderr: TextIO | None = None,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        # `None` where whoever started us closed it.
        self._stdin: TextIO | None = sys.stdin if stdin is None else stdin
        self._stderr: TextIO | None = sys.stderr if stderr is None else stderr
        self._ask = ask or _hidden

    @property
    def is_terminal(self) -> bool:
        """Whether somebody types."""
        return self._stdin is not None and self._stdin.isatty()

    @property
    def is_seen(self) -> bool:
        """Whether what is shown is seen by whoever types, and by no file or pipe."""
        return self.is_terminal and self._stderr is not None and self._stderr.isatty()

    def secret(self, what: str, *, may_be_missing: bool = False) -> Secret:
        """Ask for a secret of one line; it may be empty.

        Args:
            what: What it is, for the prompt.
            may_be_missing: Whether the end of standard input stands for an empty one.

        Raises:
            NothingTyped: Standard input ended.
            InvalidValue: It is longer than `MAX_LINE`.
        """
        return quietly(f"reading the {what}", lambda: self._one(what, may_be_missing))

    def secret_once(self, what: str) -> Secret:
        """Ask for a secret, unless it was asked for already since `asking_once` began.

        Raises: as `secret`.
        """
        known = _answers.get()
        if known is None:
            return self.secret(what)
        if what not in known:
            known[what] = self.secret(what)
        return known[what]

    def chosen(self, what: str) -> Secret:
        """Ask for a secret that is being chosen: on a terminal twice, since nobody sees it.

        Raises:
            NothingTyped: Standard input ended.
            InvalidValue: The two are not the same, or longer than `MAX_LINE`.
        """
        first = self.secret(what)
        if self.is_terminal and self.secret(f"{what} again") != first:
            raise InvalidValue(f"the two are not the same {what}: nothing was changed")
        return first

    def content(self, what: str, limit: int) -> Secret:
        """Ask for a secret that may have several lines: all of standard input is it.

        The end of its last line is no part of it. On a terminal one line is asked for.

        Args:
            what: What it is, for the prompt.
            limit: How many bytes it may have.

        Raises:
            NothingTyped: It is empty, or there is none.
            InvalidValue: It is longer than the limit.
        """
        found = quietly(f"reading the {what}", lambda: self._all(what, limit))
        if not found:
            raise NothingTyped(
                f"the {what} is empty: type it when asked, or pipe it in; nothing was changed"
            )
        if len(found.reveal()) > limit:
            raise InvalidValue(f"the {what} has more than {limit} bytes: nothing was changed")
        return found

    def name(self, what: str, remedy: str) -> str:
        """Ask for a name, which is shown, on a terminal.

        Args:
            what: What it is, for the prompt.
            remedy: What to do where there is no terminal to ask on.

        Raises:
            NothingTyped: There is none, or nothing was typed.
        """
        if self._stdin is None or not self.is_terminal:
            raise NothingTyped(remedy)
        self.show(f"{what}: ", end="")
        found = self._stdin.readline(MAX_LINE).strip()
        if not found:
            raise NothingTyped(f"no {what} was typed")
        return found

    def show(self, text: str, end: str = "\n") -> None:
        """Show something once, beside the command's answer."""
        if self._stderr is not None:
            self._stderr.write(text + end)
            self._stderr.flush()

    def _one(self, what: str, may_be_missing: bool) -> Secret:
        if self.is_terminal:
            return self._typed(what)
        line = self._line()
        if not line and not may_be_missing:
            raise NothingTyped(f"standard input has no line for the {what}: nothing was changed")
        # A line that is cut would be taken for two.
        if len(line.reveal()) > MAX_LINE:
            raise InvalidValue(f"the {what} is longer than anything that is taken")
        return _without_end(line)

    def _all(self, what: str, limit: int) -> Secret:
        return self._typed(what) if self.is_terminal else _without_end(self._read(limit))

    def _typed(self, what: str) -> Secret:
        try:
            return _encoded(self._ask(f"{what}: "))
        except EOFError:
            raise NothingTyped(f"no {what} was typed: nothing was changed") from None

    def _line(self) -> Secret:
        # Of the bytes beneath: what cannot be decoded would be in the error.
        beneath = getattr(self._stdin, "buffer", None)
        if beneath is not None:
            return Secret(beneath.readline(MAX_LINE + 1))
        return _encoded("" if self._stdin is None else self._stdin.readline(MAX_LINE + 1))

    def _read(self, limit: int) -> Secret:
        beneath, most = getattr(self._stdin, "buffer", None), limit + len("\r\n") + 1
        if beneath is not None:
            return Secret(beneath.read(most))
        return _encoded("" if self._stdin is None else self._stdin.read(most))


def _hidden(prompt: str) -> str:
    """Ask on the terminal; where the echo cannot be turned off, do not."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt)
        except getpass.GetPassWarning:
            pass
    raise InvalidValue("the terminal would show what is typed: pipe it in instead")


def _encoded(text: str) -> Secret:
    # Bytes that are not UTF-8 come as lone surrogates; other ones are nobody's.
    return Secret(text.encode("utf-8", "surrogateescape"))


def _without_end(text: Secret) -> Secret:
    return Secret(text.reveal().removesuffix(b"\n").removesuffix(b"\r"))
