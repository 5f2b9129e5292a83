"""What a signal's handler, an interrupt or a second required responder must not undo."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hauberk import (
    Denied,
    Deny,
    Incident,
    MisuseError,
    Outcome,
    Plugin,
    Request,
    Response,
    Secret,
    Severity,
    dispatch,
    frames,
    hookimpl,
)
from hauberk.guard import Guard
from hauberk.settings import KernelLimits, Mode
from hauberk.testing import DEFAULT_URL, FakeClock, PlainSigner, make_guard, make_plan

ORDER = Request("POST", DEFAULT_URL, {"symbol": "BTCUSDT"})


@contextmanager
def handling(number: int, handler: Any) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


class Judging(Plugin):
    """Does something while it judges."""

    def __init__(self, act: Any) -> None:
        self.act = act

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        self.act()
        return None


def test_a_panic_button_pressed_while_a_guard_judges_halts_at_once() -> None:
    seen: list[str] = []

    def press(*_: object) -> None:
        guard.report("stop everything", Severity.CRITICAL)
        seen.append(switch_state())

    def switch_state() -> str:
        return next(p.plugin for p, _ in guard.snapshot.parts if p.name == "killswitch").why

    with (
        make_guard(Judging(lambda: signal.raise_signal(signal.SIGUSR1))) as guard,
        handling(signal.SIGUSR1, press),
        pytest.raises(Denied, match="halted: stop everything"),
    ):
        guard.clear(ORDER)
    assert seen == ["stop everything"]


def test_a_report_from_a_handler_does_not_wait_for_a_lock_of_its_own_thread() -> None:
    with make_guard() as guard:
        kernel = guard.kernel
        with (
            handling(signal.SIGUSR1, lambda *_: guard.report("now", Severity.HIGH)),
            kernel.lock,
            kernel.responses._lock,
            kernel.waking._lock,
        ):
            signal.raise_signal(signal.SIGUSR1)
        assert guard.incidents[-1].title == "now"


@pytest.mark.parametrize("where", ["set", "is_running"])
def test_an_interrupt_at_the_edge_of_a_dispatch_leaves_nobody_inside(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    armed = [True]

    class Edge:
        def set(self, frame: Any) -> Any:
            token = real.set(frame)
            if armed[0] and where == "set":
                armed[0] = False
                raise KeyboardInterrupt
            return token

        get = staticmethod(lambda: real.get())
        reset = staticmethod(lambda token: real.reset(token))

    class Frame(frames.Frame):
        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if armed[0] and where == "is_running" and name == "is_running" and value is True:
                armed[0] = False
                raise KeyboardInterrupt

    real = frames._CURRENT
    with make_guard() as guard:
        monkeypatch.setattr(dispatch, "_CURRENT", Edge())
        monkeypatch.setattr("hauberk.drivers.Frame", Frame)
        with pytest.raises(KeyboardInterrupt):
            guard.clear(ORDER)
        monkeypatch.undo()
        assert guard.clear(ORDER).request.url.startswith(DEFAULT_URL)
        assert guard.report("bad", Severity.CRITICAL).outcomes[0].did == "halted"
        assert guard.kernel.watch.active == set()


def test_a_slow_required_responder_behind_the_kill_switch_opens_no_hole() -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Pager(Plugin):
        @hookimpl
        def on_incident(self, incident: Incident) -> Outcome | None:
            entered.set()
            go_on.wait(30)
            return None

    epochs: list[int] = []
    with make_guard(Pager(), required=["pager"]) as guard:
        epochs.append(guard.kernel.epoch)
        reporting = threading.Thread(target=guard.report, args=("leak", Severity.HIGH))
        reporting.start()
        assert entered.wait(30)
        epochs.append(guard.kernel.epoch)
        go_on.set()
        reporting.join(30)
    assert epochs[1] > epochs[0]


def test_the_kill_switch_is_required_whatever_the_list_says() -> None:
    with make_guard() as guard:
        parts = {part.name: part for part, _ in guard.snapshot.parts}
        assert parts["killswitch"].required
        assert parts["providers"].required


def test_a_hard_limit_below_the_soft_one_holds_on_every_pass() -> None:
    clock = FakeClock()
    limits = KernelLimits(warn_after_s=5.0, deny_after_s=0.05)
    with make_guard(Judging(lambda: clock.advance(0.2)), clock=clock, limits=limits) as guard:
        for _ in range(20):
            with pytest.raises(Denied, match="more than a guard may"):
                guard.clear(ORDER)


def test_a_signer_that_hangs_is_named(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()

    class Slow(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            clock.advance(1.0)
            guard.kernel.watch.look()
            return super().sign_request(request)

    with make_guard(("signing", Slow()), clock=clock) as guard, caplog.at_level(logging.WARNING):
        guard.clear(ORDER)
        assert guard.snapshot.hooks("signing")["sign_request"].overruns == 1
    assert "signing.sign_request has been running for 1.000 s" in caplog.text


def test_a_signers_exception_is_not_in_the_traceback_that_a_bot_logs() -> None:
    import traceback

    class Leaking(PlainSigner):
        @hookimpl
        def sign_request(self, request: Request) -> Request:
            raise ValueError(f"bad key {Secret('x')!r} SUPERSECRET")

    with make_guard(("signing", Leaking())) as guard, pytest.raises(Denied) as caught:
        guard.clear(ORDER)
    assert "SUPERSECRET" not in "".join(traceback.format_exception(caught.value))


def test_what_looks_like_a_credential_is_masked_in_what_the_kernel_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Chatty(Plugin):
        @hookimpl
        def on_response(self, request: Request, response: Response) -> None:
            raise RuntimeError("https://u:PASS@x/?signature=SIG&apiKey=KEY\nFORGED")

    with make_guard() as guard, caplog.at_level(logging.WARNING):
        guard.register(Chatty())
        guard.settle(guard.clear(ORDER), Response(200))
    assert "[secret]" in caplog.text
    for shown in ("PASS", "SIG", "KEY", "\nFORGED"):
        assert shown not in caplog.text


def test_a_wrong_settlement_does_not_use_the_request_up() -> None:
    with make_guard() as guard:
        cleared = guard.clear(ORDER)
        with pytest.raises(MisuseError, match="takes a Response or an exception"):
            guard.settle(cleared, {"status": 200})  # type: ignore[arg-type]
        guard.settle(cleared, Response(200))


def test_shadow_mode_is_loud_when_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    with make_guard(mode=Mode.SHADOW):
        assert "mode is shadow: guards deny nothing" in caplog.text


def test_a_reload_into_shadow_mode_is_as_loud(caplog: pytest.LogCaptureFixture) -> None:
    loud = "mode is shadow: guards deny nothing"
    plans = iter([make_plan(mode=Mode.SHADOW), make_plan(mode=Mode.SHADOW), make_plan()])
    with Guard(make_plan(), clock=FakeClock(), replan=lambda: next(plans)) as guard:
        assert loud not in caplog.text
        for mode in (Mode.SHADOW, Mode.SHADOW, Mode.ENFORCE):
            caplog.clear()
            guard.reload()
            assert guard.kernel.settings.mode is mode
            assert (loud in caplog.text) == (mode is Mode.SHADOW)


class Stops(Plugin):
    """Notes that it was stopped, and may be interrupted meanwhile."""

    def __init__(self, name: str, log: list[str], *, is_interrupted: bool = False) -> None:
        self.name, self.log, self.is_interrupted = name, log, is_interrupted

    @hookimpl
    def on_stop(self) -> None:
        self.log.append(self.name)
        if self.is_interrupted:
            raise KeyboardInterrupt

    @hookimpl
    def on_request(self, request: Request) -> None:
        return None


def test_ctrl_c_while_one_plugin_stops_keeps_no_other_from_stopping() -> None:
    log: list[str] = []
    guard = make_guard(
        ("a", Stops("a", log)),
        ("b", Stops("b", log, is_interrupted=True)),
        ("c", Stops("c", log, is_interrupted=True)),
    )
    with pytest.raises(KeyboardInterrupt):
        guard.close()
    assert log == ["c", "b", "a"]
    assert guard._drivers._pool._shutdown, "nor are the threads kept"
    guard.close()
    assert log == ["c", "b", "a"]


def test_ctrl_c_while_a_reload_stops_what_it_took_out_leaves_the_reload_done() -> None:
    log: list[str] = []
    before = make_plan(
        ("a", Stops("a", log)), ("b", Stops("b", log, is_interrupted=True)),
    )  # fmt: skip
    with Guard(before, clock=FakeClock(), replan=lambda: make_plan()) as guard:
        with pytest.raises(KeyboardInterrupt):
            guard.reload()
        assert log == ["b", "a"]
        assert guard.snapshot.part("a") is None
        guard.clear(ORDER)
