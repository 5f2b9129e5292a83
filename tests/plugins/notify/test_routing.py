"""An incident goes to the routes that are for it, and to no other."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Severity
from hauberk.records import Incident
from hauberk_plugins.notify.routing import Route, routes_for

INCIDENT = Incident("inc-1", "Logins from elsewhere", Severity.HIGH, "monitor", 0)


@pytest.mark.parametrize(
    ("route", "is_for_it"),
    [
        (Route("r"), True),
        (Route("r", Severity.HIGH), True),
        (Route("r", Severity.CRITICAL), False),
        (Route("r", plugins=frozenset({"monitor", "bot"})), True),
        (Route("r", plugins=frozenset({"bot"})), False),
        (Route("r", titles=("keys*", "LOGINS*")), True),
        (Route("r", titles=("login",)), False),
        (Route("r", Severity.CRITICAL, frozenset({"monitor"}), ("*",)), False),
    ],
)
def test_severity_plugin_and_title_must_all_be_right(route: Route, is_for_it: bool) -> None:
    assert route.takes(INCIDENT) is is_for_it


severities = st.sampled_from(Severity)


@given(severities, severities)
def test_a_route_takes_what_is_as_bad_as_it_wants_or_worse(
    least: Severity, severity: Severity
) -> None:
    assert Route("r", least).takes(evolve(INCIDENT, severity=severity)) == (severity >= least)


def test_nobody_is_notified_about_notification() -> None:
    route = Route("r", Severity.LOW)
    assert routes_for(INCIDENT, [route], "notify") == (route,)
    assert routes_for(evolve(INCIDENT, source="notify"), [route], "notify") == ()


def test_they_come_in_the_order_of_the_configuration() -> None:

    routes = [Route(name) for name in "bca"]
    assert [route.name for route in routes_for(INCIDENT, routes, "notify")] == ["b", "c", "a"]
