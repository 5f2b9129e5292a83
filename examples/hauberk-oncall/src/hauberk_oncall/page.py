"""What a page says, in the form of PagerDuty's Events API v2."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from hauberk import Incident, Severity

#: The API's words for how bad something is.
WORDS: Final = {
    Severity.LOW: "info",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "critical",
}
#: What the API takes at most, characters.
MAX_SUMMARY: Final = 1_024


def page(incident: Incident, routing_key: str) -> bytes:
    """Make the body of a page.

    Args:
        incident: What to tell, with what responders have done so far.
        routing_key: Of the service that is paged.
    """
    document = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": incident.id,  # a page that is sent twice wakes nobody twice
        "payload": {
            "summary": incident.title[:MAX_SUMMARY],
            "severity": WORDS[incident.severity],
            "source": f"hauberk/{incident.source}",
            "timestamp": _timestamp(incident.at_ns),
            "custom_details": {
                "done": [_done(one.plugin, one.did, one.ok) for one in incident.outcomes],
                **incident.details,
            },
        },
    }
    return json.dumps(document).encode()


def _done(plugin: str, did: str, ok: bool) -> str:
    return f"{plugin}: {did}" if ok else f"{plugin} FAILED: {did}"


def _timestamp(at_ns: int) -> Any:
    try:
        return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None  # a clock that no calendar has: the API then takes its own time
