"""The plugin `oncall`: pages somebody on an incident, and says whether the page was taken."""

from __future__ import annotations

import os
import re
from typing import Any, Final, Literal

from attrs import Attribute, field, frozen
from hauberk import Context, Incident, Outcome, Plugin, Request, Secret, Severity, hookimpl

from hauberk_oncall.page import page

_REFERENCE: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)\Z")


def _check_url(_instance: Any, _attribute: Attribute[Any], url: str) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError("must be a URL, such as https://events.pagerduty.com/v2/enqueue")


def _check_key(_instance: Any, _attribute: Attribute[Any], key: str) -> None:
    # What stands there is not repeated: it may be the key itself.
    if not _REFERENCE.match(key):
        raise ValueError("must be env:NAME, the variable that holds the routing key")


@frozen
class OncallConfig:
    """The section `oncall` of `hauberk.yml`.

    Attributes:
        url: What takes pages.
        key: Where the routing key is: `env:NAME`.
        severity: The least severity that pages somebody.
        timeout_s: How long the page may take; less than `kernel.responders_s`.
    """

    url: str = field(validator=_check_url)
    key: str = field(repr=False, validator=_check_key)
    severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"] = "HIGH"
    timeout_s: float = 1.5


class OncallPlugin(Plugin):
    """Responder. Needs the grant `transport`."""

    interface = (1, 1)
    Config = OncallConfig

    def __init__(self, config: OncallConfig) -> None:
        self._config = config

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Keep the way out."""
        self._context = context

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome | None:
        """Page somebody; what is raised here would be contained, and said in the incident."""
        if incident.severity < Severity[self._config.severity]:
            return None
        if not self._context.has("transport"):
            return Outcome("nobody paged: it needs the grant `transport`", ok=False)
        key = self._key()
        if not key:
            return Outcome("nobody paged: the variable of its key is not set", ok=False)
        request = Request(
            "POST",
            self._config.url,
            headers={"Content-Type": "application/json"},
            body=page(incident, key.reveal_text()),
        )
        answer = self._context.transport.send(request, timeout_s=self._config.timeout_s)
        if answer.error or not 200 <= answer.status < 300:
            why = answer.error or f"it answered {answer.status}"
            return Outcome(f"nobody paged: {why}", ok=False)
        return Outcome("paged whoever is on call")

    def _key(self) -> Secret:
        # Looked up for each page, so that a rotated key needs no restart.
        found = _REFERENCE.match(self._config.key)
        return Secret(os.environ.get(found[1], "") if found else "")
