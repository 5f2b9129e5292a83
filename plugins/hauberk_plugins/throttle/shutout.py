"""`ShutOut`: freezes what an exchange refuses, and lets others know."""

from __future__ import annotations

import logging
from typing import Any

from hauberk.context import Context
from hauberk.records import Severity
from hauberk_plugins.throttle.feedback import BANNED
from hauberk_plugins.throttle.kept import Kept, still_frozen
from hauberk_plugins.throttle.limiting import Key, Limiter

log = logging.getLogger("hauberk")


class ShutOut:
    """Acts on answers that say `throttled` or `banned`.

    Args:
        context: The plugin's.
        limiter: Freezes.
        kept: Keeps what is frozen across a restart; `None` where nothing is.
        default_s: For how long, by what is said, where nobody says.
        most_s: The longest.
    """

    def __init__(
        self,
        context: Context,
        limiter: Limiter[Any],
        kept: Kept | None,
        *,
        default_s: dict[str, float],
        most_s: float,
    ) -> None:
        self._context = context
        self._limiter = limiter
        self._kept = kept
        self._default_s = default_s
        self._most_s = most_s
        self._until: dict[Key, int] = {}

    def restore(self) -> None:
        """Freeze again what was frozen when the process before ended, or is by one that runs."""
        context, unreadable = self._context, _ns(self._default_s[BANNED])
        if self._kept is not None:
            found = self._kept.freezes(unreadable)
        elif context.has("store") and not context.is_resident:
            found = still_frozen(context.store, context.clock.wall_ns(), unreadable)
        else:
            return
        now = context.clock.monotonic_ns()
        for prefix, remaining in found:
            self._freeze(prefix, now + min(remaining, _ns(self._most_s)), now)

    def act(self, said: str, prefix: Key, seconds: int, asked_s: float | None) -> None:
        """Freeze, have what was granted asked again, and report a ban.

        Args:
            said: `throttled` or `banned`.
            prefix: What to freeze.
            seconds: For how long by the venue file; 0 where it does not say.
            asked_s: For how long by the answer; `None` where it does not say.
        """
        now = self._context.clock.monotonic_ns()
        for_s = asked_s if asked_s is not None else seconds or self._default_s[said]
        is_capped = for_s > self._most_s
        for_ns = _ns(min(for_s, self._most_s))
        before = self._until.get(prefix, now)
        if now + for_ns > before:
            self._freeze(prefix, now + for_ns, now)
            if self._kept is not None:
                self._kept.froze(prefix, for_ns)
        # What was granted before the exchange refused is not to leave any more.
        self._context.recheck()
        if before > now:
            return  # said already
        details = {"venue": prefix[0], "base": prefix[1], "frozen_s": round(for_ns / 1e9, 3)}
        if is_capped:
            details["asked_s"] = round(min(for_s, 1e15), 3)
        if said == BANNED or is_capped:
            self._context.report(
                f"{prefix[0]} has shut us out: nothing is sent for {for_ns / 1e9:.0f} s",
                Severity.MEDIUM,
                details,
            )
        self._context.emit("frozen", details)

    def _freeze(self, prefix: Key, until_ns: int, now_ns: int) -> None:
        self._until = {key: until for key, until in self._until.items() if until > now_ns}
        self._until[prefix] = max(until_ns, self._until.get(prefix, 0))
        self._limiter.freeze(prefix, until_ns, now_ns)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
