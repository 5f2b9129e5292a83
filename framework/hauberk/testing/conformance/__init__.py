"""`check_plugin`: whether a plugin keeps the contract that the kernel counts on.

    def test_it_keeps_the_contract() -> None:
        check_plugin(QuietHoursPlugin)

What the rules mean for a plugin that can only be looked at from outside:

- *It never raises, changes nothing it was given, returns only what it may*: hypothesis draws
  requests of every shape, responses, logins, incidents and events for each hook by itself, then
  short lives of a guard; hooks are called as the kernel calls them and judged as it judges them:
  what it was asked about ends, a login too, and it is told how.
  `config_problems` is asked about sections that are right, wrong and odd, twice each.
- *Within its time budget*: the median of the calls that a bot waits for is at most
  `limits.warn_after_s`; one that is longer is measured again, since the machine may be busy.
- *Deterministic for a given clock*: two instances that live the same life on equal clocks answer
  the same, and the plugin's own code calls neither `time.time` nor `datetime.now` nor their like.
- *Asked twice with one request id, it charges once*: one instance is asked once, another again
  and again under one id while no time passes, as the kernel does when the epoch is raised. Once
  it had no objection it must have none; and from then on both answer every later request alike.
- *It gives back what did not leave*: one instance sees requests that end with
  `on_end(left=False)`, another never sees them; from then on both answer alike. The last rule's
  requests are used too, one after another.
- *Safe from several threads*: threads that are switched between its lines get no more requests
  past it than one thread does, nothing raises, nobody waits for ever, and when all of that is
  dropped it answers like a fresh instance.

The rules about charges see a budget only where it runs out: configure budgets below
`rules.PROBES` requests for the check. A plugin that means to break a rule, for example one that
counts what did not leave, says so with `skip`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import attrs

from hauberk.accounts import Account
from hauberk.errors import MisuseError
from hauberk.hooks import INTERFACE, Plugin
from hauberk.request import Request
from hauberk.settings import KernelLimits
from hauberk.testing import strategies
from hauberk.testing.conformance import problems, rules
from hauberk.testing.conformance.failure import ConformanceFailed, Rule
from hauberk.testing.conformance.scripts import Script, calls, scripts
from hauberk.testing.conformance.stage import Setup, Stage
from hauberk.testing.conformance.subject import Subject
from hauberk.testing.extras import Absent
from hauberk.testing.guards import Providers

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

try:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from hypothesis.errors import Flaky
except ModuleNotFoundError:
    HealthCheck = Phase = given = settings = st = Absent("hypothesis")  # type: ignore[assignment,misc]
    Flaky = Exception  # type: ignore[assignment,misc]

__all__ = ["ConformanceFailed", "Rule", "check_plugin"]

#: How often calls are measured until their median is within the budget: a busy machine makes a
#: plugin look slow, and never quick.
_MEASURED: Final = 3


def check_plugin(
    plugin: type | Callable[[], object],
    *,
    config: object = None,
    grants: Iterable[str] = (),
    accounts: Mapping[str, Account] | None = None,
    providers: Callable[[], Plugin] = Providers,
    requests: SearchStrategy[Request] | None = None,
    limits: KernelLimits | None = None,
    skip: Collection[Rule] = (),
    examples: int = 25,
    timer: Callable[[], int] = time.perf_counter_ns,
) -> None:
    """Check a plugin against every rule of the contract; the first one broken is raised.

    Args:
        plugin: The plugin's class, or a function that makes a fresh instance. Many are made.
        config: An instance of the class's `Config`; its defaults unless given.
        grants: What `hauberk.yml` would grant it, for example `["amend", "store"]`.
        accounts: The accounts that it sees; `main` at the venue `open` unless given.
        providers: Makes the ports; in memory unless given.
        requests: What it is asked about; `strategies.requests()` unless given. Narrow it to what
            the plugin cares about, so that the check comes across its corners.
        limits: The kernel's limits on time.
        skip: Rules that the plugin means to break.
        examples: How many lives are drawn for each rule, and values for each hook.
        timer: Nanoseconds, to time calls with.

    Raises:
        ConformanceFailed: Names the plugin, the hook, the rule, what was seen, given what, and
            what to do.
        MisuseError: It was called with what is no class and no factory, without a config that
            the class needs, or where hypothesis is not installed.
    """
    if isinstance(st, Absent):
        st.refuse()
    named = accounts or {"main": Account("open")}
    setup = Setup(
        name=getattr(plugin, "__name__", type(plugin).__name__),
        make=_maker(plugin, config),
        grants=frozenset(grants),
        accounts=named,
        providers=providers,
        limits=limits or KernelLimits(),
        skip=frozenset(skip),
        timer=timer,
    )
    drawn = strategies.requests(account_names=named) if requests is None else requests
    with Stage(setup) as stage:
        hooks, cls = _check_loads(stage)
        _check_problems(stage, cls, config, examples)
        lives = scripts(hooks, drawn)
        each = [script for hook in hooks if (script := calls(hook, drawn)) is not None]
        _check_calls(stage, [*each, lives], examples)
        if Rule.DETERMINISTIC not in skip:
            _search(examples, rules.deterministic, stage, lives)
        if "on_request" in hooks:
            _check_charges(stage, hooks, drawn, examples)
        if Rule.THREADS not in skip:
            _check_threads(stage, hooks, drawn, max(examples // 8, 1))


def _check_loads(stage: Stage) -> tuple[list[str], type]:
    """Make and start one, and stop it; return its hooks, and its class."""
    with Subject(stage) as subject:
        declared = getattr(subject.plugin, "interface", None)
        if declared is None and isinstance(subject.plugin, Plugin):
            why = "it declares no `interface`: write `interface = (1, 1)` in the class"
            subject.fail(Rule.LOADS, "", why)
        if declared is not None and not _covers_interface(declared):
            why = f"`interface` must be (lowest, highest) around {INTERFACE}, not {declared!r}"
            subject.fail(Rule.LOADS, "", why)
        return list(subject.hooks), type(subject.plugin)


def _check_problems(stage: Stage, cls: type, config: object, examples: int) -> None:
    """Ask what it says of `hauberk.yml`, in an empty folder."""
    if not problems.says_problems(cls):
        return
    drafts = problems.drafts(cls, config, stage.setup.accounts)
    with TemporaryDirectory(prefix="hauberk-check-") as folder:
        rule = partial(problems.keeps_to_problems, cls, Path(folder))
        _search(examples, rule, stage, drafts)


def _check_calls(stage: Stage, lives: list[SearchStrategy[Script]], examples: int) -> None:
    medians_s: list[float] = []
    calls_timed = 0
    for _ in range(_MEASURED):
        took_ns: list[int] = []
        for life in lives:
            _search(examples, rules.answers, stage, life, st.just(took_ns))
        if not took_ns or Rule.IN_TIME in stage.setup.skip:
            return
        calls_timed = len(took_ns)
        medians_s.append(median(took_ns) / 1e9)
        if medians_s[-1] <= stage.setup.limits.warn_after_s:
            return
    raise ConformanceFailed(
        stage.setup.name,
        "",
        Rule.IN_TIME,
        f"the median of {calls_timed} calls took {min(medians_s):.3f} s; a guard that takes "
        f"longer than {stage.setup.limits.warn_after_s:g} s is named in the log",
    )


def _check_charges(
    stage: Stage, hooks: list[str], drawn: SearchStrategy[Request], examples: int
) -> None:
    before = scripts(hooks, drawn, max_steps=4)
    cases = st.builds(
        rules.Case, drawn, st.integers(0, 2), st.sampled_from(rules.REPEATS), st.booleans()
    )
    for rule, check in (
        (Rule.CHARGES_ONCE, rules.charges_once),
        (Rule.GIVES_BACK, rules.gives_back),
    ):
        if rule not in stage.setup.skip:
            _search(examples, check, stage, before, cases)


def _check_threads(
    stage: Stage, hooks: list[str], drawn: SearchStrategy[Request], examples: int
) -> None:
    seeds = st.integers(0, 2**32)
    if "on_request" in hooks:
        short = scripts(["on_request"], drawn, max_steps=2)
        _search(examples, rules.safe_from_threads, stage, short, drawn, seeds, shrink=False)
    lives = scripts(hooks, drawn)
    _search(examples, rules.survives_threads, stage, lives, seeds, shrink=False)


def _search(
    examples: int,
    rule: Callable[..., None],
    stage: Stage,
    *drawn: SearchStrategy[Any],
    shrink: bool = True,
) -> None:
    """Have hypothesis look for an example that breaks a rule, and raise for the smallest."""
    failures: list[ConformanceFailed] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*drawn))
    def search(example: tuple[Any, ...]) -> None:
        try:
            rule(stage, *example)
        except ConformanceFailed as failure:
            failure.script = str(example[0])
            failures.append(failure)
            raise

    try:
        search()
    except (ConformanceFailed, Flaky):
        # The last one seen is the smallest; one that comes and goes is a failure all the same.
        if not failures:
            raise
        smallest = failures[-1].with_traceback(None)
        smallest.__notes__ = []  # hypothesis' own account of the example
        raise smallest from None


def _maker(plugin: type | Callable[[], object], config: object) -> Callable[[], object]:
    if not isinstance(plugin, type):
        if not callable(plugin):
            raise MisuseError(
                f"check_plugin makes many instances: pass the class {type(plugin).__name__}, or a "
                "function that makes one, not an instance"
            )
        if config is not None:
            raise MisuseError("a function that makes the plugin brings its own config")
        return plugin
    wanted = getattr(plugin, "Config", None)
    if config is None and wanted is not None:
        needed = [a.name for a in attrs.fields(wanted) if a.init and a.default is attrs.NOTHING]
        if needed:
            raise MisuseError(
                f"{plugin.__name__}.Config needs {', '.join(needed)}: pass "
                f"check_plugin(…, config={wanted.__name__}(…))"
            )
        config = wanted()
    return plugin if config is None else lambda: plugin(config)


def _covers_interface(declared: object) -> bool:
    if type(declared) is not tuple or [type(end) for end in declared] != [int, int]:
        return False
    lowest, highest = declared
    return bool(lowest <= INTERFACE <= highest)
