"""Archives of signed messages: read a part at a time, whatever their form and size."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from hauberk.errors import HauberkError

#: Why a row is rejected that lacks something.
MISSING: Final = "a value is missing"


class ArchiveUnusable(HauberkError):
    """An archive cannot be read on; says where in it."""


class Names(Sequence[str | None]):
    """What rows name their keys by."""

    def __init__(self, names: Sequence[str | None]) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: Any) -> Any:
        return self._names[row]

    def indices(self, places: Mapping[str | None, int]) -> Any:
        """Return where each row's name has its place, or -1, as a column."""
        return array("q", [places.get(name, -1) for name in self._names])


@frozen
class Part:
    """Some rows of an archive, as columns.

    Attributes:
        first: The number of the first row in its archive.
        messages: All messages, end to end.
        message_offsets: One more than rows.
        signatures: All signatures.
        signature_offsets: One more than rows.
        key_ids: One a row.
        algorithms: One a row where the archive says; `None` has the key say.
        times: One a row where the archive says, as it says; `None` where not.
        problems: Rows of this part, from 0, that cannot be verified, and why.
        position: Where the next part begins: whatever the reader takes as `start`.
        share: How much of the archive is read with it, from 0 to 1.
    """

    first: int
    messages: Any = field(repr=False)
    message_offsets: Any = field(repr=False)
    signatures: Any = field(repr=False)
    signature_offsets: Any = field(repr=False)
    key_ids: Names = field(repr=False)
    algorithms: Sequence[str | None] | None = field(repr=False)
    times: Sequence[Any] | None = field(repr=False)
    problems: dict[int, str]
    position: int
    share: float

    def __len__(self) -> int:
        return len(self.key_ids)


@frozen
class Start:
    """Where to begin, and what a row must have.

    Attributes:
        row: The number of the first row.
        position: As the part before it said.
        needs_key: Whether each row must name its key.
    """

    row: int = 0
    position: int = 0
    needs_key: bool = True


BEGINNING: Final = Start()
Reader = Callable[[Path, Start], Iterator[Part]]


def reader_of(path: Path) -> Reader:
    """Return what reads an archive, by the end of its name.

    Raises:
        ArchiveUnusable: The name does not say what it is.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise ArchiveUnusable(
            f"{path}: its name must say what it is: {', '.join(sorted(_READERS))}"
        )
    return _READERS[suffix]


def _late(module: str, name: str) -> Reader:
    def read(path: Path, start: Start = BEGINNING) -> Iterator[Part]:
        try:
            found = import_module(f"hauberk_plugins.batch.{module}")
        except ImportError:
            raise ArchiveUnusable(f"{path}: to read it: pip install 'hauberk[batch]'") from None
        reader: Reader = getattr(found, name)
        return reader(path, start)

    return read


_READERS: Final[dict[str, Reader]] = {
    ".jsonl": _late("encoded", "read_json_lines"),
    ".ndjson": _late("encoded", "read_json_lines"),
    ".csv": _late("encoded", "read_csv"),
    ".parquet": _late("columns", "read_parquet"),
    ".arrow": _late("columns", "read_arrow"),
    ".feather": _late("columns", "read_arrow"),
    ".arrows": _late("columns", "read_arrow_stream"),
}
