"""How long whoever failed to log in waits before the next try: for each account and each source.

Rule 1: nobody is locked out. A delay grows with each failure, never beyond 30 s, and fades by
itself. Trying while it lasts changes nothing.

Rule 2: a try is charged before the password is looked at, and given back if it succeeds. Charged
afterwards, a thousand tries at once would all find that there was no failure yet.

Rule 3: names that nobody has are counted like those of users, in the same table, so that nothing
tells them apart.

Rule 4: the table has a fixed size, whatever is tried. A name falls into one of its slots by a keyed
hash, so nobody can aim at another's slot; a full slot forgets what failed longest ago. Each failure
costs a bcrypt, so pushing another's out of the table takes longer than it takes to fade, on up to
32 cores.

The table is in the store: a restart, or another process, does not begin anew.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Final

from attrs import evolve, frozen

from hauberk.errors import StoreConflict
from hauberk.ports import Store
from hauberk.secret import Secret
from hauberk_plugins.auth.parts import StoreNow, WallNs

SLOTS: Final = 2_048
WAYS: Final = 64
_TRIES: Final = 10
_TAG_BYTES: Final = 12
_ENTRY: Final = Struct(f">{_TAG_BYTES}sIQ")
_MILLI: Final = 1_000
#: How far another machine's clock may be ahead before it is this one's that was set back: were
#: that nothing, whoever tries on two machines in turn would never wait.
_SKEW_MS: Final = 1_000


@frozen
class Rule:
    """How the delays of a kind grow and fade.

    Attributes:
        free: How many failures cost nothing.
        first_s: The delay after the first that does; each further one doubles it.
        cap_s: No delay is longer.
        fade_s: Seconds after the delay in which one failure is forgotten.
    """

    free: int
    first_s: float = 1.0
    cap_s: float = 30.0
    fade_s: float = 60.0

    def delay_s(self, failures: float) -> float:
        """How long to wait from the last failure on."""
        beyond = int(failures) - self.free
        # An exponent that is not bounded overflows.
        return min(self.cap_s, self.first_s * 2.0 ** min(beyond - 1, 64)) if beyond > 0 else 0.0

    @property
    def most(self) -> int:
        """Failures beyond which counting further would change nothing but how long they fade."""
        failures = self.free + 1
        while self.delay_s(failures) < self.cap_s:
            failures += 1
        return failures


@frozen
class Key:
    """Whom a failure is counted against.

    Attributes:
        kind: `account`, `source` or `device`.
        name: Which.
        rule: How its delay grows.
    """

    kind: str
    name: str
    rule: Rule


#: A person mistypes; an address has many people behind it.
ACCOUNT: Final = Rule(free=3)
SOURCE: Final = Rule(free=10)
DEVICE: Final = Rule(free=3)


def of_account(name: str) -> Key:
    """Whoever tries a name, from wherever."""
    return Key("account", name, ACCOUNT)


def of_source(source: str) -> Key:
    """Whatever is tried from one place; of IPv6, a /64 is one place, since one host has it all."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return Key("source", source, SOURCE)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return Key("source", str(address.ipv4_mapped), SOURCE)
        network = ipaddress.ip_network((int(address), 64), strict=False)
        return Key("source", str(network), SOURCE)
    return Key("source", str(address), SOURCE)


def of_device(token_hash: str) -> Key:
    """A known device, which waits for no failures but its own."""
    return Key("device", token_hash, DEVICE)


@frozen
class _Entry:
    """Failures of one key.

    Attributes:
        tag: Which key, by keyed hash.
        milli: Thousandths of failures, as of `at_ms`.
        at_ms: When the last was charged, wall clock.
    """

    tag: bytes
    milli: int
    at_ms: int

    def left(self, rule: Rule, now_ms: int) -> int:
        """Thousandths of failures that have not faded: they begin to when the delay is over."""
        quiet_ms = max(0.0, now_ms - self.at_ms - rule.delay_s(self.milli / _MILLI) * 1_000)
        return max(0, self.milli - int(quiet_ms / rule.fade_s))

    def wait_s(self, rule: Rule, now_ms: int) -> float:
        """Seconds left of the delay; beyond it by no more than clocks may differ."""
        passed_ms = now_ms - self.at_ms
        # Set back: until when to wait cannot be told, and waiting for the clock to come back
        # could take years. The failures still count.
        if passed_ms < -_SKEW_MS:
            return 0.0
        delay_s = rule.delay_s(self.milli / _MILLI)
        return max(0.0, delay_s - passed_ms / 1_000) if delay_s else 0.0


