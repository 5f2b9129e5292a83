"""`SharedConfig`: the section `throttle.shared` of `hauberk.yml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import Attribute, field, frozen, validators

from hauberk.keypath import KeyPath

_VARIABLE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*\Z")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")


def _reference(_: Any, __: Attribute[str], value: str) -> None:
    # Not repeated: it may hold a password.
    if value and not _VARIABLE.match(value):
        raise ValueError("must be env:NAME, a variable that holds the URL of Redis")


def _prefix(_: Any, __: Attribute[str], value: str) -> None:
    if not _PREFIX.match(value):
        raise ValueError("must be of letters, digits, '_', '.', ':' and '-', at most 64")


def not_shared(section: Mapping[str, Any]) -> tuple[KeyPath, str] | None:
    """Find what the section `throttle` says of sharing and `store` does not do: where, and what.

    Args:
        section: As it stands in `hauberk.yml`.
    """
    store, shared = section.get("store", "memory"), section.get("shared")
    if store == "memory" and shared:
        return ("shared",), (
            "the budget is of this process alone, since `store` is memory: say `store: redis`, or "
            "`store: store` for the processes of one machine, or leave it out"
        )
    if store == "store" and isinstance(shared, Mapping) and shared.get("url"):
        return ("shared", "url"), "`store` is store, and Redis is not asked: say `store: redis`"
    return None


@frozen
class SharedConfig:
    """How a budget is shared between processes.

    Attributes:
        url: For `store: redis`, where its URL is: `env:NAME`.
        prefix: What its keys begin with: who has the same one shares the budget.
        timeout_ms: How long Redis may take to answer before it counts as lost.
        lease_s: How long a process that is not heard of is taken to be alive: only then is what it
            was granted taken to have left.
        on_loss: What happens while the budget cannot be asked: `deny`, or `local`: each process
            grants what is set aside for it.
        share: For `local`, of each window, how much is set aside for each process.
        processes: For `local`, how many processes share the budget at most.
    """

    url: str = field(default="", validator=_reference)
    prefix: str = field(default="hauberk", validator=_prefix)
    timeout_ms: int = field(default=250, validator=[validators.ge(10), validators.le(400)])
    lease_s: float = field(default=60.0, validator=[validators.ge(5), validators.le(3_600)])
    on_loss: Literal["deny", "local"] = "deny"
    share: float = field(default=0.05, validator=[validators.gt(0), validators.lt(1)])
    processes: int = field(default=4, validator=[validators.ge(1), validators.le(1_000)])

    def __attrs_post_init__(self) -> None:
        if self.on_loss == "local" and self.share * self.processes > 0.5:
            raise ValueError(
                "`share` times `processes` is set aside for when the budget cannot be asked, and "
                "that is more than half of each window: lower one of them"
            )
