"""The rules that ship with Hauberk. `monitor.rules` in `hauberk.yml` adds others, or replaces one.

What an outsider can cause is `MEDIUM` at most. Events `answer.*` are what the exchange said.
"""

from __future__ import annotations

from typing import Final

from hauberk.records import Severity
from hauberk_plugins.monitor.rule import Counting, Per, Rule

_OUT: Final = {"operation": ("withdraw", "transfer", "admin")}
_MINUTE: Final = 60.0
_HOUR: Final = 3_600.0

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        name="failed-logins-of-a-source",
        title="Many failed logins from one place",
        on=("login.denied",),
        per=Per.SOURCE,
        threshold=10,
        window_s=5 * _MINUTE,
    ),
    Rule(
        name="failed-logins-of-a-user",
        title="Many failed logins of one user",
        # `login.denied` names no user: what was typed as a name may be a password. This names one
        # that there is. What comes too soon is not looked at, so that few are many.
        on=("auth.refused",),
        per=Per.USER,
        threshold=5,
        window_s=15 * _MINUTE,
    ),
    Rule(
        name="login-from-a-new-source",
        title="A user logs in from where he never did",
        on=("login.granted",),
        per=Per.USER,
        counts=Counting.UNSEEN,
        threshold=1,
        window_s=_HOUR,
    ),
    Rule(
        name="burst-of-requests",
        title="A burst of requests",
        on=("request.intent", "request.denied"),
        per=Per.ACCOUNT,
        threshold=3_000,
        window_s=_MINUTE,
    ),
    Rule(
        name="burst-of-refusals",
        title="Many requests are refused",
        on=("request.denied",),
        per=Per.ACCOUNT,
        threshold=100,
        window_s=_MINUTE,
    ),
    Rule(
        name="unknown-endpoints",
        title="Endpoints that nobody knows are asked for",
        on=("request.denied",),
        where={"operation": ("unknown",)},
        per=Per.ACCOUNT,
        threshold=5,
        window_s=10 * _MINUTE,
    ),
    Rule(
        name="denied-withdrawals",
        title="Funds or rights were to be moved",
        on=("request.denied",),
        where=_OUT,
        per=Per.ACCOUNT,
        threshold=1,
        window_s=_HOUR,
        severity=Severity.HIGH,
    ),
    Rule(
        name="rejected-by-the-exchange",
        title="The exchange rejects many requests",
        on=("answer.rejected",),
        per=Per.ACCOUNT,
        threshold=50,
        window_s=_MINUTE,
    ),
    Rule(
        name="revoked-key",
        title="The exchange does not know a key any more",
        on=("answer.revoked", "answer.unauthorized"),
        per=Per.ACCOUNT,
        threshold=3,
        window_s=5 * _MINUTE,
        severity=Severity.HIGH,
    ),
    Rule(
        name="banned",
        title="The exchange has shut us out",
        on=("answer.banned",),
        per=Per.ACCOUNT,
        threshold=1,
        window_s=10 * _MINUTE,
    ),
    Rule(
        name="skew",
        title="The exchange finds our time wrong",
        on=("answer.skew",),
        per=Per.ACCOUNT,
        threshold=5,
        window_s=5 * _MINUTE,
    ),
    Rule(
        name="data-access",
        title="Much is read out of the vault",
        on=("storage.vault.revealed",),
        per=Per.USER,
        threshold=20,
        window_s=10 * _MINUTE,
    ),
    Rule(
        name="order-rate",
        title="Orders come faster than anybody trades",
        on=("request.left",),
        where={"operation": ("trade",)},
        per=Per.ACCOUNT,
        threshold=1_000,
        window_s=_MINUTE,
        severity=Severity.HIGH,
    ),
    Rule(
        name="cancel-ratio",
        title="Nearly everything is cancelled",
        on=("request.left",),
        where={"operation": ("trade", "cancel")},
        counts=Counting.SHARE,
        of={"operation": ("cancel",)},
        per=Per.ACCOUNT,
        threshold=80,
        least=200,
        window_s=10 * _MINUTE,
    ),
)


def canary(account: str) -> Rule:
    """Return the rule for an account that is bait: nobody has a reason to use it."""
    return Rule(
        name=f"canary-{account}",
        title=f"The canary key of account {account} was used",
        on=("request.intent", "request.denied"),
        where={"account": (account,)},
        threshold=1,
        window_s=24 * _HOUR,
        severity=Severity.CRITICAL,
    )
