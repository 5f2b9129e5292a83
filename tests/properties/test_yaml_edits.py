"""Editing a YAML file by the path of a value: that value changes, and nothing else at all.

Documents are drawn with everything that a person writes into one: comments, blank lines, quotes,
lists within lists, brackets on one line and on several, text on several lines, anchors, either line
end, none at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import assume, event, given, reject
from hypothesis import strategies as st

from hauberk.errors import ConfigError
from hauberk.keypath import KeyPath, parse_path, path_text
from hauberk.sealed import Sealed
from hauberk.yamledit import (
    ABSENT,
    CannotEdit,
    Edited,
    put,
    read_document,
    remove,
    stands_at,
    value_at,
)

FILE = "f.yml"
# What is set: keys and values of every kind, many of which YAML would take for something else.
KEYS = st.sampled_from(
    [*"abcde'\"#{?", "a b", "my.acct", "5", "x-y", "ü", "- a", "null", "a: b", ""]
)
TEXTS = st.sampled_from(
    [
        *("x", "env:KEY", "5000 USDT", "it's", 'say "x"', "a, b", "[x", "# no", "a # b", "null"),
        *("5", "yes", "", " x ", "- x", "&a", "*a", "!t", "%", "@", "`", "k: v", "k:", ":", "?0"),
        *("---", "ü", "\U0001f600", "one\ntwo", "tab\there", "\x07", "\u2028", "\x85", "\ufeff"),
        *("x" * 130, "a\n\n\nb\n", "\ud800"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-9, 10**12) | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
# What documents are drawn of.
COMMENTS = st.sampled_from(["", "", "", " # c", "  # - a: [x", " #"])
WORDS = st.sampled_from(
    [
        *("x", "env:KEY", "5000 USDT", "5", "-1.5e3", "true", "null", "~", "yes", "''", "'it''s'"),
        *('"a\\n"', "'# x'", '"\' ,]"', "!!str 5"),
    ]
)
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "'a b'", '"my.acct"', "'5'", "x-y", "ü", "f g"])
TAGS = st.sampled_from([*[""] * 6, "&x ", "&y "])
KINDS = st.sampled_from(["word", "word", "flow", "empty", "map", "list", "text", "spread", "alias"])


@st.composite
def flows(draw: st.DrawFn, depth: int = 0) -> str:
    """Something in brackets, on one line."""
    if depth > 1 or draw(st.booleans()):
        return draw(WORDS)
    items = draw(st.lists(flows(depth + 1), max_size=3))
    pad = draw(st.sampled_from(["", " "]))
    comma = draw(st.sampled_from(["", ","])) if items else ""
    if draw(st.booleans()):
        return f"[{pad}{', '.join(items)}{comma}{pad}]"
    names = draw(st.lists(NAMES, min_size=len(items), max_size=len(items), unique=True))
    gap = draw(st.sampled_from([": ", ":   "]))
    pairs = [name + gap + item for name, item in zip(names, items, strict=True)]
    return f"{{{pad}{', '.join(pairs)}{comma}{pad}}}"


@st.composite
def spread(draw: st.DrawFn, column: int) -> list[str]:
    """Brackets on several lines, with comments; the first goes behind the key."""
    pad = " " * (column + 2)
    items = draw(st.lists(flows(1), max_size=3))
    lines = []
    for number, item in enumerate(items):
        is_last = number == len(items) - 1
        comma = "" if is_last and draw(st.booleans()) else ","
        lines.append(f"{pad}{item}{comma}{draw(COMMENTS)}")
        lines += draw(gaps(column + 2))
    return ["[" + draw(COMMENTS), *lines, f"{' ' * (column + 1)}]{draw(COMMENTS)}"]


@st.composite
def gaps(draw: st.DrawFn, column: int) -> list[str]:
    """Blank lines and lines of comment, or nothing."""
    if draw(st.integers(0, 3)):
        return []
    pad = " " * column
    return draw(st.lists(st.sampled_from(["", f"{pad}# note", f"{pad}#- a: 1"]), max_size=2))


@st.composite
def texts(draw: st.DrawFn, column: int) -> list[str]:
    """Text on several lines; the first goes behind the key."""
    pad = " " * (column + 2)
    heads = ["|", ">", "|-", ">+", "|+ # c", "| # c", "plain", "'quoted", '"quoted']
    head = draw(st.sampled_from(heads))
    if head[0] in "|>":
        more = st.sampled_from(["", f"{pad}more", f"{pad}  deeper"])
        return [head, f"{pad}line # no comment", *draw(st.lists(more, max_size=3))]
    return [head, f"{pad}more", f"{pad}end" + (head[0] if head[0] in "'\"" else "")]


@st.composite
def behind(draw: st.DrawFn, column: int, depth: int, room: bool) -> list[str]:
    """What stands behind a key or a dash: lines, the first of which goes on its line."""
    anchor, kind = draw(TAGS), draw(KINDS)
    if kind in ("map", "list") and depth < 3:
        inner = column + draw(st.sampled_from([1, 2, 4]))
        if kind == "list" and room and draw(st.booleans()):
            inner = column
        lines = draw(block(kind, inner, depth + 1))
        return [(anchor + draw(COMMENTS)).rstrip() if anchor or draw(st.booleans()) else "", *lines]
    if kind == "text":
        return draw(texts(column))
    if kind == "spread":
        first, *more = draw(spread(column))
        return [anchor + first, *more]
    if kind == "empty":
        return [draw(COMMENTS)]
    if kind == "alias":
        return [draw(st.sampled_from(["*x", "*y"])) + draw(COMMENTS)]
    return [anchor + (draw(WORDS) if kind == "word" else draw(flows())) + draw(COMMENTS)]


@st.composite
def block(draw: st.DrawFn, kind: str, column: int, depth: int = 0) -> list[str]:
    """A mapping or a list on lines of its own."""
    pad, lines = " " * column, []
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    for name in names:
        lines += draw(gaps(column))
        if kind == "map":
            first, *more = draw(behind(column, depth, room=True))
            lines.append(f"{pad}{name}:" + (f" {first}" if first.strip() else first))
        elif draw(st.integers(0, 3)) == 0 and depth < 3:
            kind_within = draw(st.sampled_from(["map", "list"]))
            inner, *more = draw(block(kind_within, column + 2, depth + 1))
            lines.append(f"{pad}- {inner.lstrip()}")
        else:
            first, *more = draw(behind(column, depth, room=False))
            lines.append(f"{pad}-" + (f" {first}" if first.strip() else first))
        lines += more
    return lines


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A whole file."""
    lines = draw(gaps(0)) + draw(block("map", 0)) + draw(gaps(0))
    if draw(st.integers(0, 9)) == 0:
        lines = [draw(flows())] if draw(st.booleans()) else draw(gaps(0))
    if draw(st.integers(0, 9)) == 0:
        lines = ["--- # start", *lines]
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    bom = draw(st.sampled_from(["", "", "", "\ufeff"]))
    return bom + newline.join(lines) + draw(st.sampled_from([newline, newline, ""]))


