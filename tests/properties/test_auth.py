"""Users, passwords, second factors, devices and clocks, in any sequence, by two processes."""

from __future__ import annotations

import secrets
from typing import Any

import pyotp
from attrs import define, field
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hauberk import Denied, Login, Secret, Severity
from hauberk.guard import Guard
from hauberk.testing import FakeClock, Providers, make_guard
from hauberk_plugins.auth.devices import MOST, make_token
from hauberk_plugins.auth.plugin import AuthConfig, AuthPlugin
from hauberk_plugins.auth.steps import REFUSED, TOO_SOON

PASSWORDS = [f"{bird} stands in cold water" for bird in ("a heron", "an egret", "one stork")]
NAMES = ["alice", "bob", "carol"]
WIDE_CAROL = "\uff23\uff21\uff32\uff2f\uff2c"
#: As people type them.
TYPED = st.sampled_from([*NAMES, "Alice", "BOB", WIDE_CAROL, "mallory", "two words", ""])
DEVICES = [make_token(lambda count, n=n: bytes([n]) * count) for n in range(3)]
STEP_S = 30


@define
class Person:
    """What the model knows of a user."""

    password: str
    is_disabled: bool = False
    secret: Secret | None = None
    last_step: int = -1
    codes: list[Secret] = field(factory=list)
    used: list[Secret] = field(factory=list)


class Sessions:
    """Every live session's user."""

    def __init__(self) -> None:
        self.live: list[str] = []
        self._drawn = 0

    def draw(self, user: str) -> Secret:
        self._drawn += 1
        return Secret(f"{user} {self._drawn}")

    def create(
        self, user: str, roles: tuple[str, ...], source: str, token: Secret | None = None
    ) -> Secret:
        self.live.append(user)
        return token or self.draw(user)

    def end_session(self, token: Secret, why: str = "") -> bool:
        user = token.reveal_text().partition(" ")[0]
        if user not in self.live:
            return False
        self.live.remove(user)
        return True

    def end(self, user: str, why: str = "") -> int:
        self.live[:] = [one for one in self.live if one != user]
        return 0

    def end_all(self, why: str = "") -> int:
        self.live.clear()
        return 0


def normal(name: str) -> str:
    return {WIDE_CAROL: "carol"}.get(name, name.lower())


