"""`SecureConfig`: reads and edits a YAML file, in which some values are sealed.

Absent, sealed and unreadable are three different things: what is absent gives the default, what is
sealed is opened, and what does not open is an error, never the default.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hauberk.errors import ConfigProblem, HauberkError, InvalidValue, SealError
from hauberk.files import REAL, FileOperations
from hauberk.keypath import KeyPath, parse_path, path_text
from hauberk.ports import Vault
from hauberk.rewrite import rewrite
from hauberk.sealed import Sealed, Unreadable, sealed_in
from hauberk.secret import Secret
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
from hauberk.yamlfile import Document, read_bytes

#: Stands in for what is not sealed yet, where only the place is looked at.
_NOTHING: Final = b"\0"


class SecureConfig:
    """A YAML file, edited a value at a time: nothing else in it changes.

    The file is read anew for each call, and replaced whole or not at all. One that somebody else
    changes meanwhile is left as it is.

    Args:
        path: The file, for example `hauberk.yml` or the guide's `config.yml`.
        vault: Seals and opens values: the port `vault` in the namespace `config`. Not needed where
            nothing is sealed.
        check: Called with the content that is to be written and the file's name; whatever it
            raises keeps that from being written.
        files: The operating system, to write with.
    """

    def __init__(
        self,
        path: str | Path,
        vault: Vault | None = None,
        *,
        check: Callable[[bytes, str], object] | None = None,
        files: FileOperations = REAL,
    ) -> None:
        self._path = Path(path)
        self._file = str(path)
        self._vault = vault
        self._check = check
        self._files = files

    def get(self, path: str, default: Any = None) -> Any:
        """Return a value; a sealed one is opened and is a `Secret`, also within another value.

        Args:
            path: Where, as `hauberk.keypath.parse_path` reads it: `accounts.main.venue`.
            default: What to return where nothing stands there.

        Raises:
            Unreadable: It is sealed and does not open.
            ConfigError: The file cannot be read.
            InvalidValue: The path is none.
        """
        found, document = self._found(path)
        return default if found is ABSENT else self._opened(found, document)

    def find(self, path: str, default: Any = None) -> Any:
        """Return a value as it stands, with `Sealed` for what is sealed: nothing is opened."""
        found, _ = self._found(path)
        return default if found is ABSENT else found

    def set(self, path: str, value: Any, *, sealed: bool = False) -> int:
        """Set a value, or add it.

        Args:
            path: Where.
            value: Text, number, true, false, `None`, or lists and mappings of these; to be sealed,
                text, bytes or a `Secret`.
            sealed: Whether it is sealed.

        Returns:
            The line where it stands, counted from 1.

        Raises:
            CannotEdit: It cannot be done without changing something else, or would put what was
                sealed into clear text.
            FileChanged: Somebody else changed the file.
            SealError: It cannot be sealed.
            InvalidValue: The path or the value is none.
            ConfigError: The file cannot be read, or not as it would be afterwards.
            OSError: It cannot be written.
        """
        content, document = self._read()
        at = stands_at(document.data, parse_path(path))
        if sealed:
            value = Sealed(path_text(at), self._sealed(at, value))
        elif next(sealed_in(value_at(document.data, at)), None) is not None:
            why = "is sealed: seal what is to stand there too, or unset it first"
            raise CannotEdit(self._file, document.line(at), path_text(at), why)
        return self._write(content, put(content.decode(), self._file, at, value))

    def rehearse(self, path: str) -> None:
        """See that a sealed value may stand at a path, before somebody is asked for it.

        Raises: as `set`.
        """
        content, document = self._read()
        at = stands_at(document.data, parse_path(path))
        placeholder = Sealed(path_text(at), _NOTHING)
        self._checked(put(content.decode(), self._file, at, placeholder))

    def unset(self, path: str) -> int | None:
        """Remove a key with its value, or an item of a list.

        Returns:
            The line where it stood, counted from 1; `None` where nothing stood there.

        Raises: as `set`.
        """
        content, document = self._read()
        at = stands_at(document.data, parse_path(path))
        if value_at(document.data, at) is ABSENT:
            return None
        return self._write(content, remove(content.decode(), self._file, at))

    def sealed(self) -> tuple[str, ...]:
        """Return the paths of the sealed values, in the order of the file."""
        _, document = self._read()
        return tuple(found.path for found in document.sealed.values())

    def check(self) -> list[ConfigProblem]:
        """Open every sealed value, and say which do not open.

        Raises:
            ConfigError: The file cannot be read.
        """
        _, document = self._read()
        problems = []
        for found in document.sealed.values():
            try:
                self._opened(found, document)
            except Unreadable as error:
                problems.append(ConfigProblem(error.file, error.line, error.path, error.reason))
        return problems

    def reseal(self) -> int:
        """Seal every value anew that was not sealed under the present key; all or none of them.

        To be done between putting a fresh key in place and forgetting the others.

        Returns:
            How many there were.

        Raises: as `get` and `set`.
        """
        content, document = self._read()
        edited = content.decode()
        stale = self._stale(document)
        for at, found in stale:
            fresh = Sealed(found.path, self._sealed(at, self._opened(found, document)))
            edited = put(edited, self._file, at, fresh).text
        if stale:
            self._write(content, Edited(edited, 1))
        return len(stale)

    def outdated(self) -> int:
        """Return how many values are sealed under another key than the present one.

        Raises:
            ConfigError: The file cannot be read.
            SealError: Nobody can tell.
        """
        return len(self._stale(self._read()[1]))

    def _stale(self, document: Document) -> list[tuple[KeyPath, Sealed]]:
        return [
            (at, found)
            for at, found in document.sealed.items()
            if not self._needed().is_current(found.blob)
        ]

    def _read(self) -> tuple[bytes, Document]:
        content = read_bytes(self._path, is_obeyed=True)
        return content, read_document(content, self._file)

    def _found(self, path: str) -> tuple[Any, Document]:
        _, document = self._read()
        return value_at(document.data, stands_at(document.data, parse_path(path))), document

    def _write(self, content: bytes, edited: Edited) -> int:
        data = self._checked(edited)
        if data != content:
            rewrite(self._path, content, data, files=self._files)
        return edited.line

    def _checked(self, edited: Edited) -> bytes:
        data = edited.text.encode()
        if self._check is not None:
            self._check(data, self._file)
        return data

    def _needed(self) -> Vault:
        if self._vault is None:
            raise SealError(f"{self._file}: there is no vault to seal and open values with")
        return self._vault

    def _sealed(self, at: KeyPath, value: Any) -> bytes:
        if not isinstance(value, Secret):
            if type(value) not in (str, bytes):
                kind = type(value).__name__
                del value
                raise InvalidValue(f"only text and bytes can be sealed, not {kind}")
            value = Secret(value)
        return self._needed().seal(path_text(at), value.reveal())

    def _opened(self, value: Any, document: Document) -> Any:
        if isinstance(value, Sealed):
            return self._open(value, document)
        if isinstance(value, dict):
            return {key: self._opened(item, document) for key, item in value.items()}
        if isinstance(value, list):
            return [self._opened(item, document) for item in value]
        return value

    def _open(self, value: Sealed, document: Document) -> Secret:
        vault = self._needed()
        try:
            return vault.open(value.path, value.blob)
        except HauberkError as error:
            line = document.line(parse_path(value.path))
            raise Unreadable(self._file, line, value.path, str(error)) from error
