"""What tests run as a process of its own, to kill it or to take its disk away.

report CONFIG        reports an incident and prints what notification did
full CONFIG          the same, on a disk that takes nothing more
write CONFIG         puts messages in and marks some as sent, for ever, printing what it has done
"""

from __future__ import annotations

import resource
import signal
import sys
import time
from itertools import count

import hauberk
from hauberk.command import started
from hauberk.records import Incident, Severity
from hauberk_plugins.notify.routing import Route
from hauberk_plugins.notify.templates import Message


def report(config: str, *, full: bool = False) -> None:
    with hauberk.open(config) as guard:
        if full:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        incident = guard.report("keys are gone", Severity.CRITICAL)
        did = [one.did for one in incident.outcomes if one.plugin == "notify"]
        say(*did)


def write(config: str) -> None:
    with started(config, "notify", is_recorded=False) as running:
        box = running.plugin.durable.outbox
        for number in count():
            route = Route(f"r{number % 3}", Severity.LOW, digest_ns=1)
            made = Incident(f"inc-{number}", f"{number}", Severity.CRITICAL, "bot", number)
            message = Message(f"{number}", "body", Severity.CRITICAL)
            entry = box.admit(route, made, lambda m=message: m, time.time_ns() + number * 10**9)  # type: ignore[misc]
            if entry is not None:
                say("in", entry.id)
            if number % 2 and (leased := box.lease(route.name, time.time_ns())) is not None:
                say("sent", leased.entry.id)
                box.sent(leased)


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    what, where = sys.argv[1:]
    write(where) if what == "write" else report(where, full=what == "full")
