from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from hauberk import Secret, StoreError
from hauberk.errors import StoreConflict
from hauberk_plugins.auth.devices import MOST, hash_token, make_token
from hauberk_plugins.auth.errors import (
    BadName,
    BadRecord,
    LastAdmin,
    NoSuchUser,
    UnknownRole,
    UserExists,
    WeakPassword,
)
from hauberk_plugins.auth.peppers import RECORD as PEPPERS

if TYPE_CHECKING:
    from conftest import World

PASSWORD = Secret("a heron stands in cold water")
OTHER = Secret("seven lanterns under the bridge")
NONE = Secret("")


def device(n: int = 0) -> Secret:
    return make_token(lambda count: n.to_bytes(count, "big"))


# Making and changing.


def test_a_user_is_found_by_every_form_of_the_name(world: World) -> None:
    world.auth.create("Alice", PASSWORD, ["viewer"])
    for name in ("alice", "ALICE", "\uff21\uff2c\uff29\uff23\uff25"):
        user = world.auth.verify(name, PASSWORD)
        assert user is not None
        assert (user.name, user.roles) == ("alice", ("viewer",))
    with pytest.raises(UserExists, match="'alice'"):
        world.auth.create("ALICE", PASSWORD)


def test_of_two_processes_that_add_a_user_at_once_one_does(world: World) -> None:
    twins, barrier = [world.twin() for _ in range(6)], threading.Barrier(6)
    added: list[str] = []

    def add(n: int) -> None:
        barrier.wait()
        try:
            twins[n].auth.create("alice", Secret(f"{PASSWORD.reveal_text()} {n}"))
        except UserExists:
            return
        added.append(f"{PASSWORD.reveal_text()} {n}")

    threads = [threading.Thread(target=add, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(added) == 1
    assert world.auth.verify("alice", Secret(added[0]))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/abs", "con", "user/alice", "a%00b", "--x"])
def test_any_name_is_only_a_name(world: World, name: str) -> None:
    world.auth.create(name, PASSWORD)
    assert world.auth.verify(name, PASSWORD)
    assert [user.name for user in world.auth.all()] == [name]


def test_what_will_not_do_adds_nobody(world: World) -> None:
    with pytest.raises(BadName):
        world.auth.create("two words", PASSWORD)
    with pytest.raises(UnknownRole, match="there is no role 'root'"):
        world.auth.create("alice", PASSWORD, ["viewer", "root"])
    with pytest.raises(WeakPassword):
        world.auth.create("alice", Secret("short"))
    assert world.auth.all() == ()
    assert world.told == []


def test_what_is_changed_is_told_and_ends_the_sessions(world: World) -> None:
    world.auth.create("alice", PASSWORD, ["viewer", "viewer"])
    world.auth.set_roles("alice", ["trader"])
    world.auth.set_password("Alice", OTHER)
    world.auth.disable("alice")
    world.auth.enable("alice")
    assert [kind for kind, _ in world.told] == [
        "user.created", "user.roles", "user.password", "user.disabled", "user.enabled"
    ]  # fmt: skip
    assert world.told[1][1] == {"user": "alice", "roles": ("trader",)}
    assert world.ended == ["alice"] * 3


@pytest.mark.parametrize("act", ["disable", "enable", "get"])
def test_nobody_is_changed_who_is_not_there(world: World, act: str) -> None:
    with pytest.raises(NoSuchUser, match="hauberk user list"):
        getattr(world.auth, act)("nobody")
    with pytest.raises(NoSuchUser):
        world.auth.set_password("nobody", PASSWORD)


def test_the_last_admin_stays_until_there_is_another(world: World) -> None:
    assert not world.auth.has_admin()
    world.auth.create("bob", PASSWORD, ["operator"])
    assert not world.auth.has_admin()
    world.auth.create("alice", PASSWORD, ["admin"])
    assert world.auth.has_admin()
    with pytest.raises(LastAdmin, match="'alice' is the only admin"):
        world.auth.disable("alice")
    with pytest.raises(LastAdmin):
        world.auth.set_roles("alice", ["operator"])
    world.auth.disable("bob")
    world.auth.set_password("alice", OTHER)
    world.auth.create("carol", PASSWORD, ["admin"])
    world.auth.disable("alice")
    with pytest.raises(LastAdmin):
        world.auth.disable("carol")


def test_of_two_admins_disabled_by_two_processes_at_once_one_stays(world: World) -> None:
    world.auth.create("alice", PASSWORD, ["admin"])
    world.auth.create("bob", PASSWORD, ["admin"])
    barrier = threading.Barrier(2)

    def disable(name: str) -> None:
        twin = world.twin()
        barrier.wait()
        with contextlib.suppress(LastAdmin):
            twin.auth.disable(name)

    threads = [threading.Thread(target=disable, args=(name,)) for name in ("alice", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [user.is_disabled for user in world.auth.all()].count(True) == 1


def test_with_a_second_factor_a_shorter_password_will_do(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    with pytest.raises(WeakPassword):
        world.auth.set_password("alice", Secret("zdqvxmfk"))
    world.enrol("alice")
    world.auth.set_password("alice", Secret("zdqvxmfk"))
    assert world.auth.verify("alice", Secret("zdqvxmfk"))


# Verifying: the same path for everybody.


@pytest.mark.parametrize("who", ["known", "unknown", "disabled", "nameless", "guide", "lost"])
@pytest.mark.parametrize("password", [PASSWORD, OTHER, NONE, None, Secret("x" * 2_000)])
def test_whoever_is_asked_for_costs_exactly_one_bcrypt_check(
    world: World, bcrypts: list[int], who: str, password: Secret | None
) -> None:
    name = "two words" if who == "nameless" else "alice"
    if who in ("known", "disabled", "lost"):
        world.auth.create("alice", PASSWORD)
    if who == "disabled":
        world.auth.disable("alice")
    if who == "guide":
        world.auth.adopt("alice", Secret(bcrypt.hashpw(PASSWORD.reveal(), bcrypt.gensalt(4))))
    if who == "lost":
        world.sealed.delete(PEPPERS)
    asked = world.twin()
    bcrypts.clear()
    asked.auth.verify(name, password)
    assert bcrypts == [4]


def test_why_somebody_is_not_let_in_is_known_to_the_recorders_alone(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    world.auth.create("bob", PASSWORD)
    world.auth.disable("bob")
    assert world.auth.check("alice", PASSWORD).why == ""
    assert world.auth.check("alice", OTHER).why == "password"
    assert world.auth.check("bob", PASSWORD).why == "disabled"
    assert world.auth.check("bob", OTHER).why == "disabled"
    assert world.auth.check("carol", PASSWORD).why == "unknown"
    for name, password in (("alice", OTHER), ("bob", PASSWORD), ("carol", PASSWORD)):
        assert world.auth.verify(name, password) is None


def test_without_the_pepper_nobody_is_let_in_and_the_reason_is_known(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    world.sealed.delete(PEPPERS)
    checked = world.twin().auth.check("alice", PASSWORD)
    assert (checked.user, checked.why) == (None, "pepper")


# What a login leaves.


def settle(world: World, password: Secret = PASSWORD, token: Secret = NONE) -> None:
    user = world.auth.verify("alice", password)
    assert user is not None
    world.auth.settle(user, world.auth.hashed_anew(user, password), token)


def test_a_hash_of_the_guide_is_upgraded_at_login(world: World, bcrypts: list[int]) -> None:
    password = Secret("short guide password")
    world.auth.adopt(
        "Alice", Secret(bcrypt.hashpw(password.reveal(), bcrypt.gensalt(4))), ["admin"]
    )
    settle(world, password)
    record = world.sealed.get("user/alice")
    assert record is not None
    assert json.loads(record.value)["password"]["scheme"] == "bcrypt-hmac-sha384"
    bcrypts.clear()
    settle(world, password)
    assert bcrypts == [4]  # no second upgrade
    assert world.auth.get("alice").roles == ("admin",)


def test_a_hash_of_another_cost_is_upgraded_at_login(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    dearer = world.twin(cost=5)
    settle(dearer)
    assert world.auth.get("alice").password.cost == 5
    assert dearer.auth.verify("alice", PASSWORD)


def test_a_hash_under_an_older_pepper_is_upgraded_at_login(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    fresh = world.twin().peppers.rotate()
    settle(world)
    assert world.auth.get("alice").password.pepper == fresh.id
    assert world.auth.verify("alice", PASSWORD)


def test_an_upgrade_does_not_undo_a_password_changed_meanwhile(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    world.peppers.rotate()
    user = world.auth.verify("alice", PASSWORD)
    assert user is not None
    world.twin().auth.set_password("alice", OTHER)
    world.auth.settle(user, world.auth.hashed_anew(user, PASSWORD), device())
    assert world.auth.verify("alice", OTHER)
    assert world.auth.verify("alice", PASSWORD) is None
    assert world.auth.get("alice").devices == ()


@pytest.mark.parametrize("act", ["disable", "set_password", "set_roles", "enrol"])
def test_a_login_under_way_does_not_outlast_what_is_taken_from_its_user(
    world: World, act: str
) -> None:
    world.auth.create("alice", PASSWORD, ["trader"])
    user = world.auth.verify("alice", PASSWORD)
    assert user is not None
    assert world.auth.stands(user)
    acts: dict[str, Any] = {
        "disable": lambda: world.auth.disable("alice"),
        "set_password": lambda: world.auth.set_password("alice", OTHER),
        "set_roles": lambda: world.auth.set_roles("alice", ["viewer"]),
        "enrol": lambda: world.enrol("alice"),
    }
    acts[act]()
    assert not world.auth.stands(user)


def test_an_upgrade_or_a_device_is_no_reason_to_end_a_login(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    world.peppers.rotate()
    user = world.auth.verify("alice", PASSWORD)
    assert user is not None
    world.auth.settle(user, world.auth.hashed_anew(user, PASSWORD), device())
    assert world.auth.stands(user)


# Devices.


def known(world: World, token: Secret, name: str = "alice") -> bool:
    return world.auth.users.is_known_device(hash_token(token, name))


def test_a_device_is_known_after_a_login_to_that_user_alone(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    world.auth.create("bob", PASSWORD)
    assert not known(world, device())
    settle(world, token=device())
    assert known(world, device())
    assert known(world.twin(), device())
    assert not known(world, device(), "bob")
    assert not known(world, device(1))
    for _, record in world.sealed.scan():
        assert device().reveal() not in record.value


@pytest.mark.parametrize(
    "token", ["", "short", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "\n", "é" * 43]
)
def test_what_is_no_token_is_never_known(world: World, token: str) -> None:
    world.auth.create("alice", PASSWORD)
    settle(world, token=Secret(token))
    assert world.auth.get("alice").devices == ()
    assert not known(world, Secret(token))


def test_the_number_of_devices_is_bounded_and_the_first_is_forgotten(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    for n in range(MOST + 3):
        settle(world, token=device(n))
    assert [known(world, device(n)) for n in range(MOST + 3)] == [False] * 3 + [True] * MOST
    assert len(list(world.sealed.scan("device/"))) == MOST


@pytest.mark.parametrize("act", ["disable", "set_password"])
def test_devices_are_forgotten_with_the_password_or_the_user(world: World, act: str) -> None:
    world.auth.create("alice", PASSWORD)
    settle(world, token=device())
    if act == "disable":
        world.auth.disable("alice")
    else:
        world.auth.set_password("alice", OTHER)
    assert not known(world, device())
    assert list(world.sealed.scan("device/")) == []


# What is kept.


def test_the_password_is_in_no_record(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    for _, record in world.sealed.scan():
        assert PASSWORD.reveal() not in record.value


def record_of(world: World) -> dict[str, Any]:
    found = world.sealed.get("user/alice")
    assert found is not None
    read: dict[str, Any] = json.loads(found.value)
    return read


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"format": None}, {"name": 5}, {"roles": "admin"}, {"roles": [1]},
        {"disabled": 0}, {"disabled": None}, {"created_ms": "x"}, {"password": {}},
        {"password": None}, {"devices": None}, {"epoch": True}, {"second_factor": {}},
        {"second_factor": {"secret": "!", "last_step": 0, "codes": []}},
        {"second_factor": {"secret": "", "last_step": "0", "codes": []}},
    ],
    ids=str,
)  # fmt: skip
def test_a_record_of_another_shape_is_an_error_and_no_default(
    world: World, change: dict[str, Any]
) -> None:
    world.auth.create("alice", PASSWORD)
    world.sealed.put("user/alice", json.dumps({**record_of(world), **change}).encode())
    with pytest.raises(BadRecord, match="restore it from a backup"):
        world.auth.verify("alice", PASSWORD)
    with pytest.raises(BadRecord):
        world.auth.all()


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"\xff", b"[" * 100_000])
def test_a_record_that_is_no_json_is_an_error(world: World, value: bytes) -> None:
    world.sealed.put("user/alice", value)
    with pytest.raises(BadRecord):
        world.auth.verify("alice", PASSWORD)


def test_a_record_is_read_back_as_it_was(world: World) -> None:
    world.auth.create("alice", PASSWORD, ["viewer", "trader"])
    world.enrol("alice")
    world.clock.advance(60)
    settle(world, token=device())
    user = world.auth.get("alice")
    assert type(user).from_bytes(user.to_bytes()) == user


def test_a_store_that_cannot_be_written_changes_nothing_and_says_so(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    before = world.auth.get("alice")
    world.sealed.error = StoreError("disk full")
    for act in (
        lambda: world.auth.disable("alice"),
        lambda: world.auth.create("bob", PASSWORD),
        lambda: world.auth.verify("alice", PASSWORD),
    ):
        with pytest.raises(StoreError, match="disk full"):
            act()
    world.sealed.error = None
    assert world.auth.all() == (before,)


def test_a_record_that_others_keep_changing_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.auth.create("alice", PASSWORD)

    def conflict(*_: Any, **__: Any) -> int:
        raise StoreConflict("record is at another version")

    monkeypatch.setattr(world.sealed, "put", conflict)
    with pytest.raises(StoreConflict):
        world.auth.disable("alice")
    assert world.ended == []
