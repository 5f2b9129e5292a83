"""The commands, by name; reading the arguments of one, and running it."""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Callable, Sequence
from inspect import BoundArguments
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from cyclopts import App, CycloptsError, UnknownCommandError, UnusedCliTokensError

import hauberk
from hauberk.cli.answer import Answer, drawn, to_json
from hauberk.cli.failure import (
    CommandFailed,
    UsageError,
    disk_failed,
    is_machines,
    is_missing,
)
from hauberk.cli.line import Line
from hauberk.cli.options import Options
from hauberk.errors import HauberkError
from hauberk.spelling import nearest
from hauberk.telling import told

if TYPE_CHECKING:
    from rich.console import Console

    from hauberk.cli.contributed import Contributed

log = logging.getLogger("hauberk")

#: Every command of the kernel's own: name to its function, imported when it is used.
COMMANDS: Final = {
    "demo": "hauberk.cli.demo:demo",
    "init": "hauberk.cli.init:init",
    "doctor": "hauberk.cli.doctor:doctor",
    "plugins": "hauberk.cli.plugins:plugins",
    "plugin new": "hauberk.cli.plugin_new:new",
    "sign": "hauberk.cli.sign:sign",
    # Here, so that it is there whatever is wrong with the configuration.
    "halt": "hauberk_plugins.killswitch.commands:halt",
    "config get": "hauberk.cli.config_get:get",
    "config set": "hauberk.cli.config_set:set_",
    "config unset": "hauberk.cli.config_unset:unset",
    "config check": "hauberk.cli.config_check:check",
    "config schema": "hauberk.cli.schema:schema",
    "migrate": "hauberk.cli.migrate:migrate",
    "verify": "hauberk.cli.verify:verify",
}
#: What whoever types one of them needs to be allowed; the others anybody may who can read the
#: configuration. `config get` asks by itself, where what it shows is sealed.
CAPABILITIES: Final = {
    "sign": "sign",
    "config set": "config.write",
    "config unset": "config.write",
    "migrate": "user.write",
}
_GROUPS: Final = {"plugin": "Write a plugin.", "config": "Look at the configuration, and edit it."}
#: Characters; what is shorter is no secret, and would take letters out of other words.
_SHORTEST: Final = 4
#: What may be the name of a command or of an option.
_NAME: Final = re.compile(r"(?=.{1,24}\Z)(?:--?)?[a-z]+(?:-[a-z]+)*\Z")
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
        self._plugins: dict[str, Contributed] = {}
        #: Why nobody can tell what plugins contribute.
        self._unread: HauberkError | None = None
        named = [n for n in COMMANDS if line.words[: len(n.split())] == tuple(n.split())]
        for name, target in COMMANDS.items():
            # By its target a command shows no summary; only a list of them needs that.
            self._add(name, target if named else _loaded(target))
        if not named:
            self._add_contributed(line)

    def _add(self, name: str, function: Any, about: str = "") -> None:
        *group, last = name.split()
        parent = self._app
        for word in group:
            if word not in self._groups:
                self._groups[word] = App(name=word, help=_GROUPS.get(word, ""))
                self._app.command(self._groups[word])
            parent = self._groups[word]
            parent.help = parent.help or about
        parent.command(function, name=last)

    def _add_contributed(self, line: Line) -> None:
        from hauberk.cli.contributed import contributed

        try:
            for one in contributed(line.config, COMMANDS):
                self._add(one.command.name, one.command.run, one.command.group)
                self._plugins[one.command.name] = one
        except HauberkError as error:
            self._unread = error

    def run(self, line: Line) -> Answer:
        try:
            function, bound, ignored = self._app.parse_args(
                line.words, print_error=False, exit_on_error=False
            )
        except CycloptsError as error:
            if isinstance(error, UnknownCommandError) and not error.command_chain:
                self._check_known(line)
            raise UsageError(_usage(error, line.words)) from None
        for option, kind in ignored.items():
            if kind is Options:
                bound.arguments[option] = Options(line.config, line.as_json)
        if isinstance(getattr(function, "__self__", None), App):
            if self._unread is not None and not is_missing(line.config):
                text = "plugins contribute no commands, see `hauberk doctor`: %s"
                log.warning(text, self._unread)
            return _told(function, bound, line.as_json)
        name = " ".join(self._app.parse_commands(line.words)[0])
        if name in self._plugins:
            one = self._plugins[name]
            _check_access(one.command.capability, line)
            return _contained(function, bound, one.plugin, name)
        if name not in COMMANDS:  # so that nothing runs whose capability nobody knows
            raise UsageError(f"there is no command {name!r}")
        _check_access(CAPABILITIES.get(name, ""), line)
        answer: Answer = function(*bound.args, **bound.kwargs)
        return answer

    def _check_known(self, line: Line) -> None:
        """Say why a command is not there, where that is not because nobody has it.

        Raises:
            HauberkError: The configuration cannot be used, so its plugins' commands are not known.
            UsageError: It is of a built-in plugin that is not listed.
        """
        from hauberk.cli.contributed import builtin_with, is_listed

        word = next((word for word in line.words if not word.startswith("-")), "")
        builtin = builtin_with(word)
        if self._unread is not None:
            if builtin or not nearest(word, {name.split()[0] for name in COMMANDS}):
                raise self._unread
        elif builtin and not is_listed(builtin, line.config):
            raise UsageError(
                f"{word!r} is a command of the plugin {builtin!r}, which is not listed: add "
                f"{builtin} to `plugins:` in {line.config}"
            )


def _check_access(capability: str, line: Line) -> None:
    if capability:
        from hauberk.cli.access import check_access

        check_access(capability, line.config)


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
        if isinstance(error, OSError) and is_machines(error):
            raise disk_failed(error) from None
        raise CommandFailed(plugin, name, f"raised {told(error)}") from error


def _usage(error: CycloptsError, words: Sequence[str]) -> str:
    """Say what is wrong with the words, and where it is told how they go."""
    if isinstance(error, UnusedCliTokensError):
        left = len(error.unused_tokens or ())
        text = f"{left} argument{'' if left == 1 else 's'} too many"
    else:
        text = _masked(str(error), words)
    chain = "".join(f"{word} " for word in error.command_chain or () if word != "hauberk")
    return f"{text}\nSee: hauberk {chain}--help"


def _masked(text: str, words: Sequence[str]) -> str:
    """Repeat nothing that was typed, since it may be a secret that went astray.

    But what looks like the name of a command or an option: somebody may have mistyped one.
    """
    for part in sorted(map(_value, words), key=len, reverse=True):
        if len(part) >= _SHORTEST and not _NAME.match(part):
            text = text.replace(part, "…")
    return text


def _value(word: str) -> str:
    """Return a word without the option that it may begin with."""
    name, equals, value = word.partition("=")
    return value if equals and _NAME.match(name) else word
