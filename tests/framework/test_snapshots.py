"""Snapshots (DESIGN 2, rule 8): registration and reload swap everything at once, or nothing."""

import contextlib
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from hauberk import process
from hauberk.accounts import Account
from hauberk.context import Context
from hauberk.drivers import Drivers
from hauberk.errors import (
    Denied,
    HauberkError,
    MisuseError,
    NotGranted,
    PluginRefused,
    StartFailed,
)
from hauberk.frames import Frame
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.kernel import Kernel
from hauberk.plan import Plan, Planned
from hauberk.protocol import Ask, Begin, clearing
from hauberk.records import Event, Incident, Severity
from hauberk.request import Operation, Request
from hauberk.settings import Mode
from hauberk.snapshot import Snapshot
from hauberk.testing import DEFAULT_URL, FakeClock, make_guard, make_plan
from hauberk.verdicts import Deny

ORDER = Request("POST", DEFAULT_URL)
PATIENCE_S = 30


class Workshop:
    """Makes plugins and plans of them, and remembers the order of everything."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.made: list[Any] = []
        self.base = make_plan()

    def plan(
        self,
        *names: str,
        configs: Mapping[str, Any] | None = None,
        cls: Callable[..., Any] | None = None,
        order: Sequence[str] | None = None,
        **changes: Any,
    ) -> Plan:
        """Plan one `Member` a name, in this order, each with its configuration."""
        changes = {"grants": {}, "required": (), **changes}
        planned = [
            Planned(
                name, cls or self.member, (configs or {}).get(name, name),
                frozenset(changes["grants"].get(name, ())), name in changes["required"], "test",
            )
            for name in names
        ]  # fmt: skip
        order = order or ["killswitch", *names, "bots", "signing"]
        return Plan(
            changes.get("settings", self.base.settings), order, [*self.base.planned, *planned],
            reserved=self.base.reserved | {*names},
        )  # fmt: skip

    def member(self, config: Any) -> "Member":
        self.log.append(f"make {config}")
        if config == "cannot be made":
            raise ValueError("cannot be made")
        self.made.append(Member(self, config))
        return self.made[-1]

    def guard(self, *plans: Plan, **options: Any) -> Guard:
        """A guard of the first plan; each reload takes the next."""
        rest = iter(plans[1:])
        return Guard(plans[0], clock=FakeClock(), replan=lambda: next(rest), **options)


class Member(Plugin):
    """Says when it starts, judges and stops."""

    def __init__(self, workshop: Workshop, config: Any) -> None:
        self.workshop, self.config, self.state = workshop, config, 0
        self.predecessor: object = None

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context
        self.workshop.log.append(f"start {self.config}")
        if self.config == "cannot start":
            raise OSError("cannot start")
        self.predecessor = context.predecessor
        if isinstance(context.predecessor, Member):
            self.state = context.predecessor.state

    @hookimpl
    def on_stop(self) -> None:
        self.workshop.log.append(f"stop {self.config}")

    @hookimpl
    def on_request(self, request: Request) -> None:
        self.state += 1
        self.workshop.log.append(f"ask {self.config}")


class Refuses(Plugin):
    """A bot's hook."""

    def __init__(self, answer: Any = None) -> None:
        self.answer, self.asked = answer or Deny("not on my watch"), 0

    @hookimpl
    def on_request(self, request: Request) -> Any:
        self.asked += 1
        return self.answer


# Reload.


def test_a_reload_keeps_the_instance_and_the_state_of_what_did_not_change() -> None:
    work = Workshop()
    with work.guard(work.plan("a", "b"), work.plan("a", "b", configs={"b": "other"})) as guard:
        guard.clear(ORDER)
        before = guard.snapshot.part("a")
        guard.reload()
        assert guard.snapshot.part("a") is before
        assert [member.config for member in work.made] == ["a", "b", "other"]
        assert work.made[0].state == 1
        assert guard.snapshot.hooks("a")["on_request"].calls == 1, "counts survive too"
    assert work.log.count("start a") == work.log.count("stop a") == 1


def test_a_successor_is_handed_its_predecessor_so_that_halts_and_budgets_survive() -> None:
    work = Workshop()
    with work.guard(work.plan("a"), work.plan("a", configs={"a": "other"})) as guard:
        for _ in range(3):
            guard.clear(ORDER)
        assert work.made[0].predecessor is None
        guard.reload()
        assert work.made[1].predecessor is work.made[0]
        assert work.made[1].state == 3
        assert work.made[1].context.predecessor is None, "it is not kept for ever"


