"""Kills writers at random instants and looks at what they leave: `_sweep.py FOLDER KILLS SEED`.

Four writers and one that rotates the key share sealed storage. A writer says in a pipe what it
wrote once `put` has returned, and whoever is killed has its pipe read to the end: all that it
said must be there. Who rotates seals the values of a configuration anew too, and retires old keys.
It has one thread, so that it may fork. Prints what it did.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import select
import signal
import struct
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

from hauberk.sealed import Unreadable
from hauberk.secret import Secret
from hauberk.secureconfig import SecureConfig
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given
from hauberk_plugins.storage.postgres import PostgresStores
from hauberk_plugins.storage.rotation import Rotation
from hauberk_plugins.storage.secure_storage import SecureStorage
from hauberk_plugins.storage.sqlite import SQLiteStores

WRITERS = 4
ROTATOR = WRITERS
#: How many names a writer has for itself.
NAMES = 12
#: How often all is looked at, kills.
EVERY = 10
#: How long a victim lives on after it was chosen, at most, seconds.
SPIN_S = 0.003
#: What a writer says: which of its names, and the number that it wrote there.
SAID = struct.Struct(">II")
#: What who rotates says: that a step is done, or how many keys it has retired.
STEP, RETIRED = 0, 1
#: How much faster the clock of the key ring goes, which counts whole seconds.
FASTER = 1_000
#: How long a key must not have sealed before it is retired, by that clock: next to nothing, since
#: here whoever writes holds up the rotation until that is stored.
UNUSED_S = 20
TOKEN = Secret("c4nary")
RETRIES = 20


class World:
    """What all processes share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ring = folder / "keys"
        ring.mkdir(0o700, exist_ok=True)
        self.encryption = DataEncryption(
            KeyRing(ring, Given(Secret(bytes(32))), wall_ns=lambda: time.monotonic_ns() * FASTER)
        )
        self.values = SecureConfig(folder / "config.yml", self.encryption.scoped("config"))

    def stores(self) -> Any:
        if url := os.environ.get("TEST_URL"):
            return PostgresStores(Secret(url), 30)
        return SQLiteStores(self.folder / "state" / "store.sqlite", 30)

    def storage(self, stores: Any) -> SecureStorage:
        return SecureStorage(stores, self.encryption.scoped("storage"))


def write(world: World, writer: int, first: int, pipe: int) -> None:
    """Write numbers that rise, two of them always together, and say so."""
    store = world.storage(world.stores()).scoped("one")
    chance = random.Random(first * WRITERS + writer)
    for number in itertools.count(first):
        name = chance.randrange(NAMES)
        text = b"%d" % number
        if name < 2:  # names 0 and 1 are written in one transaction
            with store.transaction() as inside:
                inside.put(f"{writer}/0", text)
                inside.put(f"{writer}/1", text)
            name = 0
        else:
            store.put(f"{writer}/{name}", text + bytes(chance.randrange(1_500)))
        os.write(pipe, SAID.pack(name, number))


def rotate(world: World, pipe: int) -> None:
    """Rotate, or go on where whoever was killed had come to."""
    storage = world.storage(world.stores())
    while True:
        rotation = Rotation(storage, world.encryption, [world.values], unused_s=UNUSED_S)
        rotation.begin()
        for _ in rotation.steps():
            os.write(pipe, SAID.pack(STEP, 0))
        os.write(pipe, SAID.pack(RETIRED, rotation.done.keys_retired))


class Child:
    """A process that is to be killed, and what it has said."""

    def __init__(self, world: World, who: int, first: int) -> None:
        self.who = who
        self.pipe, theirs = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            live(world, who, first, theirs)
        os.close(theirs)
        os.set_blocking(self.pipe, False)
        self._rest = b""

    def heard(self) -> list[tuple[int, int]]:
        """Return what it has said since."""
        try:
            self._rest += os.read(self.pipe, 1 << 16)
        except BlockingIOError:
            return []
        whole = len(self._rest) // SAID.size * SAID.size
        said, self._rest = self._rest[:whole], self._rest[whole:]
        return list(SAID.iter_unpack(said))

    def kill(self) -> list[tuple[int, int]]:
        """End it; return the last that it said."""
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        assert os.WIFSIGNALED(status), f"{self.who} ended by itself: {status}"
        said = []
        while select.select([self.pipe], [], [], 0)[0] and (more := self.heard()):
            said += more
        os.close(self.pipe)
        return said


