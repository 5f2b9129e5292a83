"""How a login ends, and who is told: an identity counts only once nothing objects any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.context import Context
from hauberk.errors import Denied, PluginRefused, ReentrancyError
from hauberk.guard import Guard
from hauberk.hooks import hookimpl
from hauberk.records import Event, Identity, Login
from hauberk.secret import Secret
from hauberk.testing import make_guard
from hauberk.verdicts import Deny, Wait

LOGIN = Login("alice", Secret("canary-pw"), Secret("canary-code"), "203.0.113.9", Secret("dev"))
ALICE = Identity("alice", ("operator",), Secret("canary-session"))

Way = Callable[[Guard, Login], Identity]


class Judge:
    """Answers what it is told to, in both hooks; keeps what it was told of the end."""

    def __init__(self, answer: Any = None, end: Any = None) -> None:
        self.answer, self.end = answer, end
        self.asked: list[Login] = []
        self.ends: list[tuple[bool, str]] = []
        self.shown: list[Login] = []

    @hookimpl
    def on_login(self, login: Login) -> Any:
        self.asked.append(login)
        return _given(self.answer)

    @hookimpl
    def on_login_end(self, login: Login, granted: bool, why: str) -> Any:
        self.shown.append(login)
        self.ends.append((granted, why))
        return _given(self.end)


def _given(answer: Any) -> Any:
    if isinstance(answer, BaseException):
        raise answer
    return answer() if callable(answer) else answer


class Audit:
    """Keeps events; fails on the kind it is told to."""

    def __init__(self, fails_on: str = "") -> None:
        self.fails_on = fails_on
        self.events: list[Event] = []

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == self.fails_on:
            raise OSError("no space left on device")

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def guard_of(*plugins: tuple[str, object], required: tuple[str, ...] = ()) -> Guard:
    grants = {"auth": ["authenticate"], "audit": ["record"]}
    return make_guard(*plugins, grants=grants, required=list(required))


def _sync(guard: Guard, login: Login) -> Identity:
    return guard.login(login)


def _async(guard: Guard, login: Login) -> Identity:
    return asyncio.run(guard.alogin(login))


@pytest.fixture(params=[_sync, _async], ids=["login", "alogin"])
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


def test_every_guard_is_told_once_that_somebody_is_logged_in(way: Way) -> None:
    judges = {"before": Judge(), "auth": Judge(ALICE), "after": Judge()}
    with guard_of(*judges.items()) as guard:
        assert way(guard, LOGIN) is ALICE
    assert [judge.ends for judge in judges.values()] == [[(True, "")]] * 3


def test_a_denial_by_a_later_guard_is_told_to_those_asked_and_to_no_other(way: Way) -> None:
    auth, later, last = Judge(ALICE), Judge(Deny("banned")), Judge()
    with (
        guard_of(("auth", auth), ("monitor", later), ("last", last)) as guard,
        pytest.raises(Denied),
    ):
        way(guard, LOGIN)
    assert auth.ends == later.ends == [(False, "monitor: banned")]
    assert last.ends == []


def test_so_is_a_required_recorder_that_cannot_record_it(way: Way) -> None:
    auth, audit = Judge(ALICE), Audit("login.granted")
    with (
        guard_of(("auth", auth), ("audit", audit), required=("audit",)) as guard,
        pytest.raises(Denied),
    ):
        way(guard, LOGIN)
    ((granted, why),) = auth.ends
    assert not granted
    assert why.startswith("audit: it could not record login.granted")


def test_the_authenticator_is_told_first_and_only_once_the_login_is_recorded(way: Way) -> None:
    told = []
    audit = Audit()
    before = Judge(end=lambda: told.append("before"))
    auth = Judge(ALICE, lambda: told.append(f"auth after {audit.kinds}"))
    with guard_of(("before", before), ("auth", auth), ("audit", audit)) as guard:
        way(guard, LOGIN)
    assert told == ["auth after ['login.granted']", "before"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (Deny("changed meanwhile", retry_after=2), "changed meanwhile"),
        (OSError("canary"), "raised OSError"),
        (True, "returned bool, which on_login_end may not"),
        (ALICE, "returned Identity, which on_login_end may not"),
    ],
)
def test_what_the_authenticator_cannot_stand_by_does_not_count(
    way: Way, end: Any, reason: str
) -> None:
    before, auth, audit = Judge(), Judge(ALICE, end), Audit()
    with (
        guard_of(("before", before), ("auth", auth), ("audit", audit)) as guard,
        pytest.raises(Denied) as caught,
    ):
        way(guard, LOGIN)
    assert (caught.value.plugin, caught.value.reason) == ("auth", reason)
    assert caught.value.retry_after == (2 if isinstance(end, Deny) else None)
    assert auth.ends == [(True, "")]
    assert before.ends == [(False, f"auth: {reason}")]
    assert audit.kinds == ["login.granted", "login.denied"]
    assert "canary" not in repr(audit.events)


@pytest.mark.parametrize("end", [Deny("no"), ValueError("no"), 1, Wait(1), SystemExit(1)])
def test_no_other_guard_can_undo_it_in_the_end(way: Way, end: Any) -> None:
    other = Judge(end=end)
    with guard_of(("auth", Judge(ALICE)), ("other", other)) as guard:
        assert way(guard, LOGIN) is ALICE
        assert guard.snapshot.hooks("other")["on_login_end"].failures == 1


def test_nor_can_the_authenticator_deny_what_was_denied(way: Way) -> None:
    auth = Judge(ALICE, Deny("mine"))
    with (
        guard_of(("auth", auth), ("monitor", Judge(Deny("banned")))) as guard,
        pytest.raises(Denied) as caught,
    ):
        way(guard, LOGIN)
    assert caught.value.plugin == "monitor"


def test_nobody_is_shown_a_secret_in_the_end(way: Way) -> None:
    judges = {"auth": Judge(ALICE), "other": Judge()}
    with guard_of(*judges.items()) as guard:
        way(guard, LOGIN)
    for judge in judges.values():
        (shown,) = judge.shown
        assert (shown.user, shown.source) == ("alice", "203.0.113.9")
        assert (shown.password, shown.code, shown.device) == (None, None, None)


def test_each_attempt_has_an_id_that_both_hooks_and_the_recorders_know_it_by(way: Way) -> None:
    judges, audit = {"auth": Judge(ALICE), "other": Judge()}, Audit()
    with guard_of(*judges.items(), ("audit", audit)) as guard:
        way(guard, LOGIN)
        way(guard, LOGIN)
    ids = [event.fields["login"] for event in audit.events]
    assert len(set(ids)) == 2
    assert all(ids)
    for judge in judges.values():
        assert [login.id for login in judge.asked] == ids == [login.id for login in judge.shown]
    assert LOGIN.id == ""


def test_a_guard_that_is_interrupted_is_told_too_and_nobody_is_logged_in() -> None:
    auth, interrupted = Judge(ALICE), Judge(KeyboardInterrupt())
    with (
        guard_of(("auth", auth), ("other", interrupted)) as guard,
        pytest.raises(KeyboardInterrupt),
    ):
        guard.login(LOGIN)
    assert auth.ends == interrupted.ends == [(False, "interrupted")]


@pytest.mark.parametrize("which", ["auth", "other"])
def test_ctrl_c_in_the_end_is_raised_when_all_have_been_told(which: str) -> None:
    judges = {"first": Judge(), "auth": Judge(ALICE), "other": Judge()}
    judges[which].end = KeyboardInterrupt()
    with guard_of(*judges.items()) as guard, pytest.raises(KeyboardInterrupt):
        guard.login(LOGIN)
    assert [len(judge.ends) for judge in judges.values()] == [1, 1, 1]
    assert judges["first"].ends == [(True, "") if which == "other" else (False, "interrupted")]


def test_one_unregistered_meanwhile_is_told() -> None:
    late = Judge()

    class Recorder:
        @hookimpl
        def on_event(self, event: Event) -> None:
            guard.kernel.crew.unregister(late)

    with guard_of(("auth", Judge(ALICE)), ("audit", Recorder())) as guard:
        guard.register(late)
        guard.login(LOGIN)
    assert late.ends == [(True, "")]


def test_what_is_emitted_in_the_end_is_sent() -> None:
    class Talks(Judge):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.context = context

    talks, audit = Talks(), Audit()
    talks.end = lambda: talks.context.emit("said")
    with guard_of(("auth", Judge(ALICE)), ("talks", talks), ("audit", audit)) as guard:
        guard.login(LOGIN)
    assert audit.kinds == ["login.granted", "talks.said"]


def test_it_may_not_call_back_into_the_guard(caplog: pytest.LogCaptureFixture) -> None:
    judge = Judge()
    judge.end = lambda: guard.login(LOGIN)
    with guard_of(("auth", Judge(ALICE)), ("other", judge)) as guard:
        guard.login(LOGIN)
    assert len(judge.asked) == 1
    assert ReentrancyError.__name__ in caplog.text


def test_a_hook_of_ends_alone_would_never_be_called_and_is_refused() -> None:
    class Deaf:
        @hookimpl
        def on_login_end(self, login: Login, granted: bool, why: str) -> None: ...

    with guard_of() as guard, pytest.raises(PluginRefused, match="on_login_end without on_login"):
        guard.register(Deaf())


ANSWERS = st.sampled_from([None, Deny("no"), OSError(), True, ALICE, KeyboardInterrupt()])
ENDS = st.sampled_from([None, Deny("no"), OSError(), True])


@given(
    before=st.lists(st.tuples(ANSWERS, ENDS), max_size=3),
    auth=st.tuples(ANSWERS, ENDS),
    after=st.lists(st.tuples(ANSWERS, ENDS), max_size=3),
    is_recorded=st.booleans(),
)
def test_whoever_was_asked_is_told_once_and_all_the_same_but_an_authenticator_that_backs_out(
    before: list[tuple[Any, Any]],
    auth: tuple[Any, Any],
    after: list[tuple[Any, Any]],
    is_recorded: bool,
) -> None:
    judges = [*(Judge(*given) for given in before), Judge(*auth), *(Judge(*g) for g in after)]
    names = [*(f"b{n}" for n in range(len(before))), "auth", *(f"a{n}" for n in range(len(after)))]
    audit = Audit("" if is_recorded else "login.granted")
    plugins = [*zip(names, judges, strict=True), ("audit", audit)]
    with guard_of(*plugins, required=("audit",)) as guard:
        try:
            guard.login(LOGIN)
        except (Denied, KeyboardInterrupt):
            counts = False
        else:
            counts = True
    objected = any(answer is not None for answer, _ in (*before, *after))
    agreed = auth[0] is ALICE and not objected and is_recorded
    assert counts == (agreed and auth[1] is None)
    for name, judge in zip(names, judges, strict=True):
        assert len(judge.ends) == len(judge.asked)
        told = [granted for granted, _ in judge.ends]
        assert told in ([], [agreed if name == "auth" else counts])
