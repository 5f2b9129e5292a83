"""The rules that compare instances: each says what two lives of a plugin must have in common.

A plugin is a black box. What it has charged shows only in what it answers later, so every rule
about charges plays the same history to two fresh instances, lets one thing differ that must make
no difference, and then asks both about one request after the other, all alike, at one instant:
their answers must stay the same until both object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from attrs import frozen

from hauberk.request import Request
from hauberk.testing.conformance.failure import Rule, show
from hauberk.testing.conformance.machine_clock import machine_clock_reads, own_code
from hauberk.testing.conformance.racing import PATIENCE_S, race
from hauberk.testing.conformance.scripts import Fate, Script, ask, play
from hauberk.testing.conformance.stage import Stage
from hauberk.testing.conformance.subject import Subject
from hauberk.verdicts import Deny, Verdict, Wait

#: How many requests are asked about to find out what room is left: a budget larger than this
#: hides what was charged in excess. Configure small budgets for the check.
PROBES: Final = 200
#: How often a request is asked about, or comes and does not leave, where it must cost once.
REPEATS: Final = (2, PROBES)
THREADS: Final = 4
ASKS: Final = 25
#: How often each thread plays a script.
LIVES: Final = 5
_DROPPED: Final = "kernel: the epoch was raised"


def answers(stage: Stage, script: Script, took_ns: list[int]) -> None:
    """Every hook keeps to its specification; `Subject` looks at each call."""
    with Subject(stage, script.wall_ns) as subject:
        try:
            play(subject, script)
        finally:
            took_ns += subject.took_ns


def deterministic(stage: Stage, script: Script) -> None:
    """Two instances on equal clocks answer the same, and neither reads another clock."""
    with Subject(stage, script.wall_ns) as one, Subject(stage, script.wall_ns) as other:
        with machine_clock_reads(one.plugin) as reads:
            first = play(one, script)
        if reads:
            one.fail(Rule.DETERMINISTIC, "", f"it reads the machine's clock: {reads[0]}")
        for a, b in zip(first, play(other, script), strict=True):
            if a != b:
                why = f"two instances on equal clocks answered {show(a)} and {show(b)}"
                one.fail(Rule.DETERMINISTIC, "", why)


@frozen
class Case:
    """What the rules about charges vary.

    Attributes:
        request: What is asked about.
        held: How many like it stay pending meanwhile.
        repeats: How often it is asked about under one id, or comes under another and is dropped.
        twice: Whether it leaves in the end, or is asked about twice before it is dropped.
    """

    request: Request
    held: int
    repeats: int
    twice: bool


def charges_once(stage: Stage, script: Script, case: Case) -> None:
    """Asking again under one id changes no answer: not to it, and not to any other request."""
    with Subject(stage, script.wall_ns) as once, Subject(stage, script.wall_ns) as often:
        for subject, times in ((once, 1), (often, case.repeats)):
            _prepare(subject, script, case)
            verdict, judged = subject.judge(case.request.stamped("same-id", case.request.operation))
            for _ in range(times - 1):
                if isinstance(verdict, Deny):  # the kernel asks no more once it is denied
                    break
                again, judged = subject.judge(judged)
                if verdict is None and again is not None:
                    why = f"asked again under its id, it answered {show(again)} after None"
                    subject.fail(Rule.CHARGES_ONCE, "on_request", why, case.request)
                verdict = again
            _end(subject, judged, verdict, left=case.twice)
        _compare(
            once, often, case.request, Rule.CHARGES_ONCE,
            "asked once", f"asked {case.repeats} times under one id",
        )  # fmt: skip


def gives_back(stage: Stage, script: Script, case: Case) -> None:
    """After requests that did not leave, it answers as if they had never been."""
    with Subject(stage, script.wall_ns) as never, Subject(stage, script.wall_ns) as dropped:
        _prepare(never, script, case)
        _prepare(dropped, script, case)
        for number in range(case.repeats):
            judged = case.request.stamped(f"dropped-{number}", case.request.operation)
            verdict, judged = dropped.judge(judged)
            if case.twice and not isinstance(verdict, Deny):
                verdict, judged = dropped.judge(judged)
            _end(dropped, judged, verdict, left=False)
        _compare(
            never, dropped, case.request, Rule.GIVES_BACK,
            "without it", f"after {case.repeats} like it that did not leave",
        )  # fmt: skip


def safe_from_threads(
    stage: Stage, script: Script, request: Request, seed: int, *, patience_s: float = PATIENCE_S
) -> None:
    """Threads that ask at once are told "no objection" no more often than one after another."""
    requests = [request.stamped(f"t-{n}", request.operation) for n in range(THREADS * ASKS)]
    room = _alone(stage, script, requests)
    with Subject(stage, script.wall_ns) as shared:
        askers = [_Asker(shared, requests[n::THREADS]) for n in range(THREADS)]
        _race(shared, [asker.ask for asker in askers], seed, patience_s)
        passed = sum(asker.passed() for asker in askers)
        if passed > room:
            why = f"{THREADS} threads got {passed} requests past it at once, and one thread {room}"
            shared.fail(Rule.THREADS, "on_request", why, request)
        _race(shared, [asker.end for asker in askers], seed, patience_s)
        if Rule.GIVES_BACK in stage.setup.skip:
            return
        with Subject(stage, script.wall_ns) as fresh:
            _compare(
                fresh, shared, request, Rule.THREADS,
                "fresh", f"after {THREADS} threads asked about {len(requests)} that did not leave",
            )  # fmt: skip


def _alone(stage: Stage, script: Script, requests: Sequence[Request]) -> int:
    """Do in one thread what several will do; what is wrong already here is no race.

    Returns:
        How many requests met no objection.
    """
    with Subject(stage, script.wall_ns) as alone, Subject(stage, script.wall_ns) as fresh:
        asker = _Asker(alone, requests)
        asker.ask()
        asker.end()
        if Rule.GIVES_BACK not in stage.setup.skip:
            _compare(
                fresh, alone, requests[0], Rule.GIVES_BACK,
                "fresh", f"after {len(requests)} like it that did not leave",
            )  # fmt: skip
        return asker.passed()


class _Asker:
    """What one thread does: ask about each of its requests, then drop them all."""

    def __init__(self, shared: Subject, requests: Sequence[Request]) -> None:
        self._subject = shared.for_thread()
        self._requests = requests
        self._judged: list[tuple[Verdict, Request]] = []

    def ask(self) -> None:
        for request in self._requests:
            self._judged.append(self._subject.judge(request))

    def end(self) -> None:
        for verdict, request in self._judged:
            _end(self._subject, request, verdict, left=False)

    def passed(self) -> int:
        return sum(verdict is None for verdict, _ in self._judged)


def survives_threads(
    stage: Stage, script: Script, seed: int, *, patience_s: float = PATIENCE_S
) -> None:
    """Every hook keeps to its specification when threads call them all at once."""
    with Subject(stage, script.wall_ns) as alone:  # what one thread meets too is no race
        for number in range(THREADS):
            _live(alone, script, number)
    with Subject(stage, script.wall_ns) as shared:
        jobs = [partial(_live, shared.for_thread(), script, n) for n in range(THREADS)]
        _race(shared, jobs, seed, patience_s)


def _live(subject: Subject, script: Script, thread: int) -> None:
    for life in range(LIVES):
        play(subject, script, f"thread-{thread}-{life}")


def _race(
    subject: Subject, jobs: Sequence[Callable[[], object]], seed: int, patience_s: float
) -> None:
    try:
        raised = race(jobs, own_code(subject.plugin), seed=seed, patience_s=patience_s)
    except TimeoutError:
        why = f"{len(jobs)} threads did nothing for {patience_s:g} s: a deadlock?"
        subject.fail(Rule.THREADS, "", why)
        return
    for error in raised:
        why = getattr(error, "why", "") or f"{type(error).__name__}: {error}"
        why = f"called by several threads at once, {why}"
        subject.fail(Rule.THREADS, getattr(error, "hook", ""), why)


def _prepare(subject: Subject, script: Script, case: Case) -> None:
    """Play the history, and hold some requests like the one in question."""
    play(subject, script)
    for number in range(case.held):
        held = case.request.stamped(f"held-{number}", case.request.operation)
        ask(subject, held, Fate.PENDING)


def _end(subject: Subject, request: Request, verdict: Verdict, left: bool) -> None:
    """End a request as the kernel would after this verdict."""
    if isinstance(verdict, Deny):
        subject.end(request, False, f"subject: {verdict.reason}")
    elif isinstance(verdict, Wait) or not left:
        subject.end(request, False, _DROPPED)
    else:
        subject.end(request, True)


def _compare(one: Subject, other: Subject, request: Request, rule: Rule, *names: str) -> None:
    """Ask both about like requests until both object, then about those that are still pending.

    What they answer must be the same.
    """
    for number in range(PROBES):
        probe = request.stamped(f"probe-{number}", request.operation)
        first = _same(one, other, probe, rule, f"request {number + 1} like it", *names)
        if first is not None:
            break
    for before in one.pending:
        _same(one, other, before, rule, f"request {before.id}, which was pending,", *names)


def _same(
    one: Subject, other: Subject, request: Request, rule: Rule, what: str, *names: str
) -> Verdict:
    first, second = one.judge(request), other.judge(request)
    if first != second:
        a, b = (show(answer[0 if first[1] == second[1] else 1]) for answer in (first, second))
        why = f"{what} was answered {a} {names[0]}, and {b} {names[1]}"
        other.fail(rule, "on_request", why, request)
    return first[0]
