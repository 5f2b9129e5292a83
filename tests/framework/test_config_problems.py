"""Every mistake in `hauberk.yml` at once: what plugins find as it is read, and at their start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hauberk.context import Context
from hauberk.errors import ConfigError, ConfigProblem, StartFailed
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.opening import load
from hauberk.opening import open as open_guard
from hauberk.plan import Plan, Planned
from hauberk.testing import FakeClock, make_plan
from hauberk_plugins.venues import catalogue

HEAD = """\
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch]
accounts:
  main: {venue: binance, key: env:K, secret: env:S}
"""
WINDOW = "{name: %s, kind: rolling, scope: ip, seconds: 1, size: 5, counts: %s}"
DEMO = """\
name: demo
base_urls: [https://api.demo.test]
adds: {params: [timestamp], headers: [], credential_headers: []}
operations: {POST /order: trade}
limits:
  windows:
    - {name: w, kind: rolling, scope: ip, seconds: 1, size: 5, counts: wieght}
  costs: {default: {weight: 1}}
signing: {mesage: "{query}"}
"""

Problems = Callable[[str], list[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hauberk.yml"


def told(problems: tuple[ConfigProblem, ...]) -> list[str]:
    return [f"{problem.line} {problem.path}: {problem.message}" for problem in problems]


@pytest.fixture
def read(file: Path) -> Problems:
    """What is told when the file is read; no plugin is made."""

    def read(text: str) -> list[str]:
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            load(file)
        return told(caught.value.problems)

    return read


@pytest.fixture
def start(file: Path) -> Problems:
    """What is told at the start of a file that can be read."""

    def start(text: str) -> list[str]:
        file.write_text(text)
        load(file)
        with pytest.raises(ConfigError) as caught:
            open_guard(file, transient=True)
        return told(caught.value.problems)

    return start


# While the file is read.


def test_an_unknown_venue_is_told_with_all_else_that_is_wrong(read: Problems) -> None:
    found = read(
        HEAD.replace("venue: binance", "venue: binanse, allow: [reed]")
        + "throttle:\n"
        + "  jiter_ms: 5\n"
        + "  windows:\n"
        + f"    binanse: [{WINDOW % ('w', 'weight')}, {WINDOW % ('w', 'weight')}]\n"
        + "    binance: []\n"
        + "mode: shadoww\n"
    )
    assert [line.split(": ")[0] for line in found] == [
        *("4 accounts.main.allow.0", "4 accounts.main.venue", "6 throttle.jiter_ms"),
        *("8 throttle.windows.binanse.1.name", "9 throttle.windows.binance", "10 mode"),
    ]
    assert found[1].startswith("4 accounts.main.venue: there is no venue 'binanse' in ")
    assert found[1].endswith("; did you mean 'binance'?")


def test_to_know_which_venues_there_are_no_venue_file_is_read(
    read: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "parse_venue", None)
    assert len(read(HEAD.replace("venue: binance", "venue: binanse"))) == 1


def test_windows_of_a_venue_that_no_account_is_at_are_refused(read: Problems) -> None:
    windows = f"throttle:\n  windows:\n    binanse: [{WINDOW % ('w', 'weight')}]\n"
    assert read(HEAD + windows) == [
        "7 throttle.windows.binanse: no account is at venue 'binanse', so nothing would be paced; "
        "did you mean 'binance'?"
    ]


def test_a_window_whose_name_stands_twice_is_refused_where_it_stands(read: Problems) -> None:
    windows = "".join(f"      - {WINDOW % (name, 'weight')}\n" for name in "vwv")
    assert read(HEAD + f"throttle:\n  windows:\n    binance:\n{windows}") == [
        "10 throttle.windows.binance.2.name: the name 'v' stands twice"
    ]


def test_a_folder_of_venues_that_is_not_there_is_told_and_accuses_no_account(
    read: Problems, tmp_path: Path
) -> None:
    text = HEAD.replace("binance", "demo") + "venues:\n  folder: mine\n"
    assert read(text) == [
        f"6 venues.folder: {tmp_path}/mine: is not a folder: make it, or take it out of "
        "venues.folder"
    ]


def test_every_file_that_cannot_be_a_venue_is_told_beside_an_unknown_one(
    read: Problems, tmp_path: Path
) -> None:
    folder = tmp_path / "venues"
    folder.mkdir()
    for name in ("binance", "Demo", "other"):
        (folder / f"{name}.yml").write_text(DEMO)
    found = read(
        HEAD.replace("binance", "other")
        + "  test: {venue: othr, signer: signing}\n"
        + "venues: {folder: venues}\n"
    )
    assert [line.partition(": ")[0] for line in found] == [
        *("5 accounts.test.venue", "6 venues.folder", "6 venues.folder")
    ]
    assert "did you mean 'other'?" in found[0]


def test_two_required_plugins_that_are_missing_are_both_told(file: Path) -> None:
    text = HEAD.replace("policy,", "policy, gone, away,").replace("[killswitch]", "[gone, away]")
    missing = "third_party:\n  h-gone: {plugins: [gone]}\n  h-away: {plugins: [away]}\n"
    file.write_text(text + missing)
    with pytest.raises(StartFailed) as caught:
        load(file)
    assert str(caught.value).splitlines() == [
        "plugin 'gone' is required and did not start: h-gone is not installed: pip install h-gone",
        "plugin 'away' is required and did not start: h-away is not installed: pip install h-away",
    ]
    assert caught.value.plugin == "gone"


def test_required_plugins_that_are_missing_are_told_with_what_is_wrong_in_the_file(
    read: Problems,
) -> None:
    text = HEAD.replace("policy,", "policy, gone,").replace("[killswitch]", "[gone]")
    missing = "third_party: {h-gone: {plugins: [gone, away]}}\nports: {store: away}\nmode: x\n"
    assert [line.partition(":")[0] for line in read(text + missing)] == [
        *("1 plugins.2", "6 ports.store", "7 mode")
    ]


# At the start.


@pytest.mark.parametrize("required", ["[killswitch]", "[killswitch, throttle]"])
def test_a_window_that_counts_what_nothing_costs_is_refused_where_it_stands(
    start: Problems, required: str
) -> None:
    window = WINDOW % ("w", "wieght")
    text = HEAD.replace("[killswitch]", required)
    assert start(f"{text}throttle:\n  windows:\n    binance:\n      - {window}\n") == [
        "8 throttle.windows.binance.0.counts: no endpoint costs any 'wieght', so nothing would be "
        "paced; did you mean 'weight'?"
    ]


def test_what_all_plugins_find_at_the_start_is_told_together(
    start: Problems, tmp_path: Path
) -> None:
    (tmp_path / "demo.yml").write_text(DEMO)
    window = WINDOW % ("w", "ordrs")
    found = start(
        HEAD + "  other: {venue: demo, key: env:K, secret: env:S}\n"
        f"venues: {{folder: {tmp_path}}}\n"
        f"throttle: {{windows: {{binance: [{window}]}}}}\n"
    )
    assert "7 throttle.windows.binance.0.counts" in {line.partition(": ")[0] for line in found}
    assert any("limits.windows.0.counts: no endpoint costs any 'wieght'" in line for line in found)
    assert any("signing.mesage: unknown field; did you mean 'message'?" in line for line in found)


def test_a_cost_whose_endpoint_is_misspelt_is_told_with_its_line(
    start: Problems, tmp_path: Path
) -> None:
    costs = "costs: {default: {weight: 1}, 'POST /ordr': {weight: 5}, 'GET /o/{n}': {weight: 5}}"
    demo = DEMO.replace("wieght", "weight").replace("trade}", "trade, 'GET /o/{id}': read}")
    (tmp_path / "demo.yml").write_text(demo.replace("costs: {default: {weight: 1}}", costs))
    found = start(
        HEAD.replace("venue: binance", "venue: demo") + f"venues: {{folder: {tmp_path}}}\n"
    )
    assert [line for line in found if "limits.costs" in line] == [
        "8 limits.costs.'POST /ordr': no endpoint in `operations` is called so, and the default "
        "is charged; did you mean 'POST /order'?",
        "8 limits.costs.'GET /o/{n}': no endpoint in `operations` is called so, and the default "
        "is charged; did you mean 'GET /o/{id}'?",
    ]


def test_a_venue_file_with_problems_is_told_once_with_its_own_lines(
    start: Problems, tmp_path: Path
) -> None:
    (tmp_path / "demo.yml").write_text(DEMO.replace("trade}", "trad, POST /a: cancl}"))
    found = start(
        HEAD.replace("venue: binance", "venue: demo") + f"venues: {{folder: {tmp_path}}}\n"
    )
    assert [line[:12] for line in found] == ["4 operations"] * 2
    assert "did you mean 'trade'?" in found[0]
    assert "did you mean 'cancel'?" in found[1]


class Finds(Plugin):
    """Finds something wrong at its start."""

    interface = (1, 1)
    told: list[str] = []

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.told.append(f"start {context.name}")
        raise ConfigError([context.problem(("limits", 0), f"{context.name} cannot use it")])


class Stopped(Finds):
    @hookimpl
    def on_start(self, context: Context) -> None:
        self.told.append(f"start {context.name}")

    @hookimpl
    def on_stop(self) -> None:
        self.told.append("stop")


class Fails(Finds):
    @hookimpl
    def on_start(self, context: Context) -> None:
        raise OSError("no such device")


def plan_of(*plugins: tuple[str, type[Plugin], bool]) -> Plan:
    made = make_plan()
    extra = [Planned(name, cls, required=required) for name, cls, required in plugins]
    names = [one.name for one in extra]
    return Plan(
        made.settings, ["killswitch", *names, "bots", "signing"], [*made.planned, *extra],
        problem=lambda path, message: ConfigProblem("x.yml", 7, ".".join(map(str, path)), message),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _forget() -> None:
    Finds.told.clear()


def test_a_problem_of_a_plugins_own_section_bears_its_path_and_line() -> None:
    with pytest.raises(ConfigError) as caught:
        Guard(plan_of(("mine", Finds, False)), clock=FakeClock())
    [problem] = caught.value.problems
    assert str(problem) == "x.yml:7: mine.limits.0: mine cannot use it"


def test_where_there_is_no_file_a_problem_says_so() -> None:
    with pytest.raises(ConfigError, match=r"the configuration: finds\.limits\.0: finds cannot"):
        Guard(make_plan(Finds()), clock=FakeClock())


def test_all_are_asked_what_is_wrong_and_then_all_that_started_are_stopped() -> None:
    with pytest.raises(ConfigError) as caught:
        Guard(
            plan_of(("first", Finds, False), ("fine", Stopped, True), ("last", Finds, True)),
            clock=FakeClock(),
        )
    assert [problem.path for problem in caught.value.problems] == [
        "first.limits.0",
        "last.limits.0",
    ]
    assert Finds.told == ["start first", "start fine", "start last", "stop"]


def test_what_fails_after_a_problem_was_found_does_not_hide_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(ConfigError, match="first cannot use it"):
        Guard(
            plan_of(("first", Finds, False), ("a", Fails, True), ("b", Fails, False)),
            clock=FakeClock(),
        )
    assert "is skipped" not in caplog.text


def test_a_reload_that_finds_something_wrong_changes_nothing() -> None:
    plans = [
        plan_of(("fine", Stopped, True)),
        plan_of(("fine", Stopped, True), ("x", Finds, False)),
    ]
    with Guard(plans[0], clock=FakeClock(), replan=lambda: plans[1]) as guard:
        before = guard.snapshot
        with pytest.raises(ConfigError, match="x cannot use it"):
            guard.reload()
        assert guard.snapshot is before
        assert Finds.told == ["start fine", "start x"]
