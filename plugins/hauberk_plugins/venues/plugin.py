"""The plugin `venues`: provides the port of the same name from files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from attrs import frozen

from hauberk.context import Context
from hauberk.errors import ConfigError
from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath
from hauberk.written import Written
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

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say which accounts are at a venue that has no file: by names alone, none is read."""
        if not isinstance(written.config, VenuesConfig) or "venues" not in written.provides:
            return
        catalogue = VenueCatalogue()
        if written.config.folder is not None:
            folder = written.folder / written.config.folder
            try:
                catalogue.add(folder)
            except ConfigError as error:
                for problem in error.problems:
                    yield (written.name, "folder"), str(problem)
                if not folder.is_dir():  # nobody knows which venues it would have had
                    return
        for account, said in written.accounts.items():
            venue = said.get("venue")
            if isinstance(venue, str) and (unknown := catalogue.unknown(venue)) is not None:
                yield ("accounts", account, "venue"), str(unknown)

    def __init__(self, config: VenuesConfig) -> None:
        self._folder = config.folder
        self.catalogue = VenueCatalogue()

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Look into the folder of one's own."""
        if self._folder is not None:
            self.catalogue.add(context.folder / self._folder)
