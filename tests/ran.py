"""What came of a command line, for every test that types one."""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen


@frozen
class Ran:
    """Exit status, and what was printed."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1
        return json.loads(self.out)
