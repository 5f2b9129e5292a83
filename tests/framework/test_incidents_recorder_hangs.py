"""A recorder that hangs keeps nobody from hearing of what stops trading."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.recording import Recording
from hauberk.records import Event, Incident, Outcome, Severity
from hauberk.testing import make_guard

LOW, MEDIUM, HIGH, CRITICAL = Severity
#: For what comes at once unless it never comes.
LONG_S = 30


class Recorder(Plugin):
    """Hangs until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.kinds: list[str] = []

    @hookimpl
    def on_event(self, event: Event) -> None:
        if event.kind.startswith("incident."):
            assert self.let_go.wait(LONG_S)
            self.kinds.append(event.kind)


class Responder(Plugin):
    """Says when it is told, and what was recorded by then."""

    def __init__(self, recorder: Recorder) -> None:
        self.told = threading.Semaphore(0)
        self.recorded: list[list[str]] = []
        self._recorder = recorder

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome:
        self.recorded.append(list(self._recorder.kinds))
        self.told.release()
        return Outcome("told")


@pytest.fixture
def plugins() -> Iterator[tuple[Guard, Recorder, Responder]]:
    recorder = Recorder()
    responder = Responder(recorder)
    guard = make_guard(recorder, responder, grants={"recorder": ["record"]})
    yield guard, recorder, responder
    recorder.let_go.set()
    guard.close()


@pytest.mark.parametrize("severity", [HIGH, CRITICAL])
def test_responders_are_told_and_whoever_reports_goes_on_while_a_recorder_hangs(
    plugins: tuple[Guard, Recorder, Responder], severity: Severity
) -> None:
    guard, recorder, responder = plugins
    back = threading.Event()

    def report() -> None:
        for title in ("gone mad", "gone mad", "and worse"):
            guard.report(title, severity)
        back.set()

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        for _ in range(2):
            assert responder.told.acquire(timeout=LONG_S / 3), "nobody is told"
        assert back.wait(LONG_S / 3), "whoever reports hangs with the recorder"
        assert recorder.kinds == []
    finally:
        recorder.let_go.set()
        thread.join()
    guard.close()
    assert recorder.kinds == [
        "incident.reported", "incident.handled", "incident.repeated",
        "incident.reported", "incident.handled",
    ]  # fmt: skip


@pytest.mark.parametrize("severity", list(Severity))
def test_what_answers_in_time_is_recorded_before_anybody_is_told(
    plugins: tuple[Guard, Recorder, Responder], severity: Severity
) -> None:
    guard, recorder, responder = plugins
    recorder.let_go.set()
    guard.report("gone mad", severity)
    assert responder.recorded == [["incident.reported"]]
    assert recorder.kinds == ["incident.reported", "incident.handled"]


def test_a_recorder_that_was_interrupted_interrupts_whoever_reports() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Recording().run(interrupt)


def test_without_a_thread_to_be_had_it_is_recorded_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done: list[int] = []
    monkeypatch.setattr(threading.Thread, "start", refuse)
    Recording().run(lambda: done.append(threading.get_ident()))
    assert done == [threading.get_ident()]


def test_what_is_recorded_inside_does_not_wait_for_itself() -> None:
    recording, done = Recording(LONG_S), list[int]()
    recording.run(lambda: recording.run(lambda: done.append(1)))
    assert done == [1]
