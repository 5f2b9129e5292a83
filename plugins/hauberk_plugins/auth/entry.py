"""Sessions, bot tokens and the gate, put together from a plugin's context."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from hauberk.command import owner_of
from hauberk.context import Context
from hauberk_plugins.auth.access import AccessGate
from hauberk_plugins.auth.parts import TokenBytes
from hauberk_plugins.auth.session_record import SessionLimits
from hauberk_plugins.auth.sessions import SessionManager
from hauberk_plugins.auth.tokens import BotTokens

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@frozen(eq=False)
class Entry:
    """What lets people and bots in.

    Attributes:
        sessions: Of people.
        tokens: Of bots.
        access: The port of that name.
    """

    sessions: SessionManager
    tokens: BotTokens
    access: AccessGate

    @classmethod
    def of(
        cls,
        context: Context,
        limits: SessionLimits,
        token_bytes: TokenBytes,
        has_admin: Callable[[], bool],
        before: Entry | None = None,
    ) -> Entry:
        """Put them together.

        Args:
            context: The plugin's.
            limits: Of sessions.
            token_bytes: Randomness.
            has_admin: Whether there is a user with the role of an admin.
            before: What this takes over from, after a reload.
        """
        clock, wall_ns = context.clock, context.clock.wall_ns
        sessions = SessionManager(
            lambda: context.sealed,
            wall_ns,
            clock.monotonic_ns,
            token_bytes,
            limits,
            boot=this_boot(),
            tell=context.emit,
            recheck=context.recheck,
        )
        if before is not None:
            sessions.take_over(before.sessions)
        tokens = BotTokens(
            lambda: context.sealed,
            clock.wall_ns,
            clock.monotonic_ns,
            token_bytes,
            lambda: context.accounts,
            tell=context.emit,
            recheck=context.recheck,
        )
        return cls(
            sessions, tokens, AccessGate(sessions, has_admin, lambda: _owner(context), wall_ns)
        )


def this_boot(path: Path = _BOOT) -> str:
    """Return what tells this boot of the machine from another; empty where nothing does."""
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _owner(context: Context) -> str | None:
    """The user that runs this, if the state folder is theirs; where there is none, its parent."""
    for folder in (context.state_dir, context.folder):
        if folder is None:
            return None
        with suppress(FileNotFoundError):
            return owner_of(folder)
    return None
