"""The commands `hauberk notify test`, `outbox`, `retry` and `put`."""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from hauberk.cli import Answer, Options, UsageError, table
from hauberk.command import Command, started
from hauberk.errors import InvalidValue
from hauberk.prompts import Prompts
from hauberk.secret import Secret
from hauberk_plugins.notify.entry import Entry
from hauberk_plugins.notify.errors import NoSuchRoute, OutboxFailed
from hauberk_plugins.notify.reference import check_url
from hauberk_plugins.notify.templates import moment, trial_message

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hauberk_plugins.notify.delivery import Delivery
    from hauberk_plugins.notify.plugin import NotifyPlugin

_DEFAULTS: Final = Options()
_NAME: Final = "notify"
_MAX_URL: Final = 16 * 1024


@frozen
class Tried:
    """What came of one message."""

    route: str
    sent: bool
    why: str
    took_s: float
    entry: str = ""


def try_routes(*, route: str = "", options: Options = _DEFAULTS) -> Answer:  # noqa: D417
    """Send a message through each route, all at once, and say what came of it.

    It says that nothing has happened. The exit status is 1 where one was not
    taken. Nothing is tried again.

    For example:
        hauberk notify test
        hauberk notify test --route pager --json

    Args:
        route: Only this one.
    """
    with started(options.config, _NAME) as running:
        plugin: NotifyPlugin = running.plugin
        names = _named(plugin, route)
        message = trial_message(plugin.where, time.time_ns())
        with ThreadPoolExecutor(max_workers=min(len(names), 16) or 1) as pool:
            tried = list(pool.map(lambda name: _timed(plugin, name, message), names))
    is_good = bool(tried) and all(one.sent for one in tried)
    return Answer(_document(tried), lambda: _tried(tried), ok=is_good)


def outbox(*, dead: bool = False, options: Options = _DEFAULTS) -> Answer:  # noqa: D417
    """List the messages that are not sent yet, the worst first.

    For example:
        hauberk notify outbox
        hauberk notify outbox --dead --json

    Args:
        dead: Those that were given up instead.
    """
    with started(options.config, _NAME, is_recorded=False) as running:
        plugin: NotifyPlugin = running.plugin
        box = _delivery(plugin).outbox
        found = box.entries(dead=dead)
        held = {} if dead else {name: box.held(one) for name, one in plugin.routes.items()}
    counted = {name: count for name, count in held.items() if count}
    document = {"entries": [_told(one) for one in found], "counted": counted}
    return Answer(document, lambda: _listed(found, counted, dead=dead))


def retry(  # noqa: D417
    entry: str = "", /, *, all_: bool = False, options: Options = _DEFAULTS
) -> Answer:
    """Send messages now that were given up, or are to be tried later.

    The exit status is 1 where one was not taken; it is then tried again later.

    For example:
        hauberk notify retry 1f00ba54
        hauberk notify retry --all

    Args:
        entry: The id of a message, as `hauberk notify outbox` lists it.
        all_: All that were given up.
    """
    if bool(entry) == all_:
        raise UsageError("name one message, or all that were given up: retry ID, or --all")
    with started(options.config, _NAME) as running:
        plugin: NotifyPlugin = running.plugin
        box = _delivery(plugin)
        ids = [one.id for one in box.outbox.entries(dead=True)] if all_ else [entry]
        renewed = [box.outbox.retry(one, time.time_ns()) for one in ids]
        tried = _sent(plugin, box, renewed)
    return Answer(_document(tried), lambda: _tried(tried), ok=all(one.sent for one in tried))


def put(name: str, /, *, options: Options = _DEFAULTS) -> Answer:  # noqa: D417
    """Seal a route's URL and keep it under a name, in place of what is there.

    The URL is asked for on a terminal, without an echo; else all of stdin is
    read. A route refers to it as `to: vault:NAME`.

    For example:
        hauberk notify put pager
        printf %s "$URL" | hauberk notify put pager

    Args:
        name: Any text.
    """
    value = Prompts().content(f"URL of {name!a}", _MAX_URL)
    url = Secret(value.reveal().strip())
    check_url(name, url)
    with started(options.config, _NAME) as running:
        version = running.plugin.keep(name, url)
    told = f"{name!a}: version {version} is kept; refer to it as `to: vault:{name}`"
    return Answer({"name": name, "version": version}, told)


def _named(plugin: NotifyPlugin, route: str) -> list[str]:
    if route and route not in plugin.routes:
        raise NoSuchRoute(route, plugin.routes)
    if not plugin.routes:
        raise InvalidValue("there are no routes: add some under `notify.routes`")
    return [route] if route else list(plugin.routes)


def _delivery(plugin: NotifyPlugin) -> Delivery:
    if plugin.durable is None:
        raise OutboxFailed("nothing is kept: grant `store` to notify, and name its provider")
    return plugin.durable


def _timed(plugin: NotifyPlugin, route: str, message: Any) -> Tried:
    began = time.monotonic()
    why = plugin.attempt(route, message)
    return Tried(route, not why, why, round(time.monotonic() - began, 3))


def _sent(plugin: NotifyPlugin, box: Delivery, entries: list[Entry]) -> list[Tried]:
    """Have them sent as a guard would, and wait for that."""
    began = time.monotonic()
    for route in {one.route for one in entries}:
        box.hurry(route)
    box.is_idle(plugin.config.timeout_s * len(entries) + 5)
    results = box.results([one.id for one in entries], 0)
    took = round(time.monotonic() - began, 3)
    later = "it waits behind another, and is tried later"
    return [
        Tried(one.route, results.get(one.id) == "", results.get(one.id, later), took, one.id)
        for one in entries
    ]


def _document(tried: list[Tried]) -> dict[str, Any]:
    return {
        "routes": [
            {
                "route": one.route,
                "sent": one.sent,
                "why": one.why,
                "took_s": one.took_s,
                **({"entry": one.entry} if one.entry else {}),
            }
            for one in tried
        ],
        "sent": all(one.sent for one in tried),
    }


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "route": entry.route,
        "severity": entry.severity.name,
        "title": entry.title,
        "incident": entry.incident,
        "made": moment(entry.made_ns),
        "next": moment(entry.next_ns),
        "expires": moment(entry.expires_ns),
        "attempts": entry.attempts,
        "why": entry.why,
    }


def _tried(tried: list[Tried]) -> RenderableType:
    if not tried:
        return "nothing was given up"
    rows = [
        (one.route, "sent" if one.sent else "FAILED", f"{one.took_s:.1f} s", one.why)
        for one in tried
    ]
    return table("", ("route", "what", "took", "why"), rows)


def _listed(found: list[Entry], counted: dict[str, int], *, dead: bool) -> RenderableType | str:
    if not found and not counted:
        return "nothing was given up" if dead else "nothing waits"
    rows = [
        (one.id, one.route, one.title, moment(one.made_ns), str(one.attempts),
         "" if dead else moment(one.next_ns), one.why)
        for one in found
    ]  # fmt: skip
    rows += [("", name, f"{count:,} incidents counted, to be told in one message", "", "", "", "")
             for name, count in counted.items()]  # fmt: skip
    return table("", ("id", "route", "title", "made", "tries", "next", "why"), rows)


_GROUP: Final = "Who is told of incidents, and what waits to be sent."
COMMANDS: Final = (
    Command("notify test", try_routes, "incident.report", group=_GROUP),
    Command("notify outbox", outbox, "audit.read"),
    Command("notify retry", retry, "incident.report"),
    Command("notify put", put, "vault.write"),
)
