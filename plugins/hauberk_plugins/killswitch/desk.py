"""`EmergencyDesk`: what the kill switch has the emergency lane do, as its section says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from attrs import evolve

from hauberk.context import Context
from hauberk.emergency import Emergency
from hauberk.errors import ConfigError, ConfigProblem, InvalidValue
from hauberk.ports import Venue
from hauberk.recipes import CANCEL_ALL, DEAD_MAN, SYMBOL, Recipe
from hauberk.records import Outcome, Severity
from hauberk.request import Operation, Request, Response
from hauberk_plugins.killswitch.answer import Judgement, judged
from hauberk_plugins.killswitch.beating import Armed, DeadMan
from hauberk_plugins.killswitch.emergencies import (
    From,
    KillSwitchConfig,
    Seen,
    errands,
    unusable,
)
from hauberk_plugins.killswitch.lane import ATTEMPT_S, EmergencyLane, Errand, attempted
from hauberk_plugins.killswitch.switch import Level

_LEVELS: Final = {From.HIGH: Level.RESTRICTED, From.CRITICAL: Level.HALTED}
_ORDERS: Final = (Operation.TRADE, Operation.REDUCE)


class EmergencyDesk:
    """Cancels everything in an emergency, and keeps exchanges' timers armed until then.

    Args:
        config: The kill switch's section.
        context: The kill switch's.
        is_halted: Whether everything is stopped.
        before: The desk that this one takes over from, in a reload.

    Raises:
        ConfigError: The section asks for what a venue has not; lists all of it.
        NotGranted: The kill switch lacks the grant `emergency` or `venues`.
    """

    def __init__(
        self,
        config: KillSwitchConfig,
        context: Context,
        is_halted: Callable[[], bool],
        before: EmergencyDesk | None = None,
    ) -> None:
        self._config = config
        self._context = context
        self._is_halted = is_halted
        self._door: Emergency = context.emergency
        self._venues: dict[str, Venue] = {}
        self._recipes: dict[tuple[str, str], dict[str, Recipe]] = {}
        self._check()
        self._seen = Seen(self._names())
        #: Of a reload: who takes over from this desk, and from whom it takes over.
        self._successor: EmergencyDesk | None = None
        self._before = before
        if before is not None:
            self._seen.take_over(before._seen)
            before._successor = self
        self._lane = EmergencyLane(
            lambda errand, timeout_s: self._cancel(errand, timeout_s),
            context.clock,
            config.cancel_all.deadline_s,
            ATTEMPT_S,
        )
        #: Whether the last run left orders.
        self._owes = False
        self._timers: list[DeadMan] = []
        if context.is_resident:
            self._start()

    def alarm(self, level: Level, incident: str, *, rose: bool) -> None:
        """Begin to cancel everything, on a thread of its own, if the level is one for it.

        Args:
            level: As it now stands.
            incident: Where what came of it is recorded.
            rose: Whether it just rose: else everything is cancelled already, if that worked.
        """
        cancels = self._config.cancel_all
        if cancels.accounts and level >= _LEVELS[cancels.severity] and (rose or self._owes):
            self._owes = True
            self._door.begin(incident, self._cancel_all)

    def note(self, request: Request) -> None:
        """Remember the symbols of an order that left, where they will be needed."""
        names = self._seen.names.get(request.account)
        if not names or request.operation not in _ORDERS:
            return
        params = request.params
        if request.body:
            try:
                params += self._venues[request.account].body_params(request)
            except InvalidValue:  # it nests: its symbols are to be listed
                return
        self._seen.note(request.account, params)

    def stop(self) -> None:
        """Renew no timer any more: they run out.

        After a reload, those that are configured no more are taken back, on a thread of its own.
        """
        for timer in self._timers:
            timer.stop()
        successor, before = self._successor, self._before
        if before is not None:  # it may be that the reload failed, and the one before goes on
            before._successor = self._before = None
        if successor is None:
            return
        successor._before = None
        successor._seen.take_over(self._seen)
        kept = {errand for errand, _ in successor.timers()}
        gone = [errand for errand, _ in self.timers() if errand not in kept]
        if gone and self._context.is_resident:
            self._door.when_ready(lambda: self._disarm(gone))

    def timers(self) -> list[Armed]:
        """Return every timer with its countdown in seconds."""
        return [armed for account in self._config.dead_man for armed in self._timers_of(account)]

    def _check(self) -> None:
        """Look up what venues have, and whether it is what the section asks for."""
        problems: list[ConfigProblem] = []
        for action, account, entry, path in self._config.entries():
            recipes = dict(self._door.recipes(account, action))
            venue = self._context.venues.venue(self._context.accounts[account].venue)
            self._recipes[action, account], self._venues[account] = recipes, venue
            for at, message in unusable(action, entry, recipes, venue.name):
                problems.append(self._context.problem((*path, *at), message))
        if not self._config.is_empty and not self._door.can_send:
            why = "nothing provides `transport`, the way out: `ports: {transport: transport}`"
            problems.append(self._context.problem((), why))
        if problems:
            raise ConfigError(problems)

    def _names(self) -> dict[str, frozenset[str]]:
        """Say, by account, which parameters hold the symbols that will be needed."""
        names: dict[str, set[str]] = {}
        for action, account, entry, _ in self._config.entries():
            recipes = self._recipes[action, account]
            for market in entry.markets or recipes:
                params = recipes[market].says.params
                names.setdefault(account, set()).update(n for n, value in params if value == SYMBOL)
        return {account: frozenset(found) for account, found in names.items() if found}

    def _cancel_all(self) -> Outcome:
        found: list[Errand] = []
        unknown = []
        for account, entry in self._config.cancel_all.accounts.items():
            mine = errands(account, entry, self._recipes[CANCEL_ALL, account], self._seen.of)
            found += mine
            if not mine:
                unknown.append(account)
        outcome = self._lane.cancel_all(found) if found else Outcome("no order cancelled")
        self._owes = not outcome.ok
        if not unknown:
            return outcome
        did = f"{outcome.did}; of {', '.join(unknown)}, no order has left since the start"
        return evolve(outcome, did=did)

    def _cancel(self, errand: Errand, timeout_s: float) -> Judgement:
        answer = self._door.cancel_all(
            errand.account, errand.market, errand.symbol, timeout_s=timeout_s
        )
        return self._judged(CANCEL_ALL, errand, answer)

    def _beat(self, errand: Errand, countdown_s: int, timeout_s: float) -> Judgement:
        answer = self._door.beat(
            errand.account, errand.market, errand.symbol,
            countdown_s=countdown_s, timeout_s=timeout_s, still=self._may_beat,
        )  # fmt: skip
        return self._judged(DEAD_MAN, errand, answer)

    def _judged(self, action: str, errand: Errand, answer: Response) -> Judgement:
        venue = self._venues[errand.account]
        recipe = self._recipes[action, errand.account][errand.market]
        return judged(answer, recipe, venue.said(answer), venue.section("errors"))

    def _may_beat(self) -> bool:
        return not self._is_halted() and self._door.is_well()

    def _timers_of(self, account: str) -> list[Armed]:
        entry = self._config.dead_man[account]
        recipes = self._recipes[DEAD_MAN, account]
        found = errands(account, entry, recipes, self._seen.of)
        return [(errand, entry.countdown_s) for errand in found]

    def _start(self) -> None:
        """Begin to renew timers, an account a thread: one exchange that hangs delays no other."""
        for account in self._config.dead_man:
            timer = DeadMan(
                lambda account=account: self._timers_of(account),  # type: ignore[misc]
                self._beat, self._may_beat, self._context.clock, self._tell,
            )  # fmt: skip
            self._timers.append(timer)
            self._door.when_ready(timer.run)

    def _disarm(self, gone: Iterable[Errand]) -> None:
        """Take timers back; what goes wrong is told."""
        for errand in gone:
            judgement = attempted(self._disarmed, errand, ATTEMPT_S)
            self._tell(errand, "disarmed" if judgement.ok else "left armed", judgement.why)

    def _disarmed(self, errand: Errand, timeout_s: float) -> Judgement:
        answer = self._door.disarm(
            errand.account, errand.market, errand.symbol, timeout_s=timeout_s
        )
        return self._judged(DEAD_MAN, errand, answer)

    def _tell(self, errand: Errand, what: str, why: str) -> None:
        fields = {"account": errand.account, "market": errand.market, "symbol": errand.symbol,
                  "what": what, "why": why}  # fmt: skip
        self._door.emit("timer", fields)
        if what == "lapsed":
            title = f"the dead-man timer of {errand} was not renewed: its orders may be cancelled"
            self._door.report(title, Severity.MEDIUM, fields)