def paths(data: Any, at: KeyPath = ()) -> Iterator[KeyPath]:
    """Every place in the data."""
    if at:
        yield at
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from paths(data[key], (*at, key))


def shape(data: Any) -> Any:
    """What tells data apart, in types and in the order of keys too."""
    if isinstance(data, Sealed):
        return ("sealed", data.path, data.blob)
    if isinstance(data, dict):
        return [(key, shape(item)) for key, item in data.items()]
    if isinstance(data, list):
        return ["list", *map(shape, data)]
    return repr(data)


def with_it(data: Any, path: KeyPath, value: Any) -> Any:
    """Set a value in data, as the simplest program would."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(data, list):
        made = [*data, None] if first == len(data) else list(data)
        made[first] = with_it(made[first], rest, value)
        return made
    return {**(data or {}), first: with_it((data or {}).get(first), rest, value)}


def without_it(data: Any, path: KeyPath) -> Any:
    """Remove an entry from data."""
    if len(path) > 1:
        return with_it(data, path[:1], without_it(data[path[0]], path[1:]))
    if isinstance(data, list):
        return [item for i, item in enumerate(data) if i != path[0]]
    return {key: item for key, item in data.items() if key != path[0]}


def middles(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that are not the same at the start or at the end; a last one counts as ended."""
    if not before.endswith("\n"):
        newline = "\r\n" if "\r\n" in before else "\n"
        before, after = before + newline, after + newline
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return old[start : len(old) - end], new[start : len(new) - end]


def read(text: str) -> Any:
    """The data; what is drawn is not always YAML."""
    try:
        return read_document(text.encode(), FILE).data
    except ConfigError:
        reject()


