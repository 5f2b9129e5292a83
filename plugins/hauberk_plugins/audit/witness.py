"""Witnesses: places elsewhere that hold the newest checkpoint, so that a log cannot be put back.

A file on another mount, or an HTTP endpoint that takes notes. A witness that held a checkpoint of
more records than a log has, or of other ones, tells that the log was cut off or rewritten.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from hauberk.errors import HauberkError
from hauberk.files import read_private, write_private
from hauberk.ports import Transport
from hauberk.request import Request
from hauberk_plugins.notes.note import MAX_BYTES

TIMEOUT_S: Final = 10.0


class WitnessFailed(HauberkError):
    """A witness did not take a checkpoint, or could not be asked for one.

    Attributes:
        where: Which.
        why: Why not.
    """

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where = where
        self.why = why

    def __str__(self) -> str:
        return f"witness {self.where}: {self.why}"


class Witness(Protocol):
    """Where the newest checkpoint is kept."""

    @property
    def where(self) -> str:
        """Which, for people."""

    def held(self) -> str | None:
        """Return the note that it holds; `None` where it holds none, or never tells.

        Raises:
            WitnessFailed: It could not be asked.
        """

    def give(self, note: str) -> None:
        """Have it hold a note.

        Raises:
            WitnessFailed: It did not take it.
        """


class FileWitness:
    """A file, best on another mount or machine, that this process may write.

    Args:
        path: Where.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def where(self) -> str:
        """Its path."""
        return str(self._path)

    def held(self) -> str | None:
        """Read it."""
        try:
            return read_private(self._path, MAX_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WitnessFailed(self.where, error.strerror or type(error).__name__) from error

    def give(self, note: str) -> None:
        """Write it, whole or not at all."""
        try:
            write_private(self._path, note.encode())
        except OSError as error:
            raise WitnessFailed(self.where, error.strerror or type(error).__name__) from error


class HttpWitness:
    """An endpoint that takes a note by POST, and answers 2xx when it keeps it.

    What it holds is shown by whoever runs it: nothing that this machine can be made to forget.

    Args:
        url: Where.
        transport: The way out.
    """

    def __init__(self, url: str, transport: Transport) -> None:
        self._url = url
        self._transport = transport

    @property
    def where(self) -> str:
        """Its URL."""
        return self._url

    def held(self) -> str | None:
        """It never tells."""
        return None

    def give(self, note: str) -> None:
        """Post it."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        request = Request("POST", self._url, headers=headers, body=note)
        answer = self._transport.send(request, timeout_s=TIMEOUT_S)
        if answer.error or not 200 <= answer.status < 300:
            raise WitnessFailed(self.where, answer.error or f"it answered {answer.status}")
