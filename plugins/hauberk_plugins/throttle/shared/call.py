"""What a limiter tells a back-end, what it is told, and the protocol between them."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, Protocol

from attrs import define

from hauberk.errors import HauberkError
from hauberk_plugins.throttle.shared.shape import Shape


class BackendLost(HauberkError):
    """The shared budget cannot be asked.

    Attributes:
        reason: Why, in words for a person, and what to do.
        again: Whether it is worth calling again at once.
    """

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again

    def __str__(self) -> str:
        return f"the shared budget cannot be asked: {self.reason}"


class Status(IntEnum):
    """How a call ended."""

    #: All that was asked for is granted; also where nothing was.
    GRANTED = 0
    #: Nothing is; the claim stands.
    WAIT = 1
    #: Nothing is, and nobody may claim: the exchange said to stop.
    FROZEN = 2
    #: The call was overtaken by a later one of the same owner; nothing was done.
    STALE = 3
    #: The ledger forgot what it had acknowledged; nothing was done.
    LOST = 4
    #: Its clock went ahead faster than the caller's; nothing was done.
    STEPPED = 5


class Departure(NamedTuple):
    """What has left.

    Attributes:
        seq: Of the call that first told it: one that got through is not counted twice.
        age_us: How long ago, at least, as the call is sent.
        amount: How much.
    """

    seq: int
    age_us: int
    amount: int


class Report(NamedTuple):
    """What one owner has to say of one meter.

    Attributes:
        shape: Which.
        open: All that it was granted and has neither dated nor given back. Not a difference: a lost
            answer is mended by the next call.
        departures: What has left.
        dropped: Claims that it gives up.
    """

    shape: Shape
    open: int = 0
    departures: tuple[Departure, ...] = ()
    dropped: tuple[str, ...] = ()


class Ask(NamedTuple):
    """An amount of one meter.

    Attributes:
        meter: Index of its report.
        amount: How much; 0 is granted unless it is frozen.
        spare: Index of the report of another meter that may be charged instead, or -1.
    """

    meter: int
    amount: int
    spare: int = -1


class Learned(NamedTuple):
    """What the exchange said was used.

    Attributes:
        meter: Index of the report.
        spare: Of the one that counts toward the same limit, or -1.
        used: As the exchange counts.
        age_us: How old the answer is.
    """

    meter: int
    spare: int
    used: int
    age_us: int = 0


@define
class Call:
    """One round trip: what has happened since the last one, and perhaps a question.

    Its owner numbers it, and again where it has to say it again.

    Attributes:
        owner: Who calls; one at a time.
        seq: Rises with each call of the owner, from 1.
        acked: The last that was answered, or 0.
        lease_us: How long an owner that is not heard of is taken to be alive.
        reports: What it says, each meter once.
        asks: What it wants, all or nothing.
        claim: The name of its claim, where it waits.
        waited_us: For how long it has waited: who waits longest comes first.
        claim_us: How long a claim outlives its turn.
        ahead: How many times more it would take the same in advance, where there is plenty.
        grace_us: How long nothing is granted of a ledger that has just begun, so that whoever knows
            that it has forgotten can say so first.
        learned: What the exchange said.
        freezes: What must stop, by the name that records begin with, and for how long.
        is_look: Whether to answer with readings.
        latest_us: What the back-end's clock can show at most, or 0 where that is not known.
        shift_us: The shift of the ledger's clock, as last told.
        stepped_us: By how much to shift it, if it stands at `shift_us`.
        is_lost: Whether to take every window as full, since the ledger forgot.
    """

    owner: str
    seq: int
    acked: int = 0
    lease_us: int = 60_000_000
    reports: tuple[Report, ...] = ()
    asks: tuple[Ask, ...] = ()
    claim: str = ""
    waited_us: int = 0
    claim_us: int = 1_000_000
    ahead: int = 0
    grace_us: int = 0
    learned: tuple[Learned, ...] = ()
    freezes: tuple[tuple[str, int], ...] = ()
    is_look: bool = False
    latest_us: int = 0
    shift_us: int = 0
    stepped_us: int = 0
    is_lost: bool = False


class Reading(NamedTuple):
    """One meter as it stands.

    Attributes:
        used: All that counts.
        open: What of that has not left.
        waiting: How many claim it.
        theirs: What the exchange last said, or 0.
        frozen_us: For how long it is frozen.
    """

    used: int
    open: int
    waiting: int
    theirs: int
    frozen_us: int


class Answer(NamedTuple):
    """What a back-end answers.

    Attributes:
        status: How the call ended.
        wait_us: In how long to ask again, where it must wait or is frozen.
        bits: One an ask: which were charged to the spare; which have no room; which are frozen.
        raw_us: The back-end's clock.
        shift_us: What is added to it.
        ahead: How many times more the same was granted.
        readings: One a report, where they were wanted.
    """

    status: Status
    wait_us: int = 0
    bits: int = 0
    raw_us: int = 0
    shift_us: int = 0
    ahead: int = 0
    readings: tuple[Reading, ...] = ()


class Backend(Protocol):
    """Keeps the ledger."""

    @property
    def where(self) -> str:
        """For people: what and where it is, without a secret."""

    def call(self, call: Call) -> Answer:
        """Do what a call says, all or nothing. Called by one thread at a time.

        Raises:
            BackendLost: It cannot be done, or whether it was is not known.
        """

    def sweep(self) -> None:
        """Forget the records that nobody has used for so long that nothing in them matters.

        Raises:
            BackendLost: It cannot be asked.
        """

    def close(self) -> None:
        """Let go of connections."""
