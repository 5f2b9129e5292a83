"""References to secrets, such as `env:BINANCE_KEY` or `vault:binance/main`."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from attrs import frozen

from hauberk.errors import CredentialsMissing, HauberkError

#: The kinds that can be resolved, as they are written.
AVAILABLE: Final = ("env:NAME", "vault:NAME", "keyring:NAME", "file:PATH")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: Words in one case with `_` between them, or one short word: names are so, keys are not.
_TELLING: Final = re.compile(
    r"(?:_*[A-Z][A-Z0-9]{0,15}(?:_+[A-Z0-9]{1,16})*_*|_*[a-z][a-z0-9]{0,15}(?:_+[a-z0-9]{1,16})*_*)\Z"
)


class UnusableReference(HauberkError):
    """A reference is of a kind that cannot be resolved, or is not a reference.

    Its text is not repeated: it may be the secret itself, put where its reference belongs.

    Attributes:
        account: Whose credential it is.
        what: `key`, `secret` or `passphrase`.
    """

    def __init__(self, account: str, what: str, why: str) -> None:
        super().__init__(account, what, why)
        self.account = account
        self.what = what
        self._why = why

    def __str__(self) -> str:
        return (
            f"the {self.what} of account {self.account!r} cannot be used, since {self._why}; "
            f"available are: {', '.join(AVAILABLE)}"
        )


class UnusableCredentials(CredentialsMissing):
    """What a reference leads to is there, and may not be used.

    Attributes:
        why: What is wrong with it.
    """

    def __init__(self, account: str, reference: str, place: str, why: str, remedy: str) -> None:
        super().__init__(account, reference, (place,), remedy)
        self.args = (account, reference, place, why, remedy)
        self.why = why

    def __str__(self) -> str:
        place = self.looked_in[0]
        return (
            f"account {self.account!r}: {self.reference} cannot be used: {place}: {self.why}; "
            f"{self.remedy}"
        )


class Kind(StrEnum):
    """Where a reference leads."""

    #: A variable of the environment or of a dotenv file.
    ENV = "env"
    #: A sealed record: what `hauberk vault put NAME` puts there.
    VAULT = "vault"
    #: An entry of the operating system's keyring: what `keyring set hauberk NAME` puts there.
    KEYRING = "keyring"
    #: A file of one's own that nobody else may use, such as a private key in PEM.
    FILE = "file"


_KINDS: Final = frozenset(str(kind) for kind in Kind)


@frozen
class Reference:
    """Where a secret is.

    Attributes:
        kind: Where to look.
        name: Under which name.

    Its text names a variable only where that cannot be the key itself, put where its name belongs.
    """

    kind: Kind
    name: str

    def __str__(self) -> str:
        if self.kind is Kind.ENV and not _TELLING.match(self.name):
            return f"env:… ({len(self.name)} characters, not shown: a key may stand there)"
        return f"{self.kind}:{self.name}"


def read_reference(account: str, what: str, reference: str) -> Reference:
    """Take a reference apart.

    Args:
        account: Whose credential it is.
        what: `key`, `secret` or `passphrase`.
        reference: As configured.

    Raises:
        UnusableReference: It is of another kind than those available, or none.
    """
    kind, colon, name = reference.partition(":")
    if colon and kind in _KINDS and name and (kind != Kind.ENV or _VARIABLE.match(name)):
        return Reference(Kind(kind), name)
    if colon and kind in _KINDS:
        named = "a variable's name" if kind == Kind.ENV else "a name"
        raise UnusableReference(account, what, f"what follows '{kind}:' is not {named}")
    raise UnusableReference(account, what, "this is not a reference to a secret")
