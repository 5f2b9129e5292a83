"""The rules of a shared budget, as pure functions of records; in Redis, those in `lua/`.

Every process that shares a budget is an owner. The rules:

- What is granted is open, and counts, until its owner says that it has left and how long ago, or
  gives it back. An owner says all that it has open each time: a lost answer is mended by the next.
- An owner that is not heard of for a lease is taken to have sent all that it had open at the moment
  when that is noticed.
- What has left counts by the sub-window in which it left, whole, until the last moment at which
  anything of that sub-window could count (`windows.py` says why that is enough).
- Several windows are granted together or not at all. Whoever finds no room leaves a claim before
  each window that had none: its amount is kept from those who have waited less, until its turn is
  over by a lease. So the one who waits longest comes first, whichever process it is in.
- While nobody waits, an owner may be granted the same several times in advance, up to a part of
  what is free. All of it is open.
- The larger of ours and theirs: what the exchange counts beyond what we do, left at that moment.
- Time is the back-end's clock and a shift. It never goes back: where the clock did, the shift makes
  up for it. Where the clock went ahead of a caller's own, nothing is granted before the shift makes
  up for that, or windows would end early. Whether a clock was right before or after, nobody knows:
  while the shift is another than it was when the first owner began, calendar windows are kept as
  rolling ones.
- A ledger that has forgotten what it acknowledged (Redis without its last writes) takes every
  window as full from that moment. One that has just begun may be such a one, and grants nothing
  until every owner that is alive must have been heard of.

All times are whole microseconds. The record that all meters share has the fields `last` (the time),
`shift`, `anchor` (what it was when the first owner began), `lost` (when it last forgot), `jumped`
(when its clock last went far ahead), `born` (when it began), `clean` (when to forget dead owners),
`@<owner>` for each, and `frozen`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hauberk_plugins.throttle.shared.call import Answer, Ask, Call, Learned, Reading, Report, Status
from hauberk_plugins.throttle.shared.fields import (
    Claim,
    Fields,
    claims,
    freezes,
    number,
    owner_field,
    put_claims,
    put_freezes,
    stamp,
)
from hauberk_plugins.throttle.shared.metering import (
    Moment,
    date,
    expire,
    is_told_of_this,
    lacking,
    regrain,
    used,
    when,
)
from hauberk_plugins.throttle.shared.shape import Shape

#: How far a clock may go back and only be waited for.
TOLERANCE_US: Final = 50_000
#: What is granted in advance is at most such a part of what is free: the less there is, the less of
#: it one owner keeps from the others.
AHEAD_PART: Final = 8
#: Dead owners are looked for so many times a lease.
SWEEPS: Final = 4


class Sitting:
    """One call on the ledger.

    Args:
        state: The record that all meters share; changed in place.
        meters: By name; changed in place. A missing one is made.
        call: What is said and asked.
        raw_us: The back-end's clock.
    """

    def __init__(self, state: Fields, meters: dict[str, Fields], call: Call, raw_us: int) -> None:
        self._state = state
        self._call = call
        self._raw = raw_us
        self._shift = number(state, "shift")
        self._heard_seq, _ = stamp(state, call.owner)
        self._meters = [meters.setdefault(report.shape.name, {}) for report in call.reports]

    def answer(self) -> Answer:
        """Do all that the call says."""
        refused = self._begin()
        if refused is not None:
            return Answer(refused, raw_us=self._raw, shift_us=self._shift)
        for meter, report in zip(self._meters, self._call.reports, strict=True):
            self._settle(meter, report)
        for learned in self._call.learned:
            self._learn(learned)
        if self._call.freezes:
            self._freeze()
        status, wait, bits = self._ask()
        ahead = self._grant_ahead() if status is Status.GRANTED and not bits else 0
        return Answer(status, wait, bits, self._raw, self._shift, ahead, self._readings())

    def _begin(self) -> Status | None:
        state, call = self._state, self._call
        last, shift = number(state, "last"), self._shift
        was_shift = shift
        if call.seq <= self._heard_seq:
            return Status.STALE
        if call.latest_us and call.shift_us == shift:
            if call.stepped_us:
                shift += call.stepped_us
            elif self._raw > call.latest_us:
                return Status.STEPPED
        if self._heard_seq < call.acked and not call.is_lost:
            return Status.LOST
        if self._raw + shift < last - TOLERANCE_US:
            shift = last - self._raw
        if shift != self._shift:
            self._shift = state["shift"] = shift
        now = max(self._raw + shift, last)
        if not last:
            state["born"] = now
        if shift != number(state, "anchor") and not self._heard_seq and self._is_alone(now):
            state["anchor"] = shift
        if shift - was_shift <= -2 * call.lease_us:
            state["jumped"] = now
        self._moment = Moment(
            now,
            shift,
            abs(shift - number(state, "anchor")) > TOLERANCE_US,
            number(state, "jumped"),
        )
        state["last"] = now
        state[owner_field(call.owner)] = f"{call.seq}:{now}"
        if call.is_lost:
            state["lost"] = now
        if now >= number(state, "clean"):
            state["clean"] = now + call.lease_us
            self._forget_owners()
        return None

    def _is_alone(self, now: int) -> bool:
        """Whether every owner has begun anew since it was last heard of: nobody knows better."""
        heard = [stamp(self._state, name[1:])[1] for name in self._state if name[0] == "@"]
        return all(at + self._call.lease_us <= now for at in heard)

    def _forget_owners(self) -> None:
        for name in [name for name in self._state if name[0] == "@"]:
            _, heard = stamp(self._state, name[1:])
            if heard + 2 * self._call.lease_us <= self._moment.now:
                del self._state[name]

    def _settle(self, meter: Fields, report: Report) -> None:
        shape, moment, mine = report.shape, self._moment, owner_field(self._call.owner)
        if meter.get("grain") != shape.grain_us:
            regrain(meter, shape, moment)
        expire(meter, shape, moment)
        lost = number(self._state, "lost")
        if number(meter, "lost") < lost:
            meter["lost"] = lost
            date(meter, shape, moment, lost, shape.size)
        for departure in report.departures:
            if departure.seq > self._heard_seq:
                date(meter, shape, moment, moment.now - departure.age_us, departure.amount)
        meter["open"] = number(meter, "open") - number(meter, mine) + report.open
        meter[mine] = report.open
        if report.dropped and meter.get("claims"):
            put_claims(meter, [c for c in claims(meter) if c.name not in report.dropped])
        if moment.now >= number(meter, "sweep"):
            self._sweep(meter, shape)

    def _sweep(self, meter: Fields, shape: Shape) -> None:
        """Date what dead owners had open."""
        now, lease = self._moment.now, self._call.lease_us
        meter["sweep"] = now + lease // SWEEPS
        for name in [name for name in meter if name[0] == "@"]:
            _, heard = stamp(self._state, name[1:])
            if heard + lease <= now:
                amount = number(meter, name)
                del meter[name]
                meter["open"] = number(meter, "open") - amount
                date(meter, shape, self._moment, now, amount)

    def _learn(self, learned: Learned) -> None:
        meter, shape = self._meters[learned.meter], self._call.reports[learned.meter].shape
        if not is_told_of_this(shape, self._moment, learned.age_us):
            return
        ours = used(meter, shape, self._moment)
        if learned.spare >= 0:
            spare = self._call.reports[learned.spare].shape
            ours += used(self._meters[learned.spare], spare, self._moment)
        meter["theirs"] = learned.used
        meter["told"] = self._moment.now + shape.length_us
        if learned.used > ours:
            date(meter, shape, self._moment, self._moment.now, learned.used - ours)

    def _freeze(self) -> None:
        now = self._moment.now
        until = {prefix: end for prefix, end in freezes(self._state) if end > now}
        for prefix, length in self._call.freezes:
            until[prefix] = max(until.get(prefix, 0), now + length)
        put_freezes(self._state, list(until.items()))

    def _frozen_until(self, shape: Shape) -> int:
        if not self._state.get("frozen"):
            return 0
        ends = [end for prefix, end in freezes(self._state) if shape.name.startswith(prefix)]
        return max(ends, default=0)

    def _ask(self) -> tuple[Status, int, int]:
        """Grant all that is asked for, or claim what there is no room for."""
        call, now, reports = self._call, self._moment.now, self._call.reports
        ends = [self._frozen_until(reports[ask.meter].shape) for ask in call.asks]
        if max(ends, default=0) > now:
            return Status.FROZEN, max(ends) - now, _bits(end > now for end in ends)
        grace = number(self._state, "born") + call.grace_us - now
        if call.asks and call.grace_us and grace > 0:
            return Status.WAIT, grace, _bits(True for _ in call.asks)
        ticket = now - call.waited_us
        lanes = [self._lane(ask, ticket) for ask in call.asks]
        blocked = [lane is None for lane in lanes]
        due = max(
            (self._due(ask, ticket) for ask, b in zip(call.asks, blocked, strict=True) if b),
            default=now,
        )
        for ask, is_blocked in zip(call.asks, blocked, strict=True):
            self._claim(ask, ticket, due, is_blocked=is_blocked, is_over=not any(blocked))
        if any(blocked):
            return Status.WAIT, due - now, _bits(blocked)
        mine = owner_field(call.owner)
        for lane, ask in zip(lanes, call.asks, strict=True):
            if lane is not None:
                meter = self._meters[lane]
                meter["open"] = number(meter, "open") + ask.amount
                meter[mine] = number(meter, mine) + ask.amount
        return (
            Status.GRANTED,
            0,
            _bits(lane != ask.meter for lane, ask in zip(lanes, call.asks, strict=True)),
        )

    def _grant_ahead(self) -> int:
        """Grant the same some more times, of a part of what is free, while nobody waits."""
        call, asks = self._call, [ask for ask in self._call.asks if ask.amount]
        times = call.ahead
        for ask in asks:
            meter, shape = self._meters[ask.meter], call.reports[ask.meter].shape
            if meter.get("claims") or shape.grain_us == 0:
                return 0
            free = max(shape.size - number(meter, "total") - number(meter, "open"), 0)
            times = min(times, free // AHEAD_PART // ask.amount)
        mine = owner_field(call.owner)
        for ask in asks:
            meter = self._meters[ask.meter]
            meter["open"] = number(meter, "open") + times * ask.amount
            meter[mine] = number(meter, mine) + times * ask.amount
        return times if asks else 0

    def _lane(self, ask: Ask, ticket: int) -> int | None:
        """Return the index of the meter that has room: its own, else its spare, else none."""
        shape, meter = self._call.reports[ask.meter].shape, self._meters[ask.meter]
        wanted = self._ahead(meter, ticket) + ask.amount
        if ask.amount == 0 or lacking(meter, shape, self._moment, wanted) <= 0:
            return ask.meter
        if ask.spare >= 0:
            spare, shape = self._meters[ask.spare], self._call.reports[ask.spare].shape
            if lacking(spare, shape, self._moment, ask.amount) <= 0:
                return ask.spare
        return None

    def _due(self, ask: Ask, ticket: int) -> int:
        shape, meter = self._call.reports[ask.meter].shape, self._meters[ask.meter]
        return when(meter, shape, self._moment, self._ahead(meter, ticket) + ask.amount)

    def _ahead(self, meter: Fields, ticket: int) -> int:
        """Add up what is kept for those who have waited longer."""
        if not meter.get("claims"):
            return 0
        mine, now = (ticket, self._call.claim), self._moment.now
        return sum(
            c.amount
            for c in claims(meter)
            if (c.ticket, c.name) < mine and c.until >= now and c.name != self._call.claim
        )

    def _claim(self, ask: Ask, ticket: int, due: int, *, is_blocked: bool, is_over: bool) -> None:
        """Leave a claim, renew one, or give it up."""
        meter, call = self._meters[ask.meter], self._call
        if not (is_blocked or meter.get("claims")):
            return
        found = claims(meter)
        kept = [c for c in found if c.name != call.claim and c.until >= self._moment.now]
        # Kept even where another window is what blocks it: otherwise later ones could overtake it
        # at each in turn, for ever.
        if is_blocked or (not is_over and any(c.name == call.claim for c in found)):
            kept.append(Claim(ticket, call.claim, ask.amount, due + call.claim_us))
        put_claims(meter, sorted(kept))

    def _readings(self) -> tuple[Reading, ...]:
        if not self._call.is_look:
            return ()
        return tuple(
            self._reading(meter, report.shape)
            for meter, report in zip(self._meters, self._call.reports, strict=True)
        )

    def _reading(self, meter: Fields, shape: Shape) -> Reading:
        now = self._moment.now
        return Reading(
            used(meter, shape, self._moment),
            number(meter, "open"),
            sum(c.until >= now for c in claims(meter)),
            number(meter, "theirs") if number(meter, "told") > now else 0,
            max(self._frozen_until(shape) - now, 0),
        )


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << bit for bit, flag in enumerate(flags) if flag)
