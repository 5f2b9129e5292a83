"""What is done to a point is noticed, and the file named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import Altered
from hauberk.secret import Secret
from hauberk_plugins.notes.note import NoteError, SignerKey, VerifierKey
from hauberk_plugins.recovery.errors import (
    NoSuchPoint,
    PointAltered,
    PointForeign,
    PointTooRecent,
    RecoveryError,
)
from hauberk_plugins.recovery.manifest import (
    BadManifest,
    Entry,
    LeftOut,
    Manifest,
    is_safe,
)
from hauberk_plugins.recovery.point import Point
from hauberk_plugins.recovery.signature import NotSigned, signed, text_of

SIGNER = SignerKey("hauberk-recovery/0123456789abcdef", Secret(bytes(range(32))))
OTHER = SignerKey("hauberk-recovery/fedcba9876543210", Secret(bytes(32)))
CONTENT = {
    "config/hauberk.yml": b"plugins: []\n",
    "config/venues/own.yml": b"name: own\n",
    "state/keyring.json": b"{}",
    "state/store.sqlite": bytes(range(200)),
    "state/audit/checkpoint": b"x\n1\n",
}
NONE = "0" * 64
Attack: TypeAlias = Callable[[Path], object]


def manifest(files: tuple[Entry, ...] = ()) -> Manifest:
    return Manifest(
        "20260131T080000Z-0f9a3b77", "2026-01-31T08:00:00Z", "a test", "1.0", "sqlite", "",
        "hauberk.yml", files, (LeftOut(".env", "holds secrets"),),
    )  # fmt: skip


def write(folder: Path, signer: SignerKey = SIGNER, files: tuple[Entry, ...] | None = None) -> Path:
    """Make a point by hand."""
    from hauberk_plugins.recovery.disk import entries

    for name, content in CONTENT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found = tuple(entries(folder, lambda _: None)) if files is None else files
    (folder / "manifest").write_text(signed(manifest(found).to_text(), signer))
    return folder


def verify(folder: Path, key: VerifierKey | None = SIGNER.verifier) -> None:
    Point.read(folder).verify(key)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "20260131T080000Z-0f9a3b77")


def test_a_point_that_nobody_touched_is_good(folder: Path) -> None:
    verify(folder)


def flipped(name: str, at: int = 0) -> Attack:
    def attack(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[at] ^= 1
        (folder / name).write_bytes(content)

    return attack


def appended(name: str) -> Attack:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b"x")


def cut(name: str) -> Attack:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1])


def linked(folder: Path) -> None:
    """The same content, behind a link that may lead elsewhere by the time it is copied."""
    (folder / "state/keyring.json").rename(folder.parent / "away")
    (folder / "state/keyring.json").symlink_to(folder.parent / "away")


def swapped(folder: Path) -> None:
    one, two = folder / "config/hauberk.yml", folder / "config/venues/own.yml"
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


ATTACKS: dict[str, tuple[Attack, str]] = {
    "flipped": (flipped("state/store.sqlite", 100), "state/store.sqlite was changed"),
    "appended": (appended("config/hauberk.yml"), "config/hauberk.yml has 13 bytes, and not 12"),
    "cut off": (cut("state/keyring.json"), "state/keyring.json has 1 bytes, and not 2"),
    "removed": (lambda f: (f / "state/keyring.json").unlink(), "state/keyring.json is missing"),
    "added": (lambda f: (f / "state/x").touch(), "state/x was added"),
    "added folder": (lambda f: (f / "more").mkdir(), "more/ is an empty folder"),
    "linked": (linked, "state/keyring.json is a symbolic link"),
    "linked folder": (
        lambda f: (f / "state/audit").rename(f / "a") and (f / "state/audit").symlink_to(f / "a"),
        "state/audit is a symbolic link",
    ),
    "a pipe": (lambda f: os.mkfifo(f / "state/pipe"), "state/pipe is a device or a pipe"),
    "swapped": (swapped, "2 files are not as they were"),
    "half-copied": (lambda f: shutil.rmtree(f / "state"), "3 files are not as they were"),
    "no manifest": (lambda f: (f / "manifest").unlink(), "there is no manifest"),
    "manifest linked": (
        lambda f: (f / "manifest").rename(f / "m") and (f / "manifest").symlink_to(f / "m"),
        "a symbolic link, and no manifest",
    ),
    "manifest no text": (lambda f: (f / "manifest").write_bytes(b"\xff"), "it is no text"),
    "manifest empty": (lambda f: (f / "manifest").write_bytes(b""), "it has no signature"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_whatever_is_done_to_it_is_named(folder: Path, attack: str) -> None:
    do, named = ATTACKS[attack]
    do(folder)
    with pytest.raises(PointAltered) as caught:
        verify(folder)
    assert named in str(caught.value)
    assert isinstance(caught.value, Altered)


def test_every_file_that_is_not_as_it_was_is_named(folder: Path) -> None:
    swapped(folder)
    with pytest.raises(PointAltered) as caught:
        verify(folder)
    assert caught.value.findings == (
        "config/hauberk.yml has 10 bytes, and not 12",
        "config/venues/own.yml has 12 bytes, and not 10",
    )


@pytest.mark.parametrize("name", [*CONTENT, "manifest"])
def test_each_flipped_byte_and_each_length_is_noticed(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for at in range(len(whole)):
        flipped(name, at)(folder)
        with pytest.raises(RecoveryError):
            verify(folder)
        (folder / name).write_bytes(whole[:at])
        with pytest.raises(RecoveryError):
            verify(folder)
        (folder / name).write_bytes(whole)
    verify(folder)


@pytest.mark.parametrize("name", CONTENT)
def test_no_file_can_be_put_in_place_of_another(folder: Path, name: str) -> None:
    for other in CONTENT:
        if other != name:
            (folder / other).write_bytes(CONTENT[name])
            with pytest.raises(PointAltered, match=other):
                verify(folder)
            (folder / other).write_bytes(CONTENT[other])


def test_a_file_that_is_changed_after_it_was_verified_is_not_copied_out(folder: Path) -> None:
    point = Point.read(folder)
    point.verify(SIGNER.verifier)
    flipped("state/store.sqlite")(folder)
    with pytest.raises(PointAltered, match=r"state/store.sqlite was changed"):
        point.copy_out(folder.parent / "out", lambda _: None)


def test_who_signed_it_is_known(folder: Path) -> None:
    with pytest.raises(PointForeign, match="and not the one known here"):
        verify(folder, OTHER.verifier)
    verify(folder, None)
    write(folder, OTHER)
    with pytest.raises(PointForeign):
        verify(folder)


def test_a_manifest_of_another_with_this_ones_name_is_forged(folder: Path) -> None:
    """Whoever has no key writes the name and id of who has one."""
    note = (folder / "manifest").read_text()
    changed = note.replace("a test", "forged")
    (folder / "manifest").write_text(changed)
    with pytest.raises(PointAltered, match="its signature does not hold"):
        verify(folder)


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "a/./b", "a\nb", "x" * 256, "a/"]
)
def test_no_name_leads_out_of_a_point(tmp_path: Path, name: str) -> None:
    """Not even one that whoever has the key has signed."""
    assert not is_safe(name)
    write(tmp_path / "point", files=(Entry(name, 0, NONE),))
    with pytest.raises(PointAltered):
        verify(tmp_path / "point")


def test_a_later_format_is_named_as_that(folder: Path) -> None:
    text = manifest().to_text().replace("recovery point 1", "recovery point 2")
    (folder / "manifest").write_text(signed(text, SIGNER))
    with pytest.raises(PointTooRecent, match="use the version of Hauberk that made it"):
        verify(folder)


def test_what_is_not_there_is_no_point(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPoint):
        verify(tmp_path / "none")


@given(
    files=st.dictionaries(
        st.text(min_size=1, max_size=30).filter(is_safe), st.integers(0, 2**70), max_size=5
    ),
    reason=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    checkpoint=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
def test_what_is_written_is_what_is_read(
    files: dict[str, int], reason: str, checkpoint: str
) -> None:
    listed = tuple(Entry(name, size, "ab" * 32) for name, size in sorted(files.items()))
    made = Manifest(
        "20260131T080000Z-0f9a3b77", "2026-01-31T08:00:00Z", reason, "1", "", checkpoint,
        "hauberk.yml", listed, (),
    )  # fmt: skip
    note = signed(made.to_text(), SIGNER)
    assert Manifest.from_text(text_of(note, SIGNER.verifier)) == made


@given(st.text(max_size=60) | st.sampled_from(["hauberk recovery point 1\n{}\n", "\n\n— x AA==\n"]))
def test_anything_else_is_no_manifest(text: str) -> None:
    with pytest.raises(BadManifest):
        Manifest.from_text(text)
    with pytest.raises(NotSigned):
        text_of(text, SIGNER.verifier)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format":1', '"format":2'),
        ('"format":1', '"format": 1'),
        ('"reason":"a test"', '"reason":1'),
        ('"id":"2', '"id":"x'),
        ('"made":"2', '"made":"x'),
        ('"config":"hauberk.yml"', '"config":"../x"'),
        ('"config":"hauberk.yml"', '"config":"a/b"'),
        ('"files":[]', '"files":[["a",1]]'),
        ('"files":[]', '"files":[["a",-1,"' + NONE + '"]]'),
        ('"files":[]', '"files":[["a",1,"x"]]'),
        ('"files":[]', f'"files":[["b",1,"{NONE}"],["a",1,"{NONE}"]]'),
        ('"files":[]', f'"files":[["a",1,"{NONE}"],["a",1,"{NONE}"]]'),
        ('"left_out":[[', '"left_out":[[1],['),
        ("{", "["),
    ],
)
def test_a_manifest_is_read_strictly(old: str, new: str) -> None:
    text = manifest().to_text()
    assert old in text
    with pytest.raises(BadManifest):
        Manifest.from_text(text.replace(old, new, 1))


def test_a_verifiers_key_is_written_as_others_write_it() -> None:
    text = str(SIGNER.verifier)
    assert VerifierKey.parse(text) == SIGNER.verifier
    for wrong in ("", "x", text[:-1], text.replace("+", " ", 1), f"x{text}", text[:-4] + "AAA="):
        with pytest.raises(NoteError, match="key"):
            VerifierKey.parse(wrong)


def test_who_signs_shows_no_secret() -> None:
    assert repr(SIGNER) == f"<signing key {SIGNER.verifier.name}>"
