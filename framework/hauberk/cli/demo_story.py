"""What happens in `hauberk demo`, as it is told and judged."""

from __future__ import annotations

from typing import Final

from attrs import define, field, frozen

#: The severities of which somebody must be told.
_TOLD: Final = ("MEDIUM", "HIGH", "CRITICAL")


@frozen
class Scale:
    """How much the demo does.

    Attributes:
        loop: Orders that the bot sends one after the other; more than a window holds.
        burst: Orders that it sends at once, from asyncio.
        guesses: Passwords that somebody tries.
        runaway: Orders that a bot which has gone mad sends.
        runaway_at: After how many of them the monitor is to report it.
        weight: What the sandbox allows, and what the guard is told of it: weight per address.
        weight_s: In how many seconds.
        orders: Orders per account, likewise.
        orders_s: In how many seconds.
        jitter_ms: How late a request may arrive, on a machine that does other things as well.
        mail_s: How long mails are waited for.
    """

    loop: int = 31
    burst: int = 16
    guesses: int = 12
    runaway: int = 20
    runaway_at: int = 10
    weight: int = 20
    weight_s: int = 3
    orders: int = 15
    orders_s: int = 3
    jitter_ms: int = 250
    mail_s: float = 20.0


@define
class Row:
    """What was tried, so many times, and what became of it.

    Attributes:
        what: What was tried.
        tried: How often.
        left: How often it was cleared.
        answered: How often it was answered with yes.
        refused: How often it was denied.
        by: Who denied it last, or what the exchange said in place of yes.
        why: The reason given.
        seconds: How long all of it took.
    """

    what: str
    tried: int = 0
    left: int = 0
    answered: int = 0
    refused: int = 0
    by: str = ""
    why: str = ""
    seconds: float = 0.0


@frozen
class Alarm:
    """An incident, as the bot's own hook heard of it.

    Attributes:
        by: Who reported it.
        title: Its title.
        severity: Its name.
        did: What responders before the bot had done, by plugin.
    """

    by: str
    title: str
    severity: str
    did: dict[str, str]


@frozen
class Lift:
    """How a restriction was lifted, by commands in other processes.

    Attributes:
        refused_by: Who refused it to somebody who had not logged in; empty where nobody did.
        is_lifted: Whether it was, for somebody who had.
    """

    refused_by: str = ""
    is_lifted: bool = False


@frozen
class Kept:
    """An incident, as `hauberk incident list` shows it.

    Attributes:
        title: Its title.
        severity: Its name.
        state: `open`, `contained` or `resolved`.
    """

    title: str
    severity: str
    state: str


@frozen
class Halt:
    """The CRITICAL incident.

    Attributes:
        did: What each responder did, by plugin.
        took_ms: How long the kill switch took to halt.
        arrived: What arrived at the exchange from then on.
        resting: Orders that were still open there.
    """

    did: dict[str, tuple[str, ...]] = field(factory=dict)
    took_ms: float = 0.0
    arrived: tuple[str, ...] = ()
    resting: int = 0


@frozen
class Exchange:
    """What the exchange saw.

    Attributes:
        requests: That arrived, but for questions for the time.
        orders: That it took.
        answered_429: How often it had to answer 429 or 418.
        withdrawals: That were made.
    """

    requests: int = 0
    orders: int = 0
    answered_429: int = 0
    withdrawals: int = 0


@frozen
class Audit:
    """What the audit's log proves.

    Attributes:
        records: How many it holds.
        vouched: How many of them a checkpoint vouches for.
        is_whole: Whether it is as it was written.
        told: How many requests it says have left.
        arrived: How many had arrived at the exchange, but for those that halting sent.
        changed: The line of a copy in which one word was replaced; counted from 0.
        named: Lines that are said to be not as they were written.
    """

    records: int = 0
    vouched: int = 0
    is_whole: bool = False
    told: int = 0
    arrived: int = -1
    changed: int = -1
    named: tuple[int, ...] = ()


@frozen
class Restore:
    """How it went on after the state was lost.

    Attributes:
        was_lost: Whether nothing could be opened.
        is_same: Whether configuration and key ring are what they were, byte for byte.
        seconds: How long the restore took.
    """

    was_lost: bool = False
    is_same: bool = False
    seconds: float = 0.0


@define
class Story:
    """What happened.

    Attributes:
        scale: How much was to happen.
        rows: What was tried, by a short name, in the order of the story.
        alarms: What the bot's own hook heard of.
        paused: Whether the bot's strategy is paused at the end.
        lift: How a restriction was lifted.
        halt: The CRITICAL incident.
        incidents: What is kept of incidents.
        mails: The subjects that the mail server received; `None` where the extra that sends is
            not installed.
        exchange: What arrived.
        audit: What is proven.
        restore: How it went on.
        seconds: How long everything took.
    """

    scale: Scale
    rows: dict[str, Row] = field(factory=dict)
    alarms: tuple[Alarm, ...] = ()
    paused: bool = False
    lift: Lift = field(factory=Lift)
    halt: Halt = field(factory=Halt)
    incidents: tuple[Kept, ...] = ()
    mails: tuple[str, ...] | None = ()
    exchange: Exchange = field(factory=Exchange)
    audit: Audit = field(factory=Audit)
    restore: Restore = field(factory=Restore)
    seconds: float = 0.0

    def alarms_of(self, by: str, severity: str) -> tuple[Alarm, ...]:
        """Return what somebody reported with a severity."""
        return tuple(a for a in self.alarms if (a.by, a.severity) == (by, severity))

    def unheard(self, subjects: tuple[str, ...]) -> tuple[str, ...]:
        """Return the severities of which no mail tells."""
        told = {name for name in _TOLD for subject in subjects if f"Hauberk {name}" in subject}
        return tuple(name for name in _TOLD if name not in told)
