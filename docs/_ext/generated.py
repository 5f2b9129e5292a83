"""Reference pages made from the code: text in, Markdown out; knows nothing of Sphinx.

A page says where a part goes with a line such as `% generated: hooks`. The tests read the pages
the same way, without building them.
"""

from __future__ import annotations

import inspect
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

from venuepages import venue_page

_MARKER: Final = re.compile(r"^% generated: (\w+)(?: (\w+))?$", re.MULTILINE)
#: Paragraphs of a hook's docstring that begin with one of these say what the page shows apart.
_ROLE: Final = "Role: "
_FAILURE: Final = "On failure: "
_HELP_WIDTH: Final = 110
#: More values than these are told elsewhere: tables would be nothing else.
_MANY: Final = 6
#: What `--help` says below this is the same for every command: the page says it once.
_HELP_END: Final = "Every command takes:"
#: Loads every built-in that contributes commands.
_EVERY_BUILTIN: Final = "plugins: [killswitch, auth, monitor, audit]\n"


def expand(text: str) -> str:
    """Put the generated parts into a page.

    Raises:
        KeyError: A marker names a part that does not exist.
    """
    return _MARKER.sub(lambda found: _part(found[1], found[2]), text)


def _part(name: str, of: str | None) -> str:
    return PARTS[name]() if of is None else venue_page(of)


# Hooks.


def hooks() -> str:
    """A table of all hooks, then each with its docstring."""
    from hauberk.hooks import HOOKS

    told = [_Hook(name) for name in HOOKS]
    head = ("hook", "role", "grant", "`async def`", "at run time", "a failure means")
    rows = [(f"[`{hook.name}`](#{hook.anchor})", *hook.row()) for hook in told]
    return "\n\n".join([_table(head, rows), *(hook.section() for hook in told)])


def plugin_class() -> str:
    """What the base class says about a plugin's class attributes."""
    from hauberk.hooks import Plugin

    listed = _entries(_block(_doc(Plugin), "Class attributes:"))
    return "\n".join(f"- `{name}`: {text}" for name, text in listed)


class _Hook:
    """One hook as its docstring tells it."""

    def __init__(self, name: str) -> None:
        from hauberk.hooks import Plugin

        function = getattr(Plugin, name)
        self.name = name
        self.anchor = f"hook-{name.replace('_', '-')}"
        self.doc = _doc(function)
        signature = str(inspect.signature(function)).replace("'", "")
        self.signature = re.sub(r"\(self(, )?", "(", signature)
        self.role = self._paragraph(_ROLE)
        self.failure = self._paragraph(_FAILURE)

    def row(self) -> tuple[str, ...]:
        from hauberk.registry import ASYNC_HOOKS, BOT_HOOKS, HOOK_GRANTS

        grant = HOOK_GRANTS.get(self.name)
        return (
            re.split("[;,.]", self.role)[0],
            f"`{grant}`" if grant else "",
            "yes" if self.name in ASYNC_HOOKS else "",
            "yes" if self.name in BOT_HOOKS else "",
            self.failure.rstrip("."),
        )

    def section(self) -> str:
        summary = self.doc.split("\n\n")[0]
        parts = [
            f"({self.anchor})=\n## `{self.name}`",
            f"```text\ndef {self.name}{self.signature}\n```",
            summary,
            f"**Role.** {_capital(self.role)}",
        ]
        if listed := _entries(_block(self.doc, "Args:")):
            parts.append("**Arguments.**\n\n" + "\n".join(f"- `{n}`: {t}" for n, t in listed))
        if returns := _joined(_block(self.doc, "Returns:")):
            parts.append(f"**Returns.** {returns}")
        parts.append(f"**On failure.** {_capital(self.failure)}")
        return "\n\n".join(parts)

    def _paragraph(self, start: str) -> str:
        found = [p for p in self.doc.split("\n\n") if p.startswith(start)]
        if not found:
            raise ValueError(f"the docstring of {self.name} has no paragraph {start!r}")
        return _joined(found[0].removeprefix(start))


# Configuration.


def configuration() -> str:
    """Every key of `hauberk.yml` and of the built-in plugins' sections, as they are checked."""
    from hauberk.discovery import configs
    from hauberk.schema import json_schema

    sections = configs()
    schema = json_schema(sections)
    definitions: Mapping[str, Any] = schema["$defs"]
    own = {name: key for name, key in schema["properties"].items() if name not in sections}
    parts = ["## Keys of the file", _keys(own, schema["required"])]
    shown: set[str] = set()
    parts += _definitions(own, definitions, shown)
    for name in sections:
        section = schema["properties"][name]["anyOf"][0]
        described = definitions[section["$ref"].rpartition("/")[2]]
        parts.append(f"(section-{name})=\n## The section `{name}`")
        parts.append(_keys(described["properties"], described["required"]) or "Nothing to set.")
        parts += _definitions(described["properties"], definitions, shown)
    return "\n\n".join(parts)


def _definitions(
    properties: Mapping[str, Any], definitions: Mapping[str, Any], shown: set[str]
) -> Iterator[str]:
    for name in re.findall(r"#/\$defs/([\w.]+)", str(properties)):
        if name in shown:
            continue
        shown.add(name)
        described = definitions[name]
        yield f"({_anchor(name)})=\n### `{_short(name)}`"
        yield described["description"]
        yield _keys(described["properties"], described["required"])
        yield from _definitions(described["properties"], definitions, shown)


def _keys(properties: Mapping[str, Any], required: list[str]) -> str:
    rows = [
        (f"`{name}`", _kind(key), _default(name, key, required), key.get("description", ""))
        for name, key in properties.items()
    ]
    return _table(("key", "value", "default", "meaning"), rows) if rows else ""


