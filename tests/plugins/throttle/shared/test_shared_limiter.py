"""What processes that share a budget may have of it, and when."""

from __future__ import annotations

import json

import pytest

from hauberk.errors import InvalidValue, StoreError
from hauberk_plugins.throttle.errors import Frozen, LineFull, TooDear
from hauberk_plugins.throttle.shared.errors import BudgetLost

from .world import MS, S, World, window


def test_what_one_process_was_granted_another_cannot_have(world: World) -> None:
    one, two = world.processes(2, window(size=2))
    assert one.ask("a") == 0
    assert two.ask("b") == 0
    assert two.ask("c") > 0
    assert one.ask("d") > 0


def test_the_same_request_asked_again_is_charged_once(world: World) -> None:
    one, two = world.processes(2, window(size=2))
    assert [one.ask("a") for _ in range(5)] == [0] * 5
    assert two.ask("b") == 0


def test_dearer_content_is_charged_afresh(world: World) -> None:
    (one,) = world.processes(1, window(size=5))
    assert one.ask("a", 2) == 0
    assert one.ask("a", 4) == 0
    assert one.row().used == 4


def test_what_is_given_back_is_free_for_another_at_once(world: World) -> None:
    one, two = world.processes(2, window(size=1))
    one.ask("a")
    assert two.ask("b") > 0
    one.end("a", left=False)
    one.limiter.beat()
    assert two.ask("b") == 0


def test_what_left_counts_for_the_window_and_by_when_it_left(world: World) -> None:
    one, two = world.processes(2, window(size=1, seconds=10))
    one.passes("a")
    world.clock.advance(4)
    one.limiter.beat()
    wait = two.ask("b")
    # Told four seconds late, and dated right: by less than a sub-window of 0.2 s.
    assert 6 * S <= wait <= 6.2 * S
    world.clock.advance_ns(wait)
    assert two.ask("b") == 0


def test_several_windows_are_granted_together_or_not_at_all(world: World) -> None:
    one, two = world.processes(2, window(size=5), window(name="v", size=1))
    one.ask("a", 0, 1)
    assert two.ask("b", 1, 1) > 0
    assert [row.used for row in two.limiter.rows(0, 0)] == [0, 1]


def test_a_cost_that_no_window_holds_is_denied_at_once(world: World) -> None:
    (one,) = world.processes(1, window(size=5, reserve=1))
    with pytest.raises(TooDear):
        one.ask("a", 5)
    assert one.ask("b", 4) == 0


def test_who_waited_longest_comes_first_whichever_process_it_is_in(world: World) -> None:
    one, two, three = world.processes(3, window(size=1, seconds=10))
    one.passes("a")
    one.limiter.beat()
    world.clock.advance(1)
    assert two.ask("first") > 0
    world.clock.advance(1)
    assert three.ask("second") > 0
    world.clock.advance(8.3)
    assert three.ask("second") > 0
    assert two.ask("first") == 0


def test_a_dead_claimant_is_passed_over_when_its_turn_is_over(world: World) -> None:
    one, two, three = world.processes(3, window(size=1, seconds=10))
    one.passes("a")
    one.limiter.beat()
    assert two.ask("dies") > 0
    world.clock.advance(1)
    assert three.ask("next") > 0
    world.clock.advance(9.4)
    assert three.ask("next") > 0
    world.clock.advance(1)
    assert three.ask("next") == 0


def test_a_waiter_that_gives_up_lets_the_next_process_pass(world: World) -> None:
    one, two, three = world.processes(3, window(size=1, seconds=10))
    one.ask("a")
    two.ask("gives up")
    world.clock.advance(1)
    three.ask("next")
    two.end("gives up", left=False)
    two.limiter.beat()
    one.end("a", left=False)
    one.limiter.beat()
    assert three.ask("next") == 0


def test_in_one_process_only_the_head_asks_and_the_next_is_woken(world: World) -> None:
    (one,) = world.processes(1, window(size=1, seconds=10))
    one.passes("a")
    assert one.ask("b") > 0
    assert one.ask("c") >= 10 * S
    world.clock.advance(10.3)
    assert one.ask("c") > 0
    assert one.ask("b") == 0
    assert one.woken == ["c"]


