"""What may go wrong with sessions and bot tokens; none of it quotes a token."""

from __future__ import annotations

from hauberk_plugins.auth.errors import AuthError


class NoSuchSession(AuthError):
    """No session has that id, or more than one has."""


class NoSuchToken(AuthError):
    """There is no bot token of that name."""


class TokenExists(AuthError):
    """There is a bot token of that name already."""


class BadToken(AuthError):
    """A bot token cannot be made as asked for."""


class UnknownCapability(AuthError):
    """A capability that cannot be given."""
