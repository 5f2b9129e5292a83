"""Reading a dotenv file without handing its secrets to everybody on the machine."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hauberk.errors import ConfigError, ConfigProblem, UnsafeFile
from hauberk.ownership import check_obeyed
from hauberk.quiet import quietly
from hauberk.secret import Secret

MAX_BYTES: Final = 1 << 20
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Dotenv:
    """One dotenv file. Nothing of it reaches `os.environ`, and `${NAME}` stays as it is.

    Args:
        path: The file; it need not exist. Of a symlink, the target counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest = b""
        self._values: Mapping[str, Secret] = {}

    def __repr__(self) -> str:
        return f"Dotenv({str(self.path)!r})"

    def values(self) -> Mapping[str, Secret]:
        """Read the file again, and parse it if its bytes have changed.

        Its time of modification is not asked: two writes within one tick have the same.

        Returns:
            Every name that has a value; empty where there is no file.

        Raises:
            ConfigError: It is not a regular file, is larger than 1 MiB, cannot be read, is not
                UTF-8, its group or others may do anything with it, or others can put another in
                its place.
        """
        quietly(f"reading {self.path}", self._look)
        return self._values

    def _look(self) -> None:
        content = self._content()
        digest = hashlib.sha256(content.reveal()).digest()
        if digest != self._digest:
            self._values = self._parsed(content)
            self._digest = digest

    def _content(self) -> Secret:
        try:
            with open(self.path, "rb", opener=_opened) as file:
                self._check(os.fstat(file.fileno()))
                content = Secret(file.read(MAX_BYTES + 1))
        except (FileNotFoundError, NotADirectoryError):
            return Secret(b"")
        except IsADirectoryError:
            raise self._refused("is not a regular file") from None
        except OSError as error:
            raise self._refused(f"cannot be read: {error.strerror}") from None
        if len(content.reveal()) > MAX_BYTES:
            raise self._refused(f"is larger than {MAX_BYTES} bytes")
        return content

    def _check(self, state: os.stat_result) -> None:
        if not stat.S_ISREG(state.st_mode):
            raise self._refused("is not a regular file")
        if state.st_mode & _OTHERS:
            mode = stat.S_IMODE(state.st_mode)
            raise self._refused(
                f"has mode {mode:04o}: its group or others can reach the secrets in it; "
                f"run: chmod 600 {self.path}"
            )
        try:
            check_obeyed(self.path, state)
        except UnsafeFile as error:
            message = f"is not safe to take keys from: {error.problem}; {error.remedy}"
            raise ConfigError([ConfigProblem(str(error.path), 0, "", message)]) from None

    def _parsed(self, content: Secret) -> Mapping[str, Secret]:
        from dotenv import dotenv_values  # late: who has no such file need not wait for it

        text = content.reveal().decode("utf-8-sig", "surrogateescape")
        if any("\udc80" <= character <= "\udcff" for character in text):
            raise self._refused("is not UTF-8")  # raised here: a UnicodeDecodeError holds it all
        parsed = dotenv_values(stream=io.StringIO(text), interpolate=False)
        return {name: Secret(value) for name, value in parsed.items() if value}

    def _refused(self, message: str) -> ConfigError:
        return ConfigError([ConfigProblem(str(self.path), 0, "", message)])


def _opened(path: str, flags: int) -> int:
    """Open without waiting: a FIFO in the file's place would hold us for ever."""
    return os.open(path, flags | os.O_NONBLOCK)
