"""A call of the ledger as a Redis command, and its answer."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from struct import Struct, pack
from typing import Final

from hauberk_plugins.throttle.shared.call import Answer, Call, Reading, Status

#: One script, by subject: each file uses what those before it define.
_FILES: Final = ("call.lua", "meter.lua", "claims.lua", "ledger.lua")
_FOLDER: Final = files(__package__).joinpath("lua")
SCRIPT: Final = b"".join(_FOLDER.joinpath(name).read_bytes() for name in _FILES)
SHA: Final = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest().encode()
_ANSWER: Final = Struct("<6q")
_READING: Final = Struct("<5q")


class Script:
    """Writes calls under one prefix.

    Args:
        prefix: What every key begins with. Put in braces, it is what a cluster hashes: all keys are
            in one slot, since one request is charged in several windows at once.
    """

    def __init__(self, prefix: str) -> None:
        self.state_key = f"{{{prefix}}}:state".encode()
        self.begins = f"{{{prefix}}}:meter:".encode()

    def command(self, call: Call, verb: bytes = b"EVALSHA", script: bytes = SHA) -> bytes:
        """Write a call as Redis reads it: an array of bulk strings."""
        parts = [
            *(verb, script, b"%d" % (1 + len(call.reports)), self.state_key),
            *[self.begins + report.shape.record for report in call.reports],
            *(call.owner.encode(), call.claim.encode(), _numbers(call, len(self.begins))),
        ]
        for report in call.reports:
            if report.dropped:
                parts += [name.encode() for name in report.dropped]
        if call.freezes:
            parts += [prefix.encode() for prefix, _ in call.freezes]
        written = [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
        return b"*%d\r\n%b" % (len(parts), b"".join(written))

    def answer(self, call: Call, reply: object) -> Answer:
        """Read the answer.

        Raises:
            ValueError: It is none.
        """
        if type(reply) is not bytes or len(reply) < _ANSWER.size:
            raise ValueError("the answer is no list of numbers")
        status, wait, bits, raw, shift, ahead = _ANSWER.unpack_from(reply)
        rest = reply[_ANSWER.size :]
        is_possible = (
            len(rest) in (0, _READING.size * len(call.reports))
            and wait >= 0
            and 0 <= bits < 1 << len(call.asks)
            and 0 <= ahead <= call.ahead
        )
        if not is_possible:
            raise ValueError("the answer is not one of the ledger's")
        return Answer(Status(status), wait, bits, raw, shift, ahead, _readings(rest))


def _numbers(call: Call, begins: int) -> bytes:
    """Pack what a call says, in the order in which the script reads it."""
    numbers: list[int] = [
        *(call.seq, call.acked, call.lease_us, call.waited_us, call.claim_us, call.ahead),
        *(call.grace_us, call.latest_us, call.shift_us, call.stepped_us, call.is_lost),
        *(call.is_look, len(call.reports), len(call.asks), len(call.learned)),
        *(len(call.freezes), begins),
    ]
    for shape, open_, departures, dropped in call.reports:
        numbers += shape.numbers
        numbers += (open_, len(departures), len(dropped))
        for departure in departures:
            numbers += departure
    for ask in call.asks:
        numbers += ask
    for learned in call.learned:
        numbers += learned
    numbers += [length for _, length in call.freezes]
    return pack(f"<{len(numbers)}d", *numbers)


def _readings(packed: bytes) -> tuple[Reading, ...]:
    return tuple(Reading(*numbers) for numbers in _READING.iter_unpack(packed))
