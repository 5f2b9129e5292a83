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

    def require(self, capability: str, *, fresh_s: float = 0) -> str:
        """Return the name of who types, if they may; for what not every use of a command needs.

        What every use needs is better said by `hauberk.command.Command.capability`.

        Args:
            capability: For example `user.write`.
            fresh_s: How long ago whoever types may have logged in, seconds; 0 for any time.

        Raises:
            Denied: They may not; says what to do.
            ConfigError: The configuration cannot be used, so nobody can tell.
            StartFailed: What decides did not start.
            UnsafeFile: The stored token may not be used as it is.
        """
        from hauberk.cli.access import check_access

        return check_access(capability, self.config, fresh_s=fresh_s)
