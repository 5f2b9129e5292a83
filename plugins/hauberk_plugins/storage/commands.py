"""The commands `hauberk vault put`, `get`, `list`, `delete` and `rotate`.

They keep what `vault:NAME` leads to in an account: sealed records of the plugin `keys`.
"""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from hauberk.cli import Answer, Options
from hauberk.command import Command, started
from hauberk.errors import InvalidValue
from hauberk.prompts import Prompts
from hauberk_plugins.storage.errors import VaultMissing
from hauberk_plugins.storage.sealed import SealedStore

#: Whose records these are.
NAMESPACE: Final = "keys"
MAX_BYTES: Final = 1 << 20
_NOT_HERE: Final = "there is no record of that name; see: hauberk vault list"


def put(name: str, /, *, options: Options = Options()) -> Answer:  # noqa: B008, D417
    """Seal a value and keep it under a name, in place of what is there.

    The value is asked for on a terminal, without an echo; else all of stdin is read, without
    the line's end that may come last. An account refers to it as vault:NAME.

    For example:
        hauberk vault put binance/main
        printf %s "$SECRET" | hauberk vault put binance/main

    Args:
        name: Any text.
    """
    value = Prompts().content(f"value of {name!a}", MAX_BYTES)
    with _records(options) as records:
        version = records.put(name, value.reveal())
    told = "kept" if version == 1 else f"kept, in place of version {version - 1}"
    return Answer({"name": name, "version": version}, f"{name}: version {version} is {told}")


def get(  # noqa: D417
    name: str,
    /,
    *,
    reveal: bool = False,
    options: Options = Options(),  # noqa: B008
) -> Answer:
    """Say which version is kept under a name and since when; with --reveal, print it.

    For example:
        hauberk vault get binance/main
        hauberk vault get binance/main --reveal

    Args:
        name: As it was put.
        reveal: Print the value itself.
    """
    with _records(options) as records:
        record, written = records.get(name), _date(records.written_ns(name))
    if record is None:
        return Answer({"name": name, "version": 0}, f"{name}: {_NOT_HERE}", ok=False)
    document: dict[str, Any] = {"name": name, "version": record.version, "written_at": written}
    if not reveal:
        return Answer(document, f"{name}: version {record.version}, of {written}")
    text = _text(record.value)
    if text is not None:
        return Answer({**document, "value": text}, text)
    if not options.json:
        raise InvalidValue(f"{name} is not text that a terminal shows: use --json, in base64")
    return Answer({**document, "value_base64": b64encode(record.value).decode()})


def list_(prefix: str = "", /, *, options: Options = Options()) -> Answer:  # noqa: B008, D417
    """List the names under which something is kept, with versions and dates; shows no value.

    For example:
        hauberk vault list
        hauberk vault list binance/

    Args:
        prefix: What the names begin with.
    """
    with _records(options) as records:
        found = [
            {"name": name, "version": version, "written_at": _date(written_ns)}
            for name, version, written_ns in records.written(prefix)
        ]
    return Answer({"records": found}, _drawn(found) if found else "nothing is kept")


def delete(name: str, /, *, options: Options = Options()) -> Answer:  # noqa: B008, D417
    """Remove what is kept under a name, for good.

    For example:
        hauberk vault delete binance/main

    Args:
        name: As it was put.
    """
    with _records(options) as records, records.transaction() as inside:
        record = inside.get(name)
        inside.delete(name)
    if record is None:
        return Answer({"name": name, "deleted": False}, f"{name}: {_NOT_HERE}", ok=False)
    return Answer({"name": name, "deleted": True}, f"{name}: version {record.version} is removed")


def rotate(*, options: Options = Options()) -> Answer:  # noqa: B008
    """Put a fresh data key in place and seal every record of every plugin under it.

    What was sealed before stays readable throughout. It may be stopped at any moment: run
    it again, and it goes on where it was. Bots need not be stopped meanwhile.

    For example:
        hauberk vault rotate
    """
    with started(options.config, "storage") as running:
        sealed, vault = running.plugin.sealed, running.provider("vault")
        if vault is None:
            raise VaultMissing
        # Whoever was stopped goes on: another fresh key would have all to be done again.
        left = sealed.outdated()
        is_fresh = left == 0
        if is_fresh:
            vault.rotate()
            left = sealed.outdated()
        with _progress(left) as show:
            for to_look_at in sealed.reseal():
                show(to_look_at)
    did = "A fresh key is in place" if is_fresh else "A rotation that was stopped has been ended"
    again = "" if is_fresh else " Run it again to put a fresh key in place."
    told = f"{did}: {left} record{'' if left == 1 else 's'} sealed under the present key.{again}"
    return Answer({"fresh_key": is_fresh, "records": left}, told)


#: What the plugin contributes.
COMMANDS: Final = (
    Command("vault put", put, "vault.write"),
    Command("vault get", get, "vault.read"),
    Command("vault list", list_, "vault.read"),
    Command("vault delete", delete, "vault.write"),
    Command("vault rotate", rotate, "vault.rotate"),
)


def _drawn(found: list[dict[str, Any]]) -> str:
    widths = [max(len(str(row[key])) for row in found) for key in ("name", "version")]
    return "\n".join(
        f"{row['name']:<{widths[0]}}  version {row['version']:<{widths[1]}}  {row['written_at']}"
        for row in found
    )


@contextmanager
def _records(options: Options) -> Iterator[SealedStore]:
    with started(options.config, "storage") as running:
        yield running.plugin.sealed.scoped(NAMESPACE)


def _text(value: bytes) -> str | None:
    """Return a value as text, if showing it changes none of it."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\n\t" for char in text) else None


def _date(written_ns: int | None) -> str:
    try:
        when = datetime.fromtimestamp((written_ns or 0) // 10**9, UTC)
    except (OverflowError, ValueError, OSError):  # what no calendar has
        return ""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far it has come, and say what to do where it is stopped."""
    try:
        if not sys.stderr.isatty():
            yield lambda left: None  # noqa: ARG005 - nobody looks
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task("sealing", total=max(total, 1))
            yield lambda left: shown.update(task, completed=total - left)
    except KeyboardInterrupt:
        sys.stderr.write(
            "hauberk: stopped; everything can be read. To go on: hauberk vault rotate\n"
        )
        raise
