"""`Known`: the names that may stand in an order, so that none changes what was read of it.

Exchanges keep adding parameters that set another price, another size or another order beside the
one that is written. Whoever reads orders cannot know those; he can know those that do nothing of
the kind. So a name that the venue's file does not list denies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hauberk_plugins.policy.amounts import cut
from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.fields import ANY, ITS_NAME, Field

#: Under what a node says of the value at its place: nothing of note, an order of its own, or
#: something that is looked at elsewhere.
_SAYS: Final = ""
_HARMLESS, _ATTACHED, _ELSEWHERE = "harmless", "attached", "elsewhere"


class Known:
    """The names at all depths of what a request says.

    Args:
        harmless: Places that are read, or say nothing of price and size.
        attached: Places that say at which price what the order opens is closed again.
        elsewhere: Where things stand that are looked at by themselves.
    """

    __slots__ = ("_attached", "_root")

    def __init__(
        self,
        harmless: Iterable[Field],
        attached: Iterable[Field] = (),
        elsewhere: Iterable[Field] = (),
    ) -> None:
        self._root: dict[str, Any] = {}
        for places, said in (
            (elsewhere, _ELSEWHERE), (harmless, _HARMLESS), (attached, _ATTACHED)
        ):  # fmt: skip
            for place in places:
                self._note(place, said)
        self._attached = frozenset(
            name for name, node in self._root.items() if node.get(_SAYS) == _ATTACHED
        )

    def check_flat(self, names: Iterable[str]) -> None:
        """Check names of values that are text.

        Raises:
            Unreadable: One is not known.
        """
        for name in names:
            if _SAYS not in self._root.get(name, ()):
                raise _unknown((name,))

    def attached(self, said: Mapping[str, Any]) -> str:
        """Return the first flat name that attaches an order; empty for none."""
        if self._attached.isdisjoint(said):
            return ""
        return next(name for name in said if name in self._attached)

    def check(self, said: Any) -> str:
        """Check all names below an object or an array; return the first that attaches an order.

        Raises:
            Unreadable: One is not known.
        """
        return self._check(said, self._root, ())

    def _check(self, said: Any, node: dict[str, Any], path: tuple[str, ...]) -> str:
        if node.get(_SAYS) == _ELSEWHERE or said is None:
            return ""
        if isinstance(said, dict):
            pairs: Iterable[tuple[str, Any]] = said.items()
        elif isinstance(said, list):
            pairs = ((str(index), item) for index, item in enumerate(said))
        else:
            if _SAYS not in node:
                raise _unknown(path)
            return ".".join(path) if node[_SAYS] == _ATTACHED else ""
        first = ""
        for name, value in pairs:
            below = node.get(name) or node.get(ANY) or {}
            first = self._check(value, below, (*path, name)) or first
        return first

    def _note(self, place: Field, said: str) -> None:
        parts = place.parts
        if not parts:
            return
        is_named = parts[-1] == ITS_NAME
        node = self._root
        for part in parts:
            node = node.setdefault(ANY if part == ITS_NAME else part, {})
        if not is_named:  # else a name is read there, and no value
            node.setdefault(_SAYS, said)


def _unknown(path: tuple[str, ...]) -> Unreadable:
    return Unreadable(
        f"it has {cut('.'.join(path))}, and nobody says that this changes neither price nor size: "
        "leave it out or, if it does not, add it to `policy.harmless`"
    )
