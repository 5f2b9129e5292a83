"""The plugin `transport`: provides the port of that name over HTTP."""

from __future__ import annotations

from typing import ClassVar

from hauberk.hooks import Plugin
from hauberk_plugins.transport.http import HttpTransport


class TransportPlugin(Plugin):
    """Provides `transport` to whoever is granted it."""

    interface = (1, 1)
    provides: ClassVar[dict[str, str]] = {"transport": "transport"}

    def __init__(self) -> None:
        self.transport = HttpTransport()
