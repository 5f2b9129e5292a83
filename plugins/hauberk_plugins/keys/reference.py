"""References to secrets, such as `env:BINANCE_KEY`."""

from __future__ import annotations

import re
from typing import Final

from hauberk.errors import HauberkError

#: The kinds that can be resolved, as they are written.
AVAILABLE: Final = ("env:NAME",)
_LATER: Final = ("vault", "keyring", "file")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


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


def variable(account: str, what: str, reference: str) -> str:
    """Return the name of the variable that a reference points to.

    Args:
        account: Whose credential it is.
        what: `key`, `secret` or `passphrase`.
        reference: As configured.

    Raises:
        UnusableReference: It is of another kind than `env:NAME`, or none.
    """
    kind, colon, name = reference.partition(":")
    if colon and kind == "env":
        if _VARIABLE.match(name):
            return name
        raise UnusableReference(account, what, "what follows 'env:' is not a variable's name")
    if colon and kind in _LATER:
        raise UnusableReference(
            account, what, f"references of the kind '{kind}:' are not available"
        )
    raise UnusableReference(account, what, "this is not a reference to a secret")
