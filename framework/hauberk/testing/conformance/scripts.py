"""Scripts: a short life of a guard, drawn by hypothesis and played to an instance of a plugin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import evolve, frozen

from hauberk.records import Identity, Login
from hauberk.request import Request
from hauberk.testing import strategies
from hauberk.testing.conformance.failure import show
from hauberk.testing.conformance.subject import Subject
from hauberk.testing.extras import Absent
from hauberk.verdicts import Deny, Wait

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

try:
    from hypothesis import strategies as st
except ModuleNotFoundError:
    st = Absent("hypothesis")  # type: ignore[assignment]


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Times at which calendars and clocks do something: the start of `FakeClock`, a leap day, changes
#: to and from summer time, the end of a year and of 32 bits; seconds since the epoch.
_TIMES: Final = (1_700_000_000, 1_709_164_799, 1_711_846_800, 1_729_990_800, 1_735_689_599,
                 2_147_483_647, 946_684_800)  # fmt: skip
_SECONDS: Final = (0.0, 1e-9, 0.001, 1.0, 59.0, 60.0, 3_600.0, 86_400.0, 1e7)
_STARTS: Final = st.sampled_from(_TIMES) | st.integers(0, 4_102_444_800)
_WALL_STEPS: Final = (-3_600.0, -1.0, 1.0, 3_600.0)
_RETRIES: Final = 2

#: Of each hook but those of the script itself: whether it takes a request, and what else.
_ARGUMENTS: Final[dict[str, tuple[bool, *tuple[Callable[[], SearchStrategy[Any]], ...]]]] = {
    "sign_request": (True,),
    "on_response": (True, strategies.responses),
    "on_incident": (False, strategies.incidents),
    "on_event": (False, strategies.events),
    "on_commands": (False,),
    "on_doctor": (False,),
    "on_status": (False,),
    "verify_batch": (False, strategies.batches),
}


class Fate(StrEnum):
    """What becomes of a request that met no objection."""

    LEAVES = "leaves"
    DROPPED = "does not leave"
    PENDING = "stays pending"


@frozen
class Ask:
    """A request comes, and meets its fate."""

    request: Request
    fate: Fate

    def __str__(self) -> str:
        return f"{show(self.request)}, which {self.fate}"


@frozen
class Advance:
    """Time passes."""

    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:g} s pass"


@frozen
class StepWall:
    """The wall clock steps, as NTP or an operator does."""

    seconds: float

    def __str__(self) -> str:
        return f"the wall clock steps by {self.seconds:g} s"


@frozen
class Tell:
    """Another hook is called."""

    hook: str
    args: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.hook}({show(self.args)})"


@frozen
class Enter:
    """Somebody tries to log in, and nobody else objects; or somebody does."""

    login: Login
    is_agreed: bool

    def __str__(self) -> str:
        return f"{show(self.login)}, {'' if self.is_agreed else 'not '}agreed to by the others"


Step: TypeAlias = Ask | Advance | StepWall | Tell | Enter
_Drawn: TypeAlias = Callable[[list[Request]], Step]


@frozen
class Script:
    """What happens, in order, from a time on.

    Attributes:
        start_s: Wall time at the start, seconds since the epoch.
        steps: What happens.
    """

    start_s: int
    steps: tuple[Step, ...]

    @property
    def wall_ns(self) -> int:
        """Wall time at the start, nanoseconds since the epoch."""
        return self.start_s * 1_000_000_000

    def __str__(self) -> str:
        start = _EPOCH + timedelta(seconds=self.start_s)
        return "\n".join([f"from {start:%Y-%m-%dT%H:%M:%SZ}", *map(str, self.steps)])


def scripts(
    hooks: Sequence[str], requests: SearchStrategy[Request], *, max_steps: int = 8
) -> SearchStrategy[Script]:
    """Draw scripts.

    Args:
        hooks: What the plugin implements.
        requests: What it is asked about; a script has few of them, and asks often.
        max_steps: How long they may be.
    """
    pool = st.lists(requests, min_size=1, max_size=3)
    return st.builds(_script, _STARTS, pool, st.lists(_steps(hooks), max_size=max_steps))


def calls(hook: str, requests: SearchStrategy[Request]) -> SearchStrategy[Script] | None:
    """Draw scripts of one call, for a hook that anything may be told at any time.

    Args:
        hook: Which.
        requests: What it is asked about.

    Returns:
        Scripts, or `None` for hooks of an end, which follow what they are the end of, and for
        those of starting and stopping.
    """
    step = _step(hook)
    if step is None:
        return None
    return st.builds(_script, _STARTS, requests.map(lambda one: [one]), st.tuples(step).map(list))


def _script(start_s: int, pool: list[Request], steps: list[_Drawn]) -> Script:
    return Script(start_s, tuple(step(pool) for step in steps))


def play(subject: Subject, script: Script, name: str = "h") -> list[object]:
    """Play a script to an instance.

    Args:
        subject: Its clock starts where the script does.
        script: What happens.
        name: Request ids begin with it.

    Returns:
        What the plugin answered, in a form to be compared.
    """
    answers: list[object] = []
    for number, step in enumerate(script.steps):
        if isinstance(step, Ask):
            request = step.request.stamped(f"{name}-{number}", step.request.operation)
            answers += ask(subject, request, step.fate)
        elif isinstance(step, Advance):
            subject.clock.advance(step.seconds)
        elif isinstance(step, StepWall):
            subject.clock.step_wall(step.seconds)
        elif isinstance(step, Enter):
            answers += map(_comparable, enter(subject, step, f"{name}-{number}"))
        else:
            answers.append(_comparable(subject.call(step.hook, *step.args)))
    return answers


def ask(subject: Subject, request: Request, fate: Fate) -> list[object]:
    """Have a request judged, waiting as the kernel would, and bring it to its end."""
    verdict, request = subject.judge(request)
    answers: list[object] = [verdict, request]
    for _ in range(_RETRIES):
        if not isinstance(verdict, Wait) or fate is Fate.PENDING or not subject.wait_for(verdict):
            break
        verdict, request = subject.judge(request)
        answers += [verdict, request]
    if fate is Fate.PENDING and not isinstance(verdict, Deny):
        subject.pending.append(request)
    elif isinstance(verdict, Deny):
        subject.end(request, False, f"subject: {verdict.reason}")
    elif verdict is not None:
        subject.end(request, False, "it was not cleared within its time")
    else:
        subject.end(request, fate is Fate.LEAVES, "" if fate is Fate.LEAVES else "kernel: halted")
    return answers


def enter(subject: Subject, step: Enter, attempt_id: str) -> list[object]:
    """Have a login judged and bring it to its end, as the kernel would."""
    login = step.login.stamped(attempt_id)
    answer = subject.call("on_login", login)
    counts = step.is_agreed and not isinstance(answer, Deny)
    if subject.hooks["on_login"].may_authenticate:
        counts = counts and isinstance(answer, Identity)
    why = "" if counts else "kernel: nobody vouched for this login"
    if "on_login_end" not in subject.hooks:
        return [answer]
    return [answer, subject.call("on_login_end", login.without_secrets(), counts, why)]


def _steps(hooks: Sequence[str]) -> SearchStrategy[_Drawn]:
    """Draw steps that lack their requests, which are the script's own few."""
    passing = st.sampled_from(_SECONDS).map(lambda seconds: lambda _: Advance(seconds))
    stepping = st.sampled_from(_WALL_STEPS).map(lambda seconds: lambda _: StepWall(seconds))
    of_hooks = [step for hook in hooks if (step := _step(hook)) is not None]
    return st.one_of([passing, stepping, *of_hooks * 3])


