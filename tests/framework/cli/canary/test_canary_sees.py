"""The canary itself: whatever way a secret gets out, it is seen."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest
from attrs import field, frozen
from canary_disk import lay_out
from canary_marks import Marks
from canary_world import World
from hypothesis import example, given
from hypothesis import strategies as st

from hauberk.cli import commands
from hauberk.cli.answer import Answer

WAYS = {
    "plain": lambda raw: raw,
    "hex": lambda raw: raw.hex().encode(),
    "upper hex": lambda raw: raw.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "base32": base64.b32encode,
    "url": lambda raw: quote(raw, safe="").encode(),
    "form": lambda raw: quote_plus(raw).encode(),
    "repr": lambda raw: repr(raw).encode(),
    "text": lambda raw: raw.decode("utf-8", "replace").encode(),
    "json": lambda raw: json.dumps(raw.decode("utf-8", "replace")).encode(),
    "python text": lambda raw: ascii(raw.decode("utf-8", "replace")).encode(),
}


@pytest.mark.parametrize("way", WAYS)
@given(before=st.binary(max_size=5), after=st.binary(max_size=5), is_key=st.booleans())
@example(b"", b"", False)
def test_every_form_is_found_wherever_it_stands(way, before, after, is_key):
    marks = Marks()
    if is_key and way in ("text", "json", "python text"):
        return  # which 32 random bytes do not survive
    raw = marks.key("x") if is_key else marks.awkward("x").encode()
    if way.startswith(("base", "hex")):
        written = WAYS[way]((before if "32" not in way else b"") + raw + after)
    else:
        written = before + WAYS[way](raw) + after
    assert marks.found(b"..." + written + b"...") == {"x"}
    assert not marks.found(b"..." + before + after + b"...")


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    root = tmp_path / "world"
    root.mkdir(0o700)
    world = World(root, Marks())
    lay_out(world.root, world.marks)
    world.enter(monkeypatch)
    return world


@frozen
class Innocent:
    """Its repr shows nothing; rich looks into it."""

    held: str = field()

    def __repr__(self) -> str:
        return "Innocent()"


def prints(secret, _world):
    print(secret)  # noqa: T201


def writes_stderr(secret, _world):
    sys.stderr.write(secret)


def logs(secret, _world):
    logging.getLogger("some.library").debug("trying %s", {"token": secret})


def logs_an_error(secret, _world):
    try:
        raise ValueError
    except ValueError:
        logging.getLogger("some.library").exception("it failed")


def raises(secret, _world):
    raise KeyError(secret)


def holds(secret, _world):
    raise RuntimeError


def holds_within(secret, _world):
    held = Innocent(secret)
    del secret
    raise RuntimeError(repr(held))


def raises_in_place_of_another(secret, _world):
    try:
        raise ValueError(secret)
    except ValueError:
        del secret
        raise RuntimeError from None


def leaves_a_file(secret, world):
    (world.root / "bot" / "left").write_text(secret)


def leaves_a_temporary_file(secret, world):
    (world.root / "tmp" / "left").write_text(secret)


def moves_a_file(secret, world):
    path = world.root / "bot" / "moved"
    path.write_text(secret)
    path.rename(world.root / "bot" / ".env")


def writes_and_removes(secret, world):
    path = world.root / "tmp" / "gone"
    path.write_text(secret)
    path.unlink()


def names_what_had_no_name(secret, world):
    folder = os.open(world.root / "bot", os.O_DIRECTORY)
    nameless = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o600, dir_fd=folder)
    os.write(nameless, secret.encode())
    os.link(f"/proc/self/fd/{nameless}", "came", dst_dir_fd=folder, follow_symlinks=True)
    (world.root / "bot" / "came").write_text("")
    os.close(nameless)
    os.close(folder)


def writes_elsewhere(_secret, world):
    (world.root.parent / "elsewhere").write_text("nothing")


def tells_a_child(secret, _world):
    subprocess.run(["true", secret], check=True)


def gives_a_child(secret, _world):
    subprocess.run(["true"], check=True, env={"TOKEN": secret})


@pytest.mark.parametrize(
    "leak",
    [prints, writes_stderr, logs, logs_an_error, raises, holds, holds_within,
     raises_in_place_of_another, leaves_a_file, leaves_a_temporary_file, moves_a_file,
     names_what_had_no_name, writes_and_removes, writes_elsewhere, tells_a_child,
     gives_a_child],
)  # fmt: skip
def test_every_way_out_is_watched(world, monkeypatch, leak):
    secret = world.marks.awkward("leaked")
    world.plain.add(world.root / "bot" / ".env")
    # Not a frame of these tests, which are left out.
    code = leak.__code__.replace(co_filename="elsewhere.py")
    leak.__code__ = code

    def run(line):
        leak(secret, world)
        return Answer({})

    monkeypatch.setattr(commands, "run", run)
    ran = world.run("doctor")
    assert [*ran.leaks, *world.look()]
    assert not world.marks.found(ran.text) or leak in (prints, writes_stderr)


def test_what_is_well_kept_is_not_seen(world, monkeypatch):
    monkeypatch.setattr(commands, "run", lambda line: Answer({}, "nothing"))
    ran = world.run("doctor")
    assert (ran.status, ran.leaks, world.look()) == (0, (), ())
