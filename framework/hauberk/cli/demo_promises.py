"""What `hauberk demo` promises, and whether it came true: its verdict looks at all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from hauberk.cli.demo_story import Story

#: Rows of orders, each of which the exchange must take once.
_ORDERS: Final = ("loop", "burst", "unstopped", "resting", "lifted", "left", "runaway", "goes on")
#: Rows of what no request is: it never leaves for the exchange.
_NO_REQUESTS: Final = ("guesses",)
#: What cancels everything at the sandbox.
_CANCEL_ALL: Final = "DELETE /api/v3/openOrders"


@frozen
class Promise:
    """One promise.

    Attributes:
        scene: Which line of the closing table it belongs to.
        words: What is promised.
        is_kept: Whether it came true.
    """

    scene: str
    words: str
    is_kept: Callable[[Story], bool]


def _answered(name: str) -> Callable[[Story], bool]:
    """Whether all that was tried left and was answered."""

    def check(story: Story) -> bool:
        row = story.rows[name]
        return 0 < row.tried == row.left == row.answered

    return check


def _refused(name: str, by: str) -> Callable[[Story], bool]:
    """Whether nothing of what was tried left, and who saw to that."""

    def check(story: Story) -> bool:
        row = story.rows[name]
        return 0 < row.tried == row.refused and row.left == 0 and row.by == by

    return check


def _reported(severity: str, title: str, *did: str) -> Callable[[Story], bool]:
    """Whether the monitor reported something, and the kill switch had acted before the bot heard.

    Args:
        severity: Of the incident.
        title: A part of its title.
        did: What the kill switch did.
    """

    def check(story: Story) -> bool:
        return any(
            title in alarm.title and (not did or alarm.did.get("killswitch", "").startswith(did))
            for alarm in story.alarms_of("monitor", severity)
        )

    return check


def _paced(story: Story) -> bool:
    scale, row = story.scale, story.rows["loop"]
    windows = (row.tried - 1) // scale.orders
    return row.tried == scale.loop > scale.orders and row.seconds >= windows * scale.orders_s


def _stopped(story: Story) -> bool:
    row = story.rows["runaway"]
    stopped = 0 < row.left == row.answered < row.tried == row.left + row.refused
    return stopped and row.by == "killswitch"


def _all_incidents(story: Story) -> bool:
    kept = {(one.title, one.severity) for one in story.incidents if one.state == "contained"}
    heard = {(alarm.title, alarm.severity) for alarm in story.alarms}
    return len(story.incidents) == len(kept) and kept >= heard and bool(kept)


def _halted(story: Story) -> bool:
    return any(did.startswith("halted") for did in story.halt.did.get("killswitch", ()))


def _all_orders(story: Story) -> bool:
    return story.exchange.orders == sum(story.rows[name].left for name in _ORDERS)


def _all_requests(story: Story) -> bool:
    left = sum(row.left for name, row in story.rows.items() if name not in _NO_REQUESTS)
    return story.exchange.requests == left + len(story.halt.arrived)


def _proven(story: Story) -> bool:
    return story.audit.is_whole and 0 < story.audit.records == story.audit.vouched


#: In the order of the story.
PROMISES: Final = (
    Promise("loop", "more orders than a window holds wait for the next one", _paced),
    Promise("loop", "every order of the loop is answered", _answered("loop")),
    Promise("loop", "the exchange never answers 429 or 418",
            lambda story: not story.exchange.answered_429),
    Promise("burst", "every order from asyncio is answered", _answered("burst")),
    Promise("burst", "the exchange takes every order, once", _all_orders),
    Promise("burst", "the exchange sees what left, and nothing else", _all_requests),
    Promise("unknown", "what no map knows is refused by policy", _refused("unknown", "policy")),
    Promise("elsewhere", "another host is refused by the kernel", _refused("elsewhere", "kernel")),
    Promise("large", "the bot's own hook refuses 50 BTC", _refused("large", "prudence")),
    Promise("guesses", "every guessed password is refused", _refused("guesses", "auth")),
    Promise("guesses", "the monitor reports the guesses as MEDIUM",
            _reported("MEDIUM", "failed logins")),
    Promise("guesses", "nobody stops trading from outside", _answered("unstopped")),
    Promise("withdrawal", "the withdrawal is refused by policy", _refused("withdrawal", "policy")),
    Promise("withdrawal", "the exchange sees no withdrawal",
            lambda story: not story.exchange.withdrawals),
    Promise("withdrawal", "the monitor reports the withdrawal as HIGH, and trading is restricted",
            _reported("HIGH", "Funds", "restricted")),
    Promise("withdrawal", "the incident reaches the bot's own hook", lambda story: story.paused),
    Promise("withdrawal", "after HIGH, an order is refused by the kill switch",
            _refused("order", "killswitch")),
    Promise("withdrawal", "after HIGH, a cancel is answered", _answered("cancel")),
    Promise("lift", "nobody lifts it without a login",
            lambda story: story.lift.refused_by == "auth"),
    Promise("lift", "a fresh login lifts it in another process, and here", lambda story:
            story.lift.is_lifted and _answered("lifted")(story)),
    Promise("runaway", "the runaway loop is stopped by the kill switch", _stopped),
    Promise("runaway", "the monitor reports the runaway loop as HIGH",
            _reported("HIGH", "faster", "restricted")),
    Promise("revoked", "a revoked key is answered 401", lambda story:
            story.rows["revoked"].left == 3 and story.rows["revoked"].by == "exchange: 401"),
    Promise("revoked", "the monitor reports the revoked key as HIGH",
            _reported("HIGH", "does not know a key", "restricted")),
    Promise("halt", "CRITICAL halts", _halted),
    Promise("halt", "after CRITICAL, nothing leaves", _refused("anything", "killswitch")),
    Promise("cancel all", "what rests at the exchange is cancelled, and nothing else arrives there",
            lambda story: not story.halt.resting and story.halt.arrived == (_CANCEL_ALL,)),
    Promise("incidents", "every incident is kept, and was contained", _all_incidents),
    Promise("mails", "mail arrives of MEDIUM, HIGH and CRITICAL",
            lambda story: story.mails is None or not story.unheard(story.mails)),
    Promise("audit", "the audit's log is as it was written", _proven),
    Promise("audit", "it tells of every request that left", lambda story:
            0 < story.audit.told == story.audit.arrived),
    Promise("tampered", "the changed line of a copy is named, and no other",
            lambda story: story.audit.named == (story.audit.changed,) != (-1,)),
    Promise("restore", "what was lost is restored, byte for byte",
            lambda story: story.restore.was_lost and story.restore.is_same),
    Promise("restore", "it is still halted after that", _refused("still", "killswitch")),
    Promise("restore", "after a fresh login and resume, trading goes on", _answered("goes on")),
)  # fmt: skip


def unkept(story: Story) -> list[str]:
    """Return the promises that did not come true."""
    return [promise.words for promise in PROMISES if not promise.is_kept(story)]
