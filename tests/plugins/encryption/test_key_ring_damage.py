"""`KeyRing`: what is tampered with, cut off or cannot be written."""

from __future__ import annotations

import errno
import json
import os
import re
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from hauberk.errors import StoreError, UnsafeFile
from hauberk.files import FileOperations
from hauberk_plugins.encryption.errors import (
    BadRing,
    MissingRing,
    NoKey,
    RingBusy,
    RingNotWritten,
    UnknownFormat,
    WrongKey,
)
from hauberk_plugins.encryption.kek import Kek
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.ringfile import read_ring
from hauberk_plugins.encryption.wrapping import WrappingKey

# Tampering and damage.


def rewritten(ring: KeyRing, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the file as somebody without the wrapping key would, with a sum that holds."""
    plain = json.loads(ring.path.read_bytes())
    del plain["sum"]
    change(plain)
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    ring.path.write_text(json.dumps({**plain, "sum": sha256(canonical).hexdigest()}))


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.update(active=plain["keys"][0]["number"]),
        lambda plain: plain["keys"].reverse(),
        lambda plain: plain["keys"].pop(0),
        lambda plain: plain["keys"][0].update(made=""),
        lambda plain: plain["keys"][0].update(wrapped=plain["keys"][1]["wrapped"]),
        lambda plain: plain["keys"][0].update(number=1),
        lambda plain: plain.update(mac=plain["check"]),
    ],
)
def test_whatever_is_changed_without_the_wrapping_key_is_noticed(
    folder: Path, source: WrappingKey, change: Callable[[dict[str, Any]], object]
) -> None:
    ring = KeyRing(folder, source)
    ring.sealing()
    ring.rotate()
    rewritten(ring, change)
    changed = ring.path.read_bytes()
    for one in (ring, KeyRing(folder, source)):
        for attempt in (one.sealing, one.rotate, one.retire):
            with pytest.raises(BadRing, match="changed by somebody without the wrapping key"):
                attempt()
    assert ring.path.read_bytes() == changed


def test_a_key_that_does_not_unwrap_is_noticed_behind_a_mac_that_holds(
    folder: Path, source: WrappingKey
) -> None:
    ring = KeyRing(folder, source)
    ring.sealing()
    file = ring.read()
    kek = Kek(source.fetch(), file.id)
    bad = evolve(file, keys=(evolve(file.keys[0], wrapped=bytes(60)),))
    ring.path.write_bytes(kek.authenticated(bad).to_bytes())
    with pytest.raises(BadRing, match="cannot be unwrapped"):
        KeyRing(folder, source).sealing()


def test_a_wrapped_key_of_another_ring_does_not_unwrap(tmp_path: Path, source: WrappingKey) -> None:
    files = []
    for name in ("one", "two"):
        ring = KeyRing(tmp_path / name, source)
        ring.sealing()
        files.append(ring.read())
    one, two = files
    assert Kek(source.fetch(), one.id).unwrap(two.active, two.keys[0].wrapped) is None
    assert Kek(source.fetch(), two.id).unwrap(two.active, two.keys[0].wrapped) is not None
    assert Kek(source.fetch(), two.id).unwrap(two.active + 1, two.keys[0].wrapped) is None


def test_a_later_format_is_left_as_it_is(folder: Path, source: WrappingKey) -> None:
    ring = KeyRing(folder, source)
    ring.sealing()
    later = ring.path.read_bytes().replace(b'"format": 1', b'"format": 2')
    ring.path.write_bytes(later)
    for one in (ring, KeyRing(folder, source)):
        for attempt in (one.sealing, one.rotate, one.retire, lambda one=one: one.rewrap(source)):
            with pytest.raises(UnknownFormat, match="format 2"):
                attempt()
    assert ring.path.read_bytes() == later


@pytest.mark.parametrize("length", [0, 10, -2])
def test_a_ring_that_is_cut_off_is_left_as_it_is(
    folder: Path, source: WrappingKey, length: int
) -> None:
    ring = KeyRing(folder, source)
    ring.sealing()
    short = ring.path.read_bytes()[:length]
    ring.path.write_bytes(short)
    for one in (ring, KeyRing(folder, source)):
        for attempt in (one.sealing, one.rotate, one.retire, lambda one=one: one.rewrap(source)):
            with pytest.raises(BadRing, match="put it back from a backup"):
                attempt()
    assert ring.path.read_bytes() == short


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_ring_that_others_can_reach_is_refused_with_the_command_to_run(
    folder: Path, source: WrappingKey, mode: int
) -> None:
    ring = KeyRing(folder, source)
    ring.sealing()
    ring.path.chmod(mode)
    for one in (ring, KeyRing(folder, source)):
        with pytest.raises(UnsafeFile, match=rf"chmod 600 {ring.path}"):
            one.sealing()
    ring.path.chmod(0o600)
    assert ring.sealing()


def test_a_link_in_the_rings_place_is_not_followed(folder: Path, source: WrappingKey) -> None:
    ring = KeyRing(folder, source)
    ring.sealing()
    ring.path.rename(folder / "real")
    ring.path.symlink_to(folder / "real")
    with pytest.raises(UnsafeFile):
        KeyRing(folder, source).sealing()


def test_a_state_folder_that_others_can_reach_gets_no_ring(
    folder: Path, source: WrappingKey
) -> None:
    folder.chmod(0o755)
    with pytest.raises(UnsafeFile, match="chmod 700"):
        KeyRing(folder, source).sealing()
    assert list(folder.iterdir()) == []


def test_a_lock_file_that_is_a_link_is_not_followed(folder: Path, source: WrappingKey) -> None:
    (folder / "keyring.lock").symlink_to(folder / "elsewhere")
    with pytest.raises(RingNotWritten):
        KeyRing(folder, source).sealing()
    assert not (folder / "elsewhere").exists()


# A disk that fails.


class Failing(FileOperations):
    """Fails one call, counted over those that change something."""

    def __init__(self, fail_at: int, number: int) -> None:
        self.calls: list[str] = []
        self.fail_at = fail_at
        self.number = number
        for name in ("write", "fsync", "rename", "link", "fchmod", "flock", "mkdir"):
            setattr(self, name, self._counted(name, getattr(FileOperations, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            if len(self.calls) - 1 == self.fail_at:
                raise OSError(self.number, os.strerror(self.number))
            return real(*args, **named)

        return call


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("change", ["sealing", "rotate", "retire", "rewrap"])
def test_a_ring_is_whole_whichever_operation_fails(
    tmp_path: Path, source: WrappingKey, other: WrappingKey, change: str, number: int
) -> None:
    for fail_at in range(30):
        folder = tmp_path / f"{fail_at}"
        if change != "sealing":
            KeyRing(folder, source).sealing()
            KeyRing(folder, source).rotate()
        files = Failing(fail_at, number)
        ring = KeyRing(folder, source, files=files)
        failed = _failed(ring, change, other)
        assert failed == ("" if len(files.calls) <= fail_at else os.strerror(number))
        files.fail_at = -1
        left = [path.name for path in folder.iterdir()] if folder.exists() else []
        assert set(left) <= {"keyring.json", "keyring.lock"}
        if change == "rewrap":
            ring = KeyRing(folder, _either(folder, source, other))
        assert ring.sealing().number == KeyRing(folder, ring.source).sealing().number
        if not failed:
            return
    pytest.fail("it never got through")


def _failed(ring: KeyRing, change: str, other: WrappingKey) -> str:
    """Try it; return what the operating system said, as the error tells it."""
    try:
        ring.rewrap(other) if change == "rewrap" else getattr(ring, change)()
    except RingNotWritten as error:
        told = str(error)
    else:
        return ""
    remedies = "(?:make room|mount it|check the disk).*"
    begins = f"key ring {re.escape(str(ring.path))} cannot be written"
    match = re.fullmatch(f"{begins}: (.*); {remedies}", told)
    return match[1] if match else told


def _either(folder: Path, source: WrappingKey, other: WrappingKey) -> WrappingKey:
    file = read_ring("", (folder / "keyring.json").read_bytes())
    return source if Kek(source.fetch(), file.id).fits(file) else other


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path: Path, source: WrappingKey) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((RingNotWritten, UnsafeFile), match=str(tmp_path)):
        KeyRing(tmp_path / "file" / "state", source).sealing()


def test_a_ring_that_cannot_be_read_is_said(folder: Path, source: WrappingKey) -> None:
    ring = KeyRing(folder, source)
    ring.sealing()

    class Unreadable(FileOperations):
        def read(self, descriptor: int, count: int) -> bytes:  # type: ignore[override]
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(BadRing, match="cannot be read: Input/output error"):
        KeyRing(folder, source, files=Unreadable()).sealing()


def test_errors_of_the_ring_can_be_made_again_from_what_they_hold(
    folder: Path, source: WrappingKey, other: WrappingKey
) -> None:
    KeyRing(folder, source).sealing()
    with pytest.raises(WrongKey) as caught:
        KeyRing(folder, other).sealing()
    for error in (
        caught.value,
        BadRing("p", "why"),
        MissingRing("p", "why"),
        NoKey("file:x", ("x",), "why", "remedy"),
        UnknownFormat("what", 2, 1),
        RingNotWritten("p", "why"),
        RingBusy("p", "p.lock", 10),
    ):
        assert issubclass(RingNotWritten, StoreError)
        again = type(error)(*error.args)
        assert (str(again), again.args) == (str(error), error.args)
        assert str(error).count("; ") == 1
    assert "Given" not in "".join(traceback.format_exception(caught.value))