def test_a_halt_survives_a_reload() -> None:
    with make_guard() as guard:
        guard.report("leak", Severity.CRITICAL)
        guard.reload()
        with pytest.raises(Denied, match="halted"):
            guard.clear(ORDER)


def test_the_successor_stands_before_the_predecessor_is_stopped() -> None:
    work = Workshop()
    with work.guard(work.plan("a"), work.plan("a", configs={"a": "other"})) as guard:
        standing: list[object] = []
        stop = work.made[0].workshop.log.append

        def noted(line: str) -> None:
            if line == "stop a":
                standing.append(guard.snapshot.part("a").plugin)  # type: ignore[union-attr]
            stop(line)

        work.made[0].workshop = type("Log", (), {"log": type("L", (), {"append": noted})})
        guard.reload()
    assert standing == [work.made[1]]
    assert work.log[:4] == ["make a", "start a", "make other", "start other"]


def test_what_a_reload_takes_out_is_stopped_last_first() -> None:
    work = Workshop()
    with work.guard(work.plan("a", "b", "c", "d"), work.plan("c")) as guard:
        work.log.clear()
        guard.reload()
        assert work.log == ["stop d", "stop b", "stop a"]
        work.log.clear()
        guard.clear(ORDER)
        assert work.log == ["ask c"]


def test_closing_stops_everything_last_first_and_once() -> None:
    work = Workshop()
    guard = work.guard(work.plan("a", "b", "c"))
    work.log.clear()
    guard.close()
    guard.close()
    assert work.log == ["stop c", "stop b", "stop a"]


def test_a_plugin_that_fails_to_stop_keeps_no_other_from_it() -> None:
    class Stuck(Member):
        @hookimpl
        def on_stop(self) -> None:
            raise SystemExit("stuck")

    work = Workshop()
    guard = work.guard(work.plan("a", "b", cls=lambda config: {"a": Member, "b": Stuck}[config](
        work, config
    )))  # fmt: skip
    work.log.clear()
    guard.close()
    assert work.log == ["stop a"]


def test_hooks_of_bots_survive_a_reload_and_stand_where_the_list_says() -> None:
    work, bot = Workshop(), Refuses()
    plans = (
        work.plan("a", "b"),
        work.plan("a", "b", order=["killswitch", "bots", "b", "a", "signing"]),
    )
    with work.guard(*plans) as guard:
        guard.register(bot)
        names = [impl.name for impl in guard.snapshot.guards]
        assert names == ["killswitch", "a", "b", "refuses"]
        part = guard.snapshot.part("refuses")
        guard.reload()
        assert [i.name for i in guard.snapshot.guards] == ["killswitch", "refuses", "b", "a"]
        assert guard.snapshot.part("refuses") is part


def test_a_reload_that_only_reorders_starts_and_stops_nothing() -> None:
    work = Workshop()
    plans = work.plan("a", "b"), work.plan("b", "a")
    with work.guard(*plans) as guard:
        work.log.clear()
        guard.reload()
        guard.clear(ORDER)
        assert work.log == ["ask b", "ask a"]


def test_settings_are_swapped_with_the_plugins() -> None:
    work = Workshop()
    shadow = make_plan(mode=Mode.SHADOW, accounts={"sub": Account("open")}).settings
    with work.guard(work.plan(), work.plan(settings=shadow)) as guard:
        guard.reload()
        with pytest.raises(Denied, match="accounts: sub"):
            guard.clear(ORDER)
        guard.register(Refuses())
        guard.clear(Request("POST", DEFAULT_URL, account="sub"))


def test_a_mode_that_a_reload_ends_does_not_let_a_request_under_way_pass() -> None:
    work = Workshop()
    shadow = make_plan(mode=Mode.SHADOW).settings
    with work.guard(work.plan(settings=shadow), work.plan()) as guard:
        guard.register(Refuses())
        drivers = Drivers(guard.kernel)
        steps = clearing(ORDER.stamped("x", Operation.UNKNOWN), 10**9, frame=Frame())
        begin = next(steps)
        ask = steps.send(drivers._do[Begin](begin))
        would_stop = steps.send(drivers._do[Ask](ask))
        assert would_stop.fields["plugin"] == "refuses"
        guard.reload()
        with pytest.raises(Denied, match="not on my watch"):
            drivers.run(steps)