def test_nobody_waits_behind_who_wants_another_window(world: World) -> None:
    (one,) = world.processes(1, window(size=1), window(name="v", size=5))
    assert one.ask("a", 1, 0) == 0
    assert one.ask("b", 1, 1) > 0
    assert one.ask("c", 0, 1) == 0


def test_too_many_in_line_are_refused(world: World) -> None:
    (one,) = world.processes(1, window(size=1), max_waiting=2)
    one.ask("a")
    one.ask("b")
    one.ask("c")
    with pytest.raises(LineFull):
        one.ask("d")


def test_heads_look_again_for_what_other_processes_gave_back(world: World) -> None:
    one, two = world.processes(2, window(size=1, seconds=60))
    one.ask("a")
    two.ask("b")
    world.clock.advance(0.5)
    two.limiter.beat()
    assert two.woken == ["b"]


def test_the_reserve_is_for_cancels_alone_and_does_not_starve_orders(world: World) -> None:
    one, two = world.processes(2, window(size=4, reserve=1, seconds=10))
    for name in "abc":
        assert one.ask(name) == 0
    assert two.ask("order") > 0
    assert two.ask("cancel", cancel=True) == 0
    assert two.ask("flood", cancel=True) > 0
    one.end("a", left=False)
    one.limiter.beat()
    # The order has waited longer, and what is given back is no reserve.
    assert two.ask("flood", cancel=True) > 0
    assert two.ask("order") == 0


def test_a_freeze_stops_every_process_until_it_is_over(world: World) -> None:
    one, two = world.processes(2, window(size=5))
    one.ask("held")
    one.limiter.freeze(("v",), world.clock.monotonic_ns() + 30 * S, world.clock.monotonic_ns())
    assert one.ask("held") == 30 * S
    one.limiter.beat()
    assert 29 * S < two.ask("b") <= 30 * S
    assert two.froze == 1
    world.clock.advance(30)
    assert two.ask("b") == 0
    assert one.ask("held") == 0


def test_after_a_freeze_whoever_came_first_goes_on_first(world: World) -> None:
    (one,) = world.processes(1, window(size=9))
    now = world.clock.monotonic_ns()
    one.limiter.freeze(("v",), now + 5 * S, now)
    for name in "abc":
        assert one.ask(name) == 5 * S
    one.limiter.beat()
    world.clock.advance(5)
    assert one.ask("c") > 0
    assert one.ask("b") > 0
    assert [one.ask(name) for name in "abc"] == [0, 0, 0]


def test_who_gives_up_while_frozen_leaves_no_place_behind(world: World) -> None:
    (one,) = world.processes(1, window(size=9))
    now = world.clock.monotonic_ns()
    one.limiter.freeze(("v",), now + 5 * S, now)
    one.ask("a")
    one.ask("b")
    one.end("a", left=False)
    one.limiter.beat()
    world.clock.advance(5)
    assert one.ask("b") == 0
    assert one.row().waiting == 0


def test_a_freeze_of_something_else_stops_nobody(world: World) -> None:
    (one,) = world.processes(1, window(size=5))
    now = world.clock.monotonic_ns()
    one.limiter.freeze(("v", "", "account"), now + 30 * S, now)
    one.limiter.freeze(("venue",), now + 30 * S, now)
    one.limiter.beat()
    assert one.ask("a") == 0


def test_a_long_freeze_is_said_at_once(world: World) -> None:
    one, two = world.processes(2, window(size=5))
    now = world.clock.monotonic_ns()
    one.limiter.freeze(("v",), now + 3_600 * S, now)
    one.limiter.beat()
    for process in (one, two):
        with pytest.raises(Frozen):
            process.ask("a")


