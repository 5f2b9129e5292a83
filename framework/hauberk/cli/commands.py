"""The commands, by name; reading the arguments of one, and running it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from inspect import BoundArguments
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from cyclopts import App, CycloptsError, UnknownOptionError

import hauberk
from hauberk.cli.answer import Answer, drawn, to_json
from hauberk.cli.failure import CommandFailed, UsageError
from hauberk.cli.line import Line
from hauberk.cli.options import Options
from hauberk.dispatch import told
from hauberk.errors import HauberkError

if TYPE_CHECKING:
    from rich.console import Console

#: Every command of the kernel's own: name to its function, imported when it is used.
COMMANDS: Final = {
    "demo": "hauberk.cli.demo:demo",
    "init": "hauberk.cli.init:init",
    "doctor": "hauberk.cli.doctor:doctor",
    "plugins": "hauberk.cli.plugins:plugins",
    "plugin new": "hauberk.cli.plugin_new:new",
    "sign": "hauberk.cli.sign:sign",
    "config schema": "hauberk.cli.schema:schema",
}
_GROUPS: Final = {"plugin": "Write a plugin.", "config": "Look at the configuration."}
_ABOUT: Final = """\
Stand between a trading bot and an exchange: hold the keys, refuse, pace, sign, record and stop.

To begin:
    hauberk demo
    hauberk init mybot && hauberk doctor --config mybot/hauberk.yml"""
_EVERY: Final = """\
Every command takes:
    --config FILE  The configuration; else $HAUBERK_CONFIG, else hauberk.yml.
    --json         Print one JSON document on stdout, and nothing else there.

Exit status: 0 done, 1 the answer is no, 2 usage or configuration, 3 a failure.
Secrets are never arguments: hauberk.yml refers to them, as env:NAME."""


def run(line: Line) -> Answer:
    """Run the command that a line names.

    Raises:
        UsageError: There is no such command, or its arguments do not do.
        CommandFailed: A plugin's command raised.
        HauberkError: As the command raises.
    """
    if line.problem:
        raise UsageError(line.problem)
    commands = _Commands(line)
    return commands.run(line)


class _Commands:
    """The commands that a line may mean.

    Plugins are asked for theirs, which reads the configuration, only where the line names none
    of the kernel's own.
    """

    def __init__(self, line: Line) -> None:
        self._app = App(
            name="hauberk",
            help=_ABOUT,
            help_format="plaintext",
            help_epilogue=_EVERY,
            version=f"hauberk {hauberk.__version__}",
            version_flags="--version",
        )
        self._groups: dict[str, App] = {}
        self._plugins: list[tuple[Callable[..., Any], str, str]] = []
        named = [n for n in COMMANDS if line.words[: len(n.split())] == tuple(n.split())]
        for name, target in COMMANDS.items():
            # By its target a command shows no summary; only a list of them needs that.
            self._add(name, target if named else _loaded(target))
        if not named:
            self._add_contributed(line)

    def _add(self, name: str, function: Any) -> None:
        *group, last = name.split()
        parent = self._app
        for word in group:
            if word not in self._groups:
                self._groups[word] = App(name=word, help=_GROUPS.get(word, ""))
                self._app.command(self._groups[word])
            parent = self._groups[word]
        parent.command(function, name=last)

    def _add_contributed(self, line: Line) -> None:
        from hauberk.cli.contributed import contributed

        for one in contributed(line.config, COMMANDS):
            self._add(one.command.name, one.command.run)
            self._plugins.append((one.command.run, one.plugin, one.command.name))

    def run(self, line: Line) -> Answer:
        try:
            function, bound, ignored = self._app.parse_args(
                line.words, print_error=False, exit_on_error=False
            )
        except CycloptsError as error:
            raise UsageError(_usage(error)) from None
        for option, kind in ignored.items():
            if kind is Options:
                bound.arguments[option] = Options(line.config, line.as_json)
        if isinstance(getattr(function, "__self__", None), App):
            return _told(function, bound, line.as_json)
        for mine, plugin, name in self._plugins:
            if mine is function:
                return _contained(function, bound, plugin, name)
        answer: Answer = function(*bound.args, **bound.kwargs)
        return answer


def _told(function: Callable[..., Any], bound: BoundArguments, as_json: bool) -> Answer:
    """Print help or the version, or put it into a document."""

    def draw(console: Console) -> None:
        bound.arguments["console"] = console
        function(*bound.args, **bound.kwargs)

    if as_json:
        return Answer({"help": drawn(draw, width=80, no_color=True)})
    sys.stdout.write(drawn(draw))
    return Answer(None)


def _loaded(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _contained(
    function: Callable[..., Any], bound: BoundArguments, plugin: str, name: str
) -> Answer:
    """Run a plugin's command; whatever it does, its failure bears the plugin's name."""
    try:
        answer = function(*bound.args, **bound.kwargs)
        if not isinstance(answer, Answer):
            shown = answer if isinstance(answer, str) else to_json(answer, indent=2)
            return Answer(answer, "" if answer is None else shown)
        to_json(answer.document)
        if not isinstance(answer.shown, str):
            drawing = answer.shown()
            return evolve(answer, shown=lambda: drawing)
        return answer
    except (HauberkError, KeyboardInterrupt, BrokenPipeError):
        raise
    except BaseException as error:
        raise CommandFailed(plugin, name, f"raised {told(error)}") from error


def _usage(error: CycloptsError) -> str:
    """Say what is wrong with the words, and where it is told how they go."""
    text = str(error)
    if isinstance(error, UnknownOptionError):
        # Its value is not repeated: it may be a secret that went astray.
        value = (error.token.keyword or error.token.value).partition("=")[2]
        text = text.replace(f"={value}", "=…") if value else text
    chain = "".join(f"{word} " for word in error.command_chain or () if word != "hauberk")
    return f"{text}\nSee: hauberk {chain}--help"
