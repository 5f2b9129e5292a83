"""A login that passed every step of the authenticator, and was denied all the same, leaves nothing.

A guard further down may deny it, or the required recorder may not be able to record it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import define, field
from tests.plugins.auth.test_auth_plugin import OTHER, PASSWORD, SOURCE_1, TOKEN, Audit, Made

from hauberk import Denied, Deny, Event, Login, Secret, StoreError
from hauberk.hooks import hookimpl
from hauberk.testing import make_guard
from hauberk_plugins.auth.delays import ACCOUNT
from hauberk_plugins.auth.passwords import BARE, Hashed
from hauberk_plugins.auth.plugin import AuthConfig, AuthPlugin
from hauberk_plugins.auth.session_record import SessionLimits
from hauberk_plugins.auth.steps import REFUSED
from hauberk_plugins.auth.vouched import MOST, Vouched, VouchedLogins


@define(eq=False)
class Later:
    """A guard after the authenticator; does something, then denies while it is told to."""

    denies: bool = False
    act: Callable[[], object] = field(default=lambda: None)

    @hookimpl
    def on_login(self, login: Login) -> Deny | None:
        self.act()
        return Deny("not at night") if self.denies else None


class Recorder(Audit):
    """A required recorder; fails where somebody is logged in, while it is told to."""

    denies = False

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == "login.granted" and self.denies:
            raise OSError("no space left on device")


class Place(Made):
    """The plugin with its own sessions, between its users and somebody who may deny after it."""

    def __init__(self) -> None:
        super().__init__()
        self.guard.close()
        self.later, self.audit = Later(), Recorder()
        self.plugin = AuthPlugin(AuthConfig(sessions=SessionLimits(per_user=2)), cost=4)
        self.guard = make_guard(
            ("auth", self.plugin), ("later", self.later), ("audit", self.audit),
            grants={"auth": ["authenticate", "sealed", "store"], "audit": ["record"]},
            clock=self.clock, providers=self.providers, required=["audit"],
        )  # fmt: skip
        self.manager = self.plugin.sessions

    def live(self) -> list[str]:
        return [session.id for session in self.manager.list()]


@pytest.fixture
def place() -> Iterator[Place]:
    one = Place()
    with one.guard:
        one.add()
        yield one


@pytest.fixture(params=["later", "audit"])
def denier(request: pytest.FixtureRequest, place: Place) -> Any:
    """Who denies: a guard after the authenticator, or the required recorder."""
    return getattr(place, request.param)


def test_it_leaves_no_session(place: Place, denier: Any) -> None:
    denier.denies = True
    place.denied()
    assert place.live() == []


def test_it_ends_no_session_to_make_room_for_its_own(place: Place, denier: Any) -> None:
    tokens = [place.login().session for _ in range(2)]
    before = place.live()
    denier.denies = True
    for _ in range(3):
        place.denied()
        place.clock.advance(60)
    assert place.live() == before
    assert all(token and place.manager.validate_session(token) for token in tokens)


def test_it_makes_no_device_known(place: Place, denier: Any) -> None:
    denier.denies = True
    place.denied(device=TOKEN)
    assert place.plugin.auth.get("alice").devices == ()


def test_it_changes_no_hash(place: Place, denier: Any) -> None:
    import bcrypt

    bare = Hashed(BARE, "", Secret(bcrypt.hashpw(PASSWORD.reveal(), bcrypt.gensalt(4))))
    place.plugin.auth.adopt("bob", bare.hash)
    denier.denies = True
    place.denied("bob")
    assert place.plugin.auth.get("bob").password == bare
    denier.denies = False
    place.login("bob")
    assert place.plugin.auth.get("bob").password.scheme != BARE


def test_it_forgives_no_failure_and_counts_as_one(place: Place, denier: Any) -> None:
    denier.denies = True
    for _ in range(ACCOUNT.free + 1):
        assert place.denied().plugin in ("later", "audit")
    assert place.denied().plugin == "auth", "too soon"


def test_a_code_is_used_up_by_it_or_two_at_once_could_share_one(place: Place, denier: Any) -> None:
    secret, codes = place.enrol()
    denier.denies = True
    code = place.code(secret)
    place.denied(code=code)
    place.denied(code=codes[0])
    denier.denies = False
    assert place.denied(code=code).reason == REFUSED
    assert place.denied(code=codes[0]).reason == REFUSED
    place.clock.advance(60)
    assert place.login(code=codes[1])


def test_the_recorders_learn_that_the_password_was_right(place: Place, denier: Any) -> None:
    denier.denies = True
    place.denied()
    (told,) = [event.fields for event in place.audit.events if event.kind == "auth.refused"]
    assert (told["why"], told["user"], told["source"]) == ("denied", "alice", SOURCE_1)
    assert place.audit.events[-1].kind == "login.denied"


def test_a_session_begins_only_once_the_login_is_recorded(place: Place) -> None:
    place.login()
    kinds = [event.kind for event in place.audit.events]
    assert kinds.index("login.granted") < kinds.index("auth.session.created")


def test_the_token_is_of_no_session_while_later_guards_are_asked(place: Place) -> None:
    seen: list[list[str]] = []
    place.later.act = lambda: seen.append(place.live())
    identity = place.login()
    assert seen == [[]]
    assert identity.session is not None
    assert place.manager.validate_session(identity.session)


@pytest.mark.parametrize(
    "change",
    [
        lambda auth: auth.disable("alice"),
        lambda auth: auth.set_password("alice", OTHER),
        lambda auth: auth.set_roles("alice", ("viewer",)),
    ],
)
def test_whoever_is_changed_while_later_guards_are_asked_is_not_logged_in(
    place: Place, change: Callable[[Any], object]
) -> None:
    place.later.act = lambda: change(place.plugin.auth)
    denied = place.denied(device=TOKEN)
    assert (denied.plugin, denied.reason) == ("auth", REFUSED)
    assert place.live() == []
    assert place.plugin.auth.get("alice").devices == ()
    assert place.audit.why() == ["changed"]


@pytest.mark.parametrize("part", ["settle", "forgive"])
def test_where_the_rest_cannot_be_kept_the_session_ends_with_it(
    place: Place, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StoreError("the disk is full")

    owner = place.plugin.auth if part == "settle" else place.plugin._delays
    monkeypatch.setattr(owner, part, full)
    assert place.denied(device=TOKEN).reason == "raised StoreError: the disk is full"
    assert place.live() == []


def test_a_store_that_cannot_keep_the_session_denies(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(place.manager, "create", full)
    assert place.denied().plugin == "auth"
    kinds = [event.kind for event in place.audit.events]
    assert kinds[-2:] == ["login.granted", "login.denied"]


def test_two_logins_at_once_with_one_login_are_two(place: Place) -> None:
    both = threading.Barrier(2)
    place.later.act = both.wait
    login = Login("alice", PASSWORD, source=SOURCE_1)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(place.guard.login(login))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sessions = {place.manager.validate_session(one.session).id for one in found}  # type: ignore[union-attr]
    assert len(sessions) == 2


def test_whoever_never_says_how_one_ended_is_forgotten() -> None:
    kept = VouchedLogins()
    vouched: Vouched = object()  # type: ignore[assignment]
    for number in range(MOST + 1):
        kept.keep(str(number), vouched)
    assert kept.take("0") is None
    assert kept.take("1") is vouched
    assert kept.take("1") is None


def test_and_then_nobody_is_logged_in(place: Place) -> None:
    place.later.act = lambda: [
        place.plugin._vouched.keep(f"other-{n}", object())  # type: ignore[arg-type,func-returns-value]
        for n in range(MOST)
    ]
    with pytest.raises(Denied, match=REFUSED):
        place.login()
    assert place.live() == []
