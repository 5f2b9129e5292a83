"""The plugin `venues`: provides the port of the same name from files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from attrs import frozen

from hauberk.context import Context
from hauberk.hooks import Plugin, hookimpl
from hauberk_plugins.venues.catalogue import VenueCatalogue


@frozen
class VenuesConfig:
    """The section `venues` of `hauberk.yml`.

    Attributes:
        folder: A folder with venue files of your own, used beside the built-in ones; relative to
            the folder of `hauberk.yml`. Files are read once: after a change of one, start again.
    """

    folder: Path | None = None


class VenuesPlugin(Plugin):
    """Provides `venues`."""

    interface = (1, 1)
    Config = VenuesConfig
    provides: ClassVar[dict[str, str]] = {"venues": "catalogue"}

    def __init__(self, config: VenuesConfig) -> None:
        self._folder = config.folder
        self.catalogue = VenueCatalogue()

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Look into the folder of one's own."""
        if self._folder is not None:
            self.catalogue.add(context.folder / self._folder)
