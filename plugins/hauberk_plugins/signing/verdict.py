"""What a verifier says of a signed request."""

from __future__ import annotations

from typing import NoReturn

from attrs import field, frozen

from hauberk.errors import HauberkError
from hauberk.request import Pairs


class VerificationFailed(HauberkError):
    """A request is not one that its exchange would take.

    Attributes:
        part: `form` (something is missing, twice, too much or unreadable), `host`, `key`,
            `signature` or `time`.
        why: What is wrong, without a value.
    """

    def __init__(self, part: str, why: str) -> None:
        super().__init__(part, why)
        self.part = part
        self.why = why

    def __str__(self) -> str:
        return f"the request does not verify: {self.why}"


@frozen
class Verified:
    """What a verified request says.

    Attributes:
        params: The parameters as they were sent, without what signing added.
        covers: Which parts of the request the exchange has signed, of `method`, `host`, `path`,
            `query` and `body`: another part may have been changed by anybody on the way. Empty for
            an endpoint that takes the key and no signature.
        at_ns: Its timestamp, nanoseconds since the epoch; `None` where it has none.
        expires_ns: When it says that it is good no more; `None` where it does not say so.
        nonce: Its nonce, for the caller to compare with those before; empty where there is none.
        is_whole: Whether `params` has all that was sent. Not where the body, or an envelope, holds
            JSON that is no flat object: read the body itself then.
    """

    params: Pairs = field(repr=False)
    covers: frozenset[str]
    at_ns: int | None
    nonce: str
    is_whole: bool = True
    expires_ns: int | None = None


def refuse(part: str, why: str) -> NoReturn:
    """Say that a request does not verify.

    Raises:
        VerificationFailed: Always.
    """
    raise VerificationFailed(part, why)