class Logins(RuleBasedStateMachine):
    """Two processes on one store against a model."""

    @initialize()
    def begin(self) -> None:
        self.clock, self.ports, self.sessions = FakeClock(), Providers(), Sessions()
        self.people: dict[str, Person] = {}
        # Of two costs, so that hashes are upgraded all the time.
        self.plugins = [AuthPlugin(AuthConfig(), cost=cost) for cost in (4, 5)]
        self.guards: list[Guard] = []
        for plugin in self.plugins:
            self.guards.append(
                make_guard(
                    ("auth", plugin), clock=self.clock, providers=self.ports,
                    grants={"auth": ["authenticate", "sealed", "store"]},
                )
            )  # fmt: skip
            plugin.sessions = self.sessions

    def teardown(self) -> None:
        for guard in getattr(self, "guards", ()):
            guard.close()

    # What an operator does.

    @rule(name=st.sampled_from(NAMES), password=st.sampled_from(PASSWORDS), who=st.booleans())
    def create(self, name: str, password: str, who: bool) -> None:
        if name not in self.people:
            self.plugins[who].auth.create(name.upper(), Secret(password))
            self.people[name] = Person(password)

    @precondition(lambda self: self.people)
    @rule(data=st.data(), password=st.sampled_from(PASSWORDS), who=st.booleans())
    def set_password(self, data: Any, password: str, who: bool) -> None:
        name = self._somebody(data)
        self.plugins[who].auth.set_password(name, Secret(password))
        self.people[name].password = password
        assert name not in self.sessions.live

    @precondition(lambda self: self.people)
    @rule(data=st.data(), disabled=st.booleans(), who=st.booleans())
    def disable_or_enable(self, data: Any, disabled: bool, who: bool) -> None:
        name = self._somebody(data)
        auth = self.plugins[who].auth
        (auth.disable if disabled else auth.enable)(name)
        self.people[name].is_disabled = disabled

    @precondition(lambda self: self.people)
    @rule(data=st.data(), who=st.booleans())
    def enrol(self, data: Any, who: bool) -> None:
        name = self._somebody(data)
        factors, person = self.plugins[who].factors, self.people[name]
        enrolment = factors.begin(name)
        code = self._code(enrolment.secret, self._now())
        person.codes = list(factors.enrol(enrolment, code))
        person.used.clear()
        person.secret, person.last_step = enrolment.secret, self._now()

    @rule(who=st.booleans())
    def rotate_the_pepper(self, who: bool) -> None:
        self.plugins[who].auth._hasher._peppers.rotate()

    @rule(severity=st.sampled_from(Severity), who=st.booleans())
    def report(self, severity: Severity, who: bool) -> None:
        self.guards[who].report("something", severity)
        if severity >= Severity.HIGH:
            assert self.sessions.live == []

    # What time does.

    @rule(seconds=st.sampled_from([1, 10, 30, 45, 90, 600]))
    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([1, 40, 3_600]))
    def set_the_clock_back(self, seconds: int) -> None:
        self.clock.step_wall(-seconds)

    # Logins.

    @rule(
        typed=TYPED,
        password=st.sampled_from([*PASSWORDS, "", "x" * 2_000]),
        kind=st.sampled_from(["none", "wrong", "recovery", "used", "-2", "-1", "0", "1", "2"]),
        source=st.sampled_from(["", "203.0.113.9", "2001:db8::1"]),
        device=st.sampled_from([*DEVICES, Secret("")]),
        who=st.booleans(),
    )
    def login(
        self, typed: str, password: str, kind: str, source: str, device: Secret, who: bool
    ) -> None:
        person = self.people.get(normal(typed))
        denied = self._attempt(typed, password, person, kind, source, device, who)
        if denied is not None and denied.reason == TOO_SOON:
            # Nobody is locked out: when the delay is over, the next try is judged.
            assert denied.retry_after is not None
            assert 0 < denied.retry_after <= 31  # one more where clocks differ
            self.clock.advance(denied.retry_after)
            denied = self._attempt(typed, password, person, kind, source, device, who)
        assert denied is None or denied.reason == REFUSED

    @invariant()
    def nobody_who_is_disabled_has_a_session(self) -> None:
        for name, person in getattr(self, "people", {}).items():
            assert not (person.is_disabled and name in self.sessions.live)

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        if not getattr(self, "people", None):
            return
        sealed = self.ports.sealed.scoped("auth")
        assert len(list(sealed.scan("user/"))) == len(self.people)
        assert len(list(sealed.scan("device/"))) <= MOST * len(self.people)

    def _attempt(
        self,
        typed: str,
        password: str,
        person: Person | None,
        kind: str,
        source: str,
        device: Secret,
        who: bool,
    ) -> Denied | None:
        """Log in, and hold what comes of it against the model, delays aside."""
        code, step = self._chosen(person, kind)
        login = Login(typed, Secret(password), code, source=source, device=device)
        expected = self._expected(person, password, code, step)
        try:
            identity = self.guards[who].login(login)
        except Denied as denied:
            if denied.reason != TOO_SOON:
                assert not expected, (person, kind)
            return denied
        assert expected, (person, kind)
        assert person is not None
        assert identity.user == normal(typed)
        if person.secret is not None and code is not None:
            if step is not None:
                person.last_step = step
            else:
                person.codes.remove(code)
                person.used.append(code)
        return None

    def _expected(
        self, person: Person | None, password: str, code: Secret | None, step: int | None
    ) -> bool:
        if person is None or person.is_disabled or person.password != password:
            return False
        if person.secret is None:
            return True
        if step is not None:
            return abs(step - self._now()) <= 1 and step > person.last_step
        return code in person.codes

    def _chosen(self, person: Person | None, kind: str) -> tuple[Secret | None, int | None]:
        """A code of a kind, and its time step if it is one by time."""
        if person is None or person.secret is None or kind == "none":
            return None, None
        if kind == "wrong":
            right = {self._code(person.secret, self._now() + n).reveal() for n in (-1, 0, 1)}
            return next(Secret(c) for c in (b"000000", b"111111", b"222222", b"333333")
                        if c not in right), None  # fmt: skip
        if kind in ("recovery", "used"):
            codes = person.codes if kind == "recovery" else person.used
            return (codes[0] if codes else Secret("AAAA-AAAA-AAAA-AAAA")), None
        step = self._now() + int(kind)
        return self._code(person.secret, step), step

    def _somebody(self, data: Any) -> str:
        name: str = data.draw(st.sampled_from(sorted(self.people)))
        return name

    def _now(self) -> int:
        return self.clock.wall_ns() // (STEP_S * 1_000_000_000)

    def _code(self, secret: Secret, step: int) -> Secret:
        return Secret(pyotp.TOTP(secret.reveal_text()).generate_otp(step))


TestLogins = Logins.TestCase


def test_the_tokens_drawn_are_random() -> None:
    tokens = {make_token(secrets.token_bytes).reveal() for _ in range(100)}
    assert len(tokens) == 100
