"""Reading YAML that may be broken or hostile: plain data, a line for each value, every error.

YAML 1.2's core schema and nothing beyond it: `yes` is text, a date is text, and a tag such as
`!!python/object` is refused; `!sealed` is read where it is asked for. Values are built from
ruamel.yaml's events rather than its node graph, whose composer recurses without a bound.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from attrs import field, frozen
from ruamel.yaml import YAML
from ruamel.yaml import events as ev
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from hauberk.errors import ConfigError, ConfigProblem, UnsafeFile
from hauberk.keypath import KeyPath as KeyPath
from hauberk.keypath import path_text
from hauberk.ownership import check_obeyed
from hauberk.sealed import TAG, Sealed, sealed_in

MAX_BYTES: Final = 1024 * 1024
#: Nodes after every alias is expanded: what stops "billion laughs".
MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 64
_MAX_DIGITS: Final = 64  # Python's own int() is quadratic in the digits
_MAX_SHOWN: Final = 40
_TOO_LARGE: Final = "it is larger than 1 MiB"
_SEAL: Final = "`hauberk config set PATH --sealed`"

# YAML 1.2.2, section 10.3.2: the core schema's resolution of plain scalars, in its order.
_CORE: Final = "tag:yaml.org,2002:"
_NULL: Final = re.compile(r"(?:null|Null|NULL|~|)\Z")
_BOOL: Final = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT: Final = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INF: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
}


@frozen
class Document:
    """A mapping read from a file, and where in the file each value stands.

    Attributes:
        file: The path as given.
        data: Plain data: dict, list, str, int, float, bool and `None`; and `Sealed`, where it is
            read.
        sealed: The sealed values, by path.
    """

    file: str
    data: dict[str, Any] = field(repr=False)
    _lines: Mapping[KeyPath, int] = field(factory=dict, repr=False)
    sealed: Mapping[KeyPath, Sealed] = field(factory=dict, repr=False)

    def line(self, path: KeyPath = ()) -> int:
        """Return the line, from 1, of a value's key or item, or of its nearest parent's."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def get(self, path: KeyPath) -> Any:
        """Return the value at a path, or `None` where there is none."""
        found: Any = self.data
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def problem(self, path: KeyPath, message: str) -> ConfigProblem:
        """Make a problem that bears the path and its line."""
        return ConfigProblem(self.file, self.line(path), dotted(path), message)


def load_yaml(path: str | Path) -> Document:
    """Read a file.

    Raises:
        ConfigError: Every problem found in it; also where it is missing or no regular file.
    """
    return parse_yaml(read_bytes(path), str(path))


def parse_yaml(text: str | bytes, file: str) -> Document:
    """Read YAML that came from `file`.

    Raises:
        ConfigError: Every problem found in it.
    """
    document, problems = inspect_yaml(text, file)
    if problems:
        raise ConfigError(problems)
    return document


