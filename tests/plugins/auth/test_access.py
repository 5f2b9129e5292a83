from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

from hauberk import Denied, Secret, StoreError
from hauberk.hooks import Plugin, hookimpl
from hauberk.testing import FakeClock, MemoryStore, Providers, make_guard
from hauberk_plugins.auth.access import AccessGate
from hauberk_plugins.auth.entry import Entry, this_boot
from hauberk_plugins.auth.roles import ROLES
from hauberk_plugins.auth.session_record import SessionLimits
from hauberk_plugins.auth.sessions import SessionManager

if TYPE_CHECKING:
    from hauberk.context import Context


@define
class Place:
    """A state folder with sessions, an owner, and perhaps an admin."""

    has_admin: Any = True
    owner: str | None = "root"
    store: MemoryStore = field(factory=MemoryStore)
    clock: FakeClock = field(factory=FakeClock)
    asked: list[None] = field(factory=list)
    sessions: SessionManager = field(init=False)
    gate: AccessGate = field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = self.clock
        self.sessions = SessionManager(
            lambda: self.store, clock.wall_ns, clock.monotonic_ns, secrets.token_bytes
        )
        self.gate = AccessGate(self.sessions, self._has_admin, lambda: self.owner, clock.wall_ns)

    def _has_admin(self) -> bool:
        self.asked.append(None)
        if isinstance(self.has_admin, Exception):
            raise self.has_admin
        return bool(self.has_admin)


def test_a_session_with_a_role_for_it_may() -> None:
    place = Place()
    token = place.sessions.create("alice", ("viewer", "operator"))
    assert place.gate.check("resume", token) == "alice"


def test_a_session_without_a_role_for_it_may_not_and_is_told_who_may() -> None:
    place = Place()
    token = place.sessions.create("alice", ("viewer",))
    with pytest.raises(Denied, match=r"'alice'.*needs the role operator or admin.*has: viewer"):
        place.gate.check("resume", token)
    with pytest.raises(Denied, match="needs the role that nobody has"):
        place.gate.check("withdraw", token)


def test_one_without_any_role_may_nothing() -> None:
    place = Place()
    token = place.sessions.create("alice", ())
    for capability in ("read", "", "anything"):
        with pytest.raises(Denied):
            place.gate.check(capability, token)


@pytest.mark.parametrize("token", [None, Secret(""), Secret("hbs_" + "A" * 54), Secret(b"\xff")])
def test_without_a_session_nobody_may_once_there_is_an_admin(token: Secret | None) -> None:
    place = Place()
    with pytest.raises(Denied, match="hauberk login"):
        place.gate.check("read", token)


def test_a_session_that_is_over_is_none() -> None:
    place = Place()
    token = place.sessions.create("alice", ("admin",))
    place.clock.advance(15 * 60)
    with pytest.raises(Denied, match="hauberk login"):
        place.gate.check("vault.read", token)


def test_until_there_is_an_admin_the_owner_of_the_state_folder_may_everything() -> None:
    place = Place(has_admin=False)
    for capability in ROLES["admin"]:
        assert place.gate.check(capability, None) == "root"


def test_until_there_is_an_admin_nobody_else_may() -> None:
    place = Place(has_admin=False, owner=None)
    with pytest.raises(Denied, match="only the owner of the state folder"):
        place.gate.check("user.write", None)


def test_from_the_first_admin_on_the_owner_may_nothing_without_a_session() -> None:
    place = Place(has_admin=False)
    place.gate.check("user.write", None)
    place.has_admin = True
    with pytest.raises(Denied, match="hauberk login"):
        place.gate.check("read", None)


def test_once_there_was_an_admin_the_owner_never_may_again() -> None:
    place = Place()
    with pytest.raises(Denied):
        place.gate.check("read", None)
    place.has_admin = False
    with pytest.raises(Denied):
        place.gate.check("read", None)
    assert len(place.asked) == 1


def test_where_nobody_can_tell_whether_there_is_an_admin_nobody_may() -> None:
    place = Place(has_admin=StoreError("the disk is gone"))
    with pytest.raises(StoreError):
        place.gate.check("read", None)


@pytest.mark.parametrize("token", [Secret(""), Secret("hbs_" + "A" * 54), Secret(b"\xff")])
def test_whoever_comes_with_a_token_that_is_none_is_never_taken_for_the_owner(
    token: Secret,
) -> None:
    """It may come through a gateway, which runs as the owner."""
    place = Place(has_admin=False)
    with pytest.raises(Denied, match="hauberk login"):
        place.gate.check("read", token)


def test_whoever_types_is_the_owner_until_there_is_an_admin_whatever_token_is_kept() -> None:
    place = Place(has_admin=False)
    assert place.gate.who_types(Secret("hbs_" + "A" * 54)).user == "root"
    token = place.sessions.create("alice", ("viewer",))
    assert place.gate.who_types(token).user == "alice"
    place.has_admin = True
    with pytest.raises(Denied, match="or the session is over"):
        place.gate.who_types(Secret("hbs_" + "A" * 54))


