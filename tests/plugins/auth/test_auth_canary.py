"""Marked passwords, peppers, secrets and codes are looked for in all that anybody could see."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from base64 import b32encode, b64encode
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import bcrypt
import pyotp
import pytest
from attrs import define, field

from hauberk import Denied, Event, Login, Secret, StoreError
from hauberk.hooks import hookimpl
from hauberk.ports import Record
from hauberk.testing import FakeClock, MemoryStore, Providers, make_guard
from hauberk_plugins.auth.devices import make_token
from hauberk_plugins.auth.plugin import AuthConfig, AuthPlugin

#: Built so that no line of source, which a traceback shows, has it.
MARK = "".join(["Kana", "rien", "vogel"])
PASSWORD = Secret(f"{MARK} stands in cold water")
OTHER = Secret(f"{MARK} under the seventh bridge")
DEVICE = make_token(lambda count: MARK[:count].encode().ljust(count, b"x"))


def forms(secret: bytes) -> set[str]:
    """A secret as it may be shown: text, repr, hex, base64 with any alignment's core."""
    found = {repr(secret)[2:-1], secret.hex(), b64encode(secret).decode().rstrip("=")}
    with contextlib.suppress(UnicodeDecodeError):
        found.add(secret.decode())
    return {form for form in found if len(form) >= 6}


@define
class Looked:
    """All that was seen, and what must not be in it."""

    secrets: set[bytes] = field(factory=set, repr=False)
    seen: list[str] = field(factory=list, repr=False)

    def see(self, *things: object) -> None:
        for thing in things:
            self.seen += [repr(thing), str(thing), f"{thing}"]

    def see_error(self, error: BaseException) -> None:
        """Every frame's locals, also of what an error came from."""
        waiting: list[BaseException | None] = [error]
        known: set[int] = set()
        while waiting:
            one = waiting.pop()
            if one is None or id(one) in known:
                continue
            known.add(id(one))
            told = traceback.TracebackException.from_exception(one, capture_locals=True)
            self.seen.append("".join(told.format()))
            self.see(one, *one.args)
            # Behind `from None` too: what reports errors may look there.
            waiting += [one.__cause__, one.__context__]

    def check(self) -> None:
        text = "\n".join(self.seen)
        assert len(text) > 1_000
        for secret in self.secrets:
            for form in forms(secret):
                at = text.find(form)
                assert at < 0, text[max(0, at - 300) : at + 100]


class FailingStore(MemoryStore):
    """Fails on the call that it is told to, with all that it was given in its frame."""

    def __init__(self, spare: int = 10**9) -> None:
        super().__init__()
        self.spare = spare

    def _check(self) -> None:
        self.spare -= 1
        if self.spare == 0:
            raise StoreError("the disk is gone")

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        held = value
        assert held is not None
        return super().put(name, value, version=version)

    def get(self, name: str) -> Record | None:
        return super().get(name)


class Audit:
    def __init__(self, looked: Looked) -> None:
        self.looked = looked

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.looked.see(event, event.fields)


class World:
    """A guard with an authenticator, everything of which is looked at."""

    def __init__(self, looked: Looked) -> None:
        self.looked, self.clock, self.ports = looked, FakeClock(), Providers()
        self.store, self._drawn = FailingStore(), 0
        self.ports.sealed.stores["auth"] = self.store
        self.plugin = AuthPlugin(AuthConfig(), token_bytes=self._token_bytes, cost=4)
        self.guard = make_guard(
            ("auth", self.plugin), ("audit", Audit(looked)),
            grants={"auth": ["authenticate", "sealed", "store"], "audit": ["record"]},
            clock=self.clock, providers=self.ports,
        )  # fmt: skip
        looked.secrets |= {MARK.encode(), DEVICE.reveal()}

    def _token_bytes(self, count: int) -> bytes:
        """Random bytes, each noted as a secret in the forms that are made of it."""
        self._drawn += 1
        drawn = bytes((self._drawn * 7 + n * 13) % 251 for n in range(count))
        if count in (10, 20, 32):
            self.looked.secrets |= {drawn, b32encode(drawn)}
        return drawn

    def code(self, secret: Secret) -> Secret:
        step = self.clock.wall_ns() // 30_000_000_000
        code = Secret(pyotp.TOTP(secret.reveal_text()).generate_otp(step))
        self.looked.secrets.add(code.reveal())
        return code

    def live(self) -> None:
        """Everything that a user goes through."""
        auth, factors, looked = self.plugin.auth, self.plugin.factors, self.looked
        looked.see(auth.create("alice", PASSWORD, ["trader"]))
        hashed = Secret(bcrypt.hashpw(PASSWORD.reveal(), bcrypt.gensalt(4)))
        looked.see(auth.adopt("guide", hashed))
        self.login("guide", PASSWORD)
        enrolment = factors.begin("alice")
        looked.secrets.add(enrolment.uri.reveal())
        codes = factors.enrol(enrolment, self.code(enrolment.secret))
        looked.secrets |= {code.reveal() for code in codes}
        looked.see(enrolment, codes, auth.get("alice"), auth.all(), auth, factors, self.plugin)
        self.clock.advance(60)
        self.login("alice", PASSWORD, self.code(enrolment.secret))
        self.login("alice", PASSWORD, codes[0])
        self.login("alice", OTHER, codes[1])
        auth.set_password("alice", OTHER)
        looked.see(auth.disable("alice"))

    def login(self, name: str, password: Secret, code: Secret | None = None) -> None:
        login = Login(name, password, code, source="test", device=DEVICE)
        self.looked.see(login)
        try:
            self.looked.see(self.guard.login(login))
        except Denied as denied:
            self.looked.see_error(denied)


