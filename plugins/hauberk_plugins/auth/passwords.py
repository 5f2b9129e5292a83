"""Hashing passwords, and checking them at the same cost whoever is asked for.

What bcrypt is given is base64(HMAC-SHA384(pepper, NFC(password))): 64 bytes whatever the length,
below the 72 that bcrypt takes, without NUL. So no byte of a password is cut off, and the hash alone
is of no use without the pepper.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from base64 import b64encode
from typing import Final

from attrs import field, frozen

from hauberk.errors import InvalidValue
from hauberk.secret import Secret
from hauberk_plugins.auth.errors import BadRecord, WeakPassword
from hauberk_plugins.auth.parts import TokenBytes
from hauberk_plugins.auth.peppers import Peppers
from hauberk_plugins.auth.quiet import quietly

#: Bytes of UTF-8, in the normal form NFC.
MAX_BYTES: Final = 1_024
#: As typed: what is composed in NFC takes up to three times as much when it is not.
_MAX_TYPED: Final = 4 * MAX_BYTES
COST: Final = 12
#: A check at a cost beyond it takes longer than anybody waits for a login.
MAX_COST: Final = 16
MIN_COST: Final = 4

#: bcrypt over base64(HMAC-SHA384(pepper, password)).
PEPPERED: Final = "bcrypt-hmac-sha384"
#: bcrypt over the password itself, as the security guide makes it.
BARE: Final = "bcrypt"
_BARE_MAX: Final = 72

# 22 characters hold 128 bits of salt, so the last of them has two that count.
_BCRYPT: Final = re.compile(rb"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_ALPHABET: Final = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@frozen
class Hashed:
    """A hashed password as it is kept.

    Attributes:
        scheme: What bcrypt was given: `PEPPERED` or `BARE`.
        pepper: The id of the pepper; empty for `BARE`.
        hash: bcrypt's own form, `$2b$COST$…`, which says the cost and holds the salt.

    Raises:
        BadRecord: It is none that can be checked.
    """

    scheme: str
    pepper: str
    hash: Secret = field()

    def __attrs_post_init__(self) -> None:
        if self.scheme not in (PEPPERED, BARE) or (self.scheme == PEPPERED) != bool(self.pepper):
            raise BadRecord("a hashed password has a scheme that this version does not know")
        if not _BCRYPT.fullmatch(self.hash.reveal()):
            raise BadRecord("a hashed password is none of bcrypt's: it begins with $2b$")
        if not MIN_COST <= self.cost <= MAX_COST:
            raise BadRecord(f"a hashed password has the cost {self.cost}, beyond {MAX_COST}")

    @property
    def cost(self) -> int:
        """The logarithm of bcrypt's rounds."""
        return int(self.hash.reveal()[4:6])


def normal(password: Secret) -> Secret | None:
    """Return a password in NFC, as it is hashed; `None` for what can be nobody's password."""
    if len(password.reveal()) > _MAX_TYPED:
        return None
    try:
        form = Secret(unicodedata.normalize("NFC", password.reveal_text()))
    except InvalidValue:  # not UTF-8
        return None
    return form if 0 < len(form.reveal()) <= MAX_BYTES else None


class PasswordHasher:
    """Hashes and checks; every check costs the same, that of an unknown user too.

    Args:
        peppers: The peppers.
        token_bytes: Randomness.
        cost: The logarithm of bcrypt's rounds; 12 takes about 0.3 s.
    """

    def __init__(self, peppers: Peppers, token_bytes: TokenBytes, cost: int = COST) -> None:
        self._peppers = peppers
        self._cost = cost
        # A salt and a digest that are no password's: checking against it costs what checking
        # against any other does, and nothing had to be hashed to make it.
        noise = bytes(_ALPHABET[byte % 64] for byte in token_bytes(52))
        self._noise = Secret(b"$2b$%02d$%b.%b" % (cost, noise[:21], noise[21:]))

    def hash(self, password: Secret) -> Hashed:
        """Hash a password with the current pepper.

        Raises:
            WeakPassword: It is longer than `MAX_BYTES`, empty or not UTF-8.
        """
        form = normal(password)
        if form is None:
            raise WeakPassword(f"it must have from 1 to {MAX_BYTES} bytes in UTF-8")
        pepper = self._peppers.current()
        made = quietly("hashing a password", lambda: self._hashed(form, pepper.value))
        return Hashed(PEPPERED, pepper.id, made)

    def check(self, hashed: Hashed | None, password: Secret | None) -> bool:
        """Whether a password is the hashed one.

        One bcrypt at this hasher's cost, whatever is given. (A hash of a lower cost, from before
        it was raised, is followed by what is left of that cost.)

        Args:
            hashed: `None` where there is no such user: costs the same, and is `False`.
            password: `None` where none was given: likewise.

        Raises:
            PepperMissing: The hash refers to a pepper that is not there.
        """
        # Looked up whether it is needed or not, as all that follows is done either way.
        current = self._peppers.current()
        against = Hashed(PEPPERED, current.id, self._noise) if hashed is None else hashed
        form = None if password is None else _form(against.scheme, password)
        # What can be nobody's password is checked in the place of one.
        given = self._given(against, Secret(b"") if form is None else form)
        found = quietly("checking a password", lambda: _bcrypt(given, against.hash))
        self._spend_the_rest(against.cost)
        is_right = hmac.compare_digest(found.reveal(), against.hash.reveal())
        return is_right and hashed is not None and form is not None

    def is_outdated(self, hashed: Hashed) -> bool:
        """Whether a hash is to be replaced at the next login: its scheme, cost or pepper is old."""
        wanted = (PEPPERED, self._cost, self._peppers.current().id)
        return (hashed.scheme, hashed.cost, hashed.pepper) != wanted

    def rotate_pepper(self) -> None:
        """Put a fresh pepper in place; hashes that were made with another are outdated then."""
        self._peppers.rotate()

    def _given(self, against: Hashed, form: Secret) -> Secret:
        """What bcrypt is given of a password."""
        if against.scheme == BARE:
            return form
        return _peppered(form, self._peppers.get(against.pepper).value)

    def _hashed(self, form: Secret, pepper: Secret) -> Secret:
        import bcrypt

        return _bcrypt(_peppered(form, pepper), Secret(bcrypt.gensalt(self._cost)))

    def _spend_the_rest(self, cost: int) -> None:
        """Spend what a check at a lower cost left: 2^c + 2^c + 2^(c+1) + … + 2^(n-1) = 2^n."""
        for step in range(cost, self._cost):
            _bcrypt(Secret(b"padding"), Secret(b"$2b$%02d$%b" % (step, self._noise.reveal()[7:])))


def _form(scheme: str, password: Secret) -> Secret | None:
    if scheme == BARE:
        # As typed: the guide knows no normal form, and no byte beyond the 72nd is cut off here.
        return password if 0 < len(password.reveal()) <= _BARE_MAX else None
    return normal(password)


def _peppered(form: Secret, pepper: Secret) -> Secret:
    return Secret(b64encode(hmac.digest(pepper.reveal(), form.reveal(), "sha384")))


def _bcrypt(given: Secret, salt: Secret) -> Secret:
    # Imported late: neither a guard nor most commands hash anything.
    import bcrypt

    return Secret(bcrypt.hashpw(given.reveal(), salt.reveal()))