def test_grants_that_a_reload_takes_away_are_gone_and_the_state_stays() -> None:
    work = Workshop()
    plans = (
        work.plan("a", grants={"a": ["store"]}),
        work.plan("a"),
        work.plan("a", grants={"a": ["store", "keys"]}),
    )
    with work.guard(*plans) as guard:
        member = work.made[0]
        member.context.store.put("x", b"1")
        guard.reload()
        with pytest.raises(NotGranted, match="store"):
            _ = member.context.store
        guard.reload()
        assert member.context.has("keys")
        assert work.made == [member]


def test_a_reload_that_comes_while_a_port_is_looked_up_leaves_nothing_behind() -> None:
    for line in itertools.count():
        work = Workshop()
        with work.guard(work.plan("a", grants={"a": ["store"]}), work.plan("a")) as guard:
            reloaded = look_up_and_reload_at(line, work.made[0].context, guard)
            with pytest.raises(NotGranted, match="store"):
                _ = work.made[0].context.store
        if not reloaded:
            break
    assert line > 5, "the look-up has lines"


def look_up_and_reload_at(line: int, context: Context, guard: Guard) -> bool:
    """Read a port, and reload before so manieth line of the look-up; say whether it has so many."""
    lines, reloaded = itertools.count(), []

    def on_line(frame: Any, event: str, _arg: Any) -> Any:
        if event == "line" and not reloaded and next(lines) == line:
            reloaded.append(True)
            guard.reload()
        return on_line

    def on_call(frame: Any, _event: str, _arg: Any) -> Any:
        return on_line if frame.f_code is Context.__getattr__.__code__ else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        _ = context.store
    except NotGranted:
        pass
    finally:
        sys.settrace(before)
    if not reloaded:
        guard.reload()
    return bool(reloaded)


