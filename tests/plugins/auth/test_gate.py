from __future__ import annotations

import threading

import pytest

from hauberk_plugins.auth.gate import Gate


@pytest.mark.parametrize(("cores", "at_once"), [(1, 1), (2, 1), (3, 1), (4, 2), (64, 32)])
def test_half_of_the_cores_are_left_to_the_bot(cores: int, at_once: int) -> None:
    gate = Gate(cores)
    assert gate.at_once == at_once
    for _ in range(at_once):
        assert gate.enter(is_known=False)


class Crowd:
    """Threads at a gate of one place at work, which somebody holds."""

    def __init__(self, patience_s: float = 30) -> None:
        self.gate = Gate(1, patience_s)
        assert self.gate.enter(is_known=False)
        self.entered: list[bool] = []
        self.threads: list[threading.Thread] = []

    def come(self, *, is_known: bool) -> None:
        """Have somebody wait, and see that they do."""
        waiting = self.gate._waiting
        thread = threading.Thread(
            target=lambda: self.entered.append(self.gate.enter(is_known=is_known))
        )
        self.threads.append(thread)
        thread.start()
        while self.gate._waiting == waiting:
            pass

    def end(self) -> None:
        for thread in self.threads:
            self.gate.leave()
            thread.join(30)


def test_so_many_wait_and_the_rest_are_turned_away_at_once() -> None:
    crowd = Crowd()
    for _ in range(crowd.gate.places // 2):
        crowd.come(is_known=False)
    assert not crowd.gate.enter(is_known=False)
    crowd.end()
    assert crowd.entered == [True] * (crowd.gate.places // 2)


def test_a_flood_leaves_places_for_known_devices() -> None:
    crowd = Crowd()
    for _ in range(crowd.gate.places // 2):
        crowd.come(is_known=False)
    crowd.come(is_known=True)
    assert not crowd.gate.enter(is_known=False)
    crowd.end()
    assert all(crowd.entered)


def test_known_devices_are_bounded_too() -> None:
    crowd = Crowd()
    for _ in range(crowd.gate.places):
        crowd.come(is_known=True)
    assert not crowd.gate.enter(is_known=True)
    crowd.end()


def test_nobody_waits_for_ever() -> None:
    gate = Gate(1, patience_s=0)
    assert gate.enter(is_known=False)
    assert not gate.enter(is_known=False)
    gate.leave()
    assert gate.enter(is_known=False)


def test_no_more_than_allowed_are_inside_at_once() -> None:
    gate, inside, most, lock = Gate(4), [0], [0], threading.Lock()

    def work() -> None:
        for _ in range(200):
            if gate.enter(is_known=True):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= 1
                gate.leave()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 2
