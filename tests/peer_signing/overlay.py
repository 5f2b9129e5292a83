"""A venue under an overlay: fields of its section `signing` that a comparison replaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hauberk.ports import Venue


class Overlaid:
    """A venue whose section `signing` has some fields replaced.

    Args:
        venue: The venue.
        overlay: Fields by name; an empty one is left out.
    """

    def __init__(self, venue: Venue, overlay: Mapping[str, Any]) -> None:
        self._venue = venue
        self._overlay = dict(overlay)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section, `signing` with the fields replaced."""
        found = self._venue.section(name)
        return {**found, **self._overlay} if name == "signing" else found
