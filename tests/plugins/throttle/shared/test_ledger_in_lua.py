"""The script in Redis and the rules in Python are the same rules."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from contextlib import closing

import pytest

from hauberk_plugins.throttle.shared.call import Ask, Call, Departure, Learned, Report
from hauberk_plugins.throttle.shared.fields import Fields
from hauberk_plugins.throttle.shared.ledger import Sitting
from hauberk_plugins.throttle.shared.redis_script import SCRIPT, Script
from hauberk_plugins.throttle.shared.shape import Shape

from .conftest import FULL, RedisServer

KINDS = ("rolling", "calendar", "decaying")
START_US = 1_700_000_000_000_000
#: What stands in the script for the server's clock, and for what depends on it: a test has its own.
CLOCK = b"local time = call('TIME')\nlocal raw = tonumber(time[1]) * 1000000 + tonumber(time[2])"
EXPIRY = b"'PX', floor(keep_us / 1000)"
STATE = ("last", "shift", "anchor", "lost", "jumped", "born", "clean", "kept")
METER = (
    *("grain", "total", "first", "last", "newest", "tat", "open", "sweep", "lost", "theirs"),
    *("told", "kept", "owners", "claims"),
)


class History:
    """Random calls of three owners on three meters."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.length = self.random.choice([1_000, 50_000, 1_000_000])
        self.jitter = self.random.choice([0, 0, self.length // 10, self.length * 2])
        self.shapes = [self._shape(name) for name in ("a/", "a/b/", "c/")]
        self.seqs = {"aa": 0, "bb": 0, "cc": 0}
        self.raw = START_US

    def _shape(self, name: str) -> Shape:
        length = self.length * self.random.choice([1, 7])
        size = self.random.randint(1, 30)
        return Shape(name, self.random.choice(KINDS), length, self.jitter, size)

    def step(self, shift: int) -> Call:
        draw, length = self.random, self.length
        self.raw += draw.choice([0, 1, length // 60, length // 10, length // 3, length, length * 3])
        if draw.random() < 0.1:
            self.raw -= draw.choice([1_000, 100_000, length])
        if draw.random() < 0.03:
            index = draw.randrange(3)
            self.shapes[index] = self._shape(self.shapes[index].name)
        owner = draw.choice(list(self.seqs))
        self.seqs[owner] += draw.random() < 0.95
        seq = self.seqs[owner] or 1
        used = draw.sample(self.shapes, draw.randint(1, 3))
        latest = self.raw + draw.choice([-5, 5]) if draw.random() < 0.1 else 0
        return Call(
            owner=owner,
            seq=seq,
            acked=draw.choice([0, 0, max(seq - 1, 0)]),
            lease_us=length * 2,
            reports=tuple(self._report(shape, seq) for shape in used),
            asks=self._asks(len(used)),
            claim=draw.choice(["x1", "x2", "x3"]) + owner,
            waited_us=draw.choice([0, length // 4]),
            claim_us=length // 5,
            ahead=draw.choice([0, 3]),
            grace_us=draw.choice([0, 0, 0, length]),
            learned=(
                (
                    Learned(
                        0, len(used) - 1 or -1, draw.randint(0, 40), draw.choice([0, length // 3])
                    ),
                )
                if draw.random() < 0.1
                else ()
            ),
            freezes=(
                ((draw.choice(["a/", "a/b/", "c/", "z/", ""]), length // 2),)
                if draw.random() < 0.05
                else ()
            ),
            is_look=draw.random() < 0.5,
            latest_us=latest,
            shift_us=shift if draw.random() < 0.9 else 7,
            stepped_us=draw.choice([0, 0, -500, -5 * length]) if latest else 0,
            is_lost=draw.random() < 0.03,
        )

    def _report(self, shape: Shape, seq: int) -> Report:
        draw = self.random
        departures = tuple(
            Departure(
                max(1, seq - draw.randint(0, 2)),
                draw.choice([0, 0, self.length // 20, self.length * 2]),
                draw.randint(1, 5),
            )
            for _ in range(draw.choice([0, 0, 1, 2]))
        )
        dropped = ("x1aa",) if draw.random() < 0.1 else ()
        return Report(shape, draw.randint(0, 6), departures, dropped)

    def _asks(self, reports: int) -> tuple[Ask, ...]:
        draw = self.random
        if draw.random() < 0.1:
            return ()
        if reports == 3 and draw.random() < 0.5:
            return (Ask(0, draw.randint(0, 8), 2), Ask(1, draw.randint(0, 8)))
        return tuple(Ask(index, draw.randint(0, 8)) for index in range(reports))


def said(fields: Mapping[str, int | str]) -> dict[str, int | str]:
    """What a record says: nothing and 0 are the same, and Redis alone forgets by itself."""
    return {
        name: value for name, value in fields.items() if name != "kept" and value not in (0, "")
    }


def numbers(names: tuple[str, ...], record: bytes) -> dict[str, int]:
    return dict(zip(names, struct.unpack_from(f"<{len(names)}q", record), strict=True))


def state_of(record: dict[bytes, bytes]) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    for name, value in record.items():
        if name == b"ledger":
            found |= numbers(STATE, value)
        elif name == b"frozen":
            found["frozen"] = value.decode()
        else:
            seq, heard = struct.unpack("<qq", value)
            found[name.decode()] = f"{seq}:{heard}"
    return found


def meter_of(record: bytes | None) -> dict[str, int | str]:
    if record is None:
        return {}
    found: dict[str, int | str] = dict(numbers(METER, record))
    owners_at = 8 * len(METER)
    claims_at = owners_at + found.pop("owners")
    buckets_at = claims_at + found["claims"]
    newest = found.pop("newest")
    found["claims"] = record[claims_at:buckets_at].decode()
    for part in record[owners_at:claims_at].decode().split(";")[:-1]:
        name, _, amount = part.partition("=")
        found[f"@{name}"] = int(amount)
    if found["total"]:
        amounts = [amount for (amount,) in struct.iter_unpack("<q", record[buckets_at:])]
        first = found["first"]
        found |= {f"#{first + i}": amount for i, amount in enumerate([*amounts, newest])}
    else:
        assert len(record) == buckets_at
    return found


@pytest.mark.parametrize("block", range(10 if FULL else 1))
def test_the_script_answers_and_keeps_what_the_rules_say(server: RedisServer, block: int) -> None:
    assert CLOCK in SCRIPT
    assert EXPIRY in SCRIPT
    source = SCRIPT.replace(CLOCK, b"local raw = tonumber(redis.call('GET', 'clock'))")
    script = Script("test")
    with closing(server.client()) as client:
        connection = client.connection_pool.get_connection()
        connection.send_command("SCRIPT LOAD", source.replace(EXPIRY, b"'KEEPTTL'"))
        sha = connection.read_response()
        for seed in range(40 * block, 40 * block + 40):
            client.flushdb()
            state: Fields = {}
            meters: dict[str, Fields] = {}
            history = History(seed)
            for _ in range(60):
                call = history.step(int(state.get("shift", 0)))
                expected = Sitting(state, meters, call, history.raw).answer()
                client.set("clock", history.raw)
                connection.send_packed_command([script.command(call, b"EVALSHA", sha)])
                assert script.answer(call, connection.read_response()) == expected, (seed, call)
                assert said(state_of(client.hgetall(script.state_key))) == said(state), seed
                for name, fields in meters.items():
                    kept = meter_of(client.get(script.begins + name.encode()))
                    assert said(kept) == said(fields), (seed, name)
        client.connection_pool.release(connection)


def test_every_key_expires_and_is_in_one_slot_of_a_cluster(server: RedisServer) -> None:
    script, shape = Script("test"), Shape("a/", "rolling", 60_000_000, 0, 5)
    with closing(server.client()) as client:
        connection = client.connection_pool.get_connection()
        call = Call("aa", 1, reports=(Report(shape),), asks=(Ask(0, 1),), claim="aa1")
        connection.send_packed_command([script.command(call, b"EVAL", SCRIPT)])
        script.answer(call, connection.read_response())
        client.connection_pool.release(connection)
        keys = client.keys("*")
        assert sorted(keys) == [b"{test}:meter:a/", b"{test}:state"]
        # For longer than anything in them can matter, and not for ever.
        assert 120_000 < client.pttl(b"{test}:meter:a/") < 3_600_000
        assert 30 * 86_400_000 < client.pttl(b"{test}:state") < 32 * 86_400_000


def test_a_window_that_becomes_longer_is_kept_for_longer(server: RedisServer) -> None:
    script = Script("test")
    with closing(server.client()) as client:
        connection = client.connection_pool.get_connection()
        for seq, length in enumerate((1_000_000, 86_400_000_000), start=1):
            shape = Shape("a/", "rolling", length, 0, 5)
            call = Call("aa", seq, reports=(Report(shape),), asks=(Ask(0, 1),), claim="aa1")
            connection.send_packed_command([script.command(call, b"EVAL", SCRIPT)])
            script.answer(call, connection.read_response())
        client.connection_pool.release(connection)
        assert client.pttl(b"{test}:meter:a/") > 86_400_000
