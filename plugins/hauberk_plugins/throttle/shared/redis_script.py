"""A call of the ledger as a Redis command, and its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from struct import Struct
from typing import Final

from hauberk_plugins.throttle.shared.call import Answer, Call, Reading, Report, Status

SCRIPT: Final = files(__package__).joinpath("ledger.lua").read_bytes()
SHA: Final = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest().encode()
_KINDS: Final = {"rolling": 0, "calendar": 1, "decaying": 2}
_HEADER: Final = Struct("<16d")
_REPORT: Final = Struct("<8d")
_THREE: Final = Struct("<3d")
_FOUR: Final = Struct("<4d")
_ONE: Final = Struct("<d")
_READING: Final = 5


class Script:
    """Writes calls under one prefix.

    Args:
        prefix: What every key begins with. Put in braces, it is what a cluster hashes: all keys are
            in one slot, since one request is charged in several windows at once.
    """

    def __init__(self, prefix: str) -> None:
        self.state_key = f"{{{prefix}}}:state".encode()
        self.begins = f"{{{prefix}}}:meter:".encode()
        self._begins_length = b"%d" % len(self.begins)

    def command(self, call: Call, verb: bytes = b"EVALSHA", script: bytes = SHA) -> bytes:
        """Write a call as Redis reads it: an array of bulk strings."""
        reports = call.reports
        parts = [
            *(verb, script, b"%d" % (1 + len(reports)), self.state_key),
            *(self.begins + report.shape.name.encode() for report in reports),
            *(call.owner.encode(), call.claim.encode(), self._begins_length, _numbers(call)),
        ]
        for report in reports:
            parts += [name.encode() for name in report.dropped]
        parts += [prefix.encode() for prefix, _ in call.freezes]
        written = [b"*%d\r\n" % len(parts)]
        written += [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
        return b"".join(written)

    def answer(self, call: Call, reply: object) -> Answer:
        """Read the answer.

        Raises:
            ValueError: It is none.
        """
        if not isinstance(reply, list) or not all(type(value) is int for value in reply):
            raise ValueError("the answer is no list of numbers")
        status, wait, bits, raw, shift, ahead, *rest = reply
        is_possible = (
            len(rest) in (0, _READING * len(call.reports))
            and wait >= 0
            and 0 <= bits < 1 << len(call.asks)
            and 0 <= ahead <= call.ahead
        )
        if not is_possible:
            raise ValueError("the answer is not one of the ledger's")
        return Answer(Status(status), wait, bits, raw, shift, ahead, _readings(rest))


def _numbers(call: Call) -> bytes:
    packed = [
        _HEADER.pack(
            *(
                call.seq,
                call.acked,
                call.lease_us,
                call.waited_us,
                call.claim_us,
                call.ahead,
                call.grace_us,
            ),
            *(call.latest_us, call.shift_us, call.stepped_us, call.is_lost, call.is_look),
            *(len(call.reports), len(call.asks), len(call.learned), len(call.freezes)),
        )
    ]
    packed += [_report(report) for report in call.reports]
    packed += [_THREE.pack(ask.meter, ask.amount, ask.spare) for ask in call.asks]
    packed += [
        _FOUR.pack(learned.meter, learned.spare, learned.used, learned.age_us)
        for learned in call.learned
    ]
    packed += [_ONE.pack(length) for _, length in call.freezes]
    return b"".join(packed)


def _report(report: Report) -> bytes:
    shape = report.shape
    packed = _REPORT.pack(
        *(_KINDS[shape.kind], shape.length_us, shape.jitter_us, shape.size, shape.grain_us),
        *(report.open, len(report.departures), len(report.dropped)),
    )
    if not report.departures:
        return packed
    return packed + b"".join(
        _THREE.pack(departure.seq, departure.age_us, departure.amount)
        for departure in report.departures
    )


def _readings(numbers: Sequence[int]) -> tuple[Reading, ...]:
    return tuple(Reading(*numbers[at : at + _READING]) for at in range(0, len(numbers), _READING))
