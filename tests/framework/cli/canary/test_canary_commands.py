"""No command shows a secret, whatever it is given and however it fails.

Each runs with a mark in every secret there is. All that it prints, logs, raises, starts and writes
is looked through for the marks, in every form.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
from canary_conditions import CONDITIONS, FAULTS, MISPLACED, PASSPHRASES, Condition, nothing
from canary_disk import lay_out, restore
from canary_marks import Marks
from canary_scenes import ASTRAY, MISUSES, SCENES, TAKE_MORE, Scene
from canary_world import Ran, Typed, World

from hauberk.builtins import BUILTINS
from hauberk.cli.commands import COMMANDS
from hauberk.cli.contributed import contributed
from hauberk.opening import load
from hauberk_plugins.encryption.scrypt import Scrypt

FULL = os.environ.get("HAUBERK_SWEEP") == "full"
#: A passphrase costs each command half a second: in a quick run, one of each kind.
SLOW = list(SCENES) if FULL else ["vault get", "config get", "login", "vault rewrap"]
ASKING = [name for name, scenes in SCENES.items() if scenes[0].types]
#: What is typed depends on what was shown on the screen.
SHOWING = "user second-factor"


class Stage:
    """A world, and a copy of it to begin each scene with."""

    def __init__(self, world: World, spare: Path) -> None:
        self.world = world
        self._spare = spare
        self._names = set(world.marks.values)

    def play(
        self,
        scene: Scene,
        *more: str,
        condition: Condition = nothing,
        types: list[Typed] | None = None,
        is_piped: bool = False,
        raises: bool = True,
    ) -> Ran:
        """Play a scene under a condition, in a world as it was on the first day.

        Args:
            scene: Which.
            more: Words to be added.
            condition: What is wrong.
            types: What is typed instead.
            is_piped: Whether what is typed comes in on stdin, a line each.
            raises: Whether to look into the exception that ends it.
        """
        world = self.world
        restore(world.root, self._spare)
        world.marks.only(self._names)
        world.plain.clear()
        for line in scene.before:
            assert not world.run(*self.split(line)).status
        types = [self.typed(answer) for answer in scene.types] if types is None else types
        piped = "".join(f"{line}\n" for line in dict.fromkeys(map(str, types))).encode()
        with condition(world):
            ran = world.run(*self.split(scene.words), *more, types=() if is_piped else types,
                            piped=piped if is_piped else None, shows=scene.shows,
                            is_seen=scene.is_seen, raises=raises)  # fmt: skip
        return attrs.evolve(ran, leaks=(*ran.leaks, *world.look()))

    def split(self, words: str) -> list[str]:
        root = str(self.world.root)
        return [word.replace("ROOT", root).replace("\0", " ") for word in words.split(" ")]

    def typed(self, answer: Any) -> Typed:
        made: Typed = answer(self.world) if callable(answer) else answer
        if isinstance(made, str):
            self.world.marks.add(f"typed {made[:6]}", made)
        return made


@pytest.fixture(scope="module")
def founded(tmp_path_factory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("canary")
    (folder / "world").mkdir(0o700)
    world = World(folder / "world", Marks())
    with pytest.MonkeyPatch.context() as patch:
        lay_out(world.root, world.marks)
        world.enter(patch)
        world.live()
        world.marks.add("astray", ASTRAY)
        shutil.copytree(world.root, folder / "spare")
    yield Stage(world, folder / "spare")
    sys.modules.pop("canary_alerts", None)


@pytest.fixture
def stage(founded) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        founded.world.enter(patch)
        # An eighth of its cost: it is the same code that fails.
        patch.setattr("hauberk_plugins.encryption.unlocking.Scrypt", partial(Scrypt, n=2**14))
        yield founded


def some(things: Mapping[str, Condition], command: str, parts: int) -> list[tuple[str, Condition]]:
    """A part of them, another for the next command; in a full run, all."""
    number = list(SCENES).index(command)
    return list(things.items())[0 if FULL else number % parts :: 1 if FULL else parts]


def test_every_command_is_tried(stage):
    """A command that is added needs a scene; a built-in, a place in the world's configuration."""
    config = stage.world.config
    assert set(BUILTINS) <= {planned.name for planned in load(config).planned}
    contributions = {one.command.name for one in contributed(config, COMMANDS)}
    assert set(SCENES) == {*COMMANDS, *contributions}
    failing = {name for name, scenes in SCENES.items() if scenes[0].status}
    # One has a test of its own; two need a server: tests/plugins/storage/test_copying.py,
    # tests/plugins/notify/test_notify_commands.py; two the name of an incident, which is random:
    # tests/plugins/killswitch/test_incident_commands.py.
    assert failing == {
        *("demo", "storage copy", "notify test"),
        *("incident show", "incident resolve"),
    }


