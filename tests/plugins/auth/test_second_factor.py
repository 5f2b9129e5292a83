from __future__ import annotations

import threading
from base64 import b32decode
from typing import TYPE_CHECKING

import pyotp
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Secret
from hauberk_plugins.auth.errors import AuthError, CodeRefused, NoSuchUser
from hauberk_plugins.auth.second_factor import (
    CODES,
    SecondFactor,
    accept,
    hash_code,
    make_codes,
    make_secret,
    provisioning_uri,
)

if TYPE_CHECKING:
    from conftest import World

PASSWORD = Secret("a heron stands in cold water")
#: RFC 6238, appendix B: the secret of its SHA-1 rows, whose codes have eight digits.
RFC = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
NS = 1_000_000_000


def drawn(count: int) -> bytes:
    return bytes(range(count))


def code_at(at_s: int, secret: Secret = RFC) -> Secret:
    return Secret(pyotp.TOTP(secret.reveal_text()).generate_otp(at_s // 30))


@pytest.mark.parametrize(
    ("at_s", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
     (2000000000, "279037"), (20000000000, "353130")],
)  # fmt: skip
def test_the_codes_of_the_rfc_are_taken(at_s: int, code: str) -> None:
    assert accept(SecondFactor(RFC), Secret(code), at_s * NS).last_step == at_s // 30


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_a_step_early_or_late_is_taken(steps: int) -> None:
    now = 1_700_000_000
    assert accept(SecondFactor(RFC), code_at(now + 30 * steps), now * NS)


@pytest.mark.parametrize("steps", [-20, -2, 2, 20])
def test_a_code_further_off_is_not(steps: int) -> None:
    now = 1_700_000_000
    with pytest.raises(CodeRefused, match="wrong"):
        accept(SecondFactor(RFC), code_at(now + 30 * steps), now * NS)


@given(first=st.integers(-1, 1), second=st.integers(-1, 1), later_s=st.integers(0, 60))
def test_no_code_at_or_before_the_last_one_is_taken(first: int, second: int, later_s: int) -> None:
    now = 1_700_000_000
    factor = accept(SecondFactor(RFC), code_at(now + 30 * first), now * NS)
    again = now + later_s
    step = again // 30 + second
    if step > now // 30 + first:
        assert accept(factor, code_at(30 * step), again * NS).last_step == step
    else:
        with pytest.raises(CodeRefused) as caught:
            accept(factor, code_at(30 * step), again * NS)
        assert caught.value.why == "replay"


def test_a_clock_set_back_takes_no_code_and_says_so_but_recovery_codes_help() -> None:
    codes = make_codes(lambda n: bytes(n))
    now = 1_700_000_000
    factor = SecondFactor(RFC, codes=tuple(hash_code(code) for code in codes))
    factor = accept(factor, code_at(now), now * NS)
    for back_s in (60, 3_600, 86_400 * 365):
        earlier = now - back_s
        with pytest.raises(CodeRefused, match=r"the clock is \d+ s behind") as caught:
            accept(factor, code_at(earlier), earlier * NS)
        assert caught.value.why == "clock"
        assert accept(factor, codes[0], earlier * NS)
    # Right again, it goes on.
    assert accept(factor, code_at(now + 30), (now + 30) * NS)


def test_a_clock_before_1970_or_far_ahead_takes_no_code_and_ends_nothing() -> None:
    for now in (-10, 0, 29, 10**12):
        with pytest.raises(CodeRefused):
            accept(SecondFactor(RFC), Secret("000000"), now * NS)


@pytest.mark.parametrize(
    "code",
    [None, "", "12345", "1234567", "abcdef", "٣" * 6, "000 00", "-" * 70, "0" * 10**6, "\0" * 6,
     "A" * 15, "A" * 17, "1" * 16],
    ids=lambda code: ascii(code)[:20],
)  # fmt: skip
def test_what_is_no_code_is_refused(code: str | None) -> None:
    with pytest.raises(CodeRefused):
        accept(SecondFactor(RFC), None if code is None else Secret(code), 1_700_000_000 * NS)


def test_a_code_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(CodeRefused):
        accept(SecondFactor(RFC), Secret(b"\xff" * 6), 1_700_000_000 * NS)


def test_spaces_hyphens_and_case_do_not_matter() -> None:
    now = 1_700_000_000
    shown = code_at(now).reveal_text()
    assert accept(SecondFactor(RFC), Secret(f" {shown[:3]} {shown[3:]}"), now * NS)
    (code, *_) = make_codes(drawn)
    factor = SecondFactor(RFC, codes=(hash_code(code),))
    assert accept(factor, Secret(code.reveal_text().lower().replace("-", " ")), now * NS)


# Recovery codes.


def test_recovery_codes_have_80_random_bits_each_and_only_hashes_are_kept(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    _, codes = world.enrol("alice")
    assert len({code.reveal() for code in codes}) == CODES == 10
    for code in codes:
        assert len(b32decode(code.reveal_text().replace("-", ""))) == 10
    record = world.sealed.get("user/alice")
    assert record is not None
    for code in codes:
        assert code.reveal() not in record.value
        assert code.reveal().replace(b"-", b"") not in record.value
        assert hash_code(code).encode() in record.value


def test_a_recovery_code_is_taken_once(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    _, codes = world.enrol("alice")
    user = world.auth.get("alice")
    world.factors.use(user, codes[3])
    with pytest.raises(CodeRefused):
        world.factors.use(user, codes[3])
    factor = world.auth.get("alice").factor
    assert factor is not None
    assert len(factor.codes) == 9
    world.factors.use(user, codes[4])


# Two processes.


@pytest.mark.parametrize("kind", ["time", "recovery"])
def test_of_many_processes_that_are_given_one_code_at_once_one_takes_it(
    world: World, kind: str
) -> None:
    world.auth.create("alice", PASSWORD)
    secret, codes = world.enrol("alice")
    world.clock.advance(60)
    code = world.code(secret) if kind == "time" else codes[0]
    twins, barrier = [world.twin() for _ in range(8)], threading.Barrier(8)
    user = world.auth.get("alice")
    taken: list[bool] = []

    def use(twin: World) -> None:
        barrier.wait()
        try:
            twin.factors.use(user, code)
        except CodeRefused:
            taken.append(False)
        else:
            taken.append(True)

    threads = [threading.Thread(target=use, args=(twin,)) for twin in twins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


def test_a_code_for_a_user_changed_meanwhile_is_not_taken(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    secret, _ = world.enrol("alice")
    world.clock.advance(60)
    verified = world.auth.get("alice")
    world.auth.disable("alice")
    with pytest.raises(CodeRefused, match="changed meanwhile"):
        world.factors.use(verified, world.code(secret))


def test_without_a_second_factor_none_is_asked_for(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    world.factors.use(world.auth.get("alice"), None)
    world.factors.use(world.auth.get("alice"), Secret("123456"))


# Enrolment.


def test_enrolment_takes_one_right_code_and_uses_it_up(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    enrolment = world.factors.begin("ALICE")
    assert world.auth.get("alice").factor is None
    with pytest.raises(CodeRefused):
        world.factors.enrol(enrolment, Secret("000000"))
    assert world.auth.get("alice").factor is None
    code = world.code(enrolment.secret)
    world.factors.enrol(enrolment, code)
    assert world.ended == ["alice"]
    assert ("user.second_factor", {"user": "alice"}) in world.told
    with pytest.raises(CodeRefused, match="used before"):
        world.factors.use(world.auth.get("alice"), code)
    world.clock.advance(30)
    world.factors.use(world.auth.get("alice"), world.code(enrolment.secret))


def test_another_enrolment_replaces_the_first(world: World) -> None:
    world.auth.create("alice", PASSWORD)
    before, old_codes = world.enrol("alice")
    world.clock.advance(90)
    after, codes = world.enrol("alice")
    world.clock.advance(90)
    user = world.auth.get("alice")
    for refused in (world.code(before), old_codes[0]):
        with pytest.raises(CodeRefused):
            world.factors.use(user, refused)
    world.factors.use(user, world.code(after))
    world.factors.use(user, codes[0])


def test_nobody_is_enrolled_who_is_not_there(world: World) -> None:
    with pytest.raises(NoSuchUser):
        world.factors.begin("nobody")


def test_the_uri_is_what_authenticators_read() -> None:
    secret = make_secret(drawn)
    assert len(b32decode(secret.reveal())) == 20
    uri = provisioning_uri(secret, "o'brien/x?y").reveal_text()
    parsed = pyotp.parse_uri(uri)
    assert isinstance(parsed, pyotp.TOTP)
    assert (parsed.secret, parsed.issuer) == (secret.reveal_text(), "Hauberk")
    assert (parsed.digits, parsed.interval) == (6, 30)


def test_a_secret_that_is_none_is_told_without_it() -> None:
    factor = evolve(SecondFactor(RFC), secret=Secret("not base32: 018"))
    with pytest.raises(AuthError, match="checking a code failed") as caught:
        accept(factor, Secret("123456"), 1_700_000_000 * NS)
    assert "base32" not in str(caught.value)
