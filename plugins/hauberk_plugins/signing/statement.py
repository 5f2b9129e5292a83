"""`Statement`: what a signed request's signature says, for somebody else to verify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from attrs import field, frozen

from hauberk.errors import InvalidValue
from hauberk.request import Pairs
from hauberk_plugins.signing.algorithms import ECDSA, MACS
from hauberk_plugins.signing.message import Parts
from hauberk_plugins.signing.values import Values
from hauberk_plugins.signing.verdict import VerificationFailed

#: Bytes of a signature, where the key does not say.
_LENGTHS: Final[dict[str, int]] = {
    ECDSA: 64,
    **{name: hashing().digest_size for name, (hashing, _) in MACS.items()},
}

_Found = TypeVar("_Found")


@frozen
class Statement:
    """What is signed, and the signature: not yet whether it is one.

    Attributes:
        message: The bytes that are signed.
        signature: As it was read.
        algorithm: As venue files call it.
    """

    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    algorithm: str

    def has_length(self) -> bool:
        """Whether the signature has the length that exchanges take.

        What verifies many signatures may take a tag that was cut short, which no exchange does.
        """
        return len(self.signature) == _LENGTHS.get(self.algorithm, len(self.signature))


class Read(NamedTuple):
    """A signed request, read.

    Attributes:
        values: The tokens that were read off it.
        parts: What its message is made of; `None` where it bears the key and no signature.
        params: Its parameters, without what signing added.
        is_whole: Whether these are all that it holds.
    """

    values: Values
    parts: Parts | None
    params: Pairs = ()
    is_whole: bool = True


def read_or_refused(read: Callable[[], _Found]) -> _Found:
    """Do what reads a request; where it cannot be read, it does not verify.

    Raises:
        VerificationFailed: Says what is wrong, and shows no value.
    """
    try:
        return read()
    except VerificationFailed as error:
        part, why = error.part, error.why
    except InvalidValue as error:
        part, why = "form", str(error)
    except (ValueError, IndexError, RecursionError):
        part, why = "form", "a value cannot be read"
    # Raised here: the frames of what failed hold keys and signatures.
    raise VerificationFailed(part, why)