@pytest.mark.parametrize("command", SCENES)
def test_done(stage, command):
    for number, scene in enumerate(SCENES[command]):
        formats = ((), ("--json",)) if FULL or number == 0 else ((), ("--json",))[number % 2 :][:1]
        for more in formats:
            ran = stage.play(scene, *more)
            assert (scene.words, more, ran.leaks) == (scene.words, more, ())
            assert ran.status == scene.status, (scene.words, ran.err)


@pytest.mark.parametrize("command", SCENES)
def test_misused(stage, command):
    for more in (*MISUSES[: 1 if command in TAKE_MORE else 2], "--help"):
        ran = stage.play(SCENES[command][0], more)
        assert (more, ran.leaks) == (more, ())
        assert ran.status == (0 if more == "--help" else 2)


@pytest.mark.parametrize("words", [f"--json={ASTRAY}", f"--{ASTRAY}", ASTRAY])
def test_misused_before_there_is_a_command(stage, words):
    ran = stage.play(Scene(f"{words} doctor", status=2), raises=False)
    assert ran.leaks == ()


@pytest.mark.parametrize("command", [name for name in ASKING if name != SHOWING])
def test_piped(stage, command):
    for scene in SCENES[command]:
        ran = stage.play(scene, is_piped=True)
        assert (scene.words, ran.leaks) == (scene.words, ())
        assert ran.status in (0, scene.status)


@pytest.mark.parametrize("command", ASKING)
@pytest.mark.parametrize("key", [KeyboardInterrupt, EOFError])
def test_stopped_at_a_prompt(stage, command, key):
    scene = SCENES[command][0]
    for number in range(len(scene.types)):
        types = [stage.typed(answer) for answer in scene.types]
        types[number] = key()
        ran = stage.play(scene, types=types)
        assert (number, ran.leaks) == (number, ())
        assert ran.status == (130 if key is KeyboardInterrupt else 2)


@pytest.mark.parametrize("command", SCENES)
def test_whatever_is_wrong(stage, command):
    for number, (name, condition) in enumerate(some(CONDITIONS, command, 4)):
        for scene in SCENES[command] if FULL else SCENES[command][:1]:
            ran = stage.play(scene, *["--json"][number % 2 :], condition=condition)
            assert (scene.words, name, ran.leaks) == (scene.words, name, ())
            assert ran.status in (0, 1, 2, 3)


@pytest.mark.parametrize("command", SCENES)
def test_a_secret_in_clear_in_the_configuration(stage, command):
    for name, condition in some(MISPLACED, command, 4):
        ran = stage.play(SCENES[command][0], condition=condition, raises=False)
        assert (name, ran.leaks) == (name, ())
        assert ran.status in (0, 1, 2)


@pytest.mark.parametrize("command", SLOW)
def test_under_a_passphrase(stage, command):
    for name, condition in PASSPHRASES.items():
        ran = stage.play(SCENES[command][0], condition=condition)
        assert (name, ran.leaks) == (name, ())
        if command in ("vault get", "login"):
            assert bool(ran.status) == (name == "wrong passphrase")


@pytest.mark.parametrize("command", SCENES)
def test_wherever_it_fails(stage, command):
    for name, condition in some(FAULTS, command, 7):
        ran = stage.play(SCENES[command][0], condition=condition)
        assert (name, ran.leaks) == (name, ())
        assert ran.status in (0, 1, 2, 3, 130)
