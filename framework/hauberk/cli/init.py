"""`hauberk init`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hauberk.cli.answer import Answer
from hauberk.cli.failure import UsageError, unwritable
from hauberk.cli.options import Options
from hauberk.cli.template import GITIGNORE, configuration
from hauberk.cli.wrapping import Wrapping, wrapping
from hauberk.environment import VARIABLES
from hauberk.files import (
    REAL,
    FileOperations,
    make_private_folder,
    write_private,
)
from hauberk.secret import Secret

CONFIG: Final = "hauberk.yml"
SCHEMA: Final = "hauberk.schema.json"
STATE: Final = "hauberk-state"
IGNORED: Final = ".gitignore"
#: What is in the state folder once something was sealed.
_RING: Final = "keyring.json"


def init(
    folder: Path = Path(),
    /,
    *,
    key: str = "file",
    key_file: Path | None = None,
    options: Options = Options(),  # noqa: ARG001
) -> Answer:
    """Write a hauberk.yml that works as it stands, a state folder, and its key.

    Nothing that exists is overwritten. Nobody else can read what is written.

    For example:
        hauberk init
        hauberk init mybot
        hauberk init mybot --key-file /media/usb/mybot.key

    Args:
        folder: Where; made if it does not exist.
        key: Where the key to the state is: `file`, `passphrase` or `keyring`.
        key_file: The file to make for it; otherwise one in ~/.config/hauberk.
    """
    state = folder / STATE
    chosen = wrapping(key, key_file, state, VARIABLES, os.urandom)
    try:
        ignored = write_all(folder, chosen)
    except OSError as error:
        raise unwritable(error, "nothing was written; name another folder, or --key-file") from None
    config, schema = folder / CONFIG, folder / SCHEMA
    steps = (
        f"Wrote {config}, {schema} and {state}/.\n{chosen.said}\n\nNext:\n"
        f"  put BINANCE_KEY=… and BINANCE_SECRET=… into {folder / '.env'} and chmod 600 it\n"
        f"  hauberk doctor{'' if config == Path(CONFIG) else f' --config {config}'}"
    )
    document = {"config": config, "schema": schema, "state": state, "gitignore": ignored}
    paths = {what: None if path is None else str(path) for what, path in document.items()}
    return Answer({**paths, "key": chosen.reference}, steps)


def write_all(folder: Path, chosen: Wrapping, *, files: FileOperations = REAL) -> Path | None:
    """Write everything, or leave everything as it was.

    Args:
        folder: Where.
        chosen: The wrapping key.
        files: The operating system.

    Returns:
        The `.gitignore`, or `None` where one was there.

    Raises:
        UsageError: Something is there that would have to be replaced.
        UnsafeFile: A folder is there and open to others; says what to run.
        OSError: Something cannot be written.
    """
    config, schema, ignored = folder / CONFIG, folder / SCHEMA, folder / IGNORED
    _refuse_existing(config, schema, folder / STATE / _RING, *filter(None, [chosen.path]))
    with _all_or_nothing() as undo:
        make = _Maker(undo, files)
        make.folder(folder)
        make.folder(folder / STATE)
        make_private_folder(folder / STATE, files=files)
        if chosen.path is not None and chosen.content is not None:
            make.folder(chosen.path.parent)
            make.secret(chosen.path, chosen.content)
        make.file(config, configuration(chosen.setting))
        make.file(schema, _schema(config))
        if _is_there(ignored):
            return None
        make.file(ignored, GITIGNORE)
    return ignored


class _Maker:
    """Makes folders and files, each with what undoes it noted before it is begun."""

    def __init__(self, undo: list[Callable[[], object]], files: FileOperations) -> None:
        self._undo = undo
        self._files = files

    def folder(self, folder: Path) -> None:
        """Make a folder and those above it, each private; one that is there stays as it is."""
        if folder.is_dir():
            return
        self.folder(folder.parent)
        self._undo.append(folder.rmdir)
        make_private_folder(folder, files=self._files)

    def file(self, path: Path, text: str) -> None:
        """Write a file that was not there; others may write into its folder too."""
        self._write(path, Secret(text), shared=True)

    def secret(self, path: Path, content: Secret) -> None:
        """Write a file that was not there, into a folder of our own."""
        self._write(path, content, shared=False)

    def _write(self, path: Path, content: Secret, *, shared: bool) -> None:
        self._undo.append(lambda: _remove(path, content))
        try:
            write_private(path, content, replace=False, shared=shared, files=self._files)
        except FileExistsError:
            _refuse_existing(path)
            raise


@contextmanager
def _all_or_nothing() -> Iterator[list[Callable[[], object]]]:
    """Yield a list of what undoes each step, carried out if one fails or is interrupted."""
    undo: list[Callable[[], object]] = []
    try:
        yield undo
    except BaseException:
        for step in reversed(undo):
            with suppress(OSError):
                step()
        raise


def _remove(path: Path, content: Secret) -> None:
    """Remove a file that we wrote, and no other that came in its place."""
    if path.is_file() and not path.is_symlink() and Secret(path.read_bytes()) == content:
        path.unlink()


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if _is_there(path):
            raise UsageError(f"{path} exists: nothing was written; name another folder")


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _schema(config: Path) -> str:
    from hauberk.opening import schema_for

    return json.dumps(schema_for(config), indent=2, ensure_ascii=False) + "\n"
