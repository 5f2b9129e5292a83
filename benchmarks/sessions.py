"""Validating sessions, 100,000 of them live, beside a bare dictionary of hashes.

The peer does what no session can do without: hash the token and look it up. What is more is what
limits, revocation from elsewhere and the last use cost.
"""

import secrets
import time
from hashlib import sha256

from hauberk.testing import MemoryStore
from hauberk_plugins.auth.bearer import SESSION, make, owner_key
from hauberk_plugins.auth.session_record import Instant, SessionLimits, SessionRecord, name_of
from hauberk_plugins.auth.sessions import SessionManager

from _rounds import figure, in_turn

LIVE = 100_000
CALLS = 20_000
LIMITS = SessionLimits(total=LIVE)


def main() -> None:
    store = MemoryStore()
    sessions = SessionManager(
        lambda: store, time.time_ns, time.monotonic_ns, secrets.token_bytes, LIMITS
    )
    tokens, peer = [], {}
    now = Instant(time.time_ns(), time.monotonic_ns(), "")
    for number in range(LIVE):
        user = f"user-{number}"
        token, known = make(SESSION, owner_key(user), secrets.token_bytes)
        record = SessionRecord(user, ("trader",), "", now.wall_ns, 0, now)
        store.put(name_of(0, known), record.to_bytes())
        tokens.append(token)
        peer[sha256(token.reveal()).digest()] = user
    secrets.SystemRandom().shuffle(tokens)
    began = time.perf_counter()
    assert all(sessions.validate_session(token) is not None for token in tokens)
    first = LIVE / (time.perf_counter() - began)

    def all_of(look_up):
        # A token after the other, as they come from as many clients: no cache is warm for one.
        turn = iter(tokens * 20)
        return lambda: look_up(next(turn))

    value, peer_value = in_turn(
        all_of(sessions.validate_session),
        all_of(lambda token: peer.get(sha256(token.reveal()).digest())),
        CALLS,
    )
    figure(
        f"validate_session, {LIVE} live", 1 / value, "1/s", "dict of SHA-256", 1 / peer_value,
        "value >= 50000",
    )  # fmt: skip
    figure(
        f"validate_session, {LIVE} live, the first time", first, "1/s", "dict of SHA-256",
        1 / peer_value, "reported",
    )  # fmt: skip


if __name__ == "__main__":
    main()
