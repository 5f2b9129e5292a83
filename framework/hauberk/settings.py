"""What the kernel itself is told: mode, accounts, which plugin provides which port, and limits."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from attrs import field, frozen, validators

from hauberk.accounts import Account


class Mode(StrEnum):
    """Whether a denial stops a request."""

    ENFORCE = "enforce"
    #: Log what guards would have denied or delayed, loudly, and let it pass.
    SHADOW = "shadow"


@frozen
class KernelLimits:
    """Time limits of the kernel, in seconds.

    Attributes:
        timeout_s: How long `clear` waits at most, unless told otherwise.
        warn_after_s: A guard that takes longer is named in the log.
        deny_after_s: A request whose guard took longer is denied.
        responders_s: Deadline that responders, the required ones aside, share.
        retry_s: Pause between attempts of a required responder that failed.
    """

    timeout_s: float = field(default=60.0, validator=[validators.gt(0), validators.lt(86_400)])
    warn_after_s: float = field(default=0.1, validator=[validators.gt(0), validators.lt(86_400)])
    deny_after_s: float = field(default=2.0, validator=[validators.gt(0), validators.lt(86_400)])
    responders_s: float = field(default=2.0, validator=[validators.gt(0), validators.lt(86_400)])
    retry_s: float = field(default=1.0, validator=[validators.ge(0), validators.lt(86_400)])


def _accounts(given: Mapping[str, Account]) -> Mapping[str, Account]:
    return MappingProxyType(dict(given))


def _ports(given: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(given))


@frozen
class Settings:
    """The kernel's own part of a configuration.

    Attributes:
        mode: Enforce, or shadow.
        accounts: By name.
        ports: Port to the name of the plugin that provides it.
        limits: Time limits.
        state_dir: The state folder, or `None` to keep nothing.
        folder: Where relative paths in the configuration start: its own folder.
    """

    mode: Mode = Mode.ENFORCE
    accounts: Mapping[str, Account] = field(factory=dict, converter=_accounts)
    ports: Mapping[str, str] = field(factory=dict, converter=_ports)
    limits: KernelLimits = field(factory=KernelLimits)
    state_dir: Path | None = None
    folder: Path = Path()