class Delays:
    """Counts failures and says how long to wait. May be used from any thread and process.

    Args:
        store: Where the table is kept.
        secret: The key of the hash by which names fall into slots, the same in every process;
            asked for once it is needed.
        wall_ns: Wall clock.
        slots: How many parts the table has.
        ways: How many keys each holds.
    """

    def __init__(
        self,
        store: StoreNow,
        secret: Callable[[], Secret],
        wall_ns: WallNs,
        *,
        slots: int = SLOTS,
        ways: int = WAYS,
    ) -> None:
        self._store = store
        self._secret = secret
        self._wall_ns = wall_ns
        self._slots = slots
        self._ways = ways

    def wait_s(self, keys: Iterable[Key]) -> float:
        """How long to wait before a try that counts against these keys; 0 where it may be made."""
        places = [self._place(key) for key in keys]
        found = self._store().get_many({name for name, _, _ in places})
        slots = {name: _unpacked(record.value) for name, record in found.items()}
        now_ms = self._now_ms()
        return max((self._wait_s(slots.get(n, []), t, r, now_ms) for n, t, r in places), default=0)

    def charge(self, keys: Iterable[Key]) -> float:
        """Count a try as a failure until it is forgiven.

        Returns:
            0, and it is charged; or how long to wait, and nothing is.
        """
        return self._change([self._place(key) for key in keys], add=_MILLI)

    def forgive(self, keys: Iterable[Key]) -> None:
        """Take back the charge of a try that succeeded; what others failed before it stays."""
        self._change([self._place(key) for key in keys], add=-_MILLI)

    def _change(self, places: Sequence[tuple[str, bytes, Rule]], add: int) -> float:
        for turn in range(_TRIES):
            try:
                with self._store().transaction() as store:
                    return self._changed(store, places, add)
            except StoreConflict:
                if turn == _TRIES - 1:
                    raise
        return 0.0

    def _changed(self, store: Store, places: Sequence[tuple[str, bytes, Rule]], add: int) -> float:
        records = store.get_many({name for name, _, _ in places})
        slots = {name: _unpacked(record.value) for name, record in records.items()}
        # Read here, where nobody else writes: or a clock read before another's charge would seem
        # to stand before it.
        now_ms = self._now_ms()
        if add > 0:
            waits = [self._wait_s(slots.get(n, []), t, r, now_ms) for n, t, r in places]
            if any(waits):
                return max(waits)
        for name, tag, rule in places:
            slots[name] = self._counted(slots.get(name, []), tag, rule, now_ms, add)
        for name, slot in slots.items():
            version = records[name].version if name in records else 0
            store.put(name, _packed(slot), version=version)
        return 0.0

    def _counted(
        self, slot: list[_Entry], tag: bytes, rule: Rule, now_ms: int, add: int
    ) -> list[_Entry]:
        """Count a try in a slot, which forgets the oldest where it is full."""
        entry = next((one for one in slot if one.tag == tag), None)
        others = [one for one in slot if one is not entry]
        if add < 0:
            if entry is None:
                return slot
            return [*others, evolve(entry, milli=max(0, entry.milli + add))]
        left = 0 if entry is None else entry.left(rule, now_ms)
        # What a clock that was ahead has dated would else be kept before all that comes after.
        others.sort(key=lambda one: one.at_ms if one.at_ms <= now_ms + _SKEW_MS else 0)
        del others[: max(0, len(others) + 1 - self._ways)]
        return [*others, _Entry(tag, min(left + add, rule.most * _MILLI), now_ms)]

    def _wait_s(self, slot: Sequence[_Entry], tag: bytes, rule: Rule, now_ms: int) -> float:
        return next((entry.wait_s(rule, now_ms) for entry in slot if entry.tag == tag), 0.0)

    def _place(self, key: Key) -> tuple[str, bytes, Rule]:
        """Which slot a key falls into, and its tag there."""
        named = f"{key.kind}\0{key.name}".encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._secret().reveal(), named, "sha256")
        slot = int.from_bytes(digest[:4]) % self._slots
        return f"delay/{slot:04x}", digest[4 : 4 + _TAG_BYTES], key.rule

    def _now_ms(self) -> int:
        return max(0, self._wall_ns() // 1_000_000)


def _packed(slot: Iterable[_Entry]) -> bytes:
    return b"".join(_ENTRY.pack(entry.tag, entry.milli, entry.at_ms) for entry in slot)


def _unpacked(value: bytes) -> list[_Entry]:
    # Cut short by whatever: what is whole in it counts, and nobody is kept out by the rest.
    whole = len(value) - len(value) % _ENTRY.size
    return [_Entry(*fields) for fields in _ENTRY.iter_unpack(value[:whole])]
