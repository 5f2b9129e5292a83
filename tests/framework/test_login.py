"""Logins (DESIGN 2): who is shown what, whose word counts, and that every failure denies."""

import asyncio
import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import ClosedError, Denied, HauberkError, InvalidValue, ReentrancyError
from hauberk.guard import Guard
from hauberk.hooks import hookimpl
from hauberk.records import Event, Identity, Incident, Login, Severity
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk.testing import DEFAULT_URL, make_guard
from hauberk.verdicts import Deny, Wait

LOGIN = Login(
    "alice",
    Secret("canary-pw"),
    Secret("canary-code"),
    source="203.0.113.9",
    device=Secret("canary-token"),
)
ALICE = Identity("alice", ("operator",), Secret("canary-session"))


class Judge:
    """Answers what it is told to; keeps what it was shown."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.shown: list[Login] = []

    @hookimpl
    def on_login(self, login: Login) -> Any:
        self.shown.append(login)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(login) if isinstance(self.answer, types.FunctionType) else self.answer


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


def guard_of(*plugins: tuple[str, object], required: list[str] | None = None) -> Guard:
    """A guard in which `auth` authenticates and `audit` records."""
    return make_guard(
        *plugins, grants={"auth": ["authenticate"], "audit": ["record"]}, required=required or []
    )


Way = Callable[[Guard, Login], Identity]


def _sync(guard: Guard, login: Login) -> Identity:
    return guard.login(login)


def _async(guard: Guard, login: Login) -> Identity:
    return asyncio.run(guard.alogin(login))


@pytest.fixture(params=[_sync, _async], ids=["login", "alogin"])
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


def denial(way: Way, guard: Guard, login: Login = LOGIN) -> Denied:
    with guard, pytest.raises(Denied) as caught:
        way(guard, login)
    assert caught.value.reason
    assert "canary" not in str(caught.value)
    return caught.value


# Who is shown what.


def test_only_the_authenticator_is_shown_password_code_and_device(way: Way) -> None:
    before, auth, after = Judge(), Judge(ALICE), Judge()
    with guard_of(("before", before), ("auth", auth), ("after", after)) as guard:
        assert way(guard, LOGIN) is ALICE
    assert auth.shown == [LOGIN]
    for judge in (before, after):
        (shown,) = judge.shown
        assert (shown.user, shown.source) == ("alice", "203.0.113.9")
        assert (shown.password, shown.code, shown.device) == (None, None, None)


def test_a_guard_registered_at_run_time_is_shown_no_password(way: Way) -> None:
    shown = []
    with guard_of(("auth", Judge(ALICE))) as guard:
        guard.on_login(lambda login: shown.append(login))
        way(guard, LOGIN)
    assert [(login.password, login.code) for login in shown] == [(None, None)]


@pytest.mark.parametrize("answer", [ALICE, Deny("locked")])
def test_no_secret_of_a_login_is_recorded(way: Way, answer: Any) -> None:
    audit = Audit()
    with guard_of(("auth", Judge(answer)), ("audit", audit)) as guard:
        try:
            way(guard, LOGIN)
        except Denied:
            assert audit.kinds == ["login.denied"]
        else:
            assert audit.kinds == ["login.granted"]
    assert "canary" not in repr(audit.events)
    assert audit.events[0].fields["user"] == ("alice" if answer is ALICE else "")
    assert audit.events[0].fields["source"] == "203.0.113.9"


def test_a_password_typed_where_the_name_goes_is_not_recorded(way: Way) -> None:
    audit = Audit()
    denial(way, guard_of(("auth", Judge(Deny("no"))), ("audit", audit)), Login("canary-typed"))
    assert audit.kinds == ["login.denied"]
    assert "canary" not in repr(audit.events)


def test_a_denial_after_somebody_was_vouched_for_names_them(way: Way) -> None:
    audit = Audit()
    late = Judge(Deny("banned"))
    denial(way, guard_of(("auth", Judge(ALICE)), ("monitor", late), ("audit", audit)))
    assert [event.fields["user"] for event in audit.events] == ["alice"]


def test_what_the_authenticator_raises_is_named_by_its_type_since_it_may_quote_the_password(
    way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    audit = Audit()
    quoting = Judge(lambda login: 1 / len(login.password.reveal_text()[:0]))
    denied = denial(way, guard_of(("auth", quoting), ("audit", audit)))
    assert (denied.plugin, denied.reason) == ("auth", "raised ZeroDivisionError")

    def leak(login: Login) -> None:
        raise ValueError(f"wrong password {login.password.reveal_text()}")  # type: ignore[union-attr]

    assert denial(way, guard_of(("auth", Judge(leak)))).reason == "raised ValueError"
    assert "canary" not in caplog.text
    assert "canary" not in repr(audit.events)


# Whose word counts.


def test_nobody_vouching_is_a_denial(way: Way) -> None:
    denied = denial(way, guard_of(("quiet", Judge()), ("auth", Judge(None))))
    assert (denied.plugin, denied.reason) == ("kernel", "nobody vouched for this login")


def test_no_guard_of_logins_at_all_is_a_denial(way: Way) -> None:
    assert denial(way, guard_of()).plugin == "kernel"


def test_an_identity_does_not_count_if_a_later_guard_denies(way: Way) -> None:
    after = Judge(Deny("banned until noon", retry_after=60))
    denied = denial(way, guard_of(("auth", Judge(ALICE)), ("monitor", after)))
    assert (denied.plugin, denied.reason, denied.retry_after) == (
        "monitor",
        "banned until noon",
        60,
    )
    assert len(after.shown) == 1


def test_a_guard_before_it_denies_without_the_authenticator_ever_seeing_the_password(
    way: Way,
) -> None:
    auth = Judge(ALICE)
    assert denial(way, guard_of(("monitor", Judge(Deny("banned"))), ("auth", auth))).plugin == (
        "monitor"
    )
    assert auth.shown == []


def test_an_identity_without_the_grant_is_a_denial_even_behind_the_authenticators(
    way: Way,
) -> None:
    mallory = Judge(Identity("mallory", ("admin",)))
    for plugins in (
        [("mallory", mallory)],
        [("auth", Judge(ALICE)), ("mallory", mallory)],
        [("mallory", mallory), ("auth", Judge(ALICE))],
    ):
        denied = denial(way, guard_of(*plugins))  # type: ignore[arg-type]
        assert denied.plugin == "mallory"
        assert "without the grant 'authenticate'" in denied.reason


# Failing guards deny.


@pytest.mark.parametrize("name", ["auth", "monitor"])
@pytest.mark.parametrize(
    "error",
    [
        OSError("no database"),
        SystemExit(0),
        GeneratorExit(),
        asyncio.CancelledError(),
        StopIteration(ALICE),
        Denied("somebody else", "not me"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_guard_that_raises_is_a_denial_that_names_it(
    way: Way, name: str, error: BaseException
) -> None:
    audit = Audit()
    plugins = {"auth": Judge(ALICE), "monitor": Judge()}
    plugins[name].answer = error
    denied = denial(way, guard_of(*plugins.items(), ("audit", audit)))
    assert denied.plugin == name
    assert f"raised {type(error).__name__}" in denied.reason
    assert audit.kinds == ["login.denied"]
    assert audit.events[0].fields["by"] == name


def test_ctrl_c_in_a_guard_of_logins_is_raised_again_and_nothing_is_granted() -> None:
    audit = Audit()
    with (
        guard_of(("auth", Judge(KeyboardInterrupt())), ("audit", audit)) as guard,
        pytest.raises(KeyboardInterrupt),
    ):
        guard.login(LOGIN)
    assert "login.granted" not in audit.kinds


class MyIdentity(Identity):
    """Nothing added."""


async def _coroutine() -> Identity:
    return ALICE


@pytest.mark.parametrize(
    "answer",
    [
        True, False, "alice", b"", 0, (), {"user": "alice"}, Wait(1), Identity, Deny, LOGIN,
        object(), MyIdentity("alice"), Request("GET", DEFAULT_URL), ...,
    ],
    ids=lambda answer: type(answer).__name__,
)  # fmt: skip
def test_an_answer_of_any_other_type_is_a_denial_even_from_the_authenticator(
    way: Way, answer: object
) -> None:
    denied = denial(way, guard_of(("auth", Judge(answer))))
    assert denied.plugin == "auth"
    assert denied.reason == f"returned {type(answer).__name__}, which on_login may not"


class Classless:
    """Cannot even be looked at."""

    @property
    def __class__(self) -> Any:
        raise StopIteration(ALICE)


def test_an_answer_that_cannot_be_looked_at_is_a_denial() -> None:
    assert denial(_sync, guard_of(("auth", Judge(lambda _: Classless())))).plugin == "auth"


def test_an_awaitable_is_a_denial_and_leaves_no_warning_behind(way: Way) -> None:
    with warnings.catch_warnings(record=True) as given_warnings:
        warnings.simplefilter("always")
        assert "awaitable" in denial(way, guard_of(("auth", Judge(lambda _: _coroutine())))).reason
    assert [str(warning.message) for warning in given_warnings] == []


def _tampered(**fields: Any) -> Callable[[Login], Identity]:
    def answer(login: Login) -> Identity:
        identity = Identity("alice", ("operator",), Secret("s"))
        for name, value in fields.items():
            object.__setattr__(identity, name, value)
        return identity

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        _tampered(user=""),
        _tampered(user=None),
        _tampered(user=b"alice"),
        _tampered(user=["alice"]),
        _tampered(roles=["admin"]),
        _tampered(roles="admin"),
        _tampered(roles=("admin", 1)),
        _tampered(session="canary"),
        _tampered(session=b"canary"),
        lambda login: object.__new__(Identity),
    ],
)
def test_an_identity_tampered_with_after_it_was_made_is_a_denial(
    way: Way, answer: Callable[[Login], Identity]
) -> None:
    denied = denial(way, guard_of(("auth", Judge(answer))))
    assert denied.reason.startswith("returned Identity whose")


def test_a_denial_tampered_with_is_still_one(way: Way) -> None:
    def answer(login: Login) -> Deny:
        deny = Deny("no")
        object.__setattr__(deny, "retry_after", float("nan"))
        return deny

    denied = denial(way, guard_of(("auth", Judge(ALICE)), ("monitor", Judge(answer))))
    assert (denied.plugin, denied.retry_after) == ("monitor", None)


def test_a_login_changed_behind_its_back_is_put_back_and_denied(way: Way) -> None:
    def become_admin(login: Login) -> Identity:
        object.__setattr__(login, "user", "admin")
        return ALICE

    denied = denial(way, guard_of(("auth", Judge(become_admin))))
    assert (denied.plugin, denied.reason) == ("auth", "changed what it was given")
    assert LOGIN.user == "alice"


def test_what_one_guard_changes_is_not_what_the_authenticator_is_shown(way: Way) -> None:
    def become_admin(login: Login) -> None:
        object.__setattr__(login, "user", "admin")

    auth = Judge(ALICE)
    guard = guard_of(("mallory", Judge(become_admin)), ("auth", auth))
    assert denial(way, guard).plugin == "mallory"
    assert auth.shown == []


# Recorders.


def test_a_login_that_the_required_recorder_cannot_record_is_denied(way: Way) -> None:
    audit = Audit(fails_on="login.granted")
    guard = guard_of(("auth", Judge(ALICE)), ("audit", audit), required=["audit"])
    denied = denial(way, guard)
    assert denied.plugin == "audit"
    assert "could not record login.granted" in denied.reason
    assert "no space left" in denied.reason
    assert audit.kinds == ["login.granted", "login.denied"]


def test_an_optional_recorder_that_fails_does_not_keep_anybody_out(way: Way) -> None:
    audit = Audit(fails_on="login.granted")
    with guard_of(("auth", Judge(ALICE)), ("audit", audit)) as guard:
        assert way(guard, LOGIN) is ALICE


def test_a_denial_stands_even_if_it_cannot_be_recorded(way: Way) -> None:
    audit = Audit(fails_on="login.denied")
    guard = guard_of(("auth", Judge(Deny("locked"))), ("audit", audit), required=["audit"])
    assert (denial(way, guard).plugin, audit.kinds) == ("auth", ["login.denied"])


def test_only_the_granted_login_is_a_permission(way: Way) -> None:
    audit = Audit()
    with guard_of(("auth", Judge(ALICE)), ("audit", audit)) as guard:
        way(guard, LOGIN)
    assert [(event.kind, event.permission, event.source) for event in audit.events] == [
        ("login.granted", True, "kernel")
    ]
    assert audit.events[0].fields["roles"] == ["operator"]


# Reports and misuse.


class Reporting:
    """Reports every failed login, as a monitor would."""

    @hookimpl
    def on_start(self, context: Any) -> None:
        self.context = context

    @hookimpl
    def on_login(self, login: Login) -> None:
        self.context.report("brute force", Severity.MEDIUM, {"user": login.user})


class Pager:
    def __init__(self) -> None:
        self.titles: list[tuple[str, str]] = []

    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        self.titles.append((incident.source, incident.title))


def test_what_a_guard_of_logins_reports_is_dispatched_when_it_has_returned(way: Way) -> None:
    pager = Pager()
    with guard_of(("monitor", Reporting()), ("pager", pager), ("auth", Judge(ALICE))) as guard:
        way(guard, LOGIN)
    assert pager.titles == [("monitor", "brute force")]


def test_a_guard_of_logins_cannot_log_in_itself() -> None:
    auth = Judge()
    guard = guard_of(("auth", auth))
    auth.answer = lambda login: guard.login(LOGIN)
    with guard, pytest.raises(Denied) as caught:
        guard.login(LOGIN)
    assert caught.value.plugin == "auth"
    assert ReentrancyError.__name__ in caught.value.reason
    assert len(auth.shown) == 1


def test_a_closed_guard_logs_nobody_in(way: Way) -> None:
    guard = guard_of(("auth", Judge(ALICE)))
    guard.close()
    with pytest.raises(ClosedError):
        way(guard, LOGIN)


class Leaking(Login):
    """A login that keeps its password when it is told to drop it."""

    def without_secrets(self) -> Login:
        return self


@pytest.mark.parametrize("login", ["alice", None, Leaking("alice", Secret("canary"))])
def test_what_is_no_login_is_refused_before_any_guard_sees_it(way: Way, login: Any) -> None:
    judge = Judge()
    with guard_of(("monitor", judge)) as guard, pytest.raises(HauberkError):
        way(guard, login)
    assert judge.shown == []


@pytest.mark.parametrize(
    "fields",
    [
        {"user": b"alice"},
        {"user": None},
        {"user": "alice", "password": "plain"},
        {"user": "alice", "code": b"123456"},
        {"user": "alice", "source": None},
        {"user": "alice", "device": "canary-token"},
    ],
)
def test_a_login_takes_secrets_only_in_their_wrapper(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match="Login: "):
        Login(**fields)


# Any mixture of guards.

ANSWERS = st.sampled_from(["quiet", "deny", "raise", "wrong", "vouch"])


@given(
    before=st.lists(ANSWERS, max_size=3),
    auth=ANSWERS,
    after=st.lists(ANSWERS, max_size=3),
)
def test_somebody_is_let_in_only_by_the_authenticator_and_against_nobodys_objection(
    before: list[str], auth: str, after: list[str]
) -> None:
    answers: dict[str, Any] = {
        "quiet": None, "deny": Deny("no"), "raise": OSError(), "wrong": True, "vouch": ALICE
    }  # fmt: skip
    plugins = [(f"before{n}", Judge(answers[a])) for n, a in enumerate(before)]
    plugins += [("auth", Judge(answers[auth]))]
    plugins += [(f"after{n}", Judge(answers[a])) for n, a in enumerate(after)]
    let_in = auth == "vouch" and {*before, *after} <= {"quiet"}
    with guard_of(*plugins) as guard:
        if let_in:
            assert guard.login(LOGIN) is ALICE
        else:
            with pytest.raises(Denied):
                guard.login(LOGIN)