def test_the_larger_of_ours_and_theirs_counts_for_every_process(world: World) -> None:
    one, two = world.processes(2, window(size=10))
    one.passes("a")
    one.limiter.learn(one.meters[0], 10, world.clock.monotonic_ns(), world.clock.wall_ns())
    one.limiter.beat()
    assert two.ask("b") > 0
    assert (two.row().used, two.row().theirs) == (10, 10)
    two.limiter.learn(two.meters[0], 1, world.clock.monotonic_ns(), world.clock.wall_ns())
    two.limiter.beat()
    assert two.row().used == 10


def test_an_answer_from_before_a_boundary_says_nothing_of_the_minute_after(world: World) -> None:
    (one,) = world.processes(1, window("calendar", size=10, seconds=60))
    to_boundary = 60 * S - world.clock.wall_ns() % (60 * S)
    world.clock.advance_ns(to_boundary - 10 * MS)
    one.limiter.learn(one.meters[0], 10, world.clock.monotonic_ns(), world.clock.wall_ns())
    world.clock.advance_ns(20 * MS)
    one.limiter.beat()
    assert one.ask("a") == 0


def test_a_process_that_dies_is_taken_to_have_sent_what_it_had(world: World) -> None:
    one, two = world.processes(2, window(size=1, seconds=10))
    one.ask("a")
    world.clock.advance(59)
    assert two.ask("b") > 0
    world.clock.advance(20)
    wait = two.ask("b")
    assert 0 < wait <= 11 * S
    world.clock.advance_ns(wait)
    assert two.ask("b") == 0


def test_a_process_that_stood_still_for_long_begins_anew(world: World) -> None:
    one, two = world.processes(2, window(size=3, seconds=10))
    one.ask("a", 2)
    world.clock.advance(31)
    # Not dead yet, but perhaps taken for it by when the call arrives.
    assert one.ask("b", 1) == 0
    assert two.ask("c", 1) > 0
    one.end("a", left=True)
    one.end("b", left=False)
    one.limiter.beat()
    # What left counts twice until the ledger has noticed: the safe side.
    assert one.row().used == 4
    world.clock.advance(76)
    assert one.row().used == 2
    world.clock.advance(11)
    assert one.row().used == 0


def test_everything_survives_a_restart_of_every_process(world: World) -> None:
    one, two = world.processes(2, window(size=3, seconds=3_600))
    one.passes("a")
    two.passes("b")
    one.limiter.close()
    two.limiter.close()
    world.clock.advance(10)
    (three,) = world.processes(1, window(size=3, seconds=3_600))
    assert three.row().used == 2


@pytest.mark.parametrize("kind", ["rolling", "calendar", "decaying"])
def test_a_clock_that_steps_ahead_gives_no_budget_back(world: World, kind: str) -> None:
    one, two = world.processes(2, window(kind, size=5, seconds=60))
    one.passes("a", 5)
    one.limiter.beat()
    world.clock.step_wall(7_200)
    assert two.ask("b", 5) > 50 * S
    world.clock.advance(61.5)
    assert two.ask("b", 5) == 0


@pytest.mark.parametrize("kind", ["rolling", "calendar", "decaying"])
def test_a_clock_that_steps_back_neither_gives_back_nor_stops_the_budget(
    world: World, kind: str
) -> None:
    one, two = world.processes(2, window(kind, size=5, seconds=60))
    one.passes("a", 5)
    one.limiter.beat()
    world.clock.step_wall(-7_200)
    assert 50 * S < two.ask("b", 5) < 70 * S
    world.clock.advance(61.5)
    assert two.ask("b", 5) == 0


def test_a_clock_that_went_back_between_two_starts_gives_nothing_back(world: World) -> None:
    one = world.process(window(size=5, seconds=60))
    one.passes("a", 5)
    one.limiter.close()
    world.clock.step_wall(-7_200)
    two = world.process(window(size=5, seconds=60), machine="after a start")
    assert 50 * S < two.ask("b") < 70 * S


def test_a_shorter_window_keeps_what_was_counted(world: World) -> None:
    one, two = world.process(window(size=5, seconds=60)), world.process(window(size=5, seconds=10))
    one.passes("a", 5)
    one.limiter.beat()
    wait = two.ask("b", 5)
    assert 10 * S <= wait <= 10.3 * S


