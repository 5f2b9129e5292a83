"""Running the examples of a page: which blocks run, and how.

- ```` ```python ```` runs in the page's namespace, or as a doctest where it begins with `>>>`.
- ```` ```console ```` runs each `$ command`, by bash or, `hauberk`, in this process; lines below it
  are its output, in which `...` stands for anything on a line and, alone, for any lines. `# exit 1`
  on a line of its own is the status that is expected in place of 0.
- ```` ```yaml ```` is checked as a part of `hauberk.yml`.
- ```` ```{code-block} LANGUAGE ```` with `:caption: FILE` is written to that file.

In comments, which readers do not see: `% skip: next` leaves a block out; `% sandbox: URL` starts
an exchange whose URL takes that one's place on the page, and has `env:BINANCE_KEY` and
`env:BINANCE_SECRET` sign for it; `% port: N` has a free port take that one's place; `% files: PAGE`
writes what that page beside this one writes.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import attrs
from ruamel.yaml import YAML
from sybil import Document, Example, Region
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer
from sybil.parsers.myst import SkipParser
from sybil.parsers.myst.lexers import DirectiveLexer
from sybil.typing import Evaluator, Parser

from hauberk.cli.init import init
from hauberk.cli.main import main
from hauberk.guard import Guard
from hauberk.opening import load
from hauberk_plugins.sandbox import SandboxExchange, SandboxServer

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[!_]*/**/*.md"))]
KEY, SECRET = "sandbox-key", "sandbox-secret"

_MARK = re.compile(r"^(?:%|<!--) (sandbox|port|files): (\S+)", re.MULTILINE)
_EXIT = re.compile(r"# exit (\d+)$")
_SHELL = re.compile(r"[|&;<>$`*?\n]")
_TERMINAL = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
_COMMAND_TIMEOUT_S = 60


@attrs.define
class Command:
    """One command of a console block."""

    text: str
    output: list[str] = attrs.field(factory=list)
    status: int = 0


def commands(block: str) -> Iterator[Command]:
    """Split a console block."""
    found: list[Command] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif not found:
            raise ValueError(f"a console block begins with `$ command`, not {line!r}")
        elif line.startswith("> "):
            found[-1].text += "\n" + line[2:]
        elif status := _EXIT.match(line):
            found[-1].status = int(status[1])
        else:
            found[-1].output.append(line.rstrip())
    yield from found


class Console:
    """Evaluates console blocks; the folder that a command changes to is that of all that follows.

    Args:
        log: A file that commands leave their folder in.
    """

    def __init__(self, log: Path) -> None:
        self._log = log

    def __call__(self, example: Example) -> str | None:
        for command in commands(example.parsed):
            if problem := self._run(command):
                return problem
        return None

    def _run(self, command: Command) -> str | None:
        is_ours = command.text.startswith("hauberk ") and not _SHELL.search(command.text)
        status, output = (_hauberk if is_ours else self._bash)(command.text)
        got = "".join(f"{line.rstrip()}\n" for line in output.strip("\n").splitlines())
        if status != command.status:
            return f"$ {command.text}\nexited {status}, not {command.status}:\n{got}"
        if command.output and not output_pattern(command.output).fullmatch(got):
            want = "\n".join(command.output)
            return f"$ {command.text}\nexpected:\n{want}\n\ngot:\n{got}"
        return None

    def _bash(self, text: str) -> tuple[int, str]:
        script = f"{text}\nstatus=$?; pwd > {shlex.quote(str(self._log))}; exit $status"
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
        done = subprocess.run(
            ["bash", "-c", script], env={**os.environ, **_TERMINAL, "PATH": path}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=_COMMAND_TIMEOUT_S,
        )  # fmt: skip
        os.chdir(self._log.read_text().strip())
        return done.returncode, done.stdout


def _hauberk(text: str) -> tuple[int, str]:
    """Run the command line in this process, which spares it the start of another."""
    output = io.StringIO()
    with patch.dict(os.environ, _TERMINAL), redirect_stdout(output), redirect_stderr(output):
        status = main(shlex.split(text)[1:])
    return status, output.getvalue()


def output_pattern(lines: Iterable[str]) -> re.Pattern[str]:
    """Match output: `...` alone is any number of lines, and within a line anything on it."""
    return re.compile("".join(_line_pattern(line) for line in lines))


def _line_pattern(line: str) -> str:
    if line == "...":
        return r"(?:.*\n)*"
    return ".*".join(map(re.escape, line.split("..."))) + r"\n"


def check_yaml(example: Example) -> str | None:
    """Check a block as a part of `hauberk.yml`: the file of `hauberk init` with its keys replaced.

    Plugins of others are not installed here; that they are named is enough.
    """
    yaml = YAML(typ="safe", pure=True)
    folder = Path(example.namespace["_yaml"])
    path = folder / "hauberk.yml"
    if not path.exists():
        init(folder)
        (folder / "base.yml").write_bytes(path.read_bytes())
    part = yaml.load(example.parsed)
    with path.open("w") as file:
        yaml.dump({**yaml.load(folder / "base.yml"), **part}, file)
    load(path)
    return None


def files(document: Document) -> Iterable[Region]:
    """Find captioned blocks."""
    for region in DirectiveLexer(r"code-block", r"\w+")(document):
        if "caption" in region.lexemes["options"]:
            region.parsed, region.evaluator = region.lexemes["source"], _write
            yield region


def _write(example: Example) -> None:
    path = Path(example.region.lexemes["options"]["caption"].strip("`"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(example.parsed))


def fenced(language: str, evaluate: Evaluator) -> Parser:
    """Make a parser of the fenced blocks of a language; directives are not its business."""
    lexer = FencedCodeBlockLexer(language=language, mapping={"source": "source"})

    def parser(document: Document) -> Iterable[Region]:
        for region in lexer(document):
            region.parsed, region.evaluator = region.lexemes["source"], evaluate
            yield region

    return parser


def run_page(page: Path, aside: Path, setenv: Callable[[str, str], object]) -> None:
    """Run every example of a page, beginning in the current folder.

    Args:
        page: The Markdown file.
        aside: A folder for what the page does not see.
        setenv: Sets an environment variable until the page has run.
    """
    with ExitStack() as stack:
        text = page.read_text("utf-8")
        for what, given in _MARK.findall(text):
            if what == "files":
                _borrow(page.parent / given)
            elif what == "port":
                text = text.replace(given, str(_free_port()))
            else:
                text = text.replace(given, _sandbox(setenv, stack))
        document = Document(text, str(page))
        parsers = [
            PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS),
            fenced("console", Console(aside / "pwd")),
            fenced("yaml", check_yaml),
            files,
            SkipParser(),
        ]
        for parser in parsers:
            for region in parser(document):
                document.add(region)
        document.namespace.update(__name__="example", _yaml=str(aside / "yaml"))
        stack.callback(_close, document.namespace)
        for example in document:
            example.evaluate()


def _borrow(page: Path) -> None:
    document = Document(page.read_text("utf-8"), str(page))
    for region in files(document):
        document.add(region)
    for example in document:
        example.evaluate()


def _sandbox(setenv: Callable[[str, str], object], stack: ExitStack) -> str:
    exchange = SandboxExchange()
    exchange.add_key(KEY, SECRET)
    setenv("BINANCE_KEY", KEY)
    setenv("BINANCE_SECRET", SECRET)
    return stack.enter_context(SandboxServer(exchange)).url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _close(namespace: dict[str, object]) -> None:
    for value in reversed(list(namespace.values())):
        if isinstance(value, Guard):
            value.close()
        elif isinstance(value, SandboxServer):
            value.stop()