@pytest.fixture
def looked(caplog: pytest.LogCaptureFixture) -> Iterator[Looked]:
    caplog.set_level(logging.DEBUG)
    one = Looked()
    yield one
    one.seen.append(caplog.text)
    one.check()


def test_nothing_shows_while_all_is_well(looked: Looked) -> None:
    world = World(looked)
    with world.guard:
        world.live()


@pytest.mark.parametrize("spare", range(1, 60))
def test_nothing_shows_whenever_the_store_fails(looked: Looked, spare: int) -> None:
    world = World(looked)
    world.store.spare = spare
    with world.guard:
        try:
            world.live()
        except StoreError as error:
            looked.see_error(error)
        looked.see(spare, "x" * 1_000)


def leaking(*args: Any, **kwargs: Any) -> Any:
    """Fails as a library might, quoting what it was given."""
    held = (args, kwargs)
    raise ValueError(f"cannot use {held!r}")


def _break_bcrypt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bcrypt, "hashpw", leaking)


def _break_pyotp(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pyotp.TOTP, "generate_otp", leaking)


def _break_zxcvbn(patch: pytest.MonkeyPatch) -> None:
    import zxcvbn.matching  # type: ignore[import-untyped]

    broken: Any = ModuleType("zxcvbn")
    broken.zxcvbn, broken.matching = leaking, zxcvbn.matching
    patch.setitem(sys.modules, "zxcvbn", broken)


@pytest.mark.parametrize("break_it", [_break_bcrypt, _break_pyotp, _break_zxcvbn])
def test_nothing_shows_when_a_library_fails(
    looked: Looked, break_it: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(looked)
    auth, factors = world.plugin.auth, world.plugin.factors
    with world.guard:
        auth.create("alice", PASSWORD)
        enrolment = factors.begin("alice")
        code = world.code(enrolment.secret)
        factors.enrol(enrolment, code)
        with monkeypatch.context() as patch:
            break_it(patch)
            for act in (
                lambda: auth.create("bob", PASSWORD),
                lambda: auth.set_password("alice", OTHER),
                lambda: auth.verify("alice", PASSWORD),
                lambda: factors.enrol(enrolment, code),
                lambda: factors.use(auth.get("alice"), code),
                lambda: world.guard.login(Login("alice", PASSWORD, code)),
            ):
                try:
                    act()
                except Exception as error:
                    looked.see_error(error)


def test_a_damaged_record_is_told_without_what_is_in_it(looked: Looked) -> None:
    world = World(looked)
    with world.guard:
        world.live()
        for name in [name for name, _ in world.store.scan()]:
            for how in DAMAGES:
                undo = damage(world.store, name, how)
                for act in (
                    lambda: world.plugin.auth.all(),
                    lambda: world.plugin.auth.verify("alice", PASSWORD),
                    lambda: world.plugin.auth.create("carol", PASSWORD),
                    lambda: world.guard.login(Login("alice", PASSWORD)),
                ):
                    try:
                        act()
                    except Exception as error:
                        looked.see_error(error)
                undo()


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda value: value[:-1],
    lambda value: value + b"x",
    lambda value: b"[" + value + b"]",
    lambda value: value.replace(b"$2b$", b"$9b$"),
    lambda value: value.replace(b'"secret": "', b'"secret": "!'),
]


def damage(store: MemoryStore, name: str, how: Callable[[bytes], bytes]) -> Callable[[], object]:
    record = store.get(name)
    assert record is not None
    store.put(name, how(record.value))
    return lambda: store.put(name, record.value)


@pytest.mark.parametrize("module", ["bcrypt", "zxcvbn"])
def test_ctrl_c_shows_nothing(looked: Looked, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> Any:
        held = (args, kwargs)
        assert held
        raise KeyboardInterrupt

    world = World(looked)
    with world.guard, monkeypatch.context() as patch:
        world.plugin.auth.create("alice", PASSWORD)
        if module == "bcrypt":
            patch.setattr(bcrypt, "hashpw", interrupted)
        else:
            import zxcvbn.matching

            broken: Any = ModuleType("zxcvbn")
            broken.zxcvbn, broken.matching = interrupted, zxcvbn.matching
            patch.setitem(sys.modules, "zxcvbn", broken)
        with pytest.raises(KeyboardInterrupt) as caught:
            world.plugin.auth.set_password("alice", OTHER)
        looked.see_error(caught.value)
        looked.see("x" * 1_000)
