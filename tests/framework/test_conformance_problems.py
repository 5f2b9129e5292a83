"""`check_plugin` of `config_problems`: what it would do to whoever reads a broken hauberk.yml."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import pytest
from attrs import field, frozen, validators
from hypothesis import strategies as st

from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath
from hauberk.request import Request
from hauberk.spelling import nearest
from hauberk.testing import check_plugin
from hauberk.testing.conformance import ConformanceFailed, Rule
from hauberk.written import Written

REQUESTS = st.just(Request("GET", "https://api.open.test/read/x"))


@frozen
class HoursConfig:
    """Which venues are closed when."""

    closed: dict[str, tuple[int, ...]] = field(factory=dict)
    days: int = field(default=1, validator=validators.ge(1))


class Hours(Plugin):
    """Says which venues no account is at, whatever else is wrong."""

    interface = (1, 1)
    Config = HoursConfig

    def __init__(self, config: HoursConfig) -> None:
        self.config = config

    @hookimpl
    def on_request(self, request: Request) -> None:
        return None

    @classmethod
    def config_problems(cls, written: Written) -> Iterable[tuple[KeyPath, str]]:
        closed = written.section.get("closed")
        venues = [one["venue"] for one in written.accounts.values() if "venue" in one]
        known = [venue for venue in venues if isinstance(venue, str)]
        for venue in closed if isinstance(closed, dict) else ():
            if venue not in known:
                near = nearest(venue, known)
                yield (written.name, "closed", venue), f"no account is there{near}"


def check(plugin: type, **options: Any) -> None:
    check_plugin(plugin, requests=REQUESTS, examples=40, **options)


def broken(plugin: type, rule: Rule, **options: Any) -> ConformanceFailed:
    with pytest.raises(ConformanceFailed) as caught:
        check(plugin, **options)
    assert (caught.value.rule, caught.value.hook) == (rule, "config_problems")
    return caught.value


def test_one_that_keeps_to_it_passes() -> None:
    check_plugin(Hours, requests=REQUESTS, examples=10)
    check_plugin(lambda: Hours(HoursConfig()), requests=REQUESTS, examples=10)


class TrustsTheSection(Hours):
    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        for venue in written.section.get("closed", {}).keys():  # noqa: SIM118 - that it has them
            yield (written.name, "closed", venue), "is closed"


class TrustsTheAccounts(Hours):
    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        for name, account in written.accounts.items():
            if account["venue"].startswith("x"):
                yield ("accounts", name), "is odd"


class TrustsTheConfig(Hours):
    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        if written.config.days > 365:
            yield (written.name, "days"), "is too many"


class Exits(Hours):
    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        raise SystemExit(3)


@pytest.mark.parametrize("plugin", [TrustsTheSection, TrustsTheAccounts, TrustsTheConfig, Exits])
def test_one_that_raises_on_what_somebody_may_write_is_caught(plugin: type) -> None:
    failed = broken(plugin, Rule.NEVER_RAISES)
    assert "the section" in failed.script


def test_the_values_of_the_given_configuration_are_among_those_that_it_is_asked_about() -> None:
    class Far(Hours):
        @classmethod
        def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
            if written.config is not None and written.config.closed.get("mars") == (4, 2):
                raise ValueError
            yield (), "no"

    config = HoursConfig(closed={"mars": (4, 2)})
    failed = broken(Far, Rule.NEVER_RAISES, config=config)
    assert "mars" in failed.script


@pytest.mark.parametrize(
    "answer",
    ["text", [("plugin", "is no path")], [(("plugin",), "")], [("plugin",)], [((1.5,), "half")],
     [([], "a list")], [None]],
)  # fmt: skip
def test_one_that_says_something_else_is_caught(answer: Any) -> None:
    class Says(Hours):
        @classmethod
        def config_problems(cls, written: Written) -> Any:
            return answer

    assert "should say (path, message)" in broken(Says, Rule.RETURNS).why


def test_one_that_never_ends_is_caught() -> None:
    class Endless(Hours):
        @classmethod
        def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
            return (((number,), "again") for number in count())

    assert "does not come to an end" in broken(Endless, Rule.RETURNS).why


def test_one_that_says_something_else_the_next_time_is_caught() -> None:
    numbers = count()

    class Counts(Hours):
        @classmethod
        def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
            yield (), f"is wrong: {next(numbers)}"

    assert "asked twice about the same" in broken(Counts, Rule.DETERMINISTIC).why


class Tidies(Hours):
    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        written.section.pop("closed", None)  # type: ignore[attr-defined]
        return iter(())


def test_one_that_changes_what_it_was_shown_is_caught_unless_that_is_skipped() -> None:
    broken(Tidies, Rule.CHANGES_NOTHING)
    check(Tidies, skip=[Rule.CHANGES_NOTHING, Rule.THREADS])