def test_plenty_is_granted_in_advance_and_given_back_when_it_is_not_used(world: World) -> None:
    one, two = world.processes(2, window(size=100), most_ahead=31)
    calls = []
    done = world.store.transaction
    world.store.transaction = lambda: (calls.append(1), done())[1]
    for number in range(40):
        one.passes(str(number))
    assert len(calls) < 8
    assert two.row().used <= 50
    one.limiter.beat()
    one.limiter.beat()
    assert two.row().used == 40


def test_the_less_is_free_the_less_is_granted_in_advance(world: World) -> None:
    one, two = world.processes(2, window(size=100), most_ahead=31)
    for number in range(100):
        one.passes(str(number))
        # What one holds in advance is an eighth of what was free before it was granted.
        assert two.row().used <= number + 1 + (100 - number) // 8
    assert two.row().used == 100
    assert two.ask("a") > 0


def test_what_was_granted_in_advance_is_given_back_when_somebody_waits(world: World) -> None:
    (one,) = world.processes(1, window(size=100), most_ahead=31)
    for number in range(10):
        one.passes(str(number))
    assert one.ask("large", 91) > 0
    one.limiter.beat()
    assert one.row().used == 10


def test_a_loss_denies_says_so_once_and_heals_by_itself(world: World) -> None:
    one, two = world.processes(2, window(size=5))
    one.passes("a")
    world.store.error = StoreError("the disk is gone")
    for _ in range(3):
        with pytest.raises(BudgetLost, match="the disk is gone; nothing is granted without it"):
            one.ask("b")
        one.limiter.beat()
    assert len(one.said) == 1
    world.store.error = None
    one.limiter.beat()
    assert one.said[1:] == [""]
    assert one.ask("b") == 0
    assert two.row().used == 2


def test_who_waits_is_woken_when_the_ledger_is_lost_and_when_it_is_found(world: World) -> None:
    (one,) = world.processes(1, window(size=1))
    one.ask("a")
    one.ask("b")
    one.ask("c")
    world.store.error = StoreError("gone")
    with pytest.raises(BudgetLost):
        one.ask("b")
    assert one.woken == ["b", "c"]
    world.store.error = None
    one.limiter.beat()
    assert one.woken == ["b", "c", "b", "c"]


def test_a_share_that_is_set_aside_is_granted_while_the_ledger_is_lost(world: World) -> None:
    one, two = world.processes(2, window(size=20, seconds=10), local=(0.1, 2))
    one.limiter.beat()
    two.limiter.beat()
    world.clock.advance(10)
    # 16 are shared, and two are set aside for each.
    assert one.ask("all", 16) == 0
    assert two.ask("more") > 0
    world.store.error = StoreError("gone")
    assert two.ask("more") == 0
    two.end("more", left=False)
    for process in (one, two):
        process.passes("l1")
        process.passes("l2")
        assert process.ask("l3") > 0
    world.store.error = None
    one.limiter.beat()
    two.limiter.beat()
    assert "l3" in two.woken
    assert two.ask("l3") > 0
    one.end("all", left=False)
    one.limiter.beat()
    assert two.ask("l3") == 0
    assert two.row().used == 1


def test_a_process_that_has_never_reached_the_ledger_grants_nothing(world: World) -> None:
    world.store.error = StoreError("gone")
    (one,) = world.processes(1, window(size=20), local=(0.1, 2))
    with pytest.raises(BudgetLost, match="not asked since this process began"):
        one.ask("a")


def test_a_process_that_has_just_begun_does_not_grant_what_one_before_it_may_have(
    world: World,
) -> None:
    (one,) = world.processes(1, window(size=20, seconds=10), local=(0.1, 2))
    one.passes("a")
    world.clock.advance(9)
    world.store.error = StoreError("gone")
    with pytest.raises(BudgetLost, match="began less than a window ago"):
        one.ask("b")
    world.clock.advance(1)
    assert one.ask("b") == 0


