"""What is wrong while a command runs: each ends it, or changes what it does, in its own way."""

from __future__ import annotations

import os
import resource
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from canary_world import World

Condition = Callable[[World], AbstractContextManager[None]]


@contextmanager
def nothing(_: World) -> Iterator[None]:
    yield


def replaced(name: str, change: Callable[[bytes], bytes]) -> Condition:
    """A file is another."""

    @contextmanager
    def condition(world: World) -> Iterator[None]:
        path = world.root / name
        path.write_bytes(change(path.read_bytes()))
        yield

    return condition


def flipped(content: bytes) -> bytes:
    return content[:-40] + bytes([content[-40] ^ 1]) + content[-39:]


@contextmanager
def wrong_key(world: World) -> Iterator[None]:
    key = world.marks.values["wrong key"]
    path = world.root / "keys" / "wrapping.key"
    path.write_bytes(b64encode(key) + b"\n")
    world.plain.add(path)
    yield


@contextmanager
def no_key(world: World) -> Iterator[None]:
    (world.root / "keys" / "wrapping.key").unlink()
    yield


@contextmanager
def no_state(world: World) -> Iterator[None]:
    (world.state / "keyring.json").unlink()
    yield


@contextmanager
def key_from_command(world: World) -> Iterator[None]:
    _section(world, f"command: [cat, '{world.root}/keys/wrapping.key']")
    yield


@contextmanager
def failing_command(world: World) -> Iterator[None]:
    _section(world, f"command: [cat, '{world.root}/keys/wrapping.key', /nonexistent]")
    yield


@contextmanager
def wrong_passphrase(world: World) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        rewrapped(world)
        patch.setenv("PASSPHRASE", world.marks.awkward("wrong passphrase"))
        yield


def rewrapped(world: World) -> None:
    """Have the ring under a passphrase."""
    assert not world.run("vault", "rewrap", "--passphrase", "env:PASSPHRASE").status
    _section(world, "passphrase: env:PASSPHRASE")


@contextmanager
def right_passphrase(world: World) -> Iterator[None]:
    rewrapped(world)
    yield


@contextmanager
def tampered(world: World) -> Iterator[None]:
    """A bit of every sealed record is another one."""
    _update(world, lambda value: value[:-1] + bytes([value[-1] ^ 1]))
    yield


@contextmanager
def truncated(world: World) -> Iterator[None]:
    _update(world, lambda value: value[:-5])
    yield


@contextmanager
def damaged(world: World) -> Iterator[None]:
    path = world.state / "store.sqlite"
    path.write_bytes(os.urandom(64) + path.read_bytes()[64:])
    yield


def _update(world: World, change: Callable[[bytes], bytes]) -> None:
    with sqlite3.connect(world.state / "store.sqlite") as database:
        rows = database.execute("SELECT rowid, value FROM records").fetchall()
        for rowid, value in rows:
            database.execute("UPDATE records SET value = ? WHERE rowid = ?", (change(value), rowid))
    database.close()


def full_disk(bytes_left: int) -> Condition:
    """No file becomes longer than so many bytes."""

    @contextmanager
    def condition(_: World) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return condition