def is_plain(text: str) -> bool:
    """Whether the document has nothing that one value shares with another."""
    return "&" not in text and "*" not in text


def tried(edit: Callable[..., Edited], *args: Any) -> Edited | CannotEdit:
    try:
        return edit(*args)
    except CannotEdit as refusal:
        event("refused")
        return refusal


def comments(text: str) -> list[int]:
    """How often each comment that is drawn stands there."""
    return [text.count(comment) for comment in ("# note", "#- a: 1", " # c", "# - a: [x")]


@given(documents(), st.data(), VALUES)
def test_a_value_that_is_set_is_all_that_changes(
    text: str, data: st.DataObject, value: Any
) -> None:
    before = read(text)
    places = list(paths(before))
    assume(places)
    path = data.draw(st.sampled_from(places))
    if data.draw(st.integers(0, 5)) == 0:
        value = Sealed(path_text(path), b"sealed")
    edited = tried(put, text, FILE, path, value)
    if isinstance(edited, CannotEdit):
        is_told = "comments stand within it" in edited.reason
        assert is_told or not is_plain(text), edited.reason
        return
    event("set")
    assert shape(read(edited.text)) == shape(with_it(before, path, value))
    old, new = middles(text, edited.text)
    assert len([line for line in new if line not in old]) <= 1
    assert len(old) <= 1 or isinstance(value_at(before, path), dict | list | str)
    assert comments(edited.text) == comments(text)
    assert edited.text.endswith("\n") == text.endswith("\n")
    assert "\r\n" in text or "\r\n" not in edited.text


@given(documents(), st.data(), VALUES)
def test_a_key_that_is_added_only_adds(text: str, data: st.DataObject, value: Any) -> None:
    before = read(text)
    assume(text.strip("\ufeff"))
    above = data.draw(st.sampled_from([(), *paths(before)]))
    at = value_at(before, above)
    assume(isinstance(at, dict | list) or at is None)
    first = (len(at),) if isinstance(at, list) else (data.draw(KEYS),)
    path = (*above, *first, *data.draw(st.lists(KEYS, max_size=2)))
    assume(value_at(before, (*above, *first)) is ABSENT)
    edited = tried(put, text, FILE, path, value)
    if isinstance(edited, CannotEdit):
        # A block of text that ends with the file would get an end of line.
        is_open = not text.endswith("\n") and any(mark in text for mark in "|>")
        assert is_open or not is_plain(text), edited.reason
        return
    assert shape(read(edited.text)) == shape(with_it(before, path, value))
    old, new = middles(text, edited.text)
    event("added in brackets" if old else "added lines")
    assert not old or len(new) == len(old) == 1
    assert comments(edited.text) == comments(text)
    assert edited.text.endswith("\n") == text.endswith("\n")
    assert "\r\n" in text or "\r\n" not in edited.text


@given(documents(), st.data())
def test_an_entry_that_is_removed_is_all_that_goes(text: str, data: st.DataObject) -> None:
    before = read(text)
    places = list(paths(before))
    assume(places)
    path = data.draw(st.sampled_from(places))
    edited = tried(remove, text, FILE, path)
    if isinstance(edited, CannotEdit):
        words = ("something else stands on its line", "comments stand within it")
        is_told = any(word in edited.reason for word in words)
        # Text that keeps its last line ends would take those behind what is removed for its own.
        is_open = ">+" in text or "|+" in text
        assert is_told or is_open or not is_plain(text), edited.reason
        return
    event("removed")
    assert shape(read(edited.text)) == shape(without_it(before, path))
    old, new = middles(text, edited.text)
    assert len([line for line in new if line not in old]) <= 1
    assert "\r\n" in text or "\r\n" not in edited.text


PARTS = st.text(st.characters(), max_size=5) | st.integers(0, 10**9 - 1)


@given(st.lists(PARTS, min_size=1, max_size=5))
def test_a_path_is_read_back_from_its_text(parts: list[str | int]) -> None:
    assert parse_path(path_text(tuple(parts))) == tuple(parts)


@given(st.dictionaries(KEYS, VALUES, max_size=3), KEYS)
def test_a_number_is_a_name_where_the_data_have_a_mapping(data: dict[str, Any], key: str) -> None:
    assert stands_at({"5": data}, (5, key)) == ("5", key)
    assert stands_at({"l": [data]}, ("l", 0, key)) == ("l", 0, key)