def test_a_user_without_a_role_is_not_let_in_as_the_owner() -> None:
    place = Place(has_admin=False)
    token = place.sessions.create("alice", ("viewer",))
    with pytest.raises(Denied, match="'alice' may not"):
        place.gate.check("user.write", token)


# Put together from a context.


class Entrance(Plugin):
    """A plugin that has nothing but an entry."""

    interface = (1, 1)

    def __init__(self) -> None:
        self.before: Entry | None = None

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context
        self.entry = Entry.of(
            context, SessionLimits(), secrets.token_bytes, lambda: False, self.before
        )


@pytest.fixture
def entrance() -> Entrance:
    return Entrance()


def test_it_is_put_together_from_a_plugins_context(entrance: Entrance) -> None:
    with make_guard(entrance, grants={"entrance": ["sealed"]}, providers=Providers()) as guard:
        entry = entrance.entry
        token = entry.sessions.create("alice", ("admin",))
        assert entry.access.check("vault.read", token) == "alice"
        bot = entry.tokens.create("maker", ["main"], ["read"], 30)
        assert entry.tokens.validate(bot) is not None
        epoch = guard.kernel.epoch
        entry.sessions.end("alice")
        assert guard.kernel.epoch > epoch


def test_what_takes_over_goes_on_refusing_what_was_ended_in_memory_alone(
    entrance: Entrance,
) -> None:
    providers = Providers()
    with make_guard(entrance, grants={"entrance": ["sealed"]}, providers=providers):
        token = entrance.entry.sessions.create("alice")
        store = providers.sealed.stores["entrance"]
        store.error = StoreError("the disk is gone")
        with pytest.raises(StoreError):
            entrance.entry.sessions.end_all()
        entrance.before = entrance.entry
        entrance.on_start(entrance.context)
        assert entrance.entry.sessions.validate_session(token) is None


@pytest.mark.parametrize(
    ("state", "folder", "owner"),
    [
        (lambda home: home, lambda home: home, True),
        (lambda home: home / "missing", lambda home: home, True),
        (lambda home: home / "missing", lambda home: home / "missing", False),
        (lambda home: None, lambda home: home, False),
    ],
)
def test_the_owner_is_that_of_the_state_folder_or_of_the_one_it_is_to_be_in(
    entrance: Entrance,
    tmp_path: Path,
    state: Callable[[Path], Path | None],
    folder: Callable[[Path], Path],
    owner: bool,
) -> None:
    with make_guard(entrance, grants={"entrance": ["sealed"]}, providers=Providers()):
        seen = {"state_dir": state(tmp_path), "folder": folder(tmp_path)}
        entrance.context.__dict__.update(seen)
        if owner:
            assert entrance.entry.access.check("user.write", None)
        else:
            with pytest.raises(Denied):
                entrance.entry.access.check("user.write", None)


def test_a_state_folder_of_somebody_else_makes_nobody_an_owner(
    entrance: Entrance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_guard(entrance, grants={"entrance": ["sealed"]}, providers=Providers()):
        entrance.context.__dict__.update({"state_dir": tmp_path, "folder": tmp_path})
        other = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other)
        with pytest.raises(Denied, match="only the owner"):
            entrance.entry.access.check("user.write", None)


def test_a_machine_that_tells_no_boot_from_another_is_not_trusted_to(tmp_path: Path) -> None:
    assert this_boot(tmp_path / "missing") == ""
    (tmp_path / "odd").write_bytes(b"\xff")
    assert this_boot(tmp_path / "odd") == ""
    (tmp_path / "boot").write_text("4a3e\n", "ascii")
    assert this_boot(tmp_path / "boot") == "4a3e"


# A login of late.


def test_what_needs_a_login_of_late_takes_one_and_no_older_one() -> None:
    place = Place()
    token = place.sessions.create("alice", ("operator",))
    place.clock.advance(300)
    assert place.gate.check("resume", token, fresh_s=300) == "alice"
    place.clock.advance(1)
    with pytest.raises(Denied, match=r"logged in too long ago.*300 s: hauberk login alice"):
        place.gate.check("resume", token, fresh_s=300)
    assert place.gate.check("resume", token) == "alice"


def test_a_login_of_tomorrow_is_none_of_late() -> None:
    place = Place()
    token = place.sessions.create("alice", ("operator",))
    place.clock.step_wall(-60)
    with pytest.raises(Denied):
        place.gate.check("resume", token, fresh_s=300)


def test_who_may_without_a_session_need_not_log_in() -> None:
    assert Place(has_admin=False).gate.check("resume", None, fresh_s=300) == "root"