def _step(hook: str) -> SearchStrategy[_Drawn] | None:
    if hook == "on_request":
        return st.builds(_ask, st.integers(0, 5), st.sampled_from(Fate))
    if hook == "on_login":
        return st.builds(_enter, strategies.logins(), st.booleans())
    if hook not in _ARGUMENTS:
        return None
    takes_request, *rest = _ARGUMENTS[hook]
    number = st.integers(0, 5) if takes_request else st.just(-1)
    return st.builds(_tell, st.just(hook), number, st.tuples(*(of() for of in rest)))


def _ask(number: int, fate: Fate) -> _Drawn:
    return lambda pool: Ask(pool[number % len(pool)], fate)


def _enter(login: Login, is_agreed: bool) -> _Drawn:
    return lambda _: Enter(login, is_agreed)


def _tell(hook: str, number: int, rest: tuple[Any, ...]) -> _Drawn:
    if number < 0:
        return lambda _: Tell(hook, rest)
    return lambda pool: Tell(hook, (pool[number % len(pool)], *rest))


def _comparable(answer: object) -> object:
    """Leave out what may differ: a session's token is random, commands are fresh functions."""
    if isinstance(answer, Identity):
        return evolve(answer, session=None)
    if isinstance(answer, bytearray | memoryview):
        return bytes(answer)
    if isinstance(answer, list | tuple) and type(answer) is not Request:
        return [getattr(item, "name", item) for item in answer]
    return answer