def test_a_window_too_small_to_set_anything_aside_is_denied_meanwhile(world: World) -> None:
    (one,) = world.processes(1, window(size=5), local=(0.1, 2))
    one.passes("a", 5)
    world.clock.advance(10)
    world.store.error = StoreError("gone")
    with pytest.raises(BudgetLost, match="nothing of window 'w' is set aside"):
        one.ask("b")


def test_what_leaves_no_room_to_share_is_refused(world: World) -> None:
    with pytest.raises(InvalidValue, match="leaves nothing"):
        world.process(window(size=10, reserve=2), local=(0.2, 4))


def test_what_a_process_was_granted_before_the_loss_is_dated_when_it_is_back(world: World) -> None:
    one, two = world.processes(2, window(size=2, seconds=10))
    one.ask("a")
    world.store.error = StoreError("gone")
    one.end("a", left=True)
    one.limiter.beat()
    world.clock.advance(3)
    world.store.error = None
    one.limiter.beat()
    two.passes("b")
    wait = two.ask("c")
    assert 7 * S <= wait <= 7.3 * S


@pytest.mark.parametrize(
    "damage",
    [
        b"no JSON",
        b"[]",
        b'{"total": "many"}',
        b'{"total": 5, "first": 9, "last": 3}',
        b'{"total": 5, "first": 0, "last": 999999999}',
        b'{"grain": 200000, "claims": "nonsense;"}',
        b'{"open": 1.5}',
    ],
)
def test_a_damaged_record_grants_nothing_and_says_what_to_do(world: World, damage: bytes) -> None:
    one, two = world.processes(2, window(size=1, seconds=10))
    one.ask("a")
    world.store.put("shared/meter/v//ip//w/", damage)
    with pytest.raises(BudgetLost, match="delete the throttle's records"):
        two.ask("b")
    with pytest.raises(BudgetLost):
        two.ask("b")


def test_a_ledger_put_back_from_a_copy_counts_every_window_as_full(world: World) -> None:
    one, two = world.processes(2, window(size=5, seconds=10))
    one.passes("a")
    copy = {name: record.value for name, record in world.store.scan()}
    one.passes("b", 3)
    one.limiter.beat()
    for name, value in copy.items():
        world.store.put(name, value)
    assert one.ask("c") > 0
    assert two.ask("d") > 0
    assert "forgotten" in one.noted[0]
    world.clock.advance(10.5)
    assert one.ask("c") == 0


def test_who_begins_on_an_empty_ledger_waits_for_those_who_know_better(world: World) -> None:
    one = world.process(window(size=5, seconds=10), grace_us=1_500_000)
    assert one.ask("a") == 1.5 * S
    world.clock.advance(1.5)
    one.passes("a", 5)
    one.limiter.beat()
    for name, _ in list(world.store.scan()):
        world.store.delete(name)
    two = world.process(window(size=5, seconds=10), grace_us=1_500_000)
    assert two.ask("b") == 1.5 * S
    world.clock.advance(0.5)
    one.limiter.beat()
    world.clock.advance(1)
    assert two.ask("b") > 8 * S


def test_a_request_that_ends_while_it_asks_holds_nothing(world: World) -> None:
    (one,) = world.processes(1, window(size=1))
    put = world.store.put

    def ending(name: str, value: bytes, *, version: int | None = None) -> int:
        one.limiter.end("a", False, world.clock.monotonic_ns())
        return put(name, value, version=version)

    world.store.put = ending
    one.ask("a")
    world.store.put = put
    one.limiter.beat()
    assert one.row().used == 0


def test_records_hold_no_more_than_the_window_needs(world: World) -> None:
    (one,) = world.processes(1, window(size=10_000, seconds=10))
    for number in range(500):
        one.passes(str(number))
        world.clock.advance(0.1)
    one.limiter.beat()
    record = json.loads(world.store.get("shared/meter/v//ip//w/").value)
    assert len([name for name in record if name[0] == "#"]) <= 52
