"""The environment variables, as something that may be handed on: showing it shows none of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final


class Variables(Mapping[str, str]):
    """`os.environ`, to read from; a traceback with locals, or a repr, shows nothing of it."""

    def __getitem__(self, name: str) -> str:
        return os.environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)

    def __repr__(self) -> str:
        return "[environment variables]"


VARIABLES: Final = Variables()
