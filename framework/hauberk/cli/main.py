"""`hauberk`: reads the line, runs its command, turns what comes of it into output and status.

With `--json`, stdout gets one JSON document, whatever happens; everything else goes to stderr.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Final

import hauberk
from hauberk import coredumps
from hauberk.cli.answer import Answer, printable, to_json
from hauberk.cli.failure import DONE, NO, failure
from hauberk.cli.line import Line, read_line
from hauberk.environment import VARIABLES

_VERSION: Final = ("--version",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments; the process's own unless given.

    Returns:
        The exit status: 0 done, 1 the answer is no, 2 usage or configuration, 3 a failure.
    """
    coredumps.forbid()
    line = read_line(sys.argv[1:] if argv is None else argv, VARIABLES)
    with _streams(), _logging():
        try:
            return _run(line)
        except BrokenPipeError:  # whoever read the output has read enough
            return DONE
        except BaseException as error:
            return _failed(error, line.as_json)


def _run(line: Line) -> int:
    if line.as_json:
        with redirect_stdout(sys.stderr):  # whatever a plugin prints
            answer = _answer(line)
            document = to_json(answer.document)
        sys.stdout.write(document + "\n")
    else:
        answer = _answer(line)
        answer.show()
    sys.stdout.flush()
    return DONE if answer.ok else NO


def _answer(line: Line) -> Answer:
    if line.words == _VERSION:  # without the time that reading arguments takes to load
        return Answer({"version": hauberk.__version__}, f"hauberk {hauberk.__version__}")
    from hauberk.cli.commands import run
    from hauberk.prompts import asking_once

    # Whoever types may be asked by what decides whether they may, and again by the command.
    with asking_once():
        return run(line)


def _failed(error: BaseException, as_json: bool) -> int:
    failed = failure(error)
    with suppress(OSError):
        sys.stderr.write(f"hauberk: {printable(failed.text)}\n")
    if as_json:
        with suppress(OSError):  # a full disk; it was told on stderr
            sys.stdout.write(to_json(failed.document) + "\n")
            sys.stdout.flush()
    return failed.status


@contextmanager
def _streams() -> Iterator[None]:
    """Have output never fail over an encoding, nor at the end over a reader that is gone."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    yield
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _logging() -> Iterator[None]:
    """Have what the kernel logs go to stderr, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("hauberk: %(levelname)s: %(message)s"))
    logger = logging.getLogger("hauberk")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Lines(logging.Formatter):
    """Makes lines that cannot act on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
