"""Where in the text each value of a YAML file stands, so that one can be edited by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from attrs import evolve, frozen
from ruamel.yaml import YAML
from ruamel.yaml import events as ev

#: A comment: what follows a `#` that nothing but white space stands before.
COMMENT: Final = re.compile(r"(?:(?<=[\s\ufeff])|\A)#[^\r\n]*")
_BREAK: Final = re.compile(r"\r\n|\r|\n")
_BLOCK: Final = ("|", ">")


@frozen
class Entry:
    """A key with its value, or an item of a list.

    Attributes:
        start: Where it begins: its key, or the dash of an item; an item in brackets, itself.
        column: The column of that, from 0.
        key: The key; `None` for an item.
        key_end: Where its key ends, or the dash.
        node: The value.
    """

    start: int
    column: int
    key: str | None
    key_end: int
    node: Node


@frozen
class Node:
    """A value in the text.

    Attributes:
        kind: What it is.
        start: Where it begins, its anchor and tag included; an index into the text.
        end: Where it ends: of a block, its last value's end.
        style: How a scalar is written: nothing, `'`, `"`, `|` or `>`.
        inside: Where the inside of a flow collection begins; `None` for anything else.
        entries: What is in a collection.
    """

    kind: Literal["scalar", "alias", "map", "list"]
    start: int
    end: int
    style: str = ""
    inside: int | None = None
    entries: tuple[Entry, ...] = ()

    @property
    def is_block(self) -> bool:
        """Whether it is a collection written on lines of its own."""
        return self.kind in ("map", "list") and self.inside is None

    def entry(self, part: str | int) -> Entry | None:
        """Find what a part of a path leads to; a number leads to a key of that name too."""
        if self.kind == "list":
            is_there = isinstance(part, int) and part < len(self.entries)
            return self.entries[part] if is_there else None  # type: ignore[index]
        return next((entry for entry in self.entries if entry.key == str(part)), None)

    def leaves(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where scalars and aliases stand, keys included, in the order of the text."""
        if self.style in _BLOCK:  # a comment may stand behind its `|`
            yield min(line_end(text, self.start), self.end), self.end
        elif self.kind in ("scalar", "alias"):
            yield self.start, self.end
        for entry in self.entries:
            if entry.key is not None:
                yield entry.start, entry.key_end
            yield from entry.node.leaves(text)


def read_tree(text: str) -> Node | None:
    """Find where everything stands.

    Args:
        text: What `inspect_yaml` has found no problem in: its limits hold here too.

    Returns:
        The root, or `None` where there is nothing but comments.
    """
    reader = _Reader(text)
    return reader.root()


def comments(text: str, node: Node) -> bool:
    """Whether comments stand within a value, so that replacing it would lose them."""
    at = node.start
    for start, end in (*node.leaves(text), (node.end, node.end)):
        if COMMENT.search(text, at, start):
            return True
        at = max(at, end)
    return False


def blanked(text: str, start: int, end: int) -> str:
    """Return what stands between two values, its comments replaced by spaces."""
    found = text[start:end]
    for comment in COMMENT.finditer(text, start, end):
        at = comment.start() - start
        found = found[:at] + " " * len(comment[0]) + found[at + len(comment[0]) :]
    return found


def line_start(text: str, at: int) -> int:
    """Return where the line begins that a place is on."""
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def line_end(text: str, at: int) -> int:
    """Return where the line ends that a place is on: before its break, or at the text's end."""
    found = _BREAK.search(text, at)
    return found.start() if found else len(text)


def next_line(text: str, at: int) -> int:
    """Return where the line after a place begins: the text's end where there is none."""
    found = _BREAK.search(text, at)
    return found.end() if found else len(text)


def break_at(text: str, at: int) -> str:
    r"""Return the break that ends a line; at the text's end the one before it, else `\n`."""
    found = _BREAK.search(text, at) or _BREAK.search(text)
    return found[0] if found else "\n"


class _Reader:
    """Reads the one document from its events."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(text))
        self._closed = 0

    def root(self) -> Node | None:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), ev.StreamEndEvent):
            return None
        return self._node(next(self._events))

    def _node(self, event: Any) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, ev.AliasEvent):
            return Node("alias", start, end)
        if isinstance(event, ev.ScalarEvent):
            style = event.style or ""
            return Node("scalar", start, self._trimmed(start, end, style), style)
        inside = end if event.flow_style else None
        is_list = isinstance(event, ev.SequenceStartEvent)
        entries = self._items(start, inside) if is_list else self._keys()
        if inside is not None:
            end = self._closed
        elif entries:  # where a block is said to end, comments and blank lines stand before
            end = entries[-1].node.end
        return Node("list" if is_list else "map", start, end, "", inside, entries)

    def _keys(self) -> tuple[Entry, ...]:
        made = []
        for event in self._until(ev.MappingEndEvent):
            mark, key = event.start_mark, self._node(event)
            node = self._node(next(self._events))
            if node.start == node.end:  # nothing: the mark is wherever the next thing stands
                at = key.end + 1 + blanked(self._text, key.end, node.start).find(":")
                node = evolve(node, start=at, end=at)
            # An alias for a key has no text here: it is never found, and so never edited.
            name = getattr(event, "value", "")
            made.append(Entry(mark.index, mark.column, name, key.end, node))
        return tuple(made)

    def _items(self, at: int, inside: int | None) -> tuple[Entry, ...]:
        made: list[Entry] = []
        for event in self._until(ev.SequenceEndEvent):
            node = self._node(event)
            start = key_end = node.start
            if inside is None:
                start = at + blanked(self._text, at, node.start).rfind("-")
                key_end = start + 1
            column = start - line_start(self._text, start)
            made.append(Entry(start, column, None, key_end, node))
            at = node.end
        return tuple(made)

    def _until(self, kind: type[Any]) -> Iterator[Any]:
        """Yield events up to the one that closes a collection, and remember where that ends."""
        while not isinstance(event := next(self._events), kind):
            yield event
        self._closed = event.end_mark.index

    def _trimmed(self, start: int, end: int, style: str) -> int:
        """Leave out the breaks behind a block scalar, but for those that are part of it."""
        if style not in _BLOCK:
            return end
        header = blanked(self._text, start, line_end(self._text, start))
        keeps = "+" in header.split(style, 1)[-1]
        body = self._text[start:end]
        kept = re.sub(r"(?:\r\n|\r|\n)\Z", "", body) if keeps else body.rstrip(" \t\r\n")
        return start + len(kept)