def _kind(key: Mapping[str, Any]) -> str:
    if "$ref" in key:
        name = key["$ref"].rpartition("/")[2]
        return f"[`{_short(name)}`](#{_anchor(name)})"
    if "enum" in key:
        if len(key["enum"]) > _MANY:
            return "[a grant](hooks.md#grants)" if "amend" in key["enum"] else "a capability"
        return ", ".join(f"`{value}`" for value in key["enum"])
    if "anyOf" in key:
        return " or ".join(map(_kind, key["anyOf"]))
    kind = key.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(key['items'])}" if key.get("items") else "list"
    if kind == "object":
        inner = key.get("additionalProperties")
        return f"mapping to {_kind(inner)}" if isinstance(inner, dict) and inner else "mapping"
    words = {"string": "text", "integer": "whole number", "null": "`null`"}
    return str(words.get(kind, kind))


def _default(name: str, key: Mapping[str, Any], required: list[str]) -> str:
    if name in required:
        return "**required**"
    if "default" not in key:
        return ""
    value = key["default"]
    if isinstance(value, bool) or value is None:
        return f"`{str(value).lower() if value is not None else 'null'}`"
    return f"`{value}`" if value != "" else "empty"


# Commands.


def commands() -> str:
    """Each command with what `--help` says: the kernel's own, then those of the built-ins."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "hauberk.yml")
        config.write_text(_EVERY_BUILTIN, encoding="utf-8")
        named = command_names(config)
        return "\n\n".join(f"### `hauberk {name}`\n\n{_help(name, config)}" for name in named)


def command_names(config: Path | None = None) -> list[str]:
    """Every command there is: the kernel's own, then those of the built-ins.

    Args:
        config: A configuration that loads every built-in with commands; one is made unless given.
    """
    from hauberk.cli.commands import COMMANDS
    from hauberk.cli.contributed import contributed

    if config is None:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder, "hauberk.yml")
            config.write_text(_EVERY_BUILTIN, encoding="utf-8")
            return command_names(config)
    return [*COMMANDS, *sorted(one.command.name for one in contributed(config, COMMANDS))]


def _help(name: str, config: Path) -> str:
    from hauberk.cli.main import main

    text = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(_HELP_WIDTH)
    try:
        with redirect_stdout(text):
            main(["--config", str(config), *name.split(), "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    own = text.getvalue().partition(_HELP_END)[0]
    lines = [line.rstrip() for line in own.strip("\n").splitlines()]
    return "```text\n" + "\n".join(lines) + "\n```"


# Errors.


def errors() -> str:
    """The tree of errors, each with what its docstring says."""
    from hauberk import errors as module

    return "\n".join(_tree(module.HauberkError, vars(module), 0))


def _tree(cls: type, names: Mapping[str, object], depth: int) -> Iterator[str]:
    doc = _doc(cls)
    yield f"{'  ' * depth}- `{cls.__name__}`: {_joined(doc.split('Attributes:')[0])}"
    for name, text in _entries(_block(doc, "Attributes:")):
        yield f"{'  ' * (depth + 1)}- `.{name}`: {text}"
    for found in names.values():
        if isinstance(found, type) and found.__bases__[0] is cls:
            yield from _tree(found, names, depth + 1)


# Sandbox.


def sandbox_endpoints() -> str:
    """The endpoints that the sandbox exchange answers."""
    from hauberk_plugins.sandbox.endpoints import TABLE

    rows = [
        (
            f"`{endpoint.method} {endpoint.path}`",
            str(endpoint.weight) if isinstance(endpoint.weight, int) else "by its parameters",
            f"`{endpoint.permission}`" if endpoint.permission else "none: public",
            "yes" if endpoint.places_order else "",
        )
        for endpoint in TABLE
    ]
    return _table(("endpoint", "weight", "permission", "counts as an order"), rows)


def monitor_rules() -> str:
    """A table of the rules that ship."""
    from hauberk_plugins.monitor.commands import row
    from hauberk_plugins.monitor.shipped import RULES, canary

    head = ("rule", "reported as", "severity", "alerts at", "for each", "counts")
    told = []
    for rule in (*RULES, canary("NAME")):
        name, *rest = row(rule)
        told.append((f"`{name}`", rule.title, *rest))
    return _table(head, told)


PARTS: Final[dict[str, Callable[[], str]]] = {
    "hooks": hooks,
    "plugin_class": plugin_class,
    "configuration": configuration,
    "commands": commands,
    "errors": errors,
    "sandbox_endpoints": sandbox_endpoints,
    "monitor_rules": monitor_rules,
}


# Reading docstrings, writing tables.


def _doc(thing: object) -> str:
    doc = inspect.getdoc(thing)
    if not doc:
        raise ValueError(f"{thing} has no docstring")
    return doc


def _block(doc: str, head: str) -> str:
    """Return the indented lines below a head such as `Args:`."""
    lines = doc.splitlines()
    if head not in lines:
        return ""
    kept = []
    for line in lines[lines.index(head) + 1 :]:
        if line and not line.startswith(" "):
            break
        kept.append(line.removeprefix("    "))
    return "\n".join(kept).strip("\n")


def _entries(block: str) -> list[tuple[str, str]]:
    """Split `name: text` entries, each with its indented continuation."""
    found = re.findall(r"^(\w+): (.*(?:\n[ ]+.*)*)", block, re.MULTILINE)
    return [(name, _joined(text)) for name, text in found]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(_joined(cell).replace("|", r"\|") for cell in line) + " |"
        for line in lines
    )


def _joined(text: str) -> str:
    return " ".join(text.split())


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _anchor(name: str) -> str:
    return f"config-{_short(name).lower()}"
