"""What a command answers: a document for machines, and the same drawn for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

#: Wide enough that nothing is folded where no terminal has a width: a pipe is for grep.
_UNFOLDED: Final = 10_000


@frozen
class Answer:
    """The answer of a command.

    Attributes:
        document: What `--json` prints.
        shown: What is drawn for a person: text, or something of rich's, made only when needed.
        ok: `False` where the answer is no: the exit status is then 1.
    """

    document: Any
    shown: str | Callable[[], RenderableType] = ""
    ok: bool = True

    def show(self) -> None:
        """Draw it on stdout."""
        if isinstance(self.shown, str):
            sys.stdout.write(printable(self.shown) + "\n" if self.shown else "")
            return
        shown, is_terminal = self.shown(), sys.stdout.isatty()
        width = None if is_terminal else _UNFOLDED
        text = drawn(lambda console: console.print(shown), width=width)
        lines = text.splitlines(keepends=True)
        sys.stdout.writelines(lines if is_terminal else (f"{line.rstrip()}\n" for line in lines))


def to_json(document: Any, indent: int | None = None) -> str:
    """Write a document in ASCII, on one line unless indented: whatever the encoding, it arrives.

    What JSON has no form for is written as its text; a `Secret` has none to show.

    Raises:
        ValueError: It holds NaN or an infinity, or itself.
        TypeError: A key is of a kind that JSON has not.
    """
    return json.dumps(document, allow_nan=False, default=str, indent=indent)


def drawn(draw: Callable[[Console], object], **options: Any) -> str:
    """Return what something of rich's draws on a console.

    Not drawn on stdout itself: where that is a pipe that nobody reads, rich would exit.
    """
    from rich.console import Console

    console = Console(highlight=False, **options)
    with console.capture() as caught:
        draw(console)
    return caught.get()


def printable(text: str) -> str:
    """Replace what could act on a terminal: escapes, and what reverses the order of reading."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> RenderableType:
    """Draw a table; what is in the cells is text, never markup."""
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title or None, title_justify="left", header_style="bold", show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(c if isinstance(c, Text) else Text(printable(str(c))) for c in row))
    return made


def listing(rows: Sequence[Sequence[str | Text]]) -> RenderableType:
    """Draw rows without lines, to be read on a narrow terminal too; text is never markup."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    for _ in rows[0] if rows else ():
        made.add_column(overflow="fold")
    for row in rows:
        made.add_row(*(c if isinstance(c, Text) else Text(printable(c)) for c in row))
    return made
