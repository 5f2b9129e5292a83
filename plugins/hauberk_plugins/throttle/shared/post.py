"""`Post`: puts what this process has to tell the ledger into calls, and reads the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from hauberk_plugins.throttle.limiting import Key, Row
from hauberk_plugins.throttle.shared.call import Answer, Ask, Call, Learned, Status
from hauberk_plugins.throttle.shared.lines import Waiter
from hauberk_plugins.throttle.shared.meter import SharedMeter
from hauberk_plugins.throttle.shared.shape import record_name
from hauberk_plugins.throttle.shared.tally import Tally

#: Records that one call reports on, beside those that it asks for.
MOST: Final = 32


class Letter(NamedTuple):
    """A call, and what to do with its answer.

    Attributes:
        call: The call.
        tallies: Whose reports it holds, by index.
        learned: What it passes on, by meter.
        freezes: What it freezes, and until when.
    """

    call: Call
    tallies: tuple[Tally, ...]
    learned: dict[SharedMeter, tuple[int, int]]
    freezes: dict[Key, int]


class Post:
    """Not locked: its limiter is. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._dirty: dict[Tally, None] = {}
        self._learned: dict[SharedMeter, tuple[int, int]] = {}
        self._freezes: dict[Key, int] = {}

    @property
    def has_news(self) -> bool:
        """Whether there is anything that the ledger does not know."""
        return bool(self._dirty or self._learned or self._freezes)

    @property
    def is_full(self) -> bool:
        """Whether one call does not hold it all."""
        return len(self._dirty) > MOST

    def note(self, tally: Tally) -> None:
        """Remember to tell what a tally holds."""
        tally.is_dirty = True
        self._dirty[tally] = None

    def learn(self, meter: SharedMeter, used: int, now_ns: int) -> None:
        """Pass on what the exchange said of a window."""
        self._learned[meter] = (used, now_ns)

    def freeze(self, prefix: Key, until_ns: int) -> None:
        """Have all processes stop."""
        self._freezes[prefix] = until_ns

    def write(
        self,
        seq: int,
        now_ns: int,
        waiter: Waiter | None,
        *,
        is_cancel: bool = False,
        claim_us: int = 0,
        ahead: int = 0,
        looked_at: Sequence[SharedMeter] = (),
    ) -> Letter:
        """Write a call: what one asks, and what the ledger does not know."""
        index: dict[Tally, int] = {}
        asks = []
        for meter, amount in waiter.amounts if waiter is not None else ():
            at = index.setdefault(meter.main, len(index))
            spare = meter.spare if is_cancel and amount else None
            asks.append(
                Ask(at, amount, -1 if spare is None else index.setdefault(spare, len(index)))
            )
        learned = [
            Learned(
                index.setdefault(meter.main, len(index)),
                -1 if meter.spare is None else index.setdefault(meter.spare, len(index)),
                used,
                max(now_ns - at_ns, 0) // 1_000,
            )
            for meter, (used, at_ns) in self._learned.items()
        ]
        for meter in looked_at:
            for tally in meter.tallies():
                index.setdefault(tally, len(index))
        for tally in islice(self._dirty, MOST):
            index.setdefault(tally, len(index))
        call = Call(
            owner="",
            seq=seq,
            reports=tuple([tally.report(seq, now_ns) for tally in index]),
            asks=tuple(asks),
            claim=waiter.claim if waiter is not None else "",
            waited_us=max(now_ns - waiter.since_ns, 0) // 1_000 if waiter is not None else 0,
            claim_us=claim_us,
            ahead=ahead,
            learned=tuple(learned),
            freezes=tuple(
                [
                    (record_name(prefix), max(until_ns - now_ns, 1_000) // 1_000)
                    for prefix, until_ns in self._freezes.items()
                ]
            ),
            is_look=bool(looked_at),
        )
        self._dirty |= dict.fromkeys(index)  # until it is answered
        return Letter(call, tuple(index), dict(self._learned), dict(self._freezes))

    def told(self, letter: Letter, answer: Answer) -> tuple[tuple[Tally, int], ...]:
        """Forget what the ledger knows; return what it granted, of which records."""
        call, tallies = letter.call, letter.tallies
        granted, amounts = [], [0] * len(tallies)
        if answer.status is Status.GRANTED:
            for bit, (main, amount, spare) in enumerate(call.asks):
                lane = spare if answer.bits >> bit & 1 else main
                granted.append((tallies[lane], amount))
                amounts[lane] += amount * (1 + answer.ahead)
        for tally, report, amount in zip(tallies, call.reports, amounts, strict=True):
            tally.told(report, amount)
            if not tally.is_dirty:
                self._dirty.pop(tally, None)
        for meter, said in letter.learned.items():
            if self._learned.get(meter) == said:
                del self._learned[meter]
        for prefix, until in letter.freezes.items():
            if self._freezes.get(prefix) == until:
                del self._freezes[prefix]
        return tuple(granted)

    @staticmethod
    def rows(letter: Letter, answer: Answer, meters: Iterable[SharedMeter]) -> Iterator[Row]:
        """Read what was looked at."""
        readings = dict(zip(letter.tallies, answer.readings, strict=True))
        for meter in meters:
            found = [(readings[tally], tally.shape.size) for tally in meter.tallies()]
            main = found[0][0]
            behind = sum(not waiter.is_head for waiter in meter.line)
            yield Row(
                key=meter.key,
                window=meter.window,
                used=sum(reading.used for reading, _ in found),
                theirs=main.theirs or None,
                left=sum(max(size - reading.used, 0) for reading, size in found),
                waiting=main.waiting + behind,
                frozen_ns=main.frozen_us * 1_000,
            )
