from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyotp
import pytest
from attrs import define, field

from hauberk import Denied, Deny, Event, Identity, Login, Secret, Severity, StoreError
from hauberk.guard import Guard
from hauberk.hooks import hookimpl
from hauberk.testing import FakeClock, Providers, check_plugin, make_guard
from hauberk_plugins.auth.delays import ACCOUNT, SOURCE
from hauberk_plugins.auth.devices import make_token
from hauberk_plugins.auth.gate import Gate
from hauberk_plugins.auth.plugin import AuthConfig, AuthPlugin
from hauberk_plugins.auth.steps import BUSY, REFUSED, TOO_SOON

PASSWORD = Secret("a heron stands in cold water")
OTHER = Secret("seven lanterns under the bridge")
SOURCE_1 = "203.0.113.9"
GRANTS = {"auth": ["authenticate", "sealed", "store"], "audit": ["record"]}
TOKEN = make_token(lambda count: b"t" * count)


@define
class Sessions:
    """Keeps what is asked of it; `meanwhile` happens while a session is made."""

    live: list[tuple[str, tuple[str, ...], str]] = field(factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def draw(self, user: str) -> Secret:
        return Secret(f"session-{len(self.live) + 1}")

    def create(
        self, user: str, roles: tuple[str, ...], source: str, token: Secret | None = None
    ) -> Secret:
        self.live.append((user, roles, source))
        self.meanwhile()
        return token or self.draw(user)

    def list(self) -> tuple[Any, ...]:
        return tuple(self.live)

    def end_session(self, token: Secret, why: str) -> None:
        self.live.pop()

    def end(self, user: str) -> int:
        before = len(self.live)
        self.live = [one for one in self.live if one[0] != user]
        return before - len(self.live)

    def end_all(self, why: str) -> int:
        ended, self.live = len(self.live), []
        return ended


class Audit:
    def __init__(self) -> None:
        self.events: list[Event] = []

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def why(self) -> list[str]:
        return [e.fields["why"] for e in self.events if e.kind == "auth.refused"]


class Made:
    """A guard whose authenticator is the plugin, and what it told."""

    def __init__(
        self,
        *others: tuple[str, object],
        clock: FakeClock | None = None,
        providers: Providers | None = None,
    ) -> None:
        self.clock, self.providers = clock or FakeClock(), providers or Providers()
        self.plugin, self.audit = AuthPlugin(AuthConfig(), cost=4), Audit()
        self.guard: Guard = make_guard(
            ("auth", self.plugin), *others, ("audit", self.audit),
            grants=GRANTS, clock=self.clock, providers=self.providers,
        )  # fmt: skip
        self.sessions = self.plugin.sessions = Sessions()

    def add(self, name: str = "alice", roles: tuple[str, ...] = ("trader",)) -> None:
        self.plugin.auth.create(name, PASSWORD, roles)

    def enrol(self, name: str = "alice") -> tuple[Secret, tuple[Secret, ...]]:
        enrolment = self.plugin.factors.begin(name)
        codes = self.plugin.factors.enrol(enrolment, self.code(enrolment.secret))
        self.clock.advance(60)
        return enrolment.secret, codes

    def code(self, secret: Secret) -> Secret:
        step = self.clock.wall_ns() // 30_000_000_000
        return Secret(pyotp.TOTP(secret.reveal_text()).generate_otp(step))

    def login(
        self,
        name: str = "alice",
        password: Secret | None = PASSWORD,
        code: Secret | None = None,
        source: str = SOURCE_1,
        device: Secret | None = None,
    ) -> Identity:
        return self.guard.login(Login(name, password, code, source=source, device=device))

    def denied(self, *args: Any, **fields: Any) -> Denied:
        with pytest.raises(Denied) as caught:
            self.login(*args, **fields)
        return caught.value


@pytest.fixture
def made() -> Iterator[Made]:
    one = Made()
    with one.guard:
        yield one


def test_it_keeps_the_contract() -> None:
    check_plugin(lambda: AuthPlugin(AuthConfig(), cost=4), grants=GRANTS["auth"], examples=5)


def test_the_right_password_is_let_in_with_roles_and_a_session(made: Made) -> None:
    made.add()
    identity = made.login("ALICE")
    assert identity == Identity("alice", ("trader",), Secret("session-1"))
    assert made.sessions.live == [("alice", ("trader",), SOURCE_1)]
    assert [event.kind for event in made.audit.events] == ["auth.user.created", "login.granted"]


def test_a_password_typed_where_the_name_goes_is_told_to_no_recorder(made: Made) -> None:
    made.add()
    for name in ("hunter2-hunter2-hunter2", "a heron stands in cold water", "\0canary"):
        for _ in range(6):  # until it comes too soon
            made.denied(name)
    told = repr(made.audit.events)
    assert not any(word in told for word in ("hunter2", "heron", "canary"))
    made.clock.advance(600)
    made.denied("alice", OTHER)
    assert made.audit.events[-2].fields["user"] == "alice"


# One refusal for all.


def refusals(made: Made) -> dict[str, Denied]:
    """What each kind of wrong login is told, each from a source and a time of its own."""
    for name in ("alice", "disabled", "factored"):
        made.add(name)
    secret, codes = made.enrol("factored")
    made.plugin.auth.disable("disabled")
    used = made.code(secret)
    made.login("factored", code=used, source="198.51.100.250")
    made.login("factored", code=codes[0], source="198.51.100.251")
    attempts: dict[str, dict[str, Any]] = {
        "wrong password": {"password": OTHER},
        "no password": {"password": None},
        "an empty one": {"password": Secret("")},
        "a long one": {"password": Secret("x" * 5_000)},
        "no UTF-8": {"password": Secret(b"\xff" * 20)},
        "unknown": {"name": "mallory"},
        "no name": {"name": ""},
        "an impossible name": {"name": "two words\n"},
        "disabled": {"name": "disabled"},
        "disabled, wrong": {"name": "disabled", "password": OTHER},
        "no code": {"name": "factored"},
        "wrong code": {"name": "factored", "code": Secret("000000")},
        "used code": {"name": "factored", "code": used},
        "used recovery code": {"name": "factored", "code": codes[0]},
        "wrong password, right code": {
            "name": "factored", "password": OTHER, "code": made.code(secret)
        },
    }  # fmt: skip
    told = {}
    for n, (what, fields) in enumerate(attempts.items()):
        made.clock.advance(3_600)
        if what == "used code":
            fields["code"] = used_again(made, secret)
        told[what] = made.denied(source=f"198.51.100.{n}", **fields)
    return told


def used_again(made: Made, secret: Secret) -> Secret:
    code = made.code(secret)
    made.login("factored", code=code, source="198.51.100.252")
    return code


def test_whatever_is_wrong_the_refusal_is_the_same(made: Made) -> None:
    told = refusals(made)
    assert {(type(d), d.plugin, d.reason, d.retry_after) for d in told.values()} == {
        (Denied, "auth", REFUSED, None)
    }
    assert made.audit.why() == [
        "password", "password", "password", "password", "password", "unknown", "unknown",
        "unknown", "disabled", "disabled", "code", "code", "replay", "code", "password",
    ]  # fmt: skip


def test_each_of_them_is_one_bcrypt(made: Made, bcrypts: list[int]) -> None:
    made.add()
    made.plugin.auth.create("disabled", PASSWORD)
    made.plugin.auth.disable("disabled")
    for name in ("alice", "disabled", "mallory", "two words"):
        for password in (OTHER, None, Secret("")):
            made.clock.advance(3_600)
            bcrypts.clear()
            made.denied(name, password)
            assert bcrypts == [4]


@pytest.mark.parametrize("name", ["alice", "mallory", "disabled", "two words"])
def test_known_unknown_and_disabled_names_are_delayed_alike(made: Made, name: str) -> None:
    made.add()
    made.add("disabled")
    made.plugin.auth.disable("disabled")
    told = []
    for n in range(20):
        denied = made.denied(name, OTHER, source=f"198.51.100.{n}")
        told.append((denied.reason, denied.retry_after))
        made.clock.advance(denied.retry_after or 0)
    assert told == [
        (REFUSED, None), (REFUSED, None), (REFUSED, None), (REFUSED, 1), (REFUSED, 2),
        (REFUSED, 4), (REFUSED, 8), (REFUSED, 16), *[(REFUSED, 30)] * 12,
    ]  # fmt: skip


# Delays.


def fail(made: Made, times: int, name: str = "alice", source: str = SOURCE_1) -> Denied:
    """Fail so often, as fast as is let through."""
    for _ in range(times):
        denied = made.denied(name, OTHER, source=source)
        assert denied.reason == REFUSED
        made.clock.advance(denied.retry_after or 0)
    return denied


def test_even_the_right_password_waits_and_no_bcrypt_is_spent_on_it(
    made: Made, bcrypts: list[int]
) -> None:
    made.add()
    fail(made, ACCOUNT.free)
    made.denied("alice", OTHER)
    bcrypts.clear()
    denied = made.denied("alice", PASSWORD)
    assert (denied.reason, denied.retry_after) == (TOO_SOON, 1)
    assert bcrypts == []
    made.clock.advance(1)
    assert made.login()


def test_nobody_is_locked_out_however_long_others_fail(made: Made) -> None:
    made.add()
    fail(made, 200)
    assert made.login(source="198.51.100.1")  # at the very moment the delay is over


def test_a_known_device_waits_for_nobody_elses_failures(made: Made) -> None:
    made.add()
    made.login(device=TOKEN)
    fail(made, 50)
    made.denied("alice", OTHER)
    assert made.denied("alice").reason == TOO_SOON
    assert made.login(device=TOKEN)
    assert made.login(device=TOKEN, source="198.51.100.77")


def test_a_stolen_device_has_a_delay_of_its_own_and_lets_nobody_in(made: Made) -> None:
    made.add()
    made.login(device=TOKEN)
    waits = [made.denied("alice", OTHER, device=TOKEN).retry_after for _ in range(4)]
    assert waits == [None, None, None, 1]
    assert made.denied("alice", PASSWORD, device=TOKEN).reason == TOO_SOON
    assert made.login()  # others do not wait for it


def test_a_device_is_known_only_after_the_second_factor_too(made: Made) -> None:
    made.add()
    secret, _ = made.enrol()
    made.denied("alice", code=Secret("000000"), device=TOKEN)
    made.denied("alice", OTHER, code=made.code(secret), device=TOKEN)
    assert made.plugin.auth.get("alice").devices == ()
    made.login(code=made.code(secret), device=TOKEN)
    assert len(made.plugin.auth.get("alice").devices) == 1


@pytest.mark.parametrize("name", ["alice", "mallory"])
def test_a_device_of_one_user_spares_no_delay_of_another_known_or_not(
    made: Made, name: str
) -> None:
    made.add()
    made.add("bob")
    made.login("bob", device=TOKEN)
    fail(made, ACCOUNT.free, name)
    made.denied(name, OTHER, device=TOKEN)
    assert made.denied(name, OTHER, device=TOKEN).reason == TOO_SOON


def test_one_source_that_sprays_many_names_waits_and_others_do_not(made: Made) -> None:
    made.add()
    for n in range(SOURCE.free + 1):
        made.denied(f"user-{n}", OTHER)
    assert made.denied("alice").reason == TOO_SOON
    assert made.login(source="198.51.100.1")


def test_wrong_codes_behind_a_right_password_are_counted_like_wrong_passwords(made: Made) -> None:
    made.add()
    made.enrol()
    waits = [made.denied("alice", code=Secret("000000")).retry_after for _ in range(4)]
    assert waits == [None, None, None, 1]
    assert made.denied("alice", code=Secret("000000")).reason == TOO_SOON


def test_delays_outlast_a_restart(made: Made) -> None:
    made.add()
    fail(made, ACCOUNT.free)
    made.denied("alice", OTHER)
    again = Made(clock=made.clock, providers=made.providers)
    with again.guard:
        assert again.denied("alice").reason == TOO_SOON


def test_logins_that_succeed_never_slow_anybody_down(made: Made) -> None:
    made.add()
    for _ in range(50):
        assert made.login()


def test_a_source_that_is_not_known_is_not_counted(made: Made) -> None:
    for n in range(SOURCE.most * 2):
        assert made.denied(f"user-{n}", OTHER, source="").reason == REFUSED


# Room.


def test_without_room_a_login_is_turned_away_at_once_and_costs_nothing(
    made: Made, bcrypts: list[int]
) -> None:
    made.add()
    gate = made.plugin._gate
    gate._patience_s = 0
    for _ in range(gate.at_once):
        assert gate.enter(is_known=False)
    bcrypts.clear()
    for _ in range(SOURCE.most * 2):
        denied = made.denied()
        assert (denied.reason, denied.retry_after) == (BUSY, 1)
    assert bcrypts == []
    gate.leave()
    assert made.login()  # what was turned away counts as no failure
    assert set(made.audit.why()) == {"busy"}


@pytest.mark.parametrize("password", [PASSWORD, OTHER])
def test_room_is_given_back_whatever_comes_of_it(made: Made, password: Secret) -> None:
    made.add()
    made.plugin._gate = Gate(1, 0)
    for _ in range(30):
        made.clock.advance(3_600)
        if password == PASSWORD:
            made.login()
        else:
            assert made.denied(password=password).reason == REFUSED


def test_a_flood_never_runs_more_checks_at_once_than_there_is_room_for(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.add()
    lock, inside, most = threading.Lock(), [0], [0]
    real = made.plugin.auth.check

    def check(*args: Any) -> Any:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        try:
            return real(*args)
        finally:
            with lock:
                inside[0] -= 1

    monkeypatch.setattr(made.plugin.auth, "check", check)
    reasons: list[str] = []

    def flood(n: int) -> None:
        for m in range(20):
            try:
                made.login(f"user-{n}-{m}", OTHER, source=f"198.51.{n}.{m}")
            except Denied as denied:
                reasons.append(denied.reason)

    threads = [threading.Thread(target=flood, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= made.plugin._gate.at_once
    assert set(reasons) <= {REFUSED, BUSY}
    assert len(reasons) == 320


# Second factor.


def test_a_second_factor_is_asked_for_once_there_is_one(made: Made) -> None:
    made.add()
    assert made.login()
    secret, codes = made.enrol()
    made.denied()
    assert made.login(code=made.code(secret))
    assert made.login(code=codes[0])


def test_a_wrong_password_does_not_use_a_code_up(made: Made) -> None:
    made.add()
    secret, codes = made.enrol()
    made.denied("alice", OTHER, made.code(secret))
    made.denied("alice", OTHER, codes[0])
    assert made.login(code=made.code(secret))
    assert made.login(code=codes[0])


def test_a_clock_set_back_is_told_to_the_recorders(made: Made) -> None:
    made.add()
    secret, codes = made.enrol()
    made.login(code=made.code(secret))
    made.clock.step_wall(-86_400)
    assert made.denied("alice", code=made.code(secret)).reason == REFUSED
    assert made.audit.why() == ["clock"]
    assert made.login(code=codes[0])


def test_of_two_processes_given_one_code_at_once_one_lets_in(made: Made) -> None:
    made.add()
    secret, _ = made.enrol()
    code, twin = made.code(secret), Made(clock=made.clock, providers=made.providers)
    barrier, came = threading.Barrier(2), []

    def login(one: Made) -> None:
        barrier.wait()
        try:
            came.append(one.login(code=code).user)
        except Denied as denied:
            came.append(denied.reason)

    with twin.guard:
        threads = [threading.Thread(target=login, args=(one,)) for one in (made, twin)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(came) == sorted(["alice", REFUSED])


# Sessions.


@pytest.mark.parametrize("act", ["disable", "password", "roles", "factor"])
def test_a_session_does_not_outlast_what_is_taken_while_it_is_made(made: Made, act: str) -> None:
    made.add()
    twin = Made(clock=made.clock, providers=made.providers)  # ends none of our sessions
    acts: dict[str, Callable[[], object]] = {
        "disable": lambda: twin.plugin.auth.disable("alice"),
        "password": lambda: twin.plugin.auth.set_password("alice", OTHER),
        "roles": lambda: twin.plugin.auth.set_roles("alice", ["viewer"]),
        "factor": twin.enrol,
    }
    made.sessions.meanwhile = acts[act]
    assert made.denied().reason == REFUSED
    assert made.sessions.live == []
    assert made.audit.why() == ["changed"]
    twin.guard.close()


def test_a_denied_login_begins_no_session(made: Made) -> None:
    refusals(made)
    assert {user for user, _, _ in made.sessions.live} == {"factored"}


@pytest.mark.parametrize(
    ("severity", "left"),
    [(Severity.LOW, 1), (Severity.MEDIUM, 1), (Severity.HIGH, 0), (Severity.CRITICAL, 0)],
)
def test_high_and_critical_incidents_end_every_session(
    made: Made, severity: Severity, left: int
) -> None:
    made.add()
    made.login()
    incident = made.guard.report("keys were used from elsewhere", severity)
    assert len(made.sessions.live) == left
    did = {outcome.plugin: outcome.did for outcome in incident.outcomes}
    assert did["auth"] == ("nothing said" if left else "1 sessions ended")


def test_a_changed_user_has_no_session_left(made: Made) -> None:
    made.add()
    made.add("bob")
    made.login()
    made.login("bob")
    made.plugin.auth.set_password("alice", OTHER)
    assert [user for user, _, _ in made.sessions.live] == ["bob"]


# Third parties, failures, reloads.


class Nightly:
    @hookimpl
    def on_login(self, login: Login) -> Deny | None:
        return Deny("not at night") if login.user == "alice" else None


def test_a_third_party_adds_a_step_by_a_hook_of_its_own() -> None:
    made = Made(("nightly", Nightly()))
    with made.guard:
        made.add()
        made.add("bob")
        assert made.denied().plugin == "nightly"
        assert made.login("bob")


def test_a_store_that_fails_lets_nobody_in_and_says_so_to_known_and_unknown_alike(
    made: Made,
) -> None:
    made.add()
    made.providers.sealed.stores["auth"].error = StoreError("the disk is gone")
    told = {made.denied(name).reason for name in ("alice", "mallory")}
    assert told == {"raised StoreError: the disk is gone"}


def test_ctrl_c_during_the_check_gives_the_room_back(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.add()
    made.plugin._gate._patience_s = 0

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(made.plugin.auth, "check", interrupted)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                made.login()
            made.clock.advance(3_600)
    assert made.login()


@contextmanager
def reloaded(made: Made) -> Iterator[AuthPlugin]:
    successor = AuthPlugin(AuthConfig(), cost=4)
    context = made.plugin._context
    context.__dict__["predecessor"] = made.plugin
    successor.on_start(context)
    yield successor


def test_a_reload_shares_the_room_that_logins_under_way_take(made: Made) -> None:
    with reloaded(made) as successor:
        assert successor._gate is made.plugin._gate


@pytest.mark.parametrize("cost", [9, 17, -1])
def test_a_cost_that_is_no_protection_or_takes_for_ever_is_refused(cost: int) -> None:
    with pytest.raises(ValueError, match="cost"):
        AuthConfig(cost)


def test_the_doctor_says_what_is_missing(made: Made) -> None:
    def found() -> list[tuple[str, str]]:
        return [(check.status, check.remedy) for check in made.plugin.on_doctor()]

    assert found() == [("warn", "hauberk user add NAME --role admin")]
    made.add()
    assert found() == [("warn", "hauberk user add NAME --role admin")]
    made.add("root", ("admin",))
    assert found() == [("warn", "hauberk user second-factor root")]
    made.enrol("root")
    assert found() == [("ok", "")]