def test_a_plugin_may_not_amend_by_a_grant_that_a_reload_took_away() -> None:
    class Amends(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> Request:
            return request.amend(params={"symbol": "ETHUSDT"})

    amends = Amends()
    plans = iter([make_plan(amends)])
    guard = Guard(make_plan(amends, grants={"amends": ["amend"]}), replan=lambda: next(plans))
    with guard:
        guard.clear(ORDER)
        guard.reload()
        with pytest.raises(Denied, match="without the grant"):
            guard.clear(ORDER)


# A faulty plan changes nothing.


def faults(work: Workshop) -> dict[str, Callable[[], Plan]]:
    """What may go wrong in a reload of a guard with plugins a and b and a bot's hook."""

    def unreadable() -> Plan:
        raise OSError("no such file")

    return {
        "replan": unreadable,
        "make": lambda: work.plan("c", "a", "d", configs={"d": "cannot be made"}, required=["d"]),
        "start": lambda: work.plan("c", "a", "d", configs={"d": "cannot start"}, required=["d"]),
        "a successor cannot be made": lambda: work.plan(
            "c", "a", "b", configs={"b": "cannot be made"}
        ),
        "a successor cannot start": lambda: work.plan("c", "a", "b", configs={"b": "cannot start"}),
        "order": lambda: work.plan("c", "a", order=["c", "killswitch", "a", "bots", "signing"]),
        "no place for bots": lambda: work.plan("c", "a", order=["killswitch", "c", "a", "signing"]),
        "a bot's name": lambda: work.plan("c", "refuses"),
        "no such venue": lambda: work.plan(
            "c", settings=make_plan(accounts={"main": Account("nowhere")}).settings
        ),
        "no such grant": lambda: work.plan("c", "d", grants={"d": ["root"]}, required=["d"]),
    }


@pytest.mark.parametrize("fault", faults(Workshop()))
def test_a_faulty_plan_changes_nothing(fault) -> None:
    work, bot = Workshop(), Refuses()
    bot.answer = None
    guard = Guard(work.plan("a", "b"), clock=FakeClock(), replan=lambda: faults(work)[fault]())
    with guard:
        guard.register(bot)
        kernel, before = guard.kernel, guard.snapshot
        epoch, settings = kernel.epoch, kernel.settings
        view, skipped = kernel.crew.view, kernel.crew.skipped
        reserved = kernel.crew.reserved
        work.log.clear()
        with pytest.raises((HauberkError, OSError)):
            guard.reload()
        assert guard.snapshot is before
        assert (kernel.epoch, kernel.settings) == (epoch, settings)
        assert (kernel.crew.view, kernel.crew.skipped) == (view, skipped)
        assert kernel.crew.reserved == reserved
        assert "stop a" not in work.log
        assert "stop b" not in work.log
        assert work.log.count("start c") == work.log.count("stop c"), "undone again"
        guard.clear(ORDER)
        assert work.log[-2:] == ["ask a", "ask b"]
        assert bot.asked == 1
        guard.unregister(bot)


def test_what_a_faulty_plan_started_is_stopped_last_first() -> None:
    work = Workshop()
    faulty = work.plan("c", "d", "e", configs={"e": "cannot start"}, required=["e"])
    with work.guard(work.plan("a"), faulty) as guard:
        work.log.clear()
        with pytest.raises(StartFailed, match=r"'e'.*cannot start"):
            guard.reload()
    assert work.log[-3:] == ["stop d", "stop c", "stop a"]


def test_an_interrupt_during_a_reload_changes_nothing() -> None:
    def interrupt(config: Any) -> Any:
        raise KeyboardInterrupt

    work = Workshop()
    with work.guard(work.plan("a"), work.plan("a", "z", cls=interrupt)) as guard:
        before = guard.snapshot
        with pytest.raises(KeyboardInterrupt):
            guard.reload()
        assert guard.snapshot is before


def test_a_guard_in_place_is_not_lost_to_a_reload_because_its_successor_is_optional() -> None:
    work = Workshop()
    plans = work.plan("a"), work.plan("a", configs={"a": "cannot start"})
    with work.guard(*plans) as guard:
        with pytest.raises(PluginRefused, match="is in place"):
            guard.reload()
        guard.clear(ORDER)
    assert "ask a" in work.log


def test_an_optional_plugin_that_comes_with_a_reload_is_skipped_with_a_warning(caplog) -> None:
    work = Workshop()
    plans = work.plan("a"), work.plan("a", "b", configs={"b": "cannot start"})
    with work.guard(*plans) as guard:
        guard.reload()
        assert guard.kernel.crew.skipped == [("b", "raised OSError: cannot start")]
        assert guard.snapshot.part("b") is None
    assert "plugin b is skipped" in caplog.text


def test_a_guard_that_was_made_from_no_file_has_nothing_to_reload() -> None:
    with Guard(make_plan()) as guard, pytest.raises(MisuseError):
        guard.reload()


def test_what_on_start_reports_reaches_responders_that_start_after_it() -> None:
    class Early(Plugin):
        @hookimpl
        def on_start(self, context: Context) -> None:
            context.report("state unreadable", Severity.HIGH)

    class Late(Plugin):
        def __init__(self) -> None:
            self.titles: list[str] = []

        @hookimpl
        def on_incident(self, incident: Incident) -> None:
            self.titles.append(incident.title)

    late = Late()
    with make_guard(Early(), ("late", late)) as guard, pytest.raises(Denied, match="unreadable"):
        guard.clear(ORDER)
    assert late.titles == ["state unreadable"]


# One pass, one snapshot.


def test_a_pass_under_way_sees_one_snapshot_whatever_is_swapped_meanwhile() -> None:
    seen: list[str] = []

    class First(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            seen.append("first")
            if len(seen) == 1:
                thread = threading.Thread(target=change)
                thread.start()
                thread.join()

    class Old(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            seen.append("old")

    class Late(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            seen.append("late")

    def change() -> None:
        guard.unregister("old")
        guard.register(Late())

    with make_guard() as guard:
        guard.register(First())
        guard.register(Old())
        guard.clear(ORDER)
    assert seen == ["first", "old", "first", "late"], "the old pass whole, then the new one whole"


def test_a_snapshot_cannot_be_changed_in_place() -> None:
    with make_guard() as guard:
        snapshot = guard.snapshot
        with pytest.raises(AttributeError):
            snapshot.guards = ()  # type: ignore[misc]
        guard.register(Refuses())
        assert guard.snapshot is not snapshot
        assert isinstance(snapshot, Snapshot)
        assert [impl.name for impl in snapshot.guards] == ["killswitch"]


def test_nothing_in_a_snapshot_can_be_put_in_anothers_place() -> None:
    with make_guard() as guard:
        snapshot: Any = guard.snapshot
        for mapping in (snapshot.bindings, snapshot.signers, *(it[1] for it in snapshot.parts)):
            with pytest.raises(TypeError):
                mapping["main"] = None
        with pytest.raises(TypeError):
            snapshot.parts[0] = None
        with pytest.raises(TypeError):
            snapshot.hooks("killswitch")["on_request"] = None
        assert guard.clear(ORDER)


def test_what_a_snapshot_was_made_from_can_be_changed_without_changing_it() -> None:
    with make_guard() as guard:
        parts, bindings = list(guard.snapshot.parts), dict(guard.snapshot.bindings)
        hooks = dict(parts[1][1])
        made = Snapshot(((parts[1][0], hooks),), guard.snapshot.order, bindings)
        hooks.clear()
        bindings.clear()
        assert [impl.name for impl in made.guards] == ["killswitch"]
        assert "on_request" in made.hooks("killswitch")
        assert set(made.bindings) == {"main"}


def test_bindings_are_part_of_the_snapshot_so_that_no_request_sees_half_a_reload() -> None:
    work = Workshop()
    both = make_plan(accounts={"main": Account("open"), "sub": Account("open")}).settings
    with work.guard(work.plan(), work.plan(settings=both)) as guard:
        assert set(guard.snapshot.bindings) == {"main"}
        guard.reload()
        assert set(guard.snapshot.bindings) == {"main", "sub"}


def test_registrations_from_many_threads_are_all_there_in_the_end() -> None:
    bots = [Refuses() for _ in range(16)]
    with make_guard() as guard:
        threads = [
            threading.Thread(target=guard.register, args=(bot,), kwargs={"name": f"bot{number}"})
            for number, bot in enumerate(bots)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        names = {impl.name for impl in guard.snapshot.guards}
        assert names == {"killswitch", *(f"bot{number}" for number in range(16))}


class Watched(Kernel):
    """Has something done whenever a snapshot has been put in place, however that is done."""

    then: Callable[[Snapshot], object] = staticmethod(lambda snapshot: None)

    @property
    def snapshot(self) -> Snapshot:  # type: ignore[override]
        return self.__dict__["snapshot"]

    @snapshot.setter
    def snapshot(self, snapshot: Snapshot) -> None:
        self.__dict__["snapshot"] = snapshot
        self.then(snapshot)


def test_no_change_has_a_moment_in_which_another_guard_is_missing() -> None:
    # Another thread clears at each such moment.
    work, orders, passed = Workshop(), [], []
    ledger, mine = Refuses(), Refuses()

    def clear() -> None:
        with contextlib.suppress(Denied):
            passed.append(guard.clear(ORDER))

    def put_in_place(snapshot: Snapshot) -> None:
        orders.append([impl.name for impl in snapshot.guards])
        clearing = threading.Thread(target=clear)
        clearing.start()
        threads.append(clearing)

    threads: list[threading.Thread] = []
    plans = work.plan("a", "b"), work.plan("a"), work.plan("a", "b", configs={"a": "changed"})
    with work.guard(*plans) as guard:
        guard.register(ledger, name="stands")
        guard.kernel.__class__ = Watched
        guard.kernel.then = put_in_place  # type: ignore[attr-defined]
        guard.register(mine, name="mine")
        guard.reload()
        guard.unregister("mine")
        guard.reload()
        for thread in threads:
            thread.join()
    assert orders == [
        ["killswitch", "a", "b", "stands", "mine"],
        ["killswitch", "a", "stands", "mine"],
        ["killswitch", "a", "stands"],
        ["killswitch", "a", "b", "stands"],
    ]
    assert ledger.asked >= len(threads)
    assert not passed


def test_a_registration_that_is_refused_changes_nothing() -> None:
    class Odd(Plugin):
        def on_request(self, request: Request) -> None:  # type: ignore[override]
            """Lacks its decorator."""

    with make_guard() as guard:
        guard.register(Refuses(), name="mine")
        before, epoch = guard.snapshot, guard.kernel.epoch
        for plugin, name in ((Odd(), ""), (Refuses(), "mine"), (Refuses(), "killswitch")):
            with pytest.raises(PluginRefused):
                guard.register(plugin, name=name)
        with pytest.raises(MisuseError):
            guard.unregister("signing")
        assert guard.snapshot is before
        assert guard.kernel.epoch == epoch


# SIGHUP.


@pytest.fixture
def sighup() -> Any:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("only the main thread may handle signals")
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process._reloading.clear()
    yield
    signal.signal(signal.SIGHUP, before)


class Reloaded(logging.Handler):
    """Sets an event when the log says so."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.seen = text, threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self.text in record.getMessage():
            self.seen.set()


@pytest.mark.usefixtures("sighup")
@pytest.mark.parametrize(
    ("config", "text"), [("other", "configuration reloaded"), ("cannot start", "nothing changed")]
)
def test_sighup_reloads_and_a_faulty_file_changes_nothing(config, text) -> None:
    handler = Reloaded(text)
    logging.getLogger("hauberk").addHandler(handler)
    work = Workshop()
    try:
        with work.guard(work.plan("a"), work.plan("a", configs={"a": config})) as guard:
            process.reload_on_sighup(guard)
            os.kill(os.getpid(), signal.SIGHUP)
            assert handler.seen.wait(PATIENCE_S)
            part = guard.snapshot.part("a")
            assert part is not None
            assert part.plugin.config == ("other" if config == "other" else "a")
    finally:
        logging.getLogger("hauberk").removeHandler(handler)


@pytest.mark.usefixtures("sighup")
def test_sighup_reloads_every_open_guard_and_none_that_is_closed() -> None:
    handler = Reloaded("configuration reloaded")
    logging.getLogger("hauberk").addHandler(handler)
    works = [Workshop() for _ in range(3)]
    guards = [work.guard(work.plan("a"), work.plan("a", configs={"a": "other"})) for work in works]
    try:
        for guard in guards:
            process.reload_on_sighup(guard)
        guards[0].close()
        os.kill(os.getpid(), signal.SIGHUP)
        assert handler.seen.wait(PATIENCE_S)
        for thread in threading.enumerate():
            if thread.name == "hauberk-reload":
                thread.join()
        assert ["make other" in work.log for work in works] == [False, True, True]
    finally:
        for guard in guards:
            guard.close()
        logging.getLogger("hauberk").removeHandler(handler)


@pytest.mark.usefixtures("sighup")
def test_a_handler_of_the_program_for_sighup_is_left_in_place() -> None:
    def mine(number: int, frame: Any) -> None:
        """The program's own."""

    signal.signal(signal.SIGHUP, mine)
    with make_guard() as guard:
        process.reload_on_sighup(guard)
        assert signal.getsignal(signal.SIGHUP) is mine


def test_when_no_guard_is_open_sighup_ends_the_process_as_before() -> None:
    program = (
        "import os, signal, threading\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # as nohup leaves it not
        "from hauberk import process\n"
        "from hauberk.testing import make_guard\n"
        "with make_guard() as guard:\n"
        "    process.reload_on_sighup(guard)\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "threading.Event().wait(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == -signal.SIGHUP


def test_events_of_a_reload_under_way_see_the_plugins_that_stand() -> None:
    """A recorder that was in place keeps recording while its successor starts."""
    kinds: list[str] = []

    class Audit(Plugin):
        def __init__(self, config: Any) -> None:
            self.config = config

        @hookimpl
        def on_start(self, context: Context) -> None:
            if context.predecessor is not None:
                thread = threading.Thread(target=lambda: guard.report("meanwhile", Severity.LOW))
                thread.start()
                thread.join()

        @hookimpl
        def on_event(self, event: Event) -> None:
            kinds.append(f"{self.config} {event.kind}")

    work = Workshop()
    grants = {"audit": ["record"]}
    plans = (
        work.plan("audit", cls=Audit, configs={"audit": "old"}, grants=grants),
        work.plan("audit", cls=Audit, configs={"audit": "next"}, grants=grants),
    )
    with work.guard(*plans) as guard:
        guard.reload()
        guard.report("after", Severity.LOW)
    assert kinds == [
        "old incident.reported", "old incident.handled",
        "next incident.reported", "next incident.handled",
    ]  # fmt: skip
