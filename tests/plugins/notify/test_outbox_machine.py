"""Whatever two processes, a clock and a store do: nothing is lost, nothing is sent again."""

from __future__ import annotations

from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hauberk import Severity, StoreError
from hauberk.records import Incident
from hauberk.testing import MemoryStore
from hauberk_plugins.notify.entry import Retrying
from hauberk_plugins.notify.outbox import Leased, Outbox
from hauberk_plugins.notify.routing import Route
from hauberk_plugins.notify.templates import Message, digest_message
from hauberk_plugins.notify.window import Window

SECOND = 1_000_000_000
ROUTES = {name: Route(name, Severity.LOW, digest_ns=60 * SECOND) for name in ("pager", "mail")}
RETRYING = Retrying(expires_ns=600 * SECOND, longest_ns=120 * SECOND)
names = st.sampled_from(sorted(ROUTES))
workers = st.integers(0, 1)


class Sending(RuleBasedStateMachine):
    """Two processes that share a store; the model is what a person would keep on paper."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.tokens = count(1)
        self.boxes = [self.fresh(), self.fresh()]
        self.now = 1_700_000_000 * SECOND
        self.ours: list[dict[str, Leased]] = [{}, {}]
        #: Until when a lease holds, unless the clock is set.
        self.leases: dict[str, int] = {}
        self.all: set[str] = set()
        self.sent: set[str] = set()
        #: What each process has sent and could not write down.
        self.known_to: list[set[str]] = [set(), set()]
        self.reported = dict.fromkeys(ROUTES, 0)
        self.told = dict.fromkeys(ROUTES, 0)

    def fresh(self) -> Outbox:
        return Outbox(self.store, lambda: f"{next(self.tokens):08x}", lambda: 0.5, RETRYING)

    @rule(at=workers, name=names, severity=st.sampled_from(Severity), title=st.sampled_from("abc"))
    def report(self, at: int, name: str, severity: Severity, title: str) -> None:
        incident = Incident(f"inc-{next(self.tokens)}", title, severity, "monitor", self.now)
        message = Message(title, "body", severity)
        entry = self.boxes[at].admit(ROUTES[name], incident, lambda: message, self.now)
        self.reported[name] += 1
        if entry is not None:
            self.told[name] += 1
            self.all.add(entry.id)

    @rule(at=workers, name=names, fails=st.booleans())
    def report_to_a_store_that_fails(self, at: int, name: str, fails: bool) -> None:
        before = list(self.store.scan())
        self.store.error = StoreError("the disk is full")
        try:
            self.report(at, name, Severity.HIGH, "a")
        except StoreError:
            pass
        else:
            raise AssertionError("it took it")
        finally:
            self.store.error = None
        assert list(self.store.scan()) == before

    @rule(at=workers, name=names)
    def tell_what_was_counted(self, at: int, name: str) -> None:
        counted: list[int] = []

        def make(window: Window) -> Message:
            counted.append(window.count)
            return digest_message(window, "bot", 2_000)

        entry = self.boxes[at].flush(ROUTES[name], make, self.now)
        assert (entry is None) == (not counted)
        if entry is not None:
            self.told[name] += counted[-1]
            self.all.add(entry.id)

    @rule(at=workers, name=names)
    def lease(self, at: int, name: str) -> None:
        found = self.boxes[at].lease(name, self.now)
        if found is None:
            return
        # Only a process that could not write down what it has sent leaves that to be sent again.
        assert found.entry.id not in self.known_to[at]
        assert found.entry.id not in self.sent or found.entry.id in self.known_to[1 - at]
        assert found.entry.id in self.all
        assert self.leases.get(found.entry.id, 0) <= self.now
        self.ours[at][found.entry.id] = found
        self.leases[found.entry.id] = self.now + RETRYING.lease_ns

    @precondition(lambda self: any(self.ours))
    @rule(at=workers)
    def send(self, at: int) -> None:
        if self.ours[at]:
            entry_id, found = self.ours[at].popitem()
            self.boxes[at].sent(found)
            self.sent.add(entry_id)
            for known in self.known_to:
                known.discard(entry_id)

    @precondition(lambda self: any(self.ours))
    @rule(at=workers)
    def send_while_the_store_fails(self, at: int) -> None:
        if not self.ours[at]:
            return
        entry_id, found = self.ours[at].popitem()
        self.store.error = StoreError("the disk is full")
        self.boxes[at].sent(found)
        self.store.error = None
        self.sent.add(entry_id)
        self.known_to[at].add(entry_id)

    @precondition(lambda self: any(self.ours))
    @rule(at=workers)
    def fail(self, at: int) -> None:
        if not self.ours[at]:
            return
        entry_id, found = self.ours[at].popitem()
        had_it = self.leases.get(entry_id) == found.entry.leased_ns
        dead = self.boxes[at].failed(found, "refused", self.now)
        if dead is not None:
            assert self.now >= dead.expires_ns
            assert dead.attempts > 0
        if had_it:
            self.leases.pop(entry_id)

    @rule(at=workers)
    def kill(self, at: int) -> None:
        self.boxes[at] = self.fresh()
        self.ours[at] = {}
        # What is still there nobody knows to be sent any more: it is sent again.
        box = self.boxes[at]
        self.sent -= self.known_to[at] & {
            one.id for one in [*box.entries(), *box.entries(dead=True)]
        }
        self.known_to[at] = set()

    @rule(seconds=st.sampled_from([0.001, 1, 5, 59, 60, 61, 120, 700]))
    def wait(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)

    @rule(seconds=st.sampled_from([-86_400, -3_600, -1, 3_600]))
    def set_the_clock(self, seconds: int) -> None:
        self.now += seconds * SECOND
        self.leases.clear()  # a lease is of a clock that nobody sets

    @rule(at=workers, which=st.randoms(use_true_random=False))
    def retry_what_is_dead(self, at: int, which: object) -> None:
        for entry in self.boxes[at].entries(dead=True)[:1]:
            self.boxes[at].retry(entry.id, self.now)

    @invariant()
    def nothing_is_lost(self) -> None:
        box = self.boxes[0]
        waiting = [one.id for one in box.entries()]
        dead = [one.id for one in box.entries(dead=True)]
        kept = waiting + dead
        assert len(kept) == len(set(kept))
        assert self.all - self.sent <= set(kept)
        for name, route in ROUTES.items():
            assert self.told[name] + box.held(route) == self.reported[name]

    def teardown(self) -> None:
        """Once servers work again, everything is sent."""
        self.kill(0)
        for _ in range(12):
            self.now += 120 * SECOND
            for name in ROUTES:
                self.tell_what_was_counted(0, name)
                while (found := self.boxes[0].lease(name, self.now)) is not None:
                    self.boxes[0].sent(found)
        assert self.boxes[0].entries() == []
        assert all(self.boxes[0].held(route) == 0 for route in ROUTES.values())


TestSending = Sending.TestCase
