"""The plugin keeps Hauberk's contract, and pages in a guard."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest
from attrs import evolve
from hauberk import Denied, Incident, Outcome, Request, Response, Severity
from hauberk.guard import Guard
from hauberk.testing import DEFAULT_URL, GuardFactory, Providers, check_plugin

from hauberk_oncall.plugin import OncallConfig, OncallPlugin

URL = "https://pager.test/v2/enqueue"
CONFIG = OncallConfig(URL, "env:ONCALL_KEY")


class Pager:
    """Stands in for the way out."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.answer = Response(202)

    def send(self, request: Request, *, timeout_s: float) -> Response:
        assert timeout_s == CONFIG.timeout_s
        self.got.append(request)
        return self.answer


class WithPager(Providers):
    """Every port of the kit, and `transport`."""

    provides: ClassVar[dict[str, str]] = {**Providers.provides, "transport": "pager"}

    def __init__(self) -> None:
        super().__init__()
        self.pager = Pager()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCALL_KEY", "hunter2")


@pytest.fixture
def ports() -> WithPager:
    return WithPager()


def armed(guard: GuardFactory, ports: WithPager, config: OncallConfig = CONFIG) -> Guard:
    plugin = ("oncall", OncallPlugin(config))
    return guard(plugin, providers=ports, grants={"oncall": ["transport"]})


def outcome(incident: Incident) -> Outcome:
    return next(one for one in incident.outcomes if one.plugin == "oncall")


def test_it_keeps_the_contract() -> None:
    check_plugin(OncallPlugin, config=CONFIG, grants=["transport"])


def test_somebody_is_paged_and_what_is_halted_stays_halted(
    guard: GuardFactory, ports: WithPager
) -> None:
    made = armed(guard, ports)
    incident = made.report("keys are gone", Severity.CRITICAL)
    assert outcome(incident).did == "paged whoever is on call"
    (request,) = ports.pager.got
    assert (request.method, request.url) == ("POST", URL)
    sent = json.loads(request.body)
    assert sent["routing_key"] == "hunter2"
    assert sent["payload"]["custom_details"]["done"] == ["killswitch: halted"]
    with pytest.raises(Denied):
        made.clear(Request("POST", DEFAULT_URL))


def test_what_can_wait_pages_nobody(guard: GuardFactory, ports: WithPager) -> None:
    made = armed(guard, ports)
    made.report("a login failed", Severity.MEDIUM)
    assert ports.pager.got == []
    armed(guard, ports, evolve(CONFIG, severity="LOW")).report("a login failed", Severity.LOW)
    assert len(ports.pager.got) == 1


@pytest.mark.parametrize(
    ("answer", "did"),
    [
        (Response(error="TimeoutError"), "nobody paged: TimeoutError"),
        (Response(403), "nobody paged: it answered 403"),
    ],
)
def test_a_page_that_is_not_taken_is_said_in_the_incident(
    guard: GuardFactory, ports: WithPager, answer: Response, did: str
) -> None:
    ports.pager.answer = answer
    incident = armed(guard, ports).report("keys are gone", Severity.CRITICAL)
    assert (outcome(incident).did, outcome(incident).ok) == (did, False)


def test_without_its_key_it_says_so(
    guard: GuardFactory, ports: WithPager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONCALL_KEY")
    incident = armed(guard, ports).report("keys are gone", Severity.CRITICAL)
    assert outcome(incident).did == "nobody paged: the variable of its key is not set"
    assert ports.pager.got == []


def test_the_key_is_nowhere_but_in_the_page(guard: GuardFactory, ports: WithPager) -> None:
    ports.pager.answer = Response(500)
    incident = armed(guard, ports).report("keys are gone", Severity.CRITICAL)
    assert "hunter2" not in repr(incident) + repr(CONFIG)


@pytest.mark.parametrize(
    ("url", "reference", "why"),
    [
        ("pager.test", "env:ONCALL_KEY", "must be a URL"),
        (URL, "hunter2", "must be env:NAME"),
        (URL, "env:hunter 2", "must be env:NAME"),
    ],
)
def test_a_wrong_configuration_is_refused_without_the_key(
    url: str, reference: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        OncallConfig(url, reference)
    assert "hunter" not in str(caught.value)
