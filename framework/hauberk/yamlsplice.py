"""The one cut in a YAML text that sets or removes a value; `yamledit` sees what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hauberk.keypath import KeyPath
from hauberk.yamltree import (
    Entry,
    Node,
    blanked,
    break_at,
    comments,
    line_end,
    line_start,
    next_line,
)
from hauberk.yamlwrite import key_text, on_one_line

_INDENT: Final = 2
_ALIAS: Final = "an alias stands above it, and what that repeats would change too"


class NotAlone(Exception):
    """No cut changes this and nothing else; says why."""


def put_text(text: str, root: Node | None, path: KeyPath, value: Any) -> str:
    """Return the text with a value in its place.

    Args:
        text: All of it.
        root: Where its values stand.
        path: Where the value is to stand; what is above it is there or can be added.
        value: Plain data, or a `Sealed`.

    Raises:
        NotAlone: More than the value would change.
    """
    way, node, rest = _way(root, path)
    parent, above = way[-1] if way else (None, None)
    if node is None or (parent is None and node.start == node.end):
        return _append(text, _lines(rest, value, 0))
    if not rest:
        return _replace(text, node, above, value)
    if node.kind == "alias":
        raise NotAlone(_ALIAS)
    if node.inside is not None:
        return _into_brackets(text, node, rest, value)
    if node.kind == "map":
        last = node.entries[-1]
        return _insert(text, last.node.end, _lines(rest, value, last.column))
    if node.kind == "list":
        last = node.entries[-1]
        return _insert(text, last.node.end, [f"{' ' * last.column}- {_flow(rest, value)}"])
    is_empty = node.start == node.end
    if above is not None and above.key is not None and is_empty and _is_block(parent):
        return _insert(text, node.end, _lines(rest, value, above.column + _INDENT))
    return _replace(text, node, above, _nested(rest, value))


def remove_text(text: str, root: Node | None, path: KeyPath) -> str:
    """Return the text without a key and its value, or without an item.

    Raises:
        NotAlone: More than that would change.
    """
    way, _, rest = _way(root, path)
    if rest or not way:
        raise NotAlone(_ALIAS)
    parent, entry = way[-1]
    if not parent.is_block:
        return _from_brackets(text, parent, entry)
    start, end = entry.start, entry.node.end
    if len(parent.entries) == 1 and len(way) > 1:
        above = way[-2][1]
        if parent.kind == "map":
            return text[:start] + "{}" + text[end:]
        if entry.column > above.column:
            return text[:start] + "[]" + text[end:]
        return _replace(text, parent, above, [])
    if not _is_first(text, start):
        raise NotAlone("something else stands on its line")
    return _without_lines(text, start, end)


def _way(
    root: Node | None, path: KeyPath
) -> tuple[list[tuple[Node, Entry]], Node | None, list[str | int]]:
    """Go down as far as the text does.

    Returns:
        Each collection with the entry in it, the value that the last leads to, what is left.
    """
    way: list[tuple[Node, Entry]] = []
    node, rest = root, list(path)
    while rest and node is not None and (entry := node.entry(rest[0])) is not None:
        way.append((node, entry))
        node = entry.node
        rest.pop(0)
    return way, node, rest


def _replace(text: str, node: Node, above: Entry | None, value: Any) -> str:
    if comments(text, node):
        raise NotAlone("comments stand within it")
    written = on_one_line(value, node.style)
    if above is None or (node.start < node.end and not node.is_block):
        return text[: node.start] + written + text[node.end :]
    # Nothing, or lines below: the value goes to the line of its key, or of its dash.
    at = above.key_end
    if above.key is not None:
        colon = blanked(text, at, node.start).find(":")
        written = written if colon >= 0 else f": {written}"
        at += colon + 1
    rest = text[at : node.start]
    if not rest.strip():
        return f"{text[:at]} {written}{text[node.end :]}"
    if text[node.end : line_end(text, node.end)].strip():
        raise NotAlone("comments stand within it")
    edited = f"{text[:at]} {written}{_without_lines(text, node.start, node.end)[at:]}"
    is_last = node.end == len(text)
    return edited.rstrip("\r\n") if is_last else edited


def _into_brackets(text: str, node: Node, rest: Sequence[str | int], value: Any) -> str:
    at, written = node.inside, _flow(rest, value)
    if node.entries:
        at, written = node.entries[-1].node.end, f", {written}"
    return text[:at] + written + text[at:]


def _from_brackets(text: str, parent: Node, entry: Entry) -> str:
    index = parent.entries.index(entry)
    start, end, is_last = entry.start, entry.node.end, index == len(parent.entries) - 1
    behind = blanked(text, end, parent.end if is_last else parent.entries[index + 1].start)
    is_first = _is_first(text, start)
    if "," in behind:
        end += behind.index(",") + 1
    elif index and not is_first:  # the comma before it goes; one at a line's end may stay
        start = parent.entries[index - 1].node.end
        start += blanked(text, start, entry.start).index(",")
    if is_first and not blanked(text, end, line_end(text, end)).strip():
        return _without_lines(text, start, end)
    if not is_last:
        end += len(text[end:]) - len(text[end:].lstrip(" "))
    return text[:start] + text[end:]


def _lines(rest: Sequence[str | int], value: Any, column: int) -> list[str]:
    """Write keys below each other, the value behind the last."""
    lines = [
        f"{' ' * (column + depth * _INDENT)}{key_text(str(part))}:"
        for depth, part in enumerate(rest)
    ]
    return [*lines[:-1], f"{lines[-1]} {on_one_line(value)}"]


def _flow(rest: Sequence[str | int], value: Any) -> str:
    """Write what is added to a collection."""
    first, below = rest[0], on_one_line(_nested(rest[1:], value))
    return below if isinstance(first, int) else f"{key_text(first)}: {below}"


def _nested(rest: Sequence[str | int], value: Any) -> Any:
    for part in reversed(rest):
        value = {str(part): value}
    return value


def _insert(text: str, after: int, lines: Sequence[str]) -> str:
    """Put lines below the one that a place is on."""
    at, newline = line_end(text, after), break_at(text, after)
    return text[:at] + "".join(newline + line for line in lines) + text[at:]


def _append(text: str, lines: Sequence[str]) -> str:
    """Put lines at the end of a text that holds nothing but comments."""
    newline = break_at(text, 0)
    added = newline.join(lines)
    if text.strip("\ufeff") and not text.endswith(("\n", "\r")):
        return text + newline + added
    return text + added + newline


def _without_lines(text: str, start: int, end: int) -> str:
    """Cut out the lines from one place to another."""
    begin = line_start(text, start)
    if text.startswith("\ufeff", begin):
        begin += 1
    return text[:begin] + text[next_line(text, end) :]


def _is_first(text: str, at: int) -> bool:
    """Whether only spaces stand before a place on its line."""
    return not text[line_start(text, at) : at].strip(" \ufeff")


def _is_block(node: Node | None) -> bool:
    return node is not None and node.is_block
