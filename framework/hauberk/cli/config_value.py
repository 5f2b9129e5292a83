"""A value as it is typed: on the line in YAML, or, if it is to be sealed, not on the line."""

from __future__ import annotations

from typing import Any, Final

from hauberk.cli.failure import UsageError
from hauberk.errors import ConfigError, InvalidValue
from hauberk.prompts import Prompts
from hauberk.secret import Secret
from hauberk.yamlfile import inspect_yaml
from hauberk.yamltree import Node, read_tree

_MAX_BYTES: Final = 64 * 1024
_KEY: Final = "v: "


def read_value(text: str) -> Any:
    """Read a value as it would be read behind a key in hauberk.yml.

    Raises:
        UsageError: It is no scalar, list or mapping in brackets. It is not repeated: it may be a
            secret that went astray.
    """
    line = _KEY + text
    try:
        document, problems = inspect_yaml(line, "VALUE")
    except ConfigError as error:
        problems = list(error.problems)
    else:
        if text.strip() and not problems and list(document.data) == ["v"] and _is_all(line):
            return document.data["v"]
    raise UsageError(
        "VALUE is no value as YAML has it: put text into quotes within those of the shell, "
        """as '"a: b"'; write null, true, 5, '[a, b]' or '{a: b}' for what is no text"""
    )


def _is_all(line: str) -> bool:
    """Whether there is nothing that YAML leaves out, such as a comment: it is meant as a part."""

    def is_bare(node: Node) -> bool:
        return line[node.start :][:1] not in ("&", "!") and all(
            is_bare(entry.node) for entry in node.entries
        )

    tree = read_tree(line)
    return tree is not None and tree.entries[0].node.end == len(line) and is_bare(tree)


def ask_secret(path: str) -> Secret:
    """Ask for a value on the terminal, without an echo; else read it from stdin.

    From stdin it may have several lines; the end of the last is no part of it.

    Raises:
        NothingTyped: There is none.
        InvalidValue: It is too long, or no UTF-8.
    """
    given = Prompts().content(f"value of {path}", _MAX_BYTES)
    try:
        given.reveal_text()
    except InvalidValue:
        why = "is not UTF-8 text: encode it, for example as base64"
        raise InvalidValue(f"the value of {path} {why}") from None
    return given
