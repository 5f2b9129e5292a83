"""What a plugin broke: the rule, by which hook, given what, and what to do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import attrs

from hauberk.request import Operation, Request


class Rule(StrEnum):
    """The rules that `check_plugin` checks, in its order."""

    LOADS = "it can be loaded and started"
    NEVER_RAISES = "it never raises on a valid value"
    CHANGES_NOTHING = "it changes nothing that it was given"
    RETURNS = "it returns only what its hook may return and what it was granted"
    IN_TIME = "it stays within its time budget"
    DETERMINISTIC = "it is deterministic for a given clock"
    CHARGES_ONCE = "asked twice with one request id, it charges once"
    GIVES_BACK = "it gives back when the request did not leave"
    THREADS = "it is safe from several threads"


_REMEDIES: Final = {
    Rule.LOADS: "see `hauberk.hooks.Plugin` for what a plugin declares",
    Rule.NEVER_RAISES: "return Deny with a reason, or None, for every value that its type allows; "
    "parse what comes from outside as if an attacker had written it",
    Rule.CHANGES_NOTHING: "work on a copy; `request.amend(…)` makes one",
    Rule.RETURNS: "return what the docstring of the hook in `hauberk.hooks.Plugin` lists, or pass "
    "the grant that it needs: check_plugin(…, grants=[…])",
    Rule.IN_TIME: "compute ahead, cache, or move the work to on_response, on_end or a thread",
    Rule.DETERMINISTIC: "take time from context.clock alone, and let nothing be random or depend "
    "on the order of a set",
    Rule.CHARGES_ONCE: "keep charges in a dict by request.id; when asked again about an id that "
    "has its charge, answer None and change nothing",
    Rule.GIVES_BACK: "implement on_end: where left is False, forget all that on_request noted "
    "about request.id, whatever it answered",
    Rule.THREADS: "hold one lock from reading what a verdict depends on to noting the charge",
}


class ConformanceFailed(AssertionError):
    """A plugin breaks a rule of the contract.

    Attributes:
        plugin: The plugin's class.
        hook: Which hook broke it; empty where it is the plugin as a whole.
        rule: Which rule.
        why: What was seen.
        given: The value that it was seen with, or `None`.
        script: The smallest script found that leads there, as text; empty where none is needed.
    """

    def __init__(self, plugin: str, hook: str, rule: Rule, why: str, given: object = None) -> None:
        super().__init__(plugin, hook, rule, why, given)
        self.plugin = plugin
        self.hook = hook
        self.rule = rule
        self.why = why
        self.given = given
        self.script = ""

    def __str__(self) -> str:
        where = f"{self.plugin}.{self.hook}" if self.hook else self.plugin
        lines = [f"{where} breaks the rule: {self.rule}", f"  seen:  {self.why}"]
        given = "" if self.given is None else show(self.given)
        if given not in self.script:
            lines.append(f"  given: {given}")
        if self.script:
            lines.append("  after: " + self.script.replace("\n", "\n         "))
        return "\n".join([*lines, f"  to do: {_REMEDIES[self.rule]}"])


def show(value: object) -> str:
    """Describe a value that was made up, so nothing in it is secret, and short where it is long."""
    if isinstance(value, Request):
        return _show_request(value)
    if isinstance(value, tuple | list):
        return ", ".join(map(show, value))
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}… ({len(text)} characters)"


def image(value: object) -> object:
    """Copy a value to its depth, to compare it after a hook has had it in its hands."""
    if type(value) is Request:  # cannot be changed in place
        return value
    if isinstance(value, tuple | list):
        return (type(value), *map(image, value))
    if isinstance(value, dict):
        return tuple((image(key), image(item)) for key, item in value.items())
    if hasattr(value, "reveal"):
        return (type(value), value.reveal())
    kind = type(value)
    if attrs.has(kind):
        return (kind, *(image(getattr(value, a.name)) for a in attrs.fields(kind)))
    return value


def _show_request(request: Request) -> str:
    url = request.url if len(request.url) <= 80 else f"{request.url[:80]}…"
    parts = [repr(request.method), repr(url)]
    for name in ("params", "headers", "body"):
        if part := getattr(request, name):
            parts.append(f"{name}={part!r}")
    if request.account != "main":
        parts.append(f"account={request.account!r}")
    if request.operation is not Operation.UNKNOWN:
        parts.append(f"operation={request.operation.value}")
    return f"Request({', '.join(parts)})"
