"""Sessions of two processes over one store, judged by a model that knows the true time.

The model never looks at a record: it knows what was asked and what was answered. The two clocks
that the processes are shown are the machine's; reboots and steps of the wall clock come at random.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from random import Random
from typing import Any

from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from hauberk import Secret
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.auth.session_record import PREFIX, SLACK_NS, SessionLimits
from hauberk_plugins.auth.sessions import SessionManager
from hauberk_plugins.auth.shared import POLL_NS

S = 1_000_000_000
LIMITS = SessionLimits(idle_s=60, absolute_s=300, per_user=2, total=4)
PROCESSES = st.integers(0, 1)
USERS = st.sampled_from(["alice", "bob", "carol"])


@define(eq=False)
class Model:
    """A session as everybody should see it; times are true ones, in nanoseconds."""

    token: Secret
    user: str
    roles: tuple[str, ...]
    made: int
    made_wall: int
    #: Who used it last: a process, of which restarting makes another one.
    used: int
    user_process: object
    ended: int | None = None
    ended_by: object = None
    #: By how much the wall clock was set back since it was made, and whether there was a reboot.
    set_back: int = 0
    is_stepped: bool = False
    is_rebooted: bool = False

    @property
    def doubt(self) -> int:
        """What nobody can know after a reboot: no clock has counted it."""
        return self.set_back + SLACK_NS if self.is_rebooted else 0

    @property
    def name_end(self) -> str:
        return sha256(self.token.reveal()).hexdigest()


class Sessions(RuleBasedStateMachine):
    """Two processes, and what may be done to them."""

    made = Bundle("made")

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.random = Random(7)
        self.boots = 0
        self.now = 0
        self.models: list[Model] = []
        self.processes = [self.process(), self.process()]

    def process(self) -> SessionManager:
        return SessionManager(
            lambda: self.store,
            self.clock.wall_ns,
            self.clock.monotonic_ns,
            self.random.randbytes,
            LIMITS,
            boot=f"boot-{self.boots}",
        )

    def kept(self) -> set[str]:
        return {name.rpartition("/")[2] for name, _ in self.store.scan(PREFIX)}

    def live(self) -> list[Model]:
        return [model for model in self.models if model.ended is None]

    def end(self, models: list[Model], by: object) -> None:
        for model in models:
            if model.ended is None:
                model.ended, model.ended_by = self.now, by

    # Time.

    @rule(ns=st.one_of(st.integers(0, 2 * S), st.integers(0, 70 * S), st.just(60 * S - 1)))
    def passes(self, ns: int) -> None:
        self.clock.advance_ns(ns)
        self.now += ns

    @rule(s=st.one_of(st.integers(-120, 120), st.sampled_from([-3_600, -4, 3_600])))
    def wall_steps(self, s: int) -> None:
        self.clock.step_wall(s)
        for model in self.models:
            model.is_stepped = True
            model.set_back += max(0, -s * S)

    @rule(which=PROCESSES)
    def restarts(self, which: int) -> None:
        self.processes[which] = self.process()

    @rule(down=st.integers(0, 90 * S))
    def reboots(self, down: int) -> None:
        self.clock = FakeClock(wall_ns=self.clock.wall_ns() + down)
        self.now += down
        self.boots += 1
        self.processes = [self.process(), self.process()]
        for model in self.models:
            model.is_rebooted = True

    # Sessions.

    @rule(target=made, which=PROCESSES, user=USERS, roles=st.sampled_from([(), ("admin",)]))
    def begins(self, which: int, user: str, roles: tuple[str, ...]) -> Any:
        process = self.processes[which]
        before = [model for model in self.live() if model.name_end in self.kept()]
        token = process.create(user, roles, "test")
        wall = self.clock.wall_ns()
        model = Model(token, user, roles, self.now, wall, self.now, process)
        gone = [one for one in before if one.name_end not in self.kept()]
        for one in gone:
            # Others give way only if they are over, or if there is no room at all.
            is_full = len(before) >= LIMITS.total
            is_over = self.now - one.used + LIMITS.seen_ns >= LIMITS.idle_ns
            is_old = self.now - one.made >= LIMITS.absolute_ns
            assert one.user == user or is_full or is_over or is_old or one.is_stepped
        self.end(gone, process)
        self.models.append(model)
        return model

    @rule(which=PROCESSES, model=made)
    def is_asked_for(self, which: int, model: Model) -> None:
        process = self.processes[which]
        session = process.validate_session(model.token)
        if session is None:
            self.check_may_be_refused(process, model)
            self.end([model], process)
            return
        assert (session.user, session.roles) == (model.user, model.roles)
        if model.ended is not None:
            assert process is not model.ended_by
            assert self.now - model.ended < POLL_NS
            return
        assert self.now - model.used < LIMITS.idle_ns + model.doubt
        assert self.now - model.made < LIMITS.absolute_ns + model.doubt
        model.used, model.user_process = self.now, process

    def check_may_be_refused(self, process: object, model: Model) -> None:
        if model.ended is not None:
            return
        is_idle = self.now - model.used >= LIMITS.idle_ns
        is_old = self.now - model.made >= LIMITS.absolute_ns
        by_wall = self.clock.wall_ns() - model.made_wall >= LIMITS.absolute_ns
        if is_idle or is_old or by_wall:
            return
        # Whoever used it last knows; others know what was written down, at most so long ago.
        assert process is not model.user_process
        is_late = self.now - model.used + LIMITS.seen_ns >= LIMITS.idle_ns
        assert is_late or model.is_stepped

    @rule(target=made, which=PROCESSES, model=made)
    def gets_another_token(self, which: int, model: Model) -> Any:
        process = self.processes[which]
        token = process.renew(model.token, ("operator",))
        if token is None:
            self.end([model], process)
            return multiple()
        assert model.ended is None
        fresh = Model(
            token, model.user, ("operator",), model.made, model.made_wall, self.now, process,
            set_back=model.set_back, is_stepped=model.is_stepped, is_rebooted=model.is_rebooted,
        )  # fmt: skip
        self.end([model], process)
        self.models.append(fresh)
        return fresh

    @rule(which=PROCESSES, model=made)
    def logs_out(self, which: int, model: Model) -> None:
        process = self.processes[which]
        assert process.end_session(model.token) or model.name_end not in self.kept()
        self.end([model], process)

    @rule(which=PROCESSES, user=USERS)
    def user_changes(self, which: int, user: str) -> None:
        process = self.processes[which]
        process.end(user)
        self.end([model for model in self.models if model.user == user], process)

    @rule(which=PROCESSES)
    def incident(self, which: int) -> None:
        process = self.processes[which]
        process.end_all()
        self.end(self.models, process)
        assert self.kept() == set()

    @rule(which=PROCESSES, model=made)
    def is_revoked(self, which: int, model: Model) -> None:
        process = self.processes[which]
        for one in process.list(model.user):
            if model.name_end.startswith(one.id):
                process.revoke(one.id)
                self.end([model], process)

    # What always holds.

    @invariant()
    def there_are_no_more_than_there_may_be(self) -> None:
        owners = Counter(name.split("/")[2] for name, _ in self.store.scan(PREFIX))
        assert max(owners.values(), default=0) <= LIMITS.per_user
        assert owners.total() <= LIMITS.total
        for process in self.processes:
            assert len(process._table.by_digest) <= LIMITS.total

    @invariant()
    def no_token_is_kept(self) -> None:
        text = "".join(name + record.value.decode() for name, record in self.store.scan())
        assert not any(model.token.reveal_text() in text for model in self.models)

    def teardown(self) -> None:
        """A process that starts at the end lets in nothing that has ended."""
        last = self.process()
        assert not any(
            last.validate_session(model.token) for model in self.models if model.ended is not None
        )


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=4 * settings.default.max_examples, stateful_step_count=60
)
