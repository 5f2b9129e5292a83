"""Actions of Hyperliquid: what a body asks for, and the digest that is signed of it.

Most are signed as an "agent" that stands for the hash of the action in MessagePack; those that move
funds out, or give rights away, as a message of their own that a wallet can show. Both are EIP-712
structured data. Source: hyperliquid-python-sdk, `hyperliquid/utils/signing.py`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import frozen

from hauberk_plugins.signing.eip712 import Struct, address, digest, domain
from hauberk_plugins.signing.objects import read_whole
from hauberk_plugins.signing.wallet import Libraries

#: What stands for a network in an agent.
SOURCES: Final = {"Mainnet": "a", "Testnet": "b"}
#: What signing adds to a body.
ADDED: Final = ("nonce", "signature")

#: What an action that is a message of its own has beside the members of that.
_BESIDE: Final = {"type", "signatureChainId"}
_AGENT_CHAIN: Final = 1_337
_MEMBERS: Final = ("action", "vaultAddress", "expiresAfter")
_CHAIN: Final = re.compile(r"0x[0-9a-fA-F]{1,16}\Z")
_U64: Final = 2**64

_NETWORK: Final = ("hyperliquidChain", "string")
_TIME: Final = ("time", "uint64")
_NONCE: Final = ("nonce", "uint64")
_STAKE: Final = (_NETWORK, ("wei", "uint64"), _NONCE)


def _texts(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, "string") for name in names)


#: Actions that are signed as messages of their own: type and members. The last member is the nonce.
USER_SIGNED: Final[dict[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "usdSend": ("UsdSend", (_NETWORK, *_texts("destination", "amount"), _TIME)),
    "spotSend": ("SpotSend", (_NETWORK, *_texts("destination", "token", "amount"), _TIME)),
    "withdraw3": ("Withdraw", (_NETWORK, *_texts("destination", "amount"), _TIME)),
    "usdClassTransfer": (
        "UsdClassTransfer",
        (_NETWORK, *_texts("amount"), ("toPerp", "bool"), _NONCE),
    ),
    "sendAsset": (
        "SendAsset",
        (
            _NETWORK,
            *_texts("destination", "sourceDex", "destinationDex", "token", "amount"),
            *_texts("fromSubAccount"),
            _NONCE,
        ),
    ),
    "tokenDelegate": (
        "TokenDelegate",
        (_NETWORK, ("validator", "address"), ("wei", "uint64"), ("isUndelegate", "bool"), _NONCE),
    ),
    "cDeposit": ("CDeposit", _STAKE),
    "cWithdraw": ("CWithdraw", _STAKE),
    "approveAgent": (
        "ApproveAgent",
        (_NETWORK, ("agentAddress", "address"), *_texts("agentName"), _NONCE),
    ),
    "approveBuilderFee": (
        "ApproveBuilderFee",
        (_NETWORK, *_texts("maxFeeRate"), ("builder", "address"), _NONCE),
    ),
    "userDexAbstraction": (
        "UserDexAbstraction",
        (_NETWORK, ("user", "address"), ("enabled", "bool"), _NONCE),
    ),
    "userSetAbstraction": (
        "UserSetAbstraction",
        (_NETWORK, ("user", "address"), *_texts("abstraction"), _NONCE),
    ),
}


@frozen
class Asked:
    """A body, read.

    Attributes:
        kind: The action's type.
        action: The action, its members in the order in which they are signed.
        vault: The address that it is for, or `None`.
        expires: When it expires, milliseconds since the epoch, or `None`.
    """

    kind: str
    action: dict[str, Any]
    vault: bytes | None
    expires: int | None

    def nonce(self) -> int | None:
        """Return the nonce that the action itself has, or `None` where it is to get one."""
        signed = USER_SIGNED.get(self.kind)
        if signed is None:
            return None
        name = signed[1][-1][0]
        value: Any = self.action.get(name)
        if not is_u64(value):
            raise ValueError(f"{name!r} must be a whole number: the time in milliseconds")
        return int(value)


class Actions:
    """Hashes actions for signing.

    Args:
        found: From `libraries`.
    """

    def __init__(self, found: Libraries) -> None:
        self._packb, self._keccak = found.packb, found.keccak
        self._agent = Struct(
            "Agent", (("source", "string"), ("connectionId", "bytes32")), found.keccak
        )
        self._agents = domain("Exchange", _AGENT_CHAIN, found.keccak)
        self._structs = {
            kind: Struct(f"HyperliquidTransaction:{name}", fields, found.keccak)
            for kind, (name, fields) in USER_SIGNED.items()
        }

    def digest(self, asked: Asked, nonce: int, network: str) -> bytes:
        """Return what is signed.

        Args:
            asked: The body.
            nonce: Its nonce.
            network: `Mainnet` or `Testnet`.

        Raises:
            ValueError: The action cannot be signed as it stands; says why.
        """
        struct = self._structs.get(asked.kind)
        if struct is not None:
            return self._of_user(struct, asked, network)
        agent = {"source": SOURCES[network], "connectionId": self._connection(asked, nonce)}
        return digest(self._agents, self._agent.hash(agent), self._keccak)

    def _connection(self, asked: Asked, nonce: int) -> bytes:
        """Hash an action with its nonce, the vault it is for, and when it expires."""
        try:
            data = self._packb(asked.action)
        except (OverflowError, ValueError, TypeError):
            raise ValueError(
                "a number in it is too large, a text no Unicode, or it nests too deeply"
            ) from None
        data += nonce.to_bytes(8, "big")
        data += b"\0" if asked.vault is None else b"\1" + asked.vault
        if asked.expires is not None:
            data += b"\0" + asked.expires.to_bytes(8, "big")
        return self._keccak(data)

    def _of_user(self, struct: Struct, asked: Asked, network: str) -> bytes:
        action = asked.action
        if action.get("hyperliquidChain") != network:
            raise ValueError(f"'hyperliquidChain' must be {network!r}, where it is sent to")
        chain = action.get("signatureChainId")
        if type(chain) is not str or not _CHAIN.match(chain):
            raise ValueError("'signatureChainId' must be a number such as '0xa4b1'")
        if asked.vault is not None or asked.expires is not None:
            raise ValueError(f"{asked.kind} goes without vaultAddress and expiresAfter")
        named = {"agentName": "", **action} if asked.kind == "approveAgent" else action
        for name in sorted(named.keys() - struct.names - _BESIDE):
            raise ValueError(f"{name!r} in the action is nothing that is signed: leave it out")
        separator = domain("HyperliquidSignTransaction", int(chain, 16), self._keccak)
        return digest(separator, struct.hash(named), self._keccak)


def read_body(text: str, beside: tuple[str, ...]) -> Asked:
    """Read a body: an action, and what is signed with it.

    Args:
        text: JSON.
        beside: Members that it has besides.

    Raises:
        ValueError: It is not one; says why.
    """
    try:
        members = read_whole(text)
    except ValueError:
        raise ValueError(
            "it must be a JSON object, each name once, its numbers whole (sizes are text)"
        ) from None
    for name in members:
        if name in ADDED and name not in beside:
            raise ValueError(f"member {name!r} is set by signing: leave it out")
        if name not in (*_MEMBERS, *beside):
            raise ValueError(f"member {name!r} is none of {', '.join(_MEMBERS)}")
    action = members.get("action")
    kind = action.get("type") if type(action) is dict else None
    if type(action) is not dict or type(kind) is not str:
        raise ValueError("it has no action with a type")
    vault, expires = members.get("vaultAddress"), members.get("expiresAfter")
    if vault is not None and address(vault) is None:
        raise ValueError("'vaultAddress' must be an address")
    if expires is not None and not is_u64(expires):
        raise ValueError("'expiresAfter' must be a whole number: a time in milliseconds")
    return Asked(kind, action, address(vault), expires)


def is_u64(value: Any) -> bool:
    """Whether a value is a whole number of 64 bits without a sign."""
    return type(value) is int and 0 <= value < _U64
