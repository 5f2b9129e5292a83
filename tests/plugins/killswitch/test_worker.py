"""A thread that takes turns, and that nobody has to wait for."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from hauberk_plugins.killswitch.worker import Worker

PATIENCE_S = 30
NEVER_S = 3_600.0


class Turns:
    """What takes turns: counts them; may be made to hang or to break."""

    def __init__(self) -> None:
        self.count = 0
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.let_go.set()
        self.error: BaseException | None = None

    def turn(self) -> None:
        self.count += 1
        self.entered.release()
        assert self.let_go.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error


def test_a_turn_that_was_asked_for_has_begun_since_then_and_ended() -> None:
    turns = Turns()
    worker = Worker("test", NEVER_S, turns.turn)
    assert worker.ask(PATIENCE_S)
    assert worker.ask(PATIENCE_S)
    assert turns.count == 2
    worker.stop()


def test_it_takes_turns_by_itself() -> None:
    turns = Turns()
    worker = Worker("test", 0.001, turns.turn)
    worker.start()
    for _ in range(3):
        assert turns.entered.acquire(timeout=PATIENCE_S)
    worker.stop()


def test_whoever_asks_waits_no_longer_than_it_says() -> None:
    turns = Turns()
    turns.let_go.clear()
    worker = Worker("test", NEVER_S, turns.turn)
    assert not worker.ask(0.01)
    assert not worker.ask()
    assert turns.entered.acquire(timeout=PATIENCE_S)
    turns.let_go.set()
    assert worker.ask(PATIENCE_S)
    worker.stop()


def test_a_turn_under_way_does_not_count_for_who_asks_meanwhile() -> None:
    turns = Turns()
    turns.let_go.clear()
    worker = Worker("test", NEVER_S, turns.turn)
    worker.ask()
    assert turns.entered.acquire(timeout=PATIENCE_S)
    ended: list[bool] = []
    asks = threading.Thread(target=lambda: ended.append(worker.ask(PATIENCE_S)))
    asks.start()
    turns.let_go.set()
    asks.join()
    assert ended == [True]
    assert turns.count == 2
    worker.stop()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_a_turn_that_breaks_is_logged_and_the_next_is_taken(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    turns = Turns()
    turns.error = error
    worker = Worker("test", NEVER_S, turns.turn)
    assert worker.ask(PATIENCE_S)
    assert type(error).__name__ in caplog.text
    turns.error = None
    assert worker.ask(PATIENCE_S)
    worker.stop()


def test_asking_from_within_a_turn_does_not_wait_for_itself() -> None:
    class Within:
        answer: bool | None = None

        def turn(self) -> None:
            if self.answer is None:
                self.answer = worker.ask(PATIENCE_S)

    within = Within()
    worker = Worker("test", NEVER_S, within.turn)
    assert worker.ask(PATIENCE_S)
    assert within.answer is False
    worker.stop()


def test_it_ends_with_what_takes_the_turns() -> None:
    turns = Turns()
    worker = Worker("test", 0.001, turns.turn)
    worker.start()
    thread = worker._thread
    assert thread is not None
    gone = weakref.ref(turns)
    del turns
    thread.join(PATIENCE_S)
    gc.collect()
    assert not thread.is_alive()
    assert gone() is None


def test_it_ends_with_whoever_holds_it() -> None:
    turns = Turns()
    worker = Worker("test", 0.001, turns.turn)
    worker.start()
    thread = worker._thread
    assert thread is not None
    del worker
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_what_was_asked_for_before_the_end_is_done_and_nothing_after() -> None:
    turns = Turns()
    turns.let_go.clear()
    worker = Worker("test", NEVER_S, turns.turn)
    worker.ask()
    assert turns.entered.acquire(timeout=PATIENCE_S)
    worker.ask()
    worker.stop()
    turns.let_go.set()
    thread = worker._thread
    assert thread is not None
    thread.join(PATIENCE_S)
    assert turns.count == 2
    assert not worker.ask(0.01)


def test_where_no_thread_is_to_be_had_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert not Worker("test", NEVER_S, Turns().turn).ask(PATIENCE_S)
