"""What the plugin `encryption` tells `hauberk doctor`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from hauberk.command import Check
from hauberk.secret import Secret
from hauberk_plugins.encryption.plugin import EncryptionPlugin
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
PASSPHRASE = "correct horse battery staple"


def found(plugin: EncryptionPlugin) -> dict[str, Check]:
    return {check.what: check for check in plugin.on_doctor()}


def test_before_anything_is_sealed_all_is_well(
    start: Callable[..., EncryptionPlugin], key_file: Callable[..., Path], folder: Path
) -> None:
    path = key_file(KEY)
    checks = found(start(key="file:wrapping.key"))
    assert checks["wrapping key"] == Check("wrapping key", "ok", f"file:{path}")
    assert checks["key ring"].status == "ok"
    assert "none yet" in checks["key ring"].found
    assert list(folder.iterdir()) == []


def test_a_ring_is_described_and_tried(
    start: Callable[..., EncryptionPlugin], key_file: Callable[..., Path], folder: Path
) -> None:
    key_file(KEY)
    plugin = start(key="file:wrapping.key")
    plugin.encryption.seal("a", "b", b"1")
    number = plugin.encryption.rotate()
    check = found(start(key="file:wrapping.key"))["key ring"]
    assert check.status == "ok"
    assert check.found == (
        f"{folder}/keyring.json, 2 data keys under a key; {number:08x} seals since "
        "2023-11-14T22:13:20Z; it unlocks"
    )


def test_a_ring_under_a_passphrase_is_described_with_its_cost(
    start: Callable[..., EncryptionPlugin], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENCRYPTION_TEST", PASSPHRASE)
    plugin = start(passphrase="env:ENCRYPTION_TEST")
    plugin.encryption.seal("a", "b", b"1")
    assert "1 data key under a passphrase (scrypt, n=131072)" in found(plugin)["key ring"].found


def test_a_passphrase_that_is_asked_for_is_not_asked_for_by_the_doctor(
    start: Callable[..., EncryptionPlugin], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hauberk_plugins.encryption.plugin._ask", lambda: pytest.fail("asked"))
    KeyRing(folder, Given(Secret(PASSPHRASE), is_passphrase=True)).sealing()
    checks = found(start(passphrase="prompt"))
    assert checks["wrapping key"].status == "warn"
    assert "env:NAME" in checks["wrapping key"].remedy
    assert checks["key ring"].found.endswith("not unlocked here")


def break_mode(folder: Path) -> None:
    (folder / "keyring.json").chmod(0o640)


def break_content(folder: Path) -> None:
    (folder / "keyring.json").write_bytes(b"{}")


def break_format(folder: Path) -> None:
    path = folder / "keyring.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 4'))


def take_away(folder: Path) -> None:
    (folder / "keyring.json").unlink()


def take_key_away(folder: Path) -> None:
    (folder.parent / "wrapping.key").unlink()


def open_key(folder: Path) -> None:
    (folder.parent / "wrapping.key").chmod(0o644)


def another_key(folder: Path) -> None:
    (folder.parent / "wrapping.key").write_bytes(b64encode(OTHER))


@pytest.mark.parametrize(
    ("harm", "what", "said", "remedy"),
    [
        (break_mode, "key ring", "keyring.json", "chmod 600"),
        (break_content, "key ring", "damaged", "put it back"),
        (break_format, "key ring", "format 4", "use the version"),
        (take_away, "key ring", "it is gone", "put it back"),
        (take_key_away, "wrapping key", "there is no such file", "put it back from your copy"),
        (open_key, "wrapping key", "wrapping.key", "chmod 600"),
        (another_key, "key ring", "it is another key", "name the right one"),
    ],
)
def test_whatever_is_wrong_is_said_with_what_to_do(
    start: Callable[..., EncryptionPlugin],
    key_file: Callable[..., Path],
    folder: Path,
    harm: Callable[[Path], None],
    what: str,
    said: str,
    remedy: str,
) -> None:
    key_file(KEY)
    start(key="file:wrapping.key").encryption.seal("a", "b", b"1")
    harm(folder)
    check = found(start(key="file:wrapping.key"))[what]
    assert check.status == "fail"
    assert said in check.found
    assert remedy in check.remedy


def test_a_key_is_to_be_made_only_where_there_is_no_ring(
    start: Callable[..., EncryptionPlugin], key_file: Callable[..., Path], folder: Path
) -> None:
    assert "openssl rand" in found(start(key="file:wrapping.key"))["wrapping key"].remedy
    key_file(KEY)
    start(key="file:wrapping.key").encryption.seal("a", "b", b"1")
    take_key_away(folder)
    for take in (lambda _: None, take_away):
        take(folder)
        assert "openssl" not in found(start(key="file:wrapping.key"))["wrapping key"].remedy


def test_a_clock_that_was_set_back_is_seen_by_the_dates_of_the_ring(
    start: Callable[..., EncryptionPlugin], key_file: Callable[..., Path], folder: Path
) -> None:
    source = Given(Secret(KEY))
    key_file(KEY)
    for ahead_s, is_said in ((50, False), (70, True)):
        KeyRing(folder, source, wall_ns=lambda at=1_700_000_000 + ahead_s: at * 10**9).rotate()
        assert ("the clock" in found(start(key="file:wrapping.key"))) is is_said
    check = found(start(key="file:wrapping.key"))["the clock"]
    assert check.status == "warn"
    assert "it shows 2023-11-14T22:13:20Z" in check.found
    assert "a key of 2023-11-14T22:14:30Z" in check.found


def test_a_key_that_lies_in_the_state_folder_is_said(
    start: Callable[..., EncryptionPlugin], key_file: Callable[..., Path], folder: Path
) -> None:
    key_file(KEY).rename(folder / "wrapping.key")
    check = found(start(key="file:state/wrapping.key"))["wrapping key"]
    assert check.status == "fail"
    assert "lies inside the state folder" in check.found
    assert "move it out" in check.remedy
