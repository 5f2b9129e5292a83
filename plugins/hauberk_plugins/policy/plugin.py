"""The plugin `policy`: refuses what an account may not do."""

from __future__ import annotations

from hauberk.context import Context
from hauberk.hooks import Plugin, hookimpl
from hauberk.request import Operation, Request, path_of
from hauberk.verdicts import Deny
from hauberk_plugins.policy.capabilities import objection


class PolicyPlugin(Plugin):
    """Guard: denies what the account lacks the capability for, and what nobody can judge."""

    interface = (1, 1)

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Keep the way to the accounts, which a reload may change."""
        self._context = context

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        """Deny, or have no objection."""
        account = self._context.accounts[request.account]
        if account.disabled:
            return Deny(f"account {request.account!r} is disabled in hauberk.yml")
        if request.operation is Operation.UNKNOWN:
            return Deny(
                f"the map of venue {account.venue!r} does not know {request.method} "
                f"{path_of(request.url)}, so nobody can say what it does; if it is safe, add it to "
                "`operations` in the venue's file"
            )
        why = objection(request.account, account.allow, request.operation)
        return Deny(why) if why else None
