"""Looking while something runs: at what it writes, what it starts, what it logs and raises."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from canary_marks import Marks
from rich.pretty import traverse

_HERE = str(Path(__file__).parent)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
#: Where a process may write without anybody's secrets being at stake.
_NOWHERE = ("/dev/", "/proc/self/")
_UNNAMED = "/proc/self/fd/"
#: Told of every audit event while something is watched; a hook cannot be taken away again.
_LISTENERS: list[Callable[[str, tuple[Any, ...]], None]] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    for listener in tuple(_LISTENERS):
        listener(event, args)


_IS_HOOKED: list[bool] = []


class Watcher:
    """What was seen of a process from within.

    Attributes:
        leaks: What was found where, in words.
        outside: Files that were written outside of the root.
        children: How each child was started: its arguments and its environment.
    """

    def __init__(self, marks: Marks, root: Path, may_hold: Callable[[Path], set[str]]) -> None:
        self.marks = marks
        self.root = root
        self.may_hold = may_hold
        self.leaks: list[str] = []
        self.outside: list[str] = []
        self.children: list[tuple[list[str], dict[str, str]]] = []
        self._is_looking = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        if not _IS_HOOKED:
            _IS_HOOKED.append(True)
            sys.addaudithook(_hook)
        _LISTENERS.append(self._told)
        try:
            yield
        finally:
            _LISTENERS.remove(self._told)

    def look_at_files(self, below: Path | None = None) -> None:
        """Look into every file below a folder, whatever it is called."""
        for path in files_below(below or self.root):
            self.look_at_file(path)

    def look_at_file(self, path: Path, real: str = "") -> None:
        with suppress(OSError):
            self.see(Path(real or path).read_bytes(), f"the file {path}", self.may_hold(path))

    def see(self, seen: str | bytes, where: str, but: Set[str] = frozenset()) -> None:
        for name in self.marks.found(seen, but):
            self.leaks.append(f"{name} in {where}: …{self.marks.around(seen, name)}…")

    def see_all(self, texts: Iterable[str], where: str, but: Set[str] = frozenset()) -> None:
        """The same of many: all at once first, which is quicker."""
        different = dict.fromkeys(texts)
        if self.marks.found("\n".join(different), but):
            for text in different:
                self.see(text, where, but)

    def _told(self, event: str, args: tuple[Any, ...]) -> None:
        if self._is_looking:
            return
        self._is_looking = True
        try:
            self._heard(event, args)
        finally:
            self._is_looking = False

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            self._opened(*args)
        elif event in ("os.rename", "os.link", "os.remove", "os.truncate"):
            folder = args[2] if event in ("os.rename", "os.link") else args[-1]
            self._about_to_go(args[0], folder if isinstance(folder, int) else -1)
            if event == "os.link":
                self._about_to_come(*args)
        elif event == "shutil.rmtree":
            self.look_at_files(Path(os.fsdecode(args[0])))
        elif event == "subprocess.Popen":
            _, argv, _, env = args
            environ = dict(os.environ if env is None else env)
            self.children.append(([os.fsdecode(word) for word in argv], environ))

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        is_writing = any(c in mode for c in "wax+") if isinstance(mode, str) else False
        if isinstance(flags, int) and mode is None:
            is_writing = bool(flags & _WRITES) and not flags & os.O_DIRECTORY
        if not is_writing or not isinstance(path, str | bytes):
            return
        name = os.fsdecode(path)
        # Relative to a folder that is open: its files are looked at when they are moved.
        if not name.startswith("/") or "__pycache__" in name or name.startswith(_NOWHERE):
            return
        if not Path(name).is_relative_to(self.root):
            self.outside.append(name)

    def _about_to_go(self, path: Any, folder: int) -> None:
        if isinstance(path, int):
            return
        name = os.fsdecode(path)
        if name.startswith(_UNNAMED):
            return
        real = f"/proc/self/fd/{folder}/{name}" if folder >= 0 else name
        whole = Path(os.path.realpath(f"/proc/self/fd/{folder}")) / name if folder >= 0 else name
        self.look_at_file(Path(whole), real)

    def _about_to_come(self, source: Any, name: Any, _: int, folder: int) -> None:
        """A file that had no name gets one: what it holds must be what may stand there."""
        if os.fsdecode(source).startswith(_UNNAMED):
            at = Path(os.path.realpath(f"/proc/self/fd/{folder}"))
            self.look_at_file(at / os.fsdecode(name), os.fsdecode(source))


class Logged(logging.Handler):
    """Everything that is logged by anybody, with the locals of what was raised."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {vars(record)!r}")
        if record.exc_info and record.exc_info[1] is not None:
            self.texts += told(record.exc_info[1])

    @contextmanager
    def listening(self) -> Iterator[None]:
        root = logging.getLogger()
        level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.removeHandler(self)
            root.setLevel(level)


def files_below(folder: Path) -> list[Path]:
    """Every regular file that can be seen."""
    found = [Path(at) / name for at, _, names in os.walk(folder) for name in names]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def told(error: BaseException) -> list[str]:
    """All that a report with locals shows of an exception, and of each that it came from.

    Also of those behind `from None`: what reports errors may look there. The frames of these
    tests are left out: what they hold is theirs.
    """
    texts: list[str] = []
    known: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in known:
            continue
        known.add(id(one))
        texts += [repr(one), str(one), repr(one.args), repr(vars(one)), *_notes(one)]
        texts += _frames(one)
        waiting += [one.__cause__, one.__context__]
        waiting += getattr(one, "exceptions", ())
    return texts


def _notes(error: BaseException) -> list[str]:
    return [str(note) for note in getattr(error, "__notes__", ())]


def _frames(error: BaseException) -> list[str]:
    """What the standard library shows of each local, its repr, and what rich does.

    Rich looks into objects by itself.
    """
    texts: list[str] = []
    known: set[int] = set()
    for frame, line in traceback.walk_tb(error.__traceback__):
        code, held = frame.f_code, frame.f_locals
        if code.co_filename.startswith(_HERE):
            continue
        texts.append(f"{code.co_filename}:{line} {code.co_name}")
        for name, value in held.items():
            if id(value) not in known:  # the same is in many frames
                known.add(id(value))
                texts += [
                    f"{code.co_filename}:{line} {code.co_name} {name} = {shown}"
                    for shown in (_repr(value), _rich(value))
                ]
    return texts


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # of what is half made
        return repr(error)


def _rich(value: object) -> str:
    # The command line's parser is large, and holds nothing that was typed.
    return "" if type(value).__module__.startswith("cyclopts") else str(traverse(value))


def environment(child: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in child.items())
