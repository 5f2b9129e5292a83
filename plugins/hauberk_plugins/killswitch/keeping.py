"""`Keeping`: one state for every process that shares a store or a state folder.

The store has the truth. Its record is never removed, so that its version only rises: a lift is
written over the version that was looked at, and over no other. An incident of this process is this
process's alone until the store has it: a lift that did not see it does not undo it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hauberk.errors import HauberkError, UnsafeFile, safe_text
from hauberk.ports import Store
from hauberk_plugins.killswitch import stored
from hauberk_plugins.killswitch.folder import HALT, Found, StateFolder, reason_of
from hauberk_plugins.killswitch.stored import Stored
from hauberk_plugins.killswitch.switch import NORMAL, BadState, KillSwitch, Level, Source, State

log = logging.getLogger("hauberk")

#: For how long a store may be unreadable before that means halted, where it was read before.
PATIENCE_NS: Final = 2_000_000_000


#: For how long another process is left to store what it reported.
ORPHANED_NS: Final = 1_000_000_000


class Standing(HauberkError):
    """It cannot be lifted: what halts is not the store's to say."""


class Keeping:
    """Brings together a switch, a store and a state folder.

    Args:
        switch: What stops requests in this process.
        store: Gives the store; `None` for none.
        folder: The state folder; `None` for none.
        monotonic_ns: A clock that never steps back, in nanoseconds.
        changed: Called when another level holds, with what held before.
    """

    def __init__(
        self,
        switch: KillSwitch,
        store: Callable[[], Store] | None,
        folder: StateFolder | None,
        monotonic_ns: Callable[[], int],
        changed: Callable[[State], None] = lambda _: None,
    ) -> None:
        self.switch = switch
        self._store = store
        self.folder = folder
        self._monotonic_ns = monotonic_ns
        self._changed = changed
        self._lock = threading.RLock()
        self._looking = threading.RLock()
        self._looks = 0
        self._seen_at = 0
        self._version = 0
        self._takes = 0
        self._read_ns: int | None = None
        self._heard_ns = 0
        self._is_unrelayed = False
        self._torn = ""
        self._told = switch.state
        self.dropped = ""
        #: Why what this process knows is not in the store; empty where it is.
        self.problem = ""

    def rise(self, level: Level, title: str, incident: str) -> bool:
        """Stop at least so much, as an incident of this process demands: it needs no telling.

        Returns:
            Whether it rose.
        """
        with self._lock:
            rose = self.switch.rise(level, title, incident)
            self._told = self.switch.state
        return rose

    def look(self) -> None:
        """Look at the state folder, and whether the store has been silent for too long."""
        if self.folder is not None:
            self._look(self.folder)
        read_ns = self._read_ns
        if read_ns is not None and self._monotonic_ns() - read_ns > PATIENCE_NS:
            self._blind("it could not be read for a while", was_read=True)
        self._tell()

    def begin(self) -> None:
        """Take over what is known at the start; what cannot be read means halted."""
        if self.folder is not None:
            self._look(self.folder)
        self._turn(at_start=True)
        self._tell()

    def turn(self) -> None:
        """Have the store know what this process knows, and the other way round.

        May hang with the store. One thread at a time.
        """
        self._turn(at_start=False)
        self._tell()

    def is_left(self, level: Level) -> bool:
        """Whether as much is stopped outside of this process too: by the store or the folder."""
        if self.folder is not None:
            self._look(self.folder)
        elsewhere = (Source.SHARED, Source.HEARD, Source.DROPPED)
        return any(self.switch.said(one).level >= level for one in elsewhere)

    def seen(self) -> Stored:
        """Return what the store says, to be lifted.

        Raises:
            Standing: The file that halts is there, or the state folder cannot be read.
            StoreError: The store cannot be read, or written where it lacks something.
        """
        self.look()
        self._refuse()
        own = self.switch.said(Source.OWN)
        if self._store is None:
            return Stored(own, 0)
        unstored = own.joined(self.switch.said(Source.HEARD))
        if unstored.level:
            with suppress(BadState):  # what stands there is lifted with it
                found = stored.raise_to(self._store(), unstored)
                self._take(own, found, self._takes)
        found = stored.look(self._store())
        if found.state is None:
            halted = State(Level.HALTED, f"the stored state is unreadable: {found.problem}")
            return Stored(halted, found.version, found.problem)
        if self._torn and not found.state.level:
            return Stored(self.switch.said(Source.FOLDER_BLIND), found.version)
        return found

    def lift(self, seen: Stored, reason: str) -> None:
        """Let go on what a state that was seen stopped, in every process.

        Raises:
            ChangedMeanwhile: Another incident came meanwhile.
            Standing, StoreError: As `seen`.
        """
        self.look()
        self._refuse()
        own = self.switch.said(Source.OWN)
        if self._store is None:
            self.switch.shared(own, NORMAL)
        else:
            lifted = stored.lift(self._store(), seen, reason)
            self._take(own if seen.problem else NORMAL, lifted, self._takes)
            if seen.problem:  # nothing could be stored over what was torn: that is lifted with it
                self._relay(lifted, is_forced=True)
        if self.folder is not None:
            self._look(self.folder)
        self._tell()
        if self.switch.said(Source.HEARD).level and self.folder is not None:
            raise Standing(
                f"lifted in the store, but {self.folder.path} cannot be written, where processes "
                "look first: make room or mend it, then lift again"
            )

    def _refuse(self) -> None:
        if self.dropped and self.folder is not None:
            path = self.folder.path / HALT
            raise Standing(f"{path} is there, and halts by itself: remove it, then lift again")
        blind = self.switch.said(Source.FOLDER_BLIND)
        if blind.level and not self._torn:
            raise Standing(f"{blind}: make it readable, then lift again")

    def _look(self, folder: StateFolder) -> None:
        arrived = self._looks
        with self._looking:  # or what was seen before would be taken over after what came later
            if self._seen_at > arrived:  # by a look that began since: whoever waited shares it
                return
            self._looks += 1
            began = self._looks
            self._take_over(folder, folder.look())
            self._seen_at = began

    def _take_over(self, folder: StateFolder, found: Found) -> None:
        # A lock of its own: an incident must not wait for a disk that hangs.
        with self._lock:
            self.dropped = found.dropped
            why = f"{folder.path / HALT} is there"
            dropped = State(Level.HALTED, why) if found.dropped else NORMAL
            self.switch.say(Source.DROPPED, dropped)
            self._torn = found.torn
            why = f"the state folder {folder.path} is unreadable: {found.problem}"
            blind = State(Level.HALTED, why) if found.problem else NORMAL
            if found.torn:
                blind = State(Level.HALTED, f"the state is unreadable: {found.torn}")
            self.switch.say(Source.FOLDER_BLIND, blind)
            relay = found.relay
            if relay is None or relay.state is None:
                return
            is_heard = not relay.version
            if is_heard and not self.switch.said(Source.HEARD).level:
                self._heard_ns = self._monotonic_ns()
            # Whatever takes its place there knows of it.
            self.switch.say(Source.HEARD, relay.state if is_heard else NORMAL)
            if relay.version > self._version:
                self._version = relay.version
                self._takes += 1
                self.switch.say(Source.SHARED, relay.state)

    def _turn(self, *, at_start: bool) -> None:
        own, takes = self.switch.said(Source.OWN), self._takes
        if self._store is None:
            return
        if own.level:
            self._relay(Stored(own, 0))
        unstored = own.joined(self._orphaned())
        try:
            store = self._store()
            found = stored.raise_to(store, unstored) if unstored.level else stored.look(store)
        except BadState as error:
            found = Stored(None, self._version, str(error))
        except BaseException as error:
            self.problem = safe_text(error) if own.level else ""
            if at_start or self._read_ns is None:
                self._blind(safe_text(error), was_read=False)
            return
        self._take(own, found, takes)

    def _orphaned(self) -> State:
        """What another process has not stored for so long that it may be gone."""
        heard = self.switch.said(Source.HEARD)
        is_old = self._monotonic_ns() - self._heard_ns > ORPHANED_NS
        return heard if heard.level and is_old else NORMAL

    def _take(self, own: State, found: Stored, takes: int) -> None:
        """Take over what the store says, unless something newer came from the folder meanwhile."""
        with self._lock:
            self._read_ns = self._monotonic_ns()
            if found.state is None:
                self.problem = found.problem
                self._blind(found.problem, was_read=False)
                return
            self.problem = ""
            is_older = found.version < self._version
            if is_older and self._takes != takes:
                return
            is_other = found.version != self._version
            shared = self.switch.said(Source.SHARED)
            if is_older and shared.level > found.state.level:
                # The store was put back to what it was: that lifts nothing.
                self.switch.join(shared)
            self._version = found.version
            self._takes += 1
            self.switch.shared(own, found.state)
            self.switch.say(Source.STORE_BLIND, NORMAL)
        if is_other or self._is_unrelayed or self.switch.said(Source.HEARD).level:
            self._relay(found, is_forced=is_older)

    def _relay(self, state: Stored, *, is_forced: bool = False) -> None:
        if self.folder is None:
            return
        try:
            self.folder.relay(state, is_forced=is_forced)
        except (OSError, UnsafeFile) as error:
            if not self._is_unrelayed:  # once: it is tried again four times a second
                log.warning("the kill switch's state is not left in %s: %s", self.folder.path,
                            reason_of(error))  # fmt: skip
            self._is_unrelayed = True
        else:
            self._is_unrelayed = False

    def _blind(self, why: str, *, was_read: bool) -> None:
        what = "the store is silent" if was_read else "the stored state is unreadable"
        self.switch.say(Source.STORE_BLIND, State(Level.HALTED, f"{what}: {why}"))

    def _tell(self) -> None:
        """Tell of another level, once, whichever thread noticed it."""
        with self._lock:
            was, self._told = self._told, self.switch.state
        if self._told.level is not was.level:
            self._changed(was)
