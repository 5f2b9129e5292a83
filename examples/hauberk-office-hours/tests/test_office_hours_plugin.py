"""The plugin keeps Hauberk's contract, and refuses logins in a guard."""

from __future__ import annotations

from typing import Any

import pytest
from hauberk import Denied, Identity, Incident, Login, Plugin, Secret, Severity, hookimpl
from hauberk.guard import Guard
from hauberk.testing import GuardFactory, check_plugin

from hauberk_office_hours.plugin import OfficeHoursConfig, OfficeHoursPlugin

# The clock of the kit begins on Tuesday 2023-11-14 at 22:13:20 UTC.
LATE = OfficeHoursConfig(networks=("10.1.0.0/16",), hours="07:00-22:00")
OPEN = OfficeHoursConfig(networks=("10.1.0.0/16",), hours="07:00-23:00")


class Door(Plugin):
    """An authenticator that knows everybody, and remembers who came so far."""

    interface = (1, 1)

    def __init__(self) -> None:
        self.asked: list[str] = []

    @hookimpl
    def on_login(self, login: Login) -> Identity:
        self.asked.append(login.source)
        return Identity(login.user)


class Heard(Plugin):
    """Hears of incidents."""

    interface = (1, 1)

    def __init__(self) -> None:
        self.incidents: list[Incident] = []

    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        self.incidents.append(incident)


class Site:
    """A guard, what stands behind the plugin, and who hears of it."""

    def __init__(self, guard: GuardFactory, config: OfficeHoursConfig) -> None:
        self.door, self.heard = Door(), Heard()
        self.guard: Guard = guard(
            ("office_hours", OfficeHoursPlugin(config)),
            ("door", self.door),
            ("heard", self.heard),
            grants={"door": ["authenticate"]},
        )

    def login(self, source: str) -> Identity:
        return self.guard.login(Login("ada", Secret("a heron"), source=source))


def test_it_keeps_the_contract() -> None:
    check_plugin(OfficeHoursPlugin, config=LATE)


def test_at_home_and_in_hours_it_has_no_objection(guard: GuardFactory) -> None:
    site = Site(guard, OPEN)
    assert site.login("10.1.2.3").user == "ada"
    assert site.heard.incidents == []


def test_from_elsewhere_nobody_looks_at_the_password(guard: GuardFactory) -> None:
    site = Site(guard, OPEN)
    with pytest.raises(Denied) as denied:
        site.login("203.0.113.7")
    assert (denied.value.plugin, denied.value.retry_after) == ("office_hours", None)
    assert site.door.asked == []
    (incident,) = site.heard.incidents
    assert (incident.severity, incident.source) == (Severity.MEDIUM, "office_hours")
    assert incident.details == {"source": "203.0.113.7"}


def test_out_of_hours_it_says_when_to_come_again(guard: GuardFactory) -> None:
    site = Site(guard, LATE)
    with pytest.raises(Denied) as denied:
        site.login("10.1.2.3")
    assert denied.value.retry_after == 8 * 3_600 + 46 * 60 + 40  # until 07:00
    assert [one.severity for one in site.heard.incidents] == [Severity.LOW]


def test_whoever_is_at_the_machine_may_at_any_time(guard: GuardFactory) -> None:
    site = Site(guard, LATE)
    assert site.login("command line").user == "ada"


def test_nobody_outside_stops_trading_by_trying(guard: GuardFactory) -> None:
    site = Site(guard, LATE)
    for n in range(50):
        with pytest.raises(Denied):
            site.login(f"203.0.113.{n}")
    assert all(one.severity <= Severity.MEDIUM for one in site.heard.incidents)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"networks": ("10.1.2.3/16",)}, "is no network"),
        ({"hours": "20:00-07:00"}, "of one day"),
        ({"hours": "7-20"}, "are no hours"),
        ({"days": ("monday",)}, "is no day"),
        ({"timezone": "Europe/Berlim"}, "is no time zone"),
    ],
)
def test_a_wrong_configuration_is_refused_with_what_to_write(
    wrong: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        OfficeHoursConfig(**wrong)
