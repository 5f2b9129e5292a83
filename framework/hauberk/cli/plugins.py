"""`hauberk plugins`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from attrs import asdict

from hauberk.cli.answer import Answer, listing, printable
from hauberk.cli.options import Options
from hauberk.counts import HookCounts, published
from hauberk.discovery import installed
from hauberk.leftfiles import is_running
from hauberk.opening import load
from hauberk.ownloop import made
from hauberk.plan import Plan, Planned
from hauberk.registry import BOTS, implementations
from hauberk.telling import told

if TYPE_CHECKING:
    from rich.console import RenderableType


def plugins(*, options: Options = Options()) -> Answer:
    """Show the plugins in order: where each is from, its hooks, calls and times.

    Calls and times are what running bots left in the state folder, every few
    seconds and at their end, added up. Nothing is started.

    For example:
        hauberk plugins
        hauberk plugins --json
    """
    plan = load(options.config)
    state = plan.settings.state_dir
    runs = list(published(state)) if state is not None else []
    document = {
        "plugins": list(_in_order(plan, [row for _, rows in runs for row in rows])),
        "skipped": [{"plugin": name, "reason": reason} for name, reason in plan.skipped],
        "processes": [{"pid": pid, "running": is_running(pid)} for pid, _ in runs],
        "installed": [
            {"distribution": name, "version": version, "plugins": list(names)}
            for name, version, names in installed()
        ],
    }
    return Answer(document, lambda: _drawn(document))


def _in_order(plan: Plan, counted: list[HookCounts]) -> Iterator[dict[str, Any]]:
    """Providers of ports first, then the one order with those of bots in their place."""
    by_name = {planned.name: planned for planned in plan.planned}
    unlisted = [name for name in by_name if name not in plan.order]
    for name in (*unlisted, *plan.order):
        if name == BOTS:
            for bot in dict.fromkeys(row.plugin for row in counted if row.plugin not in by_name):
                yield _described(bot, "bot", (), [], counted)
        elif name in by_name:
            planned = by_name[name]
            hooks, problem = _hooks(planned)
            described = _described(name, planned.origin, planned.grants, hooks, counted)
            yield {**described, "required": planned.required, "problem": problem}


def _hooks(planned: Planned) -> tuple[list[str], str]:
    """Return a plugin's hooks, or why it cannot be made."""
    try:
        return list(implementations(made(planned))), ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return [], f"it cannot be made: {told(error)}"


def _described(
    name: str, origin: str, grants: Iterable[str], hooks: list[str], counted: list[HookCounts]
) -> dict[str, Any]:
    mine = [row for row in counted if row.plugin == name]
    names = dict.fromkeys([*hooks, *(row.hook for row in mine)])
    return {
        "plugin": name,
        "distribution": origin,
        "required": False,
        "grants": sorted(grants),
        "hooks": [_sum(name, hook, [row for row in mine if row.hook == hook]) for hook in names],
        "problem": "",
    }


def _sum(plugin: str, hook: str, rows: list[HookCounts]) -> dict[str, Any]:
    """Add up what several processes counted of one hook."""
    timed = [row for row in rows if row.mean_us is not None]
    calls = sum(row.calls for row in timed)
    total_us = sum((row.mean_us or 0) * row.calls for row in timed)
    added = HookCounts(
        plugin,
        hook,
        sum(row.calls for row in rows),
        sum(row.failures for row in rows),
        sum(row.overruns for row in rows),
        round(total_us / calls, 2) if calls else None,
        max((row.worst_us or 0 for row in timed), default=None),
    )
    return {key: value for key, value in asdict(added).items() if key != "plugin"}


def _drawn(document: dict[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    rows: list[tuple[str | Text, ...]] = []
    for plugin in document["plugins"]:
        rows.append((Text(printable(plugin["plugin"]), style="bold"), _heading(plugin)))
        rows += [(f"  {hook['hook']}", _figures(hook)) for hook in plugin["hooks"]]
    return Group(listing(rows), Text(printable("\n".join(_notes(document)))))


def _heading(plugin: dict[str, Any]) -> str:
    origin = plugin["distribution"] + (", required" if plugin["required"] else "")
    granted = f"; granted {', '.join(plugin['grants'])}" if plugin["grants"] else ""
    wrong = f"; {plugin['problem']}" if plugin["problem"] else ""
    return f"{origin}{granted}{wrong}"


def _figures(hook: dict[str, Any]) -> str:
    if not hook["calls"]:
        return "no calls"
    parts = [f"{hook['calls']} calls"]
    parts += [f"{hook[what]} {what}" for what in ("failures", "overruns") if hook[what]]
    if hook["mean_us"] is not None:
        parts.append(f"mean {hook['mean_us']:g} µs, worst {hook['worst_us']:g} µs")
    return ", ".join(parts)


def _notes(document: dict[str, Any]) -> Iterator[str]:
    yield ""
    for skip in document["skipped"]:
        yield f"skipped: {skip['plugin']}: {skip['reason']}"
    loaded = {(plugin["distribution"], plugin["plugin"]) for plugin in document["plugins"]}
    for offer in document["installed"]:
        origin = f"{offer['distribution']} {offer['version']}"
        if rest := [name for name in offer["plugins"] if (origin, name) not in loaded]:
            names = ", ".join(rest)
            yield f"installed: {origin} offers {names}; only what `third_party:` names is loaded"
    if not document["processes"]:
        yield "No bot has left counts here yet: calls and times appear while one runs."
