"""The whole demo with marked keys: in nothing that it prints, logs, raises, or leaves anywhere."""

from __future__ import annotations

import pytest
from attrs import evolve
from canary_disk import lay_out
from canary_marks import Marks
from canary_watch import told
from canary_world import World

from hauberk.cli import demo, demo_operator, demo_stage
from hauberk.errors import HauberkError
from hauberk.guard import Guard

#: Nothing to be paced: what is said and done is the same.
SHORT = evolve(demo.SCALE, loop=1, burst=2, weight=50, weight_s=1, orders=20, orders_s=1)


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    root = tmp_path / "world"
    root.mkdir(0o700)
    world = World(root, Marks())
    lay_out(world.root, world.marks)
    world.enter(monkeypatch)
    mark, awkward = world.marks.mark, world.marks.awkward
    for account in demo_stage.KEYS:
        pair = mark(f"demo {account} key"), awkward(f"demo {account} secret").removesuffix("ü")
        monkeypatch.setitem(demo_stage.KEYS, account, pair)
    monkeypatch.setattr(demo_operator, "_PASSWORD", mark("password of the operator"))
    monkeypatch.setattr(demo, "SCALE", SHORT)
    return world


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_the_whole_demo(world, monkeypatch, more):
    denials: list[str] = []
    clear = Guard.clear

    def watched(guard, *args, **options):
        try:
            return clear(guard, *args, **options)
        except Exception as error:
            denials.extend(told(error))
            raise

    monkeypatch.setattr(Guard, "clear", watched)
    ran = world.run("demo", *more)
    assert ran.leaks == ()
    assert "exchange" in ran.out
    assert len(denials) > 100
    assert [
        world.marks.around(text, name) for text in denials for name in world.marks.found(text)
    ] == []
    assert not [*(world.root / "tmp").iterdir()]


def test_its_folder_is_looked_at_before_it_is_gone(world, monkeypatch):
    """Whatever the demo leaves in its folder is among what is looked through."""
    write = demo_stage._write

    def careless(folder, *args):
        (folder / "notes.txt").write_text(demo_stage.KEYS["main"][1])
        write(folder, *args)
        raise HauberkError("that is enough")

    monkeypatch.setattr(demo_stage, "_write", careless)
    leaks = world.run("demo", "--json").leaks
    assert any("main secret in the file" in leak and "notes.txt" in leak for leak in leaks)
