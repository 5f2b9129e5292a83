"""Hauberk: the coat of mail that a trading bot puts on before it goes near an exchange.

    with hauberk.open("hauberk.yml") as guard:
        cleared = guard.clear(hauberk.Request("GET", "https://api.binance.com/api/v3/account"))

Importing it loads pluggy and attrs; the data, the kernel and the readers of a configuration
load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hauberk.errors import (
    Altered,
    ClosedError,
    ConfigError,
    CredentialsMissing,
    Denied,
    HauberkError,
    InvalidValue,
    MisuseError,
    NotGranted,
    PluginRefused,
    ReentrancyError,
    SealError,
    SigningError,
    StartFailed,
    StoreConflict,
    StoreError,
    UnsafeFile,
)
from hauberk.hooks import Plugin, blocking, hookimpl
from hauberk.secret import Secret
from hauberk.verdicts import Deny, Verdict, Wait

if TYPE_CHECKING:
    from hauberk.context import Context
    from hauberk.guard import Guard
    from hauberk.opening import open  # noqa: A004
    from hauberk.protocol import Cleared
    from hauberk.records import Event, Identity, Incident, Login, Outcome, Severity
    from hauberk.request import Operation, Request, Response

__version__ = "0.1.0"

_LATER = {
    **dict.fromkeys(("Operation", "Request", "Response"), "hauberk.request"),
    **dict.fromkeys(
        ("Event", "Identity", "Incident", "Login", "Outcome", "Severity"), "hauberk.records"
    ),
    "Cleared": "hauberk.protocol",
    "Context": "hauberk.context",
    "Guard": "hauberk.guard",
    "open": "hauberk.opening",
}

__all__ = [
    "Altered",
    "Cleared",
    "ClosedError",
    "ConfigError",
    "Context",
    "CredentialsMissing",
    "Denied",
    "Deny",
    "Event",
    "Guard",
    "HauberkError",
    "Identity",
    "Incident",
    "InvalidValue",
    "Login",
    "MisuseError",
    "NotGranted",
    "Operation",
    "Outcome",
    "Plugin",
    "PluginRefused",
    "ReentrancyError",
    "Request",
    "Response",
    "SealError",
    "Secret",
    "Severity",
    "SigningError",
    "StartFailed",
    "StoreConflict",
    "StoreError",
    "UnsafeFile",
    "Verdict",
    "Wait",
    "blocking",
    "hookimpl",
    "open",
]


def __getattr__(name: str) -> Any:
    """Load a name's module when it is first asked for (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module 'hauberk' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value
