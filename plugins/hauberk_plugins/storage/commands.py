"""The commands `hauberk vault put`, `get`, `list`, `delete` and `rotate`.

They keep what `vault:NAME` leads to in an account: sealed records of the plugin `keys`.
"""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from attrs import asdict

from hauberk.cli import Answer, Options
from hauberk.command import Command, Started, started
from hauberk.errors import InvalidValue
from hauberk.prompts import Prompts
from hauberk.sealed import NAMESPACE as CONFIG
from hauberk.sealed import TAKEN_OVER
from hauberk.secureconfig import SecureConfig
from hauberk_plugins.storage.errors import VaultMissing
from hauberk_plugins.storage.progress import progress
from hauberk_plugins.storage.rotation import Rotated, Rotation
from hauberk_plugins.storage.sealed import SealedStore

#: Whose records these are.
NAMESPACE: Final = "keys"
MAX_BYTES: Final = 1 << 20
_NAME: Final = "storage"
_AGAIN: Final = "everything can be read. To go on: hauberk vault rotate"
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
    with _records(options) as (records, running):
        tell(running, options, "vault.write", "vault.put", {"name": name})
        version = records.put(name, value.reveal())
    told = "kept" if version == 1 else f"kept, in place of version {version - 1}"
    return Answer({"name": name, "version": version}, f"{shown(name)}: version {version} is {told}")


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
    with _records(options) as (records, running):
        if reveal:
            tell(running, options, "vault.read", "vault.revealed", {"name": name})
        record, written = records.get(name), _date(records.written_ns(name))
    if record is None:
        return Answer({"name": name, "version": 0}, f"{shown(name)}: {_NOT_HERE}", ok=False)
    document: dict[str, Any] = {"name": name, "version": record.version, "written_at": written}
    if not reveal:
        return Answer(document, f"{shown(name)}: version {record.version}, of {written}")
    text = _text(record.value)
    if text is not None:
        return Answer({**document, "value": text}, text)
    if not options.json:
        raise InvalidValue(
            f"{shown(name)} is not text that a terminal shows: use --json, in base64"
        )
    return Answer({**document, "value_base64": b64encode(record.value).decode()})


def list_(prefix: str = "", /, *, options: Options = Options()) -> Answer:  # noqa: B008, D417
    """List the names under which something is kept, with versions and dates; shows no value.

    For example:
        hauberk vault list
        hauberk vault list binance/

    Args:
        prefix: What the names begin with.
    """
    with _records(options) as (records, _):
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
    with _records(options) as (records, running):
        tell(running, options, "vault.write", "vault.delete", {"name": name})
        record = records.get(name)
        if record is not None:  # else no transaction, which would claim a store that is empty
            with records.transaction() as inside:
                record = inside.get(name)
                inside.delete(name)
    if record is None:
        return Answer({"name": name, "deleted": False}, f"{shown(name)}: {_NOT_HERE}", ok=False)
    told = f"{shown(name)}: version {record.version} is removed"
    return Answer({"name": name, "deleted": True}, told)


def rotate(*, keep: bool = False, options: Options = Options()) -> Answer:  # noqa: B008, D417
    """Put a fresh data key in place and seal every record of every plugin under it.

    So are the sealed values of hauberk.yml, and of config.sealed.yml beside it. Then old keys
    are retired that have not sealed for a week and that nothing needs any more.

    What was sealed before stays readable throughout. It may be stopped at any moment: run
    it again, and it goes on where it was. Bots need not be stopped meanwhile.

    For example:
        hauberk vault rotate

    Args:
        keep: Retire no key: another configuration, or a copy, is still sealed under one.
    """
    with started(options.config, _NAME) as running:
        if running.provider("vault") is None:
            raise VaultMissing
        others = sorted(running.granted("vault") - {_NAME})
        tell(running, options, "vault.rotate", "vault.rotate", {"keep": keep})
        rotation = _rotation(running, retires=not (keep or others))
        with progress(rotation.begin(), "sealing", _AGAIN) as show:
            for to_look_at in rotation.steps():
                show(to_look_at)
    done = rotation.done
    return Answer({**asdict(done), "keys_kept_for": others}, _told(done, others))


def _rotation(running: Started, *, retires: bool) -> Rotation:
    vault = running.provider("vault")
    config = running.config
    files = (config, config.parent / TAKEN_OVER)
    sealed = vault.scoped(CONFIG)
    values = [SecureConfig(file, sealed) for file in files if file.exists()]
    return Rotation(running.plugin.sealed, vault, values, retires=retires)


def _told(done: Rotated, others: list[str]) -> str:
    did = "A fresh key is in place" if done.fresh_key else "A rotation that was stopped has ended"
    sealed = _counted(done.records, "record")
    if done.values:
        sealed += f" and {_counted(done.values, 'value')} of the configuration"
    lines = [f"{did}: {sealed} sealed under the present key."]
    if done.keys_retired:
        lines.append(f"{_counted(done.keys_retired, 'old key')} retired: nothing needs it.")
    if others:
        names = ", ".join(others)
        lines.append(f"No old key is retired, since something may be sealed elsewhere by: {names}.")
    if not done.fresh_key:
        lines.append("Run it again to put a fresh key in place.")
    return "\n".join(lines)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


#: What the plugin contributes.
COMMANDS: Final = (
    Command("vault put", put, "vault.write", "Keep secrets in sealed records; rotate the keys."),
    Command("vault get", get, "vault.read"),
    Command("vault list", list_, "vault.read"),
    Command("vault delete", delete, "vault.write"),
    Command("vault rotate", rotate, "vault.rotate"),
)


def _drawn(found: list[dict[str, Any]]) -> str:
    rows = [(shown(row["name"]), str(row["version"]), row["written_at"]) for row in found]
    name, version = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{row[0]:<{name}}  version {row[1]:<{version}}  {row[2]}" for row in rows)


def shown(name: str) -> str:
    """Return a name on one line: one that would not show as it is, as a quoted literal."""
    is_plain = name.isprintable() and name.strip() == name != "" and name[0] not in "'\""
    return name if is_plain else ascii(name)


@contextmanager
def _records(options: Options) -> Iterator[tuple[SealedStore, Started]]:
    with started(options.config, _NAME) as running:
        yield running.plugin.sealed.scoped(NAMESPACE), running


def tell(
    running: Started, options: Options, capability: str, kind: str, fields: dict[str, Any]
) -> None:
    """Tell the recorders what is to be done, and by whom."""
    running.plugin.tell(kind, {**fields, "by": options.require(capability)})


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
