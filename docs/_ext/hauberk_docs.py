"""The Sphinx extension: expands `% generated: …` lines, reads docstrings as they are written."""

from __future__ import annotations

import re
from typing import Any, Final

import generated
from sphinx.application import Sphinx

#: Docstrings hold Markdown's `literals`; reST wants them in double backticks.
_LITERAL: Final = re.compile(r"(?<![`:\w])`([^`\n]+)`(?!`)")
#: Code that stands indented below a paragraph; sections such as `Args:` have no blank line there.
_CODE: Final = re.compile(r"(?m)^(\S.*[^:\s])\n\n((?:    .*\n|\n)+)")
_BEFORE_NAPOLEON: Final = 400
_AFTER_NAPOLEON: Final = 600
#: Of these, Napoleon takes what stands before the first colon for a type.
_VALUES: Final = frozenset({"attribute", "data", "property"})

_kept: dict[str, list[str]] = {}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", _expand)
    app.connect("autodoc-process-docstring", _to_rest, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", _restore, priority=_AFTER_NAPOLEON)
    app.connect("autodoc-process-signature", _no_protocol_signature)
    return {"version": "1", "parallel_read_safe": True}


def _expand(_app: Sphinx, _page: str, source: list[str]) -> None:
    source[0] = generated.expand(source[0])


def _to_rest(
    _app: Sphinx, what: str, name: str, _thing: object, _options: Any, lines: list[str]
) -> None:
    text = _CODE.sub(r"\1\n\n::\n\n\2", "\n".join(lines) + "\n")
    lines[:] = [_LITERAL.sub(r"``\1``", line) for line in text.splitlines()]
    if what in _VALUES:
        _kept[name] = list(lines)


def _restore(
    _app: Sphinx, what: str, name: str, _thing: object, _options: Any, lines: list[str]
) -> None:
    if what in _VALUES:
        lines[:] = _kept.pop(name)


def _no_protocol_signature(
    _app: Sphinx, what: str, _name: str, thing: object, *_rest: Any
) -> tuple[str, str] | None:
    """Nobody calls a protocol."""
    return ("", "") if what == "class" and getattr(thing, "_is_protocol", False) else None
