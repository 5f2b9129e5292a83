"""Classes of endpoints by the rules in `rules.yml`: what an endpoint does, told by its words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from hauberk.yamlfile import load_yaml

RULES: Final = Path(__file__).parent / "rules.yml"
#: What no rule speaks of: nobody may take it for harmless.
UNCLEAR: Final = "unclear"


class Classes:
    """Says what an endpoint does: `look`, `trade`, `transfer`, `withdraw`, `admin`, `unclear`."""

    def __init__(self) -> None:
        rules: dict[str, Any] = load_yaml(RULES).data
        self._acts_on_get = frozenset(rules["acts_on_get"])
        self._verbs = re.compile(rules["verbs"])
        self._nouns = re.compile(rules["nouns"])
        self._rules = [
            (rule["is"], re.compile(rule["at"], re.IGNORECASE)) for rule in rules["rules"]
        ]
        self._known = {
            exchange: [
                (kind, re.compile(one)) for kind, listed in by_kind.items() for one in listed
            ]
            for exchange, by_kind in rules["known"].items()
        }

    def of(self, exchange: str, method: str, path: str) -> str:
        """Return the class of an endpoint."""
        text = f"{method} {path}"
        for kind, pattern in self._known.get(exchange, ()):
            if pattern.search(text):
                return kind
        if method == "GET" and exchange not in self._acts_on_get and not self._acts(path):
            return "look"
        found = (kind for kind, pattern in self._rules if pattern.search(text))
        return next(found, UNCLEAR)

    def _acts(self, path: str) -> bool:
        return bool(self._verbs.search(path)) and not self._nouns.search(path)
