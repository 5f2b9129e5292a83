"""A login for a user there is beside one for a user there is not, and what a flood costs the bot.

The first figures are refusals of `guard.login` at bcrypt's real cost, taken in turn: a wrong
password for a known user, and for an unknown one, a disabled one, and one whose hash is from before
the cost was raised. An attacker must not tell them apart. They are in time of the processor, so
that what else runs on the machine is no part of them. The last are `guard.clear` while threads log
in as fast as they are turned away, beside the same in quiet.
"""

import secrets
import statistics
import threading
import time
from itertools import count

from hauberk import Denied, Login, Request, Secret
from hauberk.guard import Guard
from hauberk.testing import DEFAULT_URL, FakeClock, MemoryStore, Providers, make_guard
from hauberk_plugins.auth.passwords import COST, PasswordHasher
from hauberk_plugins.auth.peppers import Peppers
from hauberk_plugins.auth.plugin import AuthConfig, AuthPlugin
from hauberk_plugins.auth.user_auth import UserAuth

from _rounds import figure

ROUNDS = 25
CLEARS_S = 3.0
FLOOD = 8
#: Between one login of a flooder and the next.
PAUSE_S = 0.01
PASSWORD, WRONG = Secret("a heron stands in cold water"), Secret("seven lanterns under a bridge")
GRANTS = {"auth": ["authenticate", "sealed", "store"]}
SOURCES = count()


def main() -> None:
    clock, ports, plugin = FakeClock(), Providers(), AuthPlugin(AuthConfig())
    with make_guard(("auth", plugin), clock=clock, providers=ports, grants=GRANTS) as guard:
        plugin.auth.create("known", PASSWORD)
        plugin.auth.create("disabled", PASSWORD)
        plugin.auth.disable("disabled")
        older(ports.sealed.scoped("auth"), clock).create("older", PASSWORD)
        refused(guard, clock, "known")  # what is imported late is there
        for name in ("unknown", "disabled", "older"):
            known, other = in_turn(guard, clock, "known", name)
            what = f"login refused, known user (peer: {name})"
            figure(what, known * 1e3, "ms CPU", f"{name} user", other * 1e3, "0.95..1.05")
        flood(guard)


def older(store: MemoryStore, clock: FakeClock) -> UserAuth:
    """Users as they were made before the cost was raised by two."""
    peppers = Peppers(lambda: store, secrets.token_bytes)
    hasher = PasswordHasher(peppers, secrets.token_bytes, COST - 2)
    return UserAuth(lambda: store, hasher, clock.wall_ns)


def in_turn(guard: Guard, clock: FakeClock, *names: str) -> list[float]:
    """Have each refused in turn, each round in the other order; the medians of seconds."""
    took: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(ROUNDS):
        for name in names if turn % 2 else reversed(names):
            began = time.thread_time()
            refused(guard, clock, name)
            took[name].append(time.thread_time() - began)
    return [statistics.median(took[name]) for name in names]


def refused(guard: Guard, clock: FakeClock, name: str) -> None:
    """Be refused, with no failure before it that would be waited for."""
    clock.advance(3_600)
    try:
        guard.login(Login(name, WRONG, source="198.51.100.1"))
    except Denied:
        return
    raise SystemExit("a wrong password was let in")


def flood(guard: Guard) -> None:
    quiet = clears(guard)
    stop = threading.Event()
    threads = [threading.Thread(target=flooder, args=(guard, stop)) for _ in range(FLOOD)]
    for thread in threads:
        thread.start()
    flooded = clears(guard)
    stop.set()
    for thread in threads:
        thread.join()
    for name, value, peer in zip(("median", "99th"), flooded, quiet, strict=True):
        what = f"clear while {FLOOD} threads log in, {name}"
        figure(what, value * 1e6, "us", f"clear in quiet, {name}", peer * 1e6, "<= 2")


def flooder(guard: Guard, stop: threading.Event) -> None:
    while not stop.wait(PAUSE_S):
        n = next(SOURCES)
        try:
            guard.login(Login(f"user-{n}", WRONG, source=f"source-{n}"))
        except Denied:
            continue


def clears(guard: Guard) -> tuple[float, float]:
    """Return the median and the 99th percentile of seconds that `clear` takes."""
    took = []
    ends = time.perf_counter() + CLEARS_S
    while (began := time.perf_counter()) < ends:
        guard.clear(Request("POST", DEFAULT_URL))
        took.append(time.perf_counter() - began)
    return statistics.median(took), statistics.quantiles(took, n=100)[-1]


if __name__ == "__main__":
    main()
