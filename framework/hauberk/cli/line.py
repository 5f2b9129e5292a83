"""What was typed, read just far enough to know where output goes and which file is meant."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

VARIABLE: Final = "HAUBERK_CONFIG"
DEFAULT: Final = "hauberk.yml"
#: What follows it is for the command alone, whatever it looks like (POSIX, 12.2, guideline 10).
END: Final = "--"


@frozen
class Line:
    """A command line.

    Attributes:
        words: The command and what is its own.
        config: The configuration file.
        as_json: Whether one JSON document is to be printed on stdout.
        problem: What is wrong with `--config` or `--json`; told once it is known how.
    """

    words: tuple[str, ...]
    config: Path = Path(DEFAULT)
    as_json: bool = False
    problem: str = ""


def read_line(words: Sequence[str], environ: Mapping[str, str]) -> Line:
    """Take out `--config` and `--json`, which every command takes, before or after its name.

    Args:
        words: As typed after `hauberk`.
        environ: Environment variables.
    """
    end = words.index(END) if END in words else len(words)
    own: list[str] = []
    config, as_json, problem = "", False, ""
    rest = deque(words[:end])
    while rest:
        word = rest.popleft()
        name, equals, value = word.partition("=")
        if name == "--json":
            as_json = True
            problem = problem or ("--json takes no value" if equals else "")
        elif name == "--config":
            config = value if equals else _file(rest)
            problem = problem or ("" if config else "--config needs a file: --config FILE")
        else:
            own.append(word)
    file = config or environ.get(VARIABLE) or DEFAULT
    return Line((*own, *words[end:]), Path(file), as_json, problem)


def _file(rest: deque[str]) -> str:
    """Take the word after `--config`; one that looks like an option can be meant by `=` alone."""
    return "" if not rest or rest[0].startswith("-") else rest.popleft()
