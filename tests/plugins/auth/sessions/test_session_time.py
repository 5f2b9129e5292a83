from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from hauberk import Secret
from hauberk_plugins.auth.session_record import PREFIX, SessionLimits
from hauberk_plugins.auth.sessions import SessionManager

if TYPE_CHECKING:
    from conftest import Machine

MINUTE = 60


def is_valid(sessions: SessionManager, token: Secret) -> bool:
    return sessions.validate_session(token) is not None


def test_one_that_is_not_used_ends_after_the_idle_limit_and_not_before(machine: Machine) -> None:
    sessions = machine.process()
    first, second = sessions.create("alice"), sessions.create("alice")
    machine.clock.advance_ns(machine.limits.idle_ns - 1)
    assert is_valid(sessions, first)
    machine.clock.advance_ns(1)
    assert not is_valid(sessions, second)
    assert is_valid(sessions, first)


def test_one_that_is_used_all_the_time_ends_after_the_absolute_limit(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    for _ in range(12 * 60 - 1):
        machine.clock.advance(MINUTE)
        assert is_valid(sessions, token)
    machine.clock.advance(MINUTE)
    assert not is_valid(sessions, token)


def test_the_limits_unless_configured_are_15_minutes_and_12_hours() -> None:
    assert (SessionLimits().idle_s, SessionLimits().absolute_s) == (15 * 60, 12 * 3_600)


@pytest.mark.parametrize("field", ["idle_s", "absolute_s", "per_user", "total"])
def test_a_limit_that_would_be_none_is_refused(field: str) -> None:
    for value in (0, -1, 10**9):
        with pytest.raises(ValueError, match=field):
            evolve(SessionLimits(), **{field: value})


def test_what_is_over_is_over_for_every_process_and_told_once(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    token = sessions.create("alice")
    machine.clock.advance(15 * MINUTE)
    assert not is_valid(other, token)
    assert not is_valid(sessions, token)
    assert machine.whys() == ["its time was over"]
    assert list(machine.store.scan(PREFIX)) == []


def test_a_store_that_cannot_be_written_makes_nothing_last_longer(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    machine.store.refuses_puts = True
    machine.clock.advance(15 * MINUTE)
    assert not is_valid(sessions, token)
    assert not machine.is_valid(token)


@pytest.mark.parametrize("step", [-3_600, -10, 3_600])
def test_within_a_process_a_step_of_the_wall_clock_changes_nothing(
    machine: Machine, step: float
) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    machine.clock.advance(14 * MINUTE)
    machine.clock.step_wall(step)
    assert is_valid(sessions, token)
    machine.clock.advance(15 * MINUTE)
    assert not is_valid(sessions, token)


def test_a_wall_clock_set_back_makes_nothing_last_beyond_the_absolute_limit(
    machine: Machine,
) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    for _ in range(12 * 60 - 1):
        machine.clock.advance(MINUTE)
        machine.clock.step_wall(-MINUTE)
        assert is_valid(sessions, token)
    machine.clock.advance(MINUTE)
    assert not is_valid(sessions, token)


def test_what_a_suspended_machine_slept_counts_for_the_absolute_limit(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    machine.clock.step_wall(12 * 3_600)
    assert not is_valid(sessions, token)


def test_after_a_reboot_the_wall_clock_tells(machine: Machine) -> None:
    first, second = machine.process().create("alice"), machine.process().create("alice")
    machine.reboot()
    machine.clock.advance(14 * MINUTE)
    assert machine.is_valid(first)
    machine.clock.advance(MINUTE)
    assert not machine.is_valid(second)


def test_after_a_reboot_with_the_clock_set_back_it_is_refused_and_stays_so(
    machine: Machine,
) -> None:
    token = machine.process().create("alice")
    machine.reboot()
    machine.clock.step_wall(-6)
    assert not machine.is_valid(token)
    machine.clock.advance(MINUTE)
    assert not machine.is_valid(token)


def test_clocks_of_two_machines_that_disagree_a_little_end_nothing(machine: Machine) -> None:
    token = machine.process().create("alice")
    machine.reboot()
    machine.clock.step_wall(-4)
    assert machine.is_valid(token)


def test_a_restart_within_a_boot_knows_the_time_whatever_the_wall_clock_says(
    machine: Machine,
) -> None:
    first, second = machine.process().create("alice"), machine.process().create("alice")
    machine.clock.advance(14 * MINUTE)
    machine.clock.step_wall(-3_600)
    assert machine.is_valid(first)
    machine.clock.advance(MINUTE)
    assert not machine.is_valid(second)


def test_a_restart_does_not_begin_the_absolute_limit_anew(machine: Machine) -> None:
    token = machine.process().create("alice")
    for _ in range(71):
        machine.clock.advance(10 * MINUTE)
        machine.reboot()
        assert machine.is_valid(token)
    machine.clock.advance(10 * MINUTE)
    machine.reboot()
    assert not machine.is_valid(token)


def test_a_clock_set_back_before_a_reboot_does_not_begin_the_absolute_limit_anew(
    machine: Machine,
) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    machine.clock.step_wall(-11 * 3_600)
    for _ in range(71):
        machine.clock.advance(10 * MINUTE)
        assert is_valid(sessions, token)
    machine.reboot()
    machine.clock.advance(10 * MINUTE)
    assert not machine.is_valid(token)


def test_limits_that_were_lowered_hold_for_what_there_is(machine: Machine) -> None:
    token = machine.process().create("alice")
    machine.clock.advance(2 * MINUTE)
    assert not is_valid(machine.process(SessionLimits(idle_s=120)), token)


@pytest.mark.parametrize("others_end", [False, True])
def test_a_use_counts_before_it_is_written_down(machine: Machine, others_end: bool) -> None:
    sessions, other = machine.process(), machine.process()
    token = sessions.create("alice")
    machine.clock.advance(59)
    assert is_valid(sessions, token)
    if others_end:
        other.end_session(other.create("bob"))
    machine.clock.advance(14.9 * MINUTE)
    assert is_valid(sessions, token)


def test_what_a_suspended_machine_slept_counts_for_a_process_that_starts(machine: Machine) -> None:
    token = machine.process().create("alice")
    machine.clock.step_wall(15 * MINUTE)
    assert not machine.is_valid(token)


def test_what_it_slept_in_many_parts_counts_for_the_absolute_limit(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    for _ in range(71):
        machine.clock.advance(MINUTE)
        machine.clock.step_wall(9 * MINUTE)
        assert is_valid(sessions, token)
    machine.clock.advance(10 * MINUTE)
    assert not machine.is_valid(token)


def test_a_clock_set_back_after_a_restart_makes_nothing_last_longer(machine: Machine) -> None:
    first = machine.process()
    token = first.create("alice")
    for _ in range(36):
        machine.clock.advance(10 * MINUTE)
        assert is_valid(first, token)
    second = machine.process()
    assert is_valid(second, token)
    machine.clock.step_wall(-6 * 3_600)
    for _ in range(35):
        machine.clock.advance(10 * MINUTE)
        assert is_valid(second, token)
    machine.clock.advance(10 * MINUTE)
    assert not is_valid(second, token)


def test_a_clock_set_back_bit_by_bit_makes_nothing_last_longer_where_no_boot_is_known(
    machine: Machine,
) -> None:
    """What other processes end has it looked up anew, each time by a clock that is behind."""
    machine.boot = ""
    sessions, other = machine.process(), machine.process()
    token = sessions.create("alice")
    for _ in range(12 * 60 - 1):
        machine.clock.advance(MINUTE)
        machine.clock.step_wall(-4)
        other.end_session(other.create("bob"))
        assert is_valid(sessions, token)
    machine.clock.advance(MINUTE)
    assert not is_valid(sessions, token)


def test_a_use_counts_to_the_moment(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    for seconds in (59, 0.5, 899.9):
        machine.clock.advance(seconds)
        assert is_valid(sessions, token)


@pytest.mark.parametrize("step", [-MINUTE, 0, 9 * MINUTE])
def test_what_has_reached_its_absolute_limit_is_not_listed(machine: Machine, step: int) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    for _ in range(719 if step <= 0 else 71):
        machine.clock.advance(MINUTE)
        machine.clock.step_wall(step)
        assert is_valid(sessions, token)
    assert len(machine.process().list()) == 1
    machine.clock.advance(MINUTE)
    machine.clock.step_wall(max(step, 0))
    assert machine.process().list() == []
