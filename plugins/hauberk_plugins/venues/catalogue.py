"""`VenueCatalogue`: finds venue files and reads each when it is first asked for."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hauberk.errors import ConfigError, ConfigProblem, HauberkError
from hauberk.spelling import nearest
from hauberk_plugins.venues.parse import parse_venue
from hauberk_plugins.venues.venue import VenueFile

#: The venue files that come with Hauberk.
BUILT_IN: Final = Path(__file__).parent
_NO_FOLDER: Final = "is not a folder: make it, or take it out of venues.folder"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")


class UnknownVenue(HauberkError):
    """There is no venue file of that name.

    Attributes:
        venue: The name asked for.
    """

    def __init__(self, venue: str, known: Sequence[str], folders: Sequence[Path]) -> None:
        super().__init__(venue, tuple(known), tuple(folders))
        self.venue = venue
        self._known = tuple(known)
        self._folders = tuple(folders)

    def __str__(self) -> str:
        places = ", ".join(map(str, self._folders))
        return f"there is no venue {self.venue!r} in {places}{nearest(self.venue, self._known)}"


class VenueCatalogue:
    """Every venue by name. A venue's name is its file's name without `.yml`.

    A file decides what is a withdrawal, and where keys sign for: it is obeyed only if nobody else
    can change it or put another in its place, as `hauberk.yml` is. Those that come with Hauberk are
    as safe as its code, which lies beside them.

    Args:
        folders: Where to look. No name may stand in two of them: a file that quietly replaced a
            built-in one would decide what is a withdrawal and where keys may sign for.

    Raises:
        ConfigError: A folder is not there, or a name is taken twice.
    """

    def __init__(self, folders: Sequence[Path] = (BUILT_IN,)) -> None:
        self._folders: tuple[Path, ...] = ()
        self._files: dict[str, Path] = {}
        self._read: dict[str, VenueFile] = {}
        self._reading = threading.Lock()
        for folder in folders:
            self.add(folder)

    def add(self, folder: Path) -> None:
        """Look into one more folder; no file is read.

        Raises:
            ConfigError: As when the catalogue is made; lists every file that cannot be taken. The
                others are.
        """
        if not folder.is_dir():
            raise ConfigError([ConfigProblem(str(folder), 0, "", _NO_FOLDER)])
        found = [(path, self._objection(path)) for path in sorted(folder.glob("*.yml"))]
        self._files = {**self._files, **{path.stem: path for path, why in found if not why}}
        self._folders = (*self._folders, folder)
        if refused := [ConfigProblem(str(path), 0, "", why) for path, why in found if why]:
            raise ConfigError(refused)

    def _objection(self, path: Path) -> str:
        if not _NAME.match(path.stem):
            return "a venue's name is small letters, digits, '-' and '_'"
        other = self._files.get(path.stem)
        return "" if other is None else f"{path.stem!r} is {other} already: choose another name"

    def names(self) -> tuple[str, ...]:
        """Return every name, sorted."""
        return tuple(sorted(self._files))

    def unknown(self, name: str) -> UnknownVenue | None:
        """Return the error that asking for a venue would raise if there is none of that name."""
        return None if name in self._files else UnknownVenue(name, self.names(), self._folders)

    def venue(self, name: str) -> VenueFile:
        """Return a venue, always the same object; its file is read the first time.

        Raises:
            UnknownVenue: There is none of that name.
            ConfigError: Its file has problems: all of them, with lines; or others can change it.
        """
        found = self._read.get(name)
        return self._first(name) if found is None else found

    def _first(self, name: str) -> VenueFile:
        from hauberk.yamlfile import parse_yaml, read_bytes  # ruamel.yaml, only now

        if (unknown := self.unknown(name)) is not None:
            raise unknown
        with self._reading:
            if name not in self._read:
                path = self._files[name]
                text = read_bytes(path, is_obeyed=path.parent != BUILT_IN)
                document = parse_yaml(text, str(path))
                venue = parse_venue(document)
                if venue.name != name:
                    message = f"must be {name!r}, as the file is called"
                    raise ConfigError([document.problem(("name",), message)])
                self._read[name] = venue
            return self._read[name]
