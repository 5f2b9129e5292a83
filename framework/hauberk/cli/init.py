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

CONFIG: Final = "hauberk.yml"
SCHEMA: Final = "hauberk.schema.json"
STATE: Final = "hauberk-state"

_TEMPLATE: Final = """\
# yaml-language-server: $schema=hauberk.schema.json
#
# Hauberk's configuration. It works as it stands once BINANCE_KEY and BINANCE_SECRET are set,
# in the environment or in a file .env beside this one (chmod 600). Check it: hauberk doctor

# enforce, or shadow: log what would be denied or delayed, and let it pass. For the first days.
mode: enforce

# Where state is kept, relative to this file.
state: hauberk-state

# Who is asked about a request, in this order. The kill switch comes first; `bots` is where hooks
# registered at run time stand; no plugin that judges requests stands after throttle.
plugins: [killswitch, policy, bots, throttle, signing, logs]

# Without these nothing starts.
required: [killswitch, policy, throttle, signing]

# Which plugin provides which port.
ports:
  venues: venues
  keys: keys

# What each may do beyond objecting: amend, sign, authenticate, record, verify, or use a port.
grants:
  killswitch: [store]
  policy: []
  throttle: [venues]
  signing: [sign, keys, venues]
  logs: [record]

# Plugins of others, by distribution; nothing of a distribution that is not named is imported.
# third_party:
#   hauberk-trading-hours: {plugins: [trading_hours], grants: []}
third_party: {}

# Accounts hold references to keys, never keys.
accounts:
  main:
    venue: binance
    key: env:BINANCE_KEY
    secret: env:BINANCE_SECRET
    # Capabilities: read, trade, cancel, transfer, withdraw, admin.
    allow: [read, trade, cancel]

# A plugin's own settings stand under its name. `hauberk config schema` describes them all.
logs:
  format: console
"""


def init(folder: Path = Path(), /, *, options: Options = Options()) -> Answer:  # noqa: ARG001
    """Write a hauberk.yml that works as it stands, its schema, and the state folder.

    Nothing that exists is overwritten. Nobody else can read what is written.

    For example:
        hauberk init
        hauberk init mybot

    Args:
        folder: Where; made if it does not exist.
    """
    config, schema, state = folder / CONFIG, folder / SCHEMA, folder / STATE
    try:
        with _all_or_nothing() as undo:
            _refuse_existing(config, schema)
            _make_folder(folder, undo)
            _make_folder(state, undo)
            _write(config, _TEMPLATE, undo)
            _write(schema, _schema(config), undo)
            _sync(folder)
    except OSError as error:
        raise unwritable(error, "nothing was written; name another folder") from None
    steps = (
        f"Wrote {config}, {schema} and {state}/.\n\nNext:\n"
        f"  put BINANCE_KEY=… and BINANCE_SECRET=… into {folder / '.env'} and chmod 600 it\n"
        f"  hauberk doctor{'' if config == Path(CONFIG) else f' --config {config}'}"
    )
    return Answer({"config": str(config), "schema": str(schema), "state": str(state)}, steps)


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


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists: nothing was written; name another folder")


def _make_folder(folder: Path, undo: list[Callable[[], object]]) -> None:
    """Make a folder and those above it, each private; one that is there stays as it is."""
    if folder.is_dir():
        return
    _make_folder(folder.parent, undo)
    folder.mkdir(mode=0o700)
    undo.append(folder.rmdir)
    folder.chmod(0o700)  # whatever the umask takes away


def _write(path: Path, text: str, undo: list[Callable[[], object]]) -> None:
    """Write a file that was not there: whole or not at all, private from its first byte."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    undo.append(temporary.unlink)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    try:
        path.hardlink_to(temporary)  # unlike a rename, it replaces nothing that came meanwhile
    except FileExistsError:
        _refuse_existing(path)
    undo.append(path.unlink)
    temporary.unlink()


def _schema(config: Path) -> str:
    from hauberk.opening import schema_for

    return json.dumps(schema_for(config), indent=2, ensure_ascii=False) + "\n"


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
