"""The whole demo with marked keys: in nothing that it prints, logs, raises, or leaves anywhere."""

from __future__ import annotations

import pytest
from attrs import evolve
from canary_disk import lay_out
from canary_marks import Marks
from canary_watch import told
from canary_world import World

from hauberk.cli import demo
from hauberk.guard import Guard

#: Nothing to be paced: what is said and done is the same.
SHORT = evolve(demo.SCALE, loop=1, burst=2)


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    root = tmp_path / "world"
    root.mkdir(0o700)
    world = World(root, Marks())
    lay_out(world.root, world.marks)
    world.enter(monkeypatch)
    for what, make in (("_KEY", world.marks.mark), ("_SECRET", world.marks.awkward)):
        monkeypatch.setattr(demo, what, make(f"demo {what}").removesuffix("ü"))
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
    """The log of the demo is among what is looked through."""
    configure = demo._configure

    def careless(folder, url, scale):
        (folder / "notes.txt").write_text(demo._SECRET)
        return configure(folder, url, scale)

    monkeypatch.setattr(demo, "_configure", careless)
    leaks = world.run("demo", "--json").leaks
    assert any("_SECRET in the file" in leak and "notes.txt" in leak for leak in leaks)