@contextmanager
def somebody_else(_: World) -> Iterator[None]:
    """Whoever types is not whose files these are."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def open_to_others(world: World) -> Iterator[None]:
    for path in (world.root / "keys/wrapping.key", world.root / "bot/.env", world.state,
                 world.session):  # fmt: skip
        path.chmod(path.stat().st_mode | 0o044)
    yield


@contextmanager
def nobody_logged_in(world: World) -> Iterator[None]:
    world.session.write_text("not a session")
    yield


def _section(world: World, text: str) -> None:
    config = world.config.read_text("utf-8")
    assert "key: file:../keys/wrapping.key" in config
    world.config.write_text(config.replace("key: file:../keys/wrapping.key", text), "utf-8")


def failing_at(call: int, error: Callable[[], BaseException]) -> Condition:
    """The store, or the disk, fails at one of its calls; or somebody presses Ctrl-C just then."""

    @contextmanager
    def condition(_: World) -> Iterator[None]:
        from hauberk.files import FileOperations
        from hauberk_plugins.storage.sqlite import SQLiteStores

        left = [call]

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def run(*args: object, **options: object) -> object:
                left[0] -= 1
                if left[0] == 0:
                    raise error()
                return real(*args, **options)

            return run

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SQLiteStores, "_run", counted(SQLiteStores._run))
            for name in ("write", "read"):
                real = getattr(FileOperations, name)
                patch.setattr(FileOperations, name, staticmethod(counted(real)))
            yield

    return condition


def _full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def in_configuration(old: str, new: str) -> Condition:
    """Something else stands in hauberk.yml; perhaps a secret, which may stand there then."""

    @contextmanager
    def condition(world: World) -> Iterator[None]:
        text = world.config.read_text("utf-8")
        assert old in text
        secret = world.marks.awkward("in hauberk.yml")
        world.config.write_text(text.replace(old, new.replace("SECRET", secret)), "utf-8")
        world.plain.add(world.config)
        yield

    return condition


def in_environment(variable: str, form: str) -> Condition:
    """A secret in the environment is one that cannot be used."""

    @contextmanager
    def condition(world: World) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(variable, form.format(world.marks.mark("unusable")))
            yield

    return condition


#: By name.
CONDITIONS: dict[str, Condition] = {
    "wrong key": wrong_key,
    "no key": no_key,
    "no key ring": no_state,
    "damaged key ring": replaced("bot/hauberk-state/keyring.json", flipped),
    "key from a command": key_from_command,
    "failing key command": failing_command,
    "tampered records": tampered,
    "truncated records": truncated,
    "damaged store": damaged,
    "full disk": full_disk(0),
    "nearly full disk": full_disk(20_000),
    "somebody else": somebody_else,
    "open to others": open_to_others,
    "nobody logged in": nobody_logged_in,
    "broken configuration": replaced("bot/hauberk.yml", lambda text: text + b"broken: [\n"),
    "torn .env": replaced(
        "bot/.env", lambda text: text.replace(b"SECRET=", b"SECRET") + b"'\n" + text
    ),
    ".env that is no UTF-8": replaced("bot/.env", lambda text: text + b"X=\xff\n"),
    "large .env": replaced("bot/.env", lambda text: text * 30_000),
    "not text": in_environment("DOT_SECRET", "{}\udcff"),
    "a key that no header carries": in_environment("DOT_KEY", "{}\n"),
}
#: Somebody has put a secret into hauberk.yml in clear. It is in the frames of whoever reads that
#: file, so only what is printed, logged and written elsewhere is looked at.
MISPLACED: dict[str, Condition] = {
    "in place of its reference": in_configuration("env:DOT_SECRET", "'SECRET'"),
    "in a list": in_configuration("env:DOT_SECRET", "['SECRET']"),
    "behind an unknown key": in_configuration("secret: env:DOT", "secrt: 'SECRET', x: env:DOT"),
    "in broken YAML": in_configuration("env:DOT_SECRET", "'SECRET"),
    "as the wrapping key": in_configuration("file:../keys/wrapping.key", "'SECRET'"),
    "as a passphrase": in_configuration("key: file:../keys/wrapping.key", "passphrase: 'SECRET'"),
    "not sealed": in_configuration("alerts:\n", "alerts:\n  other: 'SECRET'\n"),
    "as a connection string": in_configuration(
        "auth:", "storage: {url: 'postgres://SECRET@x'}\nauth:"
    ),
}
PASSPHRASES: dict[str, Condition] = {
    "right passphrase": right_passphrase,
    "wrong passphrase": wrong_passphrase,
}
CALLS = (1, 2, 3, 4, 6, 8, 11, 15, 20, 26, 33)
FAULTS: dict[str, Condition] = {
    f"{name} at call {call}": failing_at(call, error)
    for call in CALLS
    for name, error in {"full": _full, "Ctrl-C": KeyboardInterrupt}.items()
}
