"""The second factor: codes by time (TOTP, RFC 6238), and recovery codes for when the phone is lost.

Each code is taken once. The time step of the last one is kept with the user, so none at or before
it is taken again, by whichever process it is tried; a recovery code's hash is removed when it is
used.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from hauberk.errors import InvalidValue
from hauberk.secret import Secret
from hauberk_plugins.auth.errors import CodeRefused
from hauberk_plugins.auth.parts import TokenBytes
from hauberk_plugins.auth.quiet import quietly

if TYPE_CHECKING:
    from pyotp import TOTP

STEP_S: Final = 30
#: Steps before and after the present one whose code is taken: clocks differ, and people type.
WINDOW: Final = 1
#: 160 bits, as RFC 4226 recommends.
_SECRET_BYTES: Final = 20
_CODE_BYTES: Final = 10
CODES: Final = 10
ISSUER: Final = "Hauberk"
_TIMED: Final = re.compile(r"[0-9]{6}\Z")
_RECOVERY: Final = re.compile(r"[A-Z2-7]{16}\Z")
_MAX_TYPED: Final = 64


@frozen
class SecondFactor:
    """A user's second factor as it is kept.

    Attributes:
        secret: Of the codes by time, in base32.
        last_step: The time step of the last code that was taken; none at or before it is again.
        codes: The hashes of the recovery codes that are left.
    """

    secret: Secret
    last_step: int = -1
    codes: tuple[str, ...] = ()


def make_secret(token_bytes: TokenBytes) -> Secret:
    """Make a secret for codes by time."""
    return Secret(b32encode(token_bytes(_SECRET_BYTES)))


def make_codes(token_bytes: TokenBytes) -> tuple[Secret, ...]:
    """Make recovery codes, 80 random bits each, in groups that can be copied from paper."""
    drawn = (Secret(b32encode(token_bytes(_CODE_BYTES))) for _ in range(CODES))
    return tuple(Secret(b"-".join(_groups(code.reveal()))) for code in drawn)


def hash_code(code: Secret) -> str:
    """Return what is kept of a recovery code.

    A fast hash is enough: 2^80 random codes are beyond trying, which passwords are not.
    """
    return sha256(_plain(code).reveal()).hexdigest()


def provisioning_uri(secret: Secret, name: str) -> Secret:
    """Return what an authenticator is told, as an `otpauth:` URI: it holds the secret."""
    return quietly(
        "writing the URI of a second factor",
        lambda: Secret(_totp(secret).provisioning_uri(name=name, issuer_name=ISSUER)),
    )


def accept(factor: SecondFactor, code: Secret | None, now_ns: int) -> SecondFactor:
    """Take a code, by time or for recovery.

    Args:
        factor: As it is kept.
        code: As typed; spaces and hyphens in it do not matter.
        now_ns: Wall clock.

    Returns:
        What must be kept from now on, before the code counts.

    Raises:
        CodeRefused: It is wrong, or was used before; or the clock was set back.
    """
    plain = Secret(b"") if code is None else _plain(code)
    if _TIMED.match(plain.reveal_text()):
        return evolve(factor, last_step=_step_of(factor, plain, now_ns))
    if _RECOVERY.match(plain.reveal_text()):
        return evolve(factor, codes=_without(factor.codes, hash_code(plain)))
    raise CodeRefused("code", "the code is wrong: it has six digits, or is a recovery code")


def _step_of(factor: SecondFactor, code: Secret, now_ns: int) -> int:
    now = now_ns // (STEP_S * 1_000_000_000)
    found = quietly("checking a code", lambda: _matching(factor.secret, code, now))
    if factor.last_step > now + WINDOW:
        ahead_s = (factor.last_step - now) * STEP_S
        raise CodeRefused(
            "clock",
            f"the clock is {ahead_s} s behind the last code that was taken: set it right, or use "
            "a recovery code",
        )
    if not found:
        raise CodeRefused("code", "the code is wrong")
    # Two steps may have the same code, one time in a million: the later is the one that counts.
    if max(found) <= factor.last_step:
        raise CodeRefused("replay", "the code was used before: wait for the next one")
    return max(found)


def _matching(secret: Secret, code: Secret, now: int) -> list[int]:
    """Return the steps that a code is right for; each is compared, whatever was found before."""
    totp = _totp(secret)
    steps = range(max(0, now - WINDOW), now + WINDOW + 1)
    return [
        step
        for step in steps
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.reveal())
    ]


def _without(codes: Sequence[str], used: str) -> tuple[str, ...]:
    left = tuple(kept for kept in codes if not hmac.compare_digest(kept, used))
    if len(left) == len(codes):
        raise CodeRefused("code", "the recovery code is wrong, or was used before")
    return left


def _plain(code: Secret) -> Secret:
    """A code without what people put between its characters; empty for what is none."""
    if len(code.reveal()) > _MAX_TYPED:
        return Secret(b"")
    try:
        return Secret(code.reveal_text().replace(" ", "").replace("-", "").upper())
    except InvalidValue:
        return Secret(b"")


def _groups(code: bytes) -> list[bytes]:
    return [code[at : at + 4] for at in range(0, len(code), 4)]


def _totp(secret: Secret) -> TOTP:
    from pyotp import TOTP

    return TOTP(secret.reveal_text(), interval=STEP_S)
