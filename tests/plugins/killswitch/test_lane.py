"""Cancelling everything, whatever hangs, refuses or fails."""

from __future__ import annotations

import threading

import pytest

from hauberk import Denied
from hauberk.errors import SigningError
from hauberk.testing import FakeClock
from hauberk_plugins.killswitch.answer import DONE, Judgement
from hauberk_plugins.killswitch.lane import TRIES, EmergencyLane, Errand

BTC, ETH = Errand("main", "spot", "BTCUSDT"), Errand("main", "spot", "ETHUSDT")
OTHER = Errand("other", "all")
AGAIN = Judgement(False, "busy", again=True)


class Exchange:
    """Answers each errand with what it was given, the last one for ever."""

    def __init__(self, **answers: list[Judgement | BaseException]) -> None:
        self.answers = answers
        self.asked: list[tuple[Errand, float]] = []

    def __call__(self, errand: Errand, timeout_s: float) -> Judgement:
        self.asked.append((errand, timeout_s))
        queue = self.answers.get(errand.symbol or errand.market, [DONE])
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


def test_everything_is_asked_for_once_and_told() -> None:
    exchange = Exchange()
    outcome = EmergencyLane(exchange, FakeClock(), 30.0).cancel_all([BTC, ETH, OTHER])
    assert outcome.ok
    assert outcome.did == "all orders cancelled (main spot BTCUSDT, main spot ETHUSDT, other all)"
    assert sorted(errand for errand, _ in exchange.asked) == [BTC, ETH, OTHER]


def test_what_fails_is_tried_again_after_the_others_had_their_turn() -> None:
    exchange = Exchange(BTCUSDT=[AGAIN, AGAIN, DONE])
    clock = FakeClock()
    assert EmergencyLane(exchange, clock, 30.0).cancel_all([BTC, ETH]).ok
    assert [errand for errand, _ in exchange.asked] == [BTC, ETH, BTC, BTC]
    assert clock.waits == [250_000_000, 500_000_000]


def test_it_tries_a_bounded_number_of_times() -> None:
    exchange = Exchange(BTCUSDT=[AGAIN])
    outcome = EmergencyLane(exchange, FakeClock(), 600.0).cancel_all([BTC, ETH])
    assert outcome.did == "orders cancelled for 1 of 2; not for main spot BTCUSDT: busy"
    assert not outcome.ok
    assert len(exchange.asked) == TRIES + 1


def test_a_refusal_is_not_tried_again() -> None:
    exchange = Exchange(BTCUSDT=[Judgement(False, "refused")])
    assert not EmergencyLane(exchange, FakeClock(), 30.0).cancel_all([BTC]).ok
    assert len(exchange.asked) == 1


def test_it_holds_off_as_long_as_it_is_told_and_not_beyond_its_deadline() -> None:
    exchange = Exchange(BTCUSDT=[Judgement(False, "throttled", again=True, after_s=7), DONE])
    clock = FakeClock()
    assert EmergencyLane(exchange, clock, 30.0).cancel_all([BTC]).ok
    assert clock.waits == [7_000_000_000]
    exchange = Exchange(BTCUSDT=[Judgement(False, "banned", again=True, after_s=120), DONE])
    clock = FakeClock()
    outcome = EmergencyLane(exchange, clock, 30.0).cancel_all([BTC])
    assert (outcome.ok, clock.waits) == (False, [])
    assert "main spot BTCUSDT: banned" in outcome.did


def test_no_request_is_given_more_time_than_is_left() -> None:
    clock = FakeClock()

    def slow(errand: Errand, timeout_s: float) -> Judgement:
        given.append(timeout_s)
        clock.advance(timeout_s)
        return Judgement(False, "no answer: TimeoutError", again=True)

    given: list[float] = []
    outcome = EmergencyLane(slow, clock, 12.0).cancel_all([BTC])
    assert given == pytest.approx([5.0, 5.0, 1.25])
    assert clock.monotonic_ns() <= 12_000_000_000
    assert not outcome.ok


def test_many_symbols_do_not_make_it_overrun() -> None:
    clock = FakeClock()

    def slow(errand: Errand, timeout_s: float) -> Judgement:
        clock.advance(timeout_s)
        return DONE

    symbols = [Errand("main", "spot", f"S{number}") for number in range(100)]
    outcome = EmergencyLane(slow, clock, 10.0).cancel_all(symbols)
    assert clock.monotonic_ns() == 10_000_000_000
    assert "orders cancelled for 2 of 100" in outcome.did
    assert outcome.did.endswith("not asked: no time was left and 93 more")


def test_an_account_whose_exchange_hangs_holds_up_no_other() -> None:
    go_on, done = threading.Event(), threading.Event()

    def send(errand: Errand, timeout_s: float) -> Judgement:
        if errand.account == "main":
            assert done.wait(30)
            go_on.wait(30)
        else:
            done.set()
        return DONE

    try:
        outcome = EmergencyLane(send, FakeClock(), 0.2).cancel_all([BTC, OTHER])
    finally:
        go_on.set()
    assert outcome.did == (
        "orders cancelled for 1 of 2; not for main spot BTCUSDT: no answer by the deadline"
    )


@pytest.mark.parametrize(
    ("error", "said", "times"),
    [
        (Denied("kernel", "mode is shadow: nothing is sent"), "denied by kernel: mode is", 1),
        (Denied("signing", "no key"), "denied by signing: no key", TRIES),
        (SigningError("no such key"), "no such key", TRIES),
        (RuntimeError("secret=hunter2"), "main spot BTCUSDT: RuntimeError", TRIES),
        (SystemExit(3), "main spot BTCUSDT: SystemExit", TRIES),
    ],
)
def test_what_is_raised_is_told_and_raised_no_further(
    error: BaseException, said: str, times: int
) -> None:
    exchange = Exchange(BTCUSDT=[error])
    outcome = EmergencyLane(exchange, FakeClock(), 600.0).cancel_all([BTC])
    assert not outcome.ok
    assert said in outcome.did
    assert "hunter2" not in outcome.did
    assert len(exchange.asked) == times


def test_a_second_run_waits_for_the_first_and_then_runs() -> None:
    entered, go_on = threading.Event(), threading.Event()
    runs: list[Errand] = []

    def send(errand: Errand, timeout_s: float) -> Judgement:
        runs.append(errand)
        entered.set()
        assert go_on.wait(30)
        return DONE

    lane = EmergencyLane(send, FakeClock(), 30.0)
    first = threading.Thread(target=lane.cancel_all, args=([BTC],))
    first.start()
    assert entered.wait(30)
    second = threading.Thread(target=lane.cancel_all, args=([BTC],))
    second.start()
    go_on.set()
    first.join()
    second.join()
    assert runs == [BTC, BTC]


def test_without_threads_it_goes_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    exchange = Exchange()
    assert EmergencyLane(exchange, FakeClock(), 30.0).cancel_all([BTC, OTHER]).ok
    assert len(exchange.asked) == 2
