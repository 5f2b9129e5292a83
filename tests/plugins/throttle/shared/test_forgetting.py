"""What nobody uses is forgotten, here and in the store, and nothing that still counts is."""

from __future__ import annotations

import pytest

from hauberk_plugins.throttle.shared.limiter import SWEEP_NS

from .world import S, World, window

SWEEP_S = SWEEP_NS // S


def records(world: World) -> list[str]:
    return [name for name, _ in world.store.scan("shared/meter/")]


def idle(world: World, seconds: float, *processes: object, step_s: float = 30) -> None:
    """Let time pass as it does, with the beats of those who live."""
    while seconds > 0:
        world.clock.advance(min(step_s, seconds))
        seconds -= step_s
        for process in processes:
            process.limiter.beat()


def test_a_window_that_nobody_asks_for_is_forgotten_here(world: World) -> None:
    one = world.process(window(seconds=10))
    one.passes("a")
    one.limiter.beat()
    assert one.row().used == 1
    idle(world, 90, one)
    assert one.meters[0].gone == one.meters[0].key
    assert not list(one.limiter.rows(0, 0))


def test_whoever_still_holds_a_forgotten_window_goes_on_with_what_stands_in_its_place(
    world: World,
) -> None:
    one, two = world.processes(2, window(size=5, seconds=10))
    one.passes("a")
    held = one.meters[0]
    idle(world, 90, one, two)
    one.meters = [one.limiter.meter(held.key, held.window, 0)]
    assert one.meters[0] is not held
    one.passes("b", 3)
    one.meters = [held]
    assert one.ask("c") == 0
    assert held.gone is not None
    one.limiter.beat()
    assert two.ask("d", 2) > 0
    assert two.ask("e") > 0  # behind d
    two.end("d", left=False)
    assert two.ask("e") == 0


def test_a_window_whose_only_holder_comes_back_counts_again(world: World) -> None:
    one = world.process(window(size=2, seconds=10))
    idle(world, 90, one)
    one.passes("a", 2)
    assert one.meters[0].gone is None
    assert one.ask("b") > 0


@pytest.mark.parametrize("left", [True, False])
def test_what_is_on_its_way_for_hours_is_not_forgotten_anywhere(world: World, left: bool) -> None:
    one, two = world.processes(2, window(size=2, seconds=10))
    assert one.ask("a", 2) == 0
    idle(world, 4 * 3_600, one, two)
    assert two.ask("b") > 0
    assert records(world)
    # Two that report what is open of one record would take it back from each other.
    assert one.meters[0].gone is None
    one.end("a", left=left)
    one.limiter.beat()
    assert (two.ask("b") == 0) is not left


def test_the_store_forgets_what_nobody_has_used(world: World) -> None:
    one = world.process(window(name="w1", seconds=10), window(name="w2", seconds=86_400))
    one.passes("a")
    idle(world, 2 * SWEEP_S, one)
    (kept,) = records(world)
    assert "w2" in kept
    idle(world, 3 * 86_400, one, step_s=600)
    assert not records(world)


def test_the_store_keeps_what_another_process_uses(world: World) -> None:
    one, two = world.processes(2, window(size=2, seconds=10))
    for number in range(SWEEP_S * 3 // 20):
        two.passes(str(number))
        idle(world, 20, one, two)
    assert len(records(world)) == 1


def test_a_record_that_is_used_between_being_found_and_being_deleted_is_kept(world: World) -> None:
    one, two = world.processes(2, window(size=2, seconds=10))
    two.passes("a")
    idle(world, SWEEP_S - 30, one, two)
    found = world.store.scan

    def scan(prefix: str = ""):
        yield from list(found(prefix))
        world.store.scan = found
        two.passes("b")
        two.limiter.beat()

    world.store.scan = scan
    idle(world, 60, one)
    assert world.store.scan == found
    assert len(records(world)) == 1


def test_a_damaged_record_is_left_for_whoever_uses_it_to_be_told(world: World) -> None:
    one = world.process(window(seconds=10))
    one.passes("a")
    one.limiter.beat()
    (name,) = records(world)
    world.store.put(name, b"no JSON")
    idle(world, 2 * SWEEP_S, one)
    assert records(world) == [name]
    assert not any(one.said)
