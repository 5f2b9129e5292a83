"""Whatever fails, no key, passphrase or plaintext is in an error, in its cause or in a frame."""

from __future__ import annotations

import itertools
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hauberk.errors import HauberkError
from hauberk.files import FileOperations
from hauberk.secret import Secret
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.errors import RingNotWritten
from hauberk_plugins.encryption.fernet import open_fernet
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given, KeyFile, Passphrase, WrappingKey

ROOT = Path(__file__).parents[3]
#: In each of these a person would see it: text, the repr of bytes, base64.
MARK = "c4nary"
KEY = f"{MARK}-wrapping-key-of-32-bytes!!"[:32].ljust(32, "!").encode()
VALUE = f"{MARK} plaintext".encode()
PASSPHRASE = f"{MARK} horse battery staple"


def marks(text: str) -> list[str]:
    """What of our secrets is in a text."""
    forms = [MARK, MARK.encode().hex(), *(b64encode(KEY)[:12].decode(),)]
    return [form for form in forms if form in text]


def marked_random() -> Callable[[int], bytes]:
    """Randomness whose keys, and nothing else, bear the mark."""
    numbers = itertools.count()

    def random(count: int) -> bytes:
        if count != 32:
            return os.urandom(count)
        return f"{MARK}-{next(numbers)}".ljust(32, "#").encode()

    return random


class Marked:
    """A ring whose data keys bear the mark, and records sealed under it."""

    def __init__(self, folder: Path, source: WrappingKey, files: FileOperations | None = None):
        self.folder, self.source = folder, source
        self.ring = KeyRing(folder, source, random=marked_random(), files=files or FileOperations())
        self.encryption = DataEncryption(self.ring)


@pytest.fixture(params=["key", "passphrase"])
def marked(
    request: pytest.FixtureRequest, folder: Path, passphrase: Callable[..., Given]
) -> Marked:
    source = Given(Secret(KEY)) if request.param == "key" else passphrase(PASSPHRASE)
    made = Marked(folder, source)
    made.encryption.seal("a", "b", VALUE)
    return made


def attempts(marked: Marked, passphrase: Callable[..., Given]) -> Iterator[Callable[[], object]]:
    """Everything that fails, one after the other; each leaves it to be put right."""
    encryption, ring, path = marked.encryption, marked.ring, marked.ring.path
    vault = encryption.scoped("a")
    sealed = vault.seal("b", VALUE)
    content = path.read_bytes()

    def with_ring(change: bytes, attempt: Callable[[], object]) -> Callable[[], object]:
        def run() -> object:
            path.write_bytes(change)
            try:
                return attempt()
            finally:
                path.write_bytes(content)

        return run

    yield lambda: vault.open("c", sealed)
    yield lambda: vault.open("b", sealed, version=3)
    yield lambda: vault.open("b", sealed[:-1])
    yield lambda: vault.open("b", sealed[:-1] + b"x")
    yield lambda: vault.open("b", b"\x07" + sealed)
    yield lambda: vault.open("b", sealed[:1] + b"none" + sealed[5:])
    yield lambda: vault.seal("b", VALUE, version=-1)
    for broken in (content[:-20], content.replace(b'"format": 1', b'"format": 3'), b""):
        for fresh in (ring, KeyRing(marked.folder, marked.source)):
            again = DataEncryption(fresh).scoped("a")
            yield with_ring(broken, lambda again=again: again.seal("b", VALUE))
            yield with_ring(broken, fresh.rotate)
            yield with_ring(broken, lambda fresh=fresh: fresh.rewrap(marked.source))
    for wrong in (Given(Secret(KEY[::-1])), passphrase(PASSPHRASE[::-1]), Given(Secret(b"x" * 32))):
        other = KeyRing(marked.folder, wrong)
        yield lambda other=other: DataEncryption(other).seal("a", "b", VALUE)
        yield other.rotate
        yield lambda other=other: DataEncryption(other).open("a", "b", sealed)
    yield lambda: ring.rewrap(passphrase(MARK))
    yield lambda: ring.rewrap(Passphrase("env:ABSENT", {"PRESENT": PASSPHRASE}, lambda: None))


def test_nothing_that_fails_shows_a_secret(
    marked: Marked, passphrase: Callable[..., Given], shown: Callable[[BaseException], str]
) -> None:
    count = 0
    for attempt in attempts(marked, passphrase):
        with pytest.raises(HauberkError) as caught:
            attempt()
        assert marks(shown(caught.value)) == [], caught.value
        count += 1
    assert count > 30


@pytest.mark.parametrize(
    "body",
    ["raise ValueError(value)", "raise ValueError", "raise ValueError from KeyError(value)",
     "raise ValueError(value.hex())"],
)  # fmt: skip
def test_what_shows_a_secret_would_be_noticed(
    body: str, shown: Callable[[BaseException], str]
) -> None:
    names: dict[str, Any] = {}
    source = f"def leak(value):\n    {body}\n"
    exec(compile(source, f"{ROOT}/plugins/leak.py", "exec"), names)  # noqa: S102
    with pytest.raises(ValueError) as caught:
        names["leak"](VALUE)
    assert marks(shown(caught.value)) != []


def test_a_value_of_a_wrong_type_is_not_shown(
    encryption: DataEncryption, shown: Callable[[BaseException], str]
) -> None:
    for value in (VALUE.decode(), [VALUE], None):
        for attempt in (
            lambda value=value: encryption.seal("a", "b", value),
            lambda value=value: encryption.scoped("a").seal("b", value),
            lambda value=value: encryption.scoped("a").seal("b", VALUE, version=value),
        ):
            with pytest.raises(TypeError) as caught:
                attempt()
            assert marks(shown(caught.value).replace(repr(value), "")) == []


@pytest.mark.parametrize("failing", ["write", "fsync", "rename", "flock", "fchmod"])
def test_a_disk_that_fails_shows_no_key(
    folder: Path, failing: str, shown: Callable[[BaseException], str]
) -> None:
    files = FileOperations()
    marked = Marked(folder, Given(Secret(KEY)), files)
    marked.encryption.seal("a", "b", VALUE)

    def fail(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    setattr(files, failing, fail)
    for attempt in (marked.ring.rotate, lambda: marked.ring.rewrap(Given(Secret(KEY[::-1])))):
        with pytest.raises(RingNotWritten) as caught:
            attempt()
        assert marks(shown(caught.value)) == []


def test_sources_show_nothing_of_what_they_hold(
    tmp_path: Path, shown: Callable[[BaseException], str]
) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    for content in (KEY, b64encode(KEY)[:-4], MARK.encode() + b"\xff"):
        path.write_bytes(content)
        with pytest.raises(HauberkError) as caught:
            KeyFile(path).fetch()
        assert marks(shown(caught.value)) == []
    token = b"gAAAAA" + b64encode(bytes(90))
    for key in (Secret(KEY), Secret(b64encode(KEY))):
        with pytest.raises(HauberkError) as caught:
            open_fernet(token, key)
        assert marks(shown(caught.value)) == []


def test_no_repr_shows_a_secret(marked: Marked) -> None:
    marked.ring.rotate()
    things: list[object] = [marked.ring, marked.encryption, marked.encryption.scoped("a")]
    things += [marked.source, marked.ring.sealing(), marked.ring.read(), marked.ring._held]
    assert marked.ring._held is not None
    things += [marked.ring._held.kek, vars(marked.ring._held.kek), vars(marked.ring)]
    things += [vars(marked.source), vars(marked.ring._unlocking)]
    assert marks(" ".join(map(repr, things))) == []
