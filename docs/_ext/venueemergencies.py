"""What a venue's file has for emergencies, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tables import table


def emergencies_part(emergency: Mapping[str, Any]) -> str:
    """Return the part of a page about them."""
    if not emergency:
        return (
            "## Emergencies\n\nNothing here cancels everything at once, and there is no timer: the "
            "kill switch halts, and orders that rest stay."
        )
    parts = ["## Emergencies", "What the kill switch can send when it is told to."]
    cancels = [
        (f"`{market}`", f"`{said['endpoint']}`", _per(said))
        for market, said in emergency.get("cancel_all", {}).items()
    ]
    timers = [
        (f"`{market}`", f"`{said['endpoint']}`", _per(said), _seconds(said), _disarms(said))
        for market, said in emergency.get("dead_man", {}).items()
    ]
    if cancels:
        parts.append(table(("`cancel_all`", "endpoint", "for each"), cancels))
    else:
        parts.append("Nothing cancels everything at once.")
    if timers:
        head = ("`dead_man`", "endpoint", "for each", "countdown", "can be taken back")
        parts.append(table(head, timers))
    else:
        parts.append("There is no timer that requests could renew.")
    return "\n\n".join(parts)


def _per(said: Mapping[str, Any]) -> str:
    texts = [said.get("body", ""), *said.get("params", {}).values()]
    return "symbol" if any("{symbol}" in text for text in texts) else "account"


def _seconds(said: Mapping[str, Any]) -> str:
    least, most = said["seconds"]
    return f"{least:,} to {most:,} s"


def _disarms(said: Mapping[str, Any]) -> str:
    return "yes" if "disarm" in said else "no"