def inspect_yaml(
    text: str | bytes, file: str, *, sealed: bool = False
) -> tuple[Document, list[ConfigProblem]]:
    """Read YAML as far as it can be, so that what is left can be checked in the same run.

    Args:
        text: The YAML.
        file: Where it came from.
        sealed: Whether sealed values may stand in it; elsewhere the tag is as unknown as any.

    Returns:
        The document, usable only if there are no problems, and the problems.

    Raises:
        ConfigError: Reading had to stop: bad syntax, or a limit passed.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError([ConfigProblem(file, 0, "", f"cannot be read: {_TOO_LARGE}")])
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise ConfigError([ConfigProblem(file, line, "", "is not UTF-8 text")]) from None
    builder = _Builder(text, file, sealed)
    data = builder.document()
    return Document(file, data, builder.lines, builder.sealed), in_order(builder.problems)


def in_order(problems: Iterable[ConfigProblem]) -> list[ConfigProblem]:
    """Sort problems as the file reads, each once."""
    return sorted(dict.fromkeys(problems), key=lambda problem: problem.line)


def read_bytes(path: str | Path, *, is_obeyed: bool = False) -> bytes:
    """Read a regular file of at most `MAX_BYTES`; a FIFO or device is refused, not waited for.

    Args:
        path: The file.
        is_obeyed: Whether what it says is done: then nobody else may be able to change it.

    Raises:
        ConfigError: It is missing, unreadable, too large or no regular file; or it is obeyed, and
            others could change it or put another in its place.
    """
    file = str(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("it is not a regular file")
            if is_obeyed:
                check_obeyed(Path(path), status)
            return _read(descriptor, status)
        finally:
            os.close(descriptor)
    except UnsafeFile as error:
        file, reason = error.path, f"is not safe to obey: {error.problem}; {error.remedy}"
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise ConfigError([ConfigProblem(file, 0, "", reason)])


def _read(descriptor: int, status: os.stat_result) -> bytes:
    if status.st_size <= MAX_BYTES:
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            if len(raw := opened.read(MAX_BYTES + 1)) <= MAX_BYTES:
                return raw
    raise ValueError(_TOO_LARGE)


def shown(value: object) -> str:
    """Show a value in a message: control characters escaped, at most about 40 characters."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, Sealed):
        return "a sealed value"
    if not isinstance(value, str):
        return repr(value)[:_MAX_SHOWN]
    return repr(value if len(value) <= _MAX_SHOWN else value[: _MAX_SHOWN - 1] + "…")


def dotted(path: KeyPath) -> str:
    """Write a path as `accounts.main.venue`; a part that is no plain name is quoted."""
    return ".".join(
        str(part) if isinstance(part, int) or re.fullmatch(r"[\w-]{1,40}", part) else shown(part)
        for part in path
    )


