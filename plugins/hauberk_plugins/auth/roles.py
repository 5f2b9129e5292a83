"""Roles: which capabilities each has, as data. Commands name a capability, users have roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from hauberk.spelling import nearest
from hauberk_plugins.auth.errors import UnknownRole
from hauberk_plugins.auth.parts import ADMIN
from hauberk_plugins.auth.session_errors import UnknownCapability

#: What each capability lets one do.
CAPABILITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "read": "read balances, orders and positions through the gateway",
        "trade": "place orders through the gateway",
        "cancel": "cancel orders through the gateway",
        "transfer": "move funds between accounts of one owner through the gateway",
        "withdraw": "withdraw funds through the gateway",
        "sign": "`hauberk sign`",
        "audit.read": "read the audit log",
        "incident.report": "report an incident, which may stop trading",
        "incident.resolve": "mark an incident as resolved",
        "halt": "stop trading",
        "resume": "let trading go on",
        "recovery.write": "make recovery points and restore them",
        "sessions.read": "list sessions",
        "sessions.write": "end anybody's sessions",
        "token.read": "list bot tokens, which shows none",
        "token.write": "create, rotate and revoke bot tokens",
        "user.read": "list users",
        "user.write": "add, change and disable users",
        "config.read": "show sealed values of the configuration",
        "config.write": "change the configuration",
        "vault.read": "list and reveal sealed records",
        "vault.write": "put and delete sealed records",
        "vault.rotate": "seal everything anew under another key",
    }
)

#: What moves funds out: nobody has it by a role, not even an admin; a bot token may name it.
NO_ROLE_HAS: Final = frozenset({"transfer", "withdraw"})

_VIEWER: Final = frozenset({"read", "audit.read"})
_TRADER: Final = _VIEWER | {"trade", "cancel", "sign", "incident.report", "halt"}
_OPERATOR: Final = _VIEWER | {
    *("cancel", "incident.report", "incident.resolve", "halt", "resume", "recovery.write"),
    *("sessions.read", "sessions.write", "token.read", "user.read", "vault.rotate"),
}

#: Each role and its capabilities, the least first.
ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "viewer": _VIEWER,
        "trader": _TRADER,
        "operator": _OPERATOR,
        ADMIN: frozenset(CAPABILITIES) - NO_ROLE_HAS,
    }
)

#: What a bot token may be given: what a bot does, and stopping.
FOR_BOTS: Final = ("read", "trade", "cancel", "transfer", "withdraw", "incident.report", "halt")


def holds(roles: Iterable[str], capability: str) -> bool:
    """Whether one of the roles has a capability.

    A capability that does not stand here, of a plugin of others, is an admin's alone. A role that
    does not stand here, of another version, has none.
    """
    if capability not in CAPABILITIES:
        return ADMIN in roles
    return any(capability in ROLES.get(role, ()) for role in roles)


def who_holds(capability: str) -> tuple[str, ...]:
    """Return the roles that have a capability, the least first."""
    return tuple(role for role in ROLES if holds((role,), capability))


def check_role(name: str) -> str:
    """Return the name of a role as it is.

    Raises:
        UnknownRole: There is none of that name; says which there are, and which is near.
    """
    if name not in ROLES:
        # Cut: what was typed may be of any length.
        raise UnknownRole(
            f"there is no role {name[:40]!r}: there are {', '.join(ROLES)}{nearest(name, ROLES)}"
        )
    return name


def check_for_bot(capability: str) -> str:
    """Return the name of a capability as it is.

    Raises:
        UnknownCapability: No bot token may have it; says which it may, and which is near.
    """
    if capability not in FOR_BOTS:
        raise UnknownCapability(
            f"a bot token cannot be given {capability[:40]!r}: it can {', '.join(FOR_BOTS)}"
            f"{nearest(capability, FOR_BOTS)}"
        )
    return capability