def live(world: World, who: int, first: int, pipe: int) -> NoReturn:
    try:
        rotate(world, pipe) if who == ROTATOR else write(world, who, first, pipe)
    except BaseException as error:
        sys.stderr.write(f"{who}: {type(error).__name__}: {error}\n")
    os._exit(1)


class Sweep:
    """Kills, and compares what stands with what was said."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.said: dict[tuple[int, int], int] = {}
        self.children = {who: Child(world, who, 1) for who in range(WRITERS + 1)}
        self.writes = self.rotated = self.retired = self.kills = 0

    def hear(self, who: int, said: list[tuple[int, int]]) -> None:
        if who == ROTATOR:
            self.rotated += sum(what == STEP for what, _ in said)
            self.retired += sum(count for what, count in said if what == RETIRED)
            return
        self.writes += len(said)
        self.said.update({(who, name): number for name, number in said})

    def kill_one(self) -> None:
        """Have some be written, then kill whoever it strikes, at whatever it does just then."""
        awaited = self.writes + self.chance.randrange(12)
        while self.writes < awaited:
            pipes = {child.pipe: child for child in self.children.values()}
            for pipe in select.select(list(pipes), [], [], 60)[0]:
                self.hear(pipes[pipe].who, pipes[pipe].heard())
        until = time.perf_counter() + self.chance.random() * SPIN_S
        while time.perf_counter() < until:
            pass
        who = self.chance.randrange(WRITERS + 1)
        self.hear(who, self.children[who].kill())
        self.kills += 1
        first = 1 + max([n for (w, _), n in self.said.items() if w == who], default=0)
        self.children[who] = Child(self.world, who, first + 1_000)

    def check(self) -> None:
        """Read everything as a process does that has seen nothing yet."""
        fresh = World(self.world.folder)
        assert self.token(fresh) == TOKEN
        with closing(fresh.stores()) as stores:
            store = fresh.storage(stores).scoped("one")
            heard = dict(self.said)
            found = {name: int(r.value.rstrip(b"\0")) for name, r in store.scan()}
        for (who, name), number in heard.items():
            stands = found.get(f"{who}/{name}", 0)
            assert stands >= number, f"{who}/{name}: {stands} stands, {number} was said"
        for who in range(WRITERS):
            assert found.get(f"{who}/0") == found.get(f"{who}/1"), f"{who}: half a transaction"

    def token(self, world: World) -> object:
        """Read the configured value, again where its key was retired between file and ring.

        A key is out of use for a week before that happens; here, for no longer than a busy machine
        may keep a reader waiting.
        """
        for _ in range(RETRIES):
            try:
                return world.values.get("bot.token")
            except Unreadable:
                continue
        return world.values.get("bot.token")

    def end(self) -> None:
        """Kill all, end the rotation, forget the old keys, and read everything again."""
        for who, child in self.children.items():
            self.hear(who, child.kill())
        self.check()
        with closing(self.world.stores()) as stores:
            storage = self.world.storage(stores)
            for _ in storage.reseal():
                pass
            assert storage.outdated() == 0
        self.world.values.reseal()
        keys = self.world.encryption.retire()
        self.check()
        report = {"kills": self.kills, "writes": self.writes, "sealed": self.rotated}
        sys.stdout.write(json.dumps({**report, "retired": self.retired, "keys": keys}))


def main() -> None:
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    world = World(folder)
    world.encryption.rotate()
    (folder / "config.yml").write_text("bot: {}\n")
    world.values.set("bot.token", TOKEN, sealed=True)
    with closing(world.stores()) as stores:
        world.storage(stores).scoped("one").put("first", b"0")
    sweep = Sweep(world, seed)
    for kill in range(1, kills + 1):
        sweep.kill_one()
        if kill % EVERY == 0:
            sweep.check()
    sweep.end()


if __name__ == "__main__":
    main()
