"""What every command takes."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen
from cyclopts import Parameter


@Parameter(parse=False)
@frozen
class Options:
    """What every command takes, wherever it was typed.

    A command that wants it has a keyword parameter `options: Options = Options()`.

    Attributes:
        config: The configuration: `--config`, or `$HAUBERK_CONFIG`, or `hauberk.yml`.
        json: Whether one JSON document is printed on stdout, and nothing else there.
    """

    config: Path = Path("hauberk.yml")
    json: bool = False
