"""A process that sends one message through apprise and ends: run as a script, never imported.

Its own process, because a server that drips a byte a second, or a library that hangs, can be ended
for certain in no other way; and because what apprise and its libraries log holds URLs with secrets.
What it says of a failure is made of fixed words and a number, so that nothing of the URL, the
message or the server's answer can be in it.

It reads one JSON object on stdin, with `path` (of modules), `timeout_s` and either `check`, URLs to
look at, or `url`, `title` and `body`; and writes one on stdout. It imports nothing of Hauberk.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import re
import resource
import signal
import sys
from typing import Any

#: What stands in the log of apprise and its libraries, and what is said of it; the first counts.
REASONS = (
    (r"certificate", "its certificate is not one that this machine trusts"),
    (r"refused|errno 111", "the connection was refused"),
    (
        r"name or service|getaddrinfo|name resolution|nameresolution|no address",
        "the host was not found",
    ),
    (r"timed out|timeout", "it did not answer in time"),
    (
        r"reset by peer|aborted|disconnected|unexpectedly closed|broken pipe|errno 104|eof occ",
        "the connection broke off",
    ),
    (r"unreachable|no route", "the network does not lead there"),
    (r"ssl|tls", "no secure connection came about"),
)
#: A status of HTTP, or of SMTP as it stands in the text of its errors.
STATUS = re.compile(r"error=([1-5]\d\d)\b|\(([45]\d\d), b['\"]")


class Heard(logging.Handler):
    """Keeps what is logged, to be judged and thrown away."""

    def __init__(self) -> None:
        super().__init__(0)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if len(self.lines) < 1_000:
            self.lines.append(record.getMessage()[:4_000])


def reason(lines: list[str]) -> str:
    """Say why it failed, in fixed words."""
    text = "\n".join(lines)
    if found := STATUS.search(text):
        return f"the server answered {next(filter(None, found.groups()))}"
    for pattern, said in REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return said
    return "apprise could not send it, and does not say why"


def asset() -> Any:
    """Return how apprise is to behave: nothing kept on the disk, nothing made, nothing parallel."""
    import apprise

    made = apprise.AppriseAsset(storage_mode="memory", secure_logging=True)
    made.app_id, made.app_desc, made.app_url = "Hauberk", "Hauberk", ""
    made.async_mode = made.pgp_autogen = made.pem_autogen = False
    return made


def send(url: str, title: str, body: str) -> dict[str, Any]:
    """Send a message; what is longer than the service takes is cut."""
    import apprise

    heard = Heard()
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).addHandler(heard)
        logging.getLogger(name).setLevel(1)
    service = apprise.Apprise.instantiate(url, asset=asset())
    if service is None:
        return {"why": "apprise cannot read its URL"}
    service.overflow_mode = apprise.OverflowMode.TRUNCATE
    sender = apprise.Apprise(asset=asset())
    sender.add(service)
    sent = sender.notify(body, title=title, body_format=apprise.NotifyFormat.TEXT)
    return {"why": "" if sent else reason(heard.lines)}


def check(urls: list[str]) -> dict[str, Any]:
    """Look at URLs: whether apprise knows the scheme, and can read the rest."""
    import apprise
    from apprise.manager_plugins import NotificationManager

    schemes = sorted(NotificationManager().schemas())  # type: ignore[no-untyped-call]
    found = []
    for url in urls:
        scheme = url.partition("://")[0].lower()
        is_known = "://" in url and scheme in schemes
        near = [] if is_known else difflib.get_close_matches(scheme[:40], schemes, n=1)
        service = apprise.Apprise.instantiate(url, asset=asset()) if is_known else None
        found.append({"scheme": is_known, "near": near, "url": service is not None})
    return {"checked": found}


def main() -> None:
    """Do what stdin says."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump of memory would hold the URL
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    asked = json.load(sys.stdin.buffer)
    # Whoever started it may be gone: nobody else would end it then.
    signal.setitimer(signal.ITIMER_REAL, asked["timeout_s"])
    # What this interpreter has by itself comes first: a bot's folder may hold a `queue.py`.
    sys.path += [part for part in asked["path"] if part not in sys.path]
    try:
        if "check" in asked:
            answer = check(asked["check"])
        else:
            answer = send(asked["url"], asked["title"], asked["body"])
    except ModuleNotFoundError as error:
        is_missing = error.name == "apprise"
        answer = {"missing": is_missing, "why": f"a module is missing: {error.name}"}
    except Exception as error:  # of a service's own code; its text may quote the URL
        answer = {"why": f"apprise failed: {type(error).__name__}"}
    json.dump(answer, answers)
    answers.close()


if __name__ == "__main__":
    main()