class _Builder:
    """Builds plain data from one stream of events."""

    def __init__(self, text: str, file: str, takes_sealed: bool) -> None:
        self.file = file
        self.problems: list[ConfigProblem] = []
        self.lines: dict[KeyPath, int] = {(): 1}
        self.sealed: dict[KeyPath, Sealed] = {}
        self._takes_sealed = takes_sealed
        self._text = text
        # Value and expanded size of each anchor; None while its node is still being read.
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._nodes = 0

    def document(self) -> dict[str, Any]:
        """Read the only document."""
        try:
            self._events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(self._text))
            return self._document()
        except ConfigError:
            raise
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            words = ": ".join(part for part in (error.context, error.problem) if part)
            self._stop(mark.line + 1 if mark else 0, f"is not YAML: {words}")
        except ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1
            self._stop(line, f"holds the character {error.character:#x}, which YAML does not allow")
        except Exception as error:  # a defect of the parser met by hostile text
            self._stop(0, f"is not YAML: {type(error).__name__} while reading it")

    def _document(self) -> dict[str, Any]:
        next(self._events)  # the stream's start
        start = next(self._events)
        if isinstance(start, ev.StreamEndEvent):
            return {}
        if start.version not in (None, (1, 2)):
            self._problem(start, (), "asks for another YAML than 1.2: remove the %YAML line")
        node = next(self._events)
        value = self._node(node, (), 0)
        next(self._events)  # the document's end
        if not isinstance(more := next(self._events), ev.StreamEndEvent):
            self._problem(more, (), "holds more than one document: remove what follows `---`")
        if value is not None and not isinstance(value, dict):
            self._problem(node, (), "must be a mapping of keys to values")
        return value if isinstance(value, dict) else {}

    def _node(self, event: Any, path: KeyPath, depth: int) -> Any:
        self._grow(1, event)
        if isinstance(event, ev.AliasEvent):
            return self._alias(event, path)
        before = self._nodes - 1
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        value: Any
        if isinstance(event, ev.ScalarEvent):
            value = self._scalar(event, path)
        elif depth >= MAX_DEPTH:
            self._stop(_line(event), f"is nested more than {MAX_DEPTH} deep", path)
        elif isinstance(event, ev.SequenceStartEvent):
            self._check_tag(event, path, "seq")
            value = self._sequence(path, depth)
        else:
            self._check_tag(event, path, "map")
            value = self._mapping(path, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _sequence(self, path: KeyPath, depth: int) -> list[Any]:
        made: list[Any] = []
        while not isinstance(event := next(self._events), ev.SequenceEndEvent):
            here = (*path, len(made))
            self.lines.setdefault(here, _line(event))
            made.append(self._node(event, here, depth + 1))
        return made

    def _mapping(self, path: KeyPath, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while not isinstance(event := next(self._events), ev.MappingEndEvent):
            key = self._node(event, path, depth + 1)
            if not isinstance(key, str):
                what = (
                    "is not text" if isinstance(key, dict | list) else f"{shown(key)} is not text"
                )
                self._problem(event, path, f"key {what}: quote it")
                self._node(next(self._events), path, depth + 1)
                continue
            here = (*path, key)
            if key in made:
                first = self.lines[here]
                self._problem(event, here, f"duplicate key {shown(key)}, first at line {first}")
            self.lines.setdefault(here, _line(event))
            made.setdefault(key, self._node(next(self._events), here, depth + 1))
        return made

    def _scalar(self, event: Any, path: KeyPath) -> Any:
        tag, text = event.tag, event.value
        if tag == TAG and self._takes_sealed:
            return self._sealed(event, path)
        if tag in ("!", _CORE + "str") or (tag is None and not event.implicit[0]):
            return text
        value = self._resolve(event, path)
        if tag is not None:
            kinds = _KINDS.get(tag.removeprefix(_CORE), ()) if tag.startswith(_CORE) else ()
            if not kinds:
                self._check_tag(event, path, "str")
            elif type(value) not in kinds:
                self._problem(event, path, f"{shown(text)} is not what {_short(tag)} says")
        return value

    def _sealed(self, event: Any, path: KeyPath) -> Sealed | None:
        if (found := Sealed.read(path_text(path), event.value)) is None:
            self._problem(event, path, f"{TAG} takes what {_SEAL} writes, and nothing else")
            return None
        self.sealed[path] = found
        return found

    def _resolve(self, event: Any, path: KeyPath) -> Any:
        """Give a plain scalar its type."""
        text: str = event.value
        if _NULL.match(text):
            return None
        if _BOOL.match(text):
            return text[0] in "tT"
        if _INF.match(text):
            return float(text.replace(".", ""))
        if not (whole := _INT.match(text)) and not _FLOAT.match(text):
            return text
        if len(text) > _MAX_DIGITS:
            self._problem(event, path, f"number {shown(text)} has too many digits")
            return 0
        if whole:
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if abs(number := float(text)) == float("inf"):
            self._problem(event, path, f"number {shown(text)} is out of range")
        return number

    def _alias(self, event: Any, path: KeyPath) -> Any:
        if (known := self._anchors.get(event.anchor)) is None:
            why = "refers to itself" if event.anchor in self._anchors else "has no anchor before it"
            self._problem(event, path, f"alias {shown(event.anchor)} {why}")
            return None
        value, size = known
        self._grow(size - 1, event)
        if self._takes_sealed and next(sealed_in(value), None) is not None:
            # It would be used in a place that it was not sealed for.
            self._problem(event, path, f"a sealed value stands in one place alone: use {_SEAL}")
        return value

    def _grow(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop(_line(event), f"holds more than {MAX_NODES} values, aliases expanded")

    def _check_tag(self, event: Any, path: KeyPath, core: str) -> None:
        if event.tag not in (None, "!", _CORE + core):
            self._problem(event, path, f"tag {shown(_short(event.tag))} is not allowed: remove it")

    def _problem(self, event: Any, path: KeyPath, message: str) -> None:
        self.problems.append(ConfigProblem(self.file, _line(event), dotted(path), message))

    def _stop(self, line: int, message: str, path: KeyPath = ()) -> NoReturn:
        self.problems.append(ConfigProblem(self.file, line, dotted(path), message))
        raise ConfigError(in_order(self.problems)) from None


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
