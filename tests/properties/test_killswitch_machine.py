"""Halts and lifts over processes that share a store and a folder, each of which may fail.

Whatever happens in whatever order: nothing that was reported stops being stopped until somebody
who saw it lifts it; and once everything works again, everybody agrees, and a lift lifts.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hauberk.errors import StoreError
from hauberk.ports import Record
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.killswitch.folder import HALT, StateFolder
from hauberk_plugins.killswitch.keeping import PATIENCE_NS, Keeping, Standing
from hauberk_plugins.killswitch.stored import ChangedMeanwhile, Stored
from hauberk_plugins.killswitch.switch import KillSwitch, Level, Source

PROCESSES = 3


class Disk(StateFolder):
    """A folder that may refuse to be written."""

    is_full = False

    def relay(self, stored: Stored, *, is_forced: bool = False) -> None:
        if Disk.is_full:
            raise OSError(28, "No space left on device")
        super().relay(stored, is_forced=is_forced)


class Interleaved(MemoryStore):
    """A store during whose next answer something else happens."""

    meanwhile: Callable[[], None] | None = None

    def get(self, name: str) -> Record | None:
        found = super().get(name)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return found


@define(eq=False)
class Process:
    """A process: what it stops, and the incidents that were reported in it since its start."""

    keeping: Keeping
    clock: FakeClock
    reported: dict[str, Level]


class KillSwitches(RuleBasedStateMachine):
    """The processes, and what each of them has to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = Interleaved()
        Disk.is_full = False
        #: What is known to a store or a folder, or only to the process that it was reported in.
        self.durable: dict[str, Level] = {}
        self.is_dropped = False
        self.count = 0
        self.seen: tuple[Process, Stored] | None = None
        self.processes = [self.started() for _ in range(PROCESSES)]

    def started(self) -> Process:
        clock = FakeClock()
        folder = Disk(self.root)
        keeping = Keeping(KillSwitch(), lambda: self.store, folder, clock.monotonic_ns)
        keeping.begin()
        return Process(keeping, clock, {})

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @property
    def works(self) -> bool:
        return self.store.error is None

    # What happens.

    @rule(which=st.integers(0, PROCESSES - 1), level=st.sampled_from(list(Level)[1:]))
    def report(self, which: int, level: Level) -> None:
        self.count += 1
        name = f"i-{self.count}"
        process = self.processes[which]
        process.keeping.switch.rise(level, name, name)
        process.reported[name] = level
        self.turn(which)

    @rule(which=st.integers(0, PROCESSES - 1), level=st.sampled_from(list(Level)[1:]))
    def report_while_the_store_answers(self, which: int, level: Level) -> None:
        """In the same process."""
        process = self.processes[which]
        before = dict(process.reported)

        def meanwhile() -> None:
            self.count += 1
            name = f"i-{self.count}"
            process.keeping.switch.rise(level, name, name)
            process.reported[name] = level

        self.store.meanwhile = meanwhile
        process.keeping.turn()
        self.store.meanwhile = None
        if self.works:
            self.durable |= before
            for name in before:
                del process.reported[name]

    @rule(
        which=st.integers(0, PROCESSES - 1),
        other=st.integers(0, PROCESSES - 1),
        level=st.sampled_from(list(Level)[1:]),
    )
    def another_reports_while_the_store_answers(self, which: int, other: int, level: Level) -> None:
        """And its halt comes by the folder before the answer does."""
        if which == other:
            return

        def meanwhile() -> None:
            self.report(other, level)
            self.processes[which].keeping.look()

        self.store.meanwhile = meanwhile
        self.processes[which].keeping.turn()
        self.store.meanwhile = None
        if self.works and not Disk.is_full:
            assert self.processes[which].keeping.switch.level >= level

    @rule(which=st.integers(0, PROCESSES - 1))
    def turn(self, which: int) -> None:
        process = self.processes[which]
        process.keeping.turn()
        if self.works or not Disk.is_full:
            self.durable |= process.reported
        if self.works:
            process.reported.clear()

    @rule(which=st.integers(0, PROCESSES - 1), silent=st.booleans())
    def look(self, which: int, silent: bool) -> None:
        process = self.processes[which]
        if silent:
            process.clock.advance_ns(PATIENCE_NS + 1)
        process.keeping.look()

    @rule(which=st.integers(0, PROCESSES - 1))
    def restart(self, which: int) -> None:
        if self.seen is not None and self.seen[0] is self.processes[which]:
            self.seen = None
        self.processes[which] = self.started()

    @rule()
    def drop(self) -> None:
        (self.root / HALT).touch()
        self.is_dropped = True

    @rule()
    def remove(self) -> None:
        (self.root / HALT).unlink(missing_ok=True)
        self.is_dropped = False

    @rule(fails=st.sampled_from([False, False, True]))
    def store_fails(self, fails: bool) -> None:
        self.store.error = StoreError("down") if fails else None

    @rule(fails=st.sampled_from([False, False, True]))
    def disk_fails(self, fails: bool) -> None:
        Disk.is_full = fails

    @rule(which=st.integers(0, PROCESSES - 1))
    def look_what_to_lift(self, which: int) -> None:
        process = self.processes[which]
        try:
            seen = process.keeping.seen()
        except (StoreError, Standing):
            assert self.is_dropped or not self.works
            return
        process.reported.clear()
        self.seen = process, seen

    @rule(
        which=st.integers(0, PROCESSES - 1),
        other=st.integers(0, PROCESSES - 1),
        level=st.sampled_from(list(Level)[1:]),
    )
    def report_while_somebody_lifts(self, which: int, other: int, level: Level) -> None:
        self.look_what_to_lift(which)
        self.report(other, level)
        if self.seen is not None:
            self.lift()

    @precondition(lambda self: self.seen is not None)
    @rule()
    def lift(self) -> None:
        assert self.seen is not None
        process, seen = self.seen
        self.seen = None
        try:
            process.keeping.lift(seen, "mended")
        except (StoreError, Standing, ChangedMeanwhile):
            return
        assert seen.state is not None
        for name in seen.state.incidents:
            self.durable.pop(name, None)

    # What must hold.

    @invariant()
    def nobody_forgets_what_was_reported_in_it(self) -> None:
        for process in self.processes:
            level = max(process.reported.values(), default=Level.NORMAL)
            assert process.keeping.switch.level >= level

    @invariant()
    def whoever_starts_stops_what_is_known(self) -> None:
        """Also with a store or a disk that fails."""
        switch = self.started().keeping.switch
        assert switch.level >= max(self.durable.values(), default=Level.NORMAL)
        assert switch.level is Level.HALTED or (self.works and not self.is_dropped)

    @rule(which=st.integers(0, PROCESSES - 1))
    def whoever_turns_and_looks_stops_what_is_known(self, which: int) -> None:
        self.turn(which)
        switch = self.processes[which].keeping.switch
        self.processes[which].keeping.look()
        if self.works:
            assert switch.level >= max(self.durable.values(), default=Level.NORMAL)
        assert switch.level is Level.HALTED or not self.is_dropped

    @precondition(lambda self: not self.is_dropped)
    @rule()
    def when_all_works_everybody_agrees_and_a_lift_lifts(self) -> None:
        self.store.error, Disk.is_full, self.seen = None, False, None
        for _ in range(2):
            for which, process in enumerate(self.processes):
                self.turn(which)
                process.keeping.look()
        switches = [process.keeping.switch for process in self.processes]
        assert len({switch.said(Source.SHARED).level for switch in switches}) == 1
        assert len({switch.level for switch in switches}) == 1
        operator = self.started()
        operator.keeping.lift(operator.keeping.seen(), "mended")
        self.durable.clear()
        for process in self.processes:
            process.keeping.look()
            process.keeping.turn()
            assert process.keeping.switch.level is Level.NORMAL
        assert self.started().keeping.switch.level is Level.NORMAL


TestKillSwitches = KillSwitches.TestCase
TestKillSwitches.settings = settings(max_examples=2 * settings.default.max_examples)
