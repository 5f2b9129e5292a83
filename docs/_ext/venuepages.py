"""A page for a venue, made from its file: text in, Markdown out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tables import table
from venueemergencies import emergencies_part
from venuelimits import limits_part
from venueorders import orders_part

_SPOKEN = {
    "text": "is used as it is",
    "base64": "is base64, and decoded",
    "nothing": "stay in the caller's order",
    "params": "are sorted by name",
    "all": "are sorted by name, with what signing adds",
}
_MEANINGS = {
    "skew": "a clock differs too much",
    "revoked": "the key is unknown, revoked, or not for this address",
    "throttled": "too many requests",
    "banned": "shut out for a time",
}


def venue_page(name: str) -> str:
    """Return what a venue's file says, for people."""
    from hauberk.yamlfile import load_yaml
    from hauberk_plugins.venues.catalogue import BUILT_IN

    path = BUILT_IN / f"{name}.yml"
    data = load_yaml(path).data
    parts = [
        _about(path),
        f"In `hauberk.yml`: `venue: {name}`.",
        "## Where\n\n" + "\n".join(f"- `{base}`" for base in data["base_urls"]),
        _signing(data["signing"], data),
        limits_part(data.get("limits", {})),
        orders_part(data.get("orders", {})),
        _answers(data),
        emergencies_part(data.get("emergency", {})),
        _operations(data["operations"]),
    ]
    return "\n\n".join(part for part in parts if part)


def venue_names() -> list[str]:
    """Every built-in venue."""
    from hauberk_plugins.venues.catalogue import VenueCatalogue

    return list(VenueCatalogue().names())


def _about(path: Path) -> str:
    """The comment at the top of the file."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def _signing(signing: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    if "scheme" in signing:
        return f"## Signing\n\nA scheme in code: `{signing['scheme']}`."
    algorithms = ", ".join(f"`{name}` ({output})" for name, output in signing["algorithms"].items())
    sorts = "nothing"
    if data.get("sorted"):
        sorts = "all" if signing.get("sorts_added") else "params"
    rows = [
        ("algorithm, and how a signature is written", algorithms),
        ("a secret text", _SPOKEN[signing.get("secret", "text")]),
        (
            "parameters go into",
            ", ".join(f"`{method}`: {where}" for method, where in signing["place"].items()),
        ),
        ("parameters", _SPOKEN[sorts]),
        ("what is signed", f"`{_one_line(signing['message'])}`"),
        ("time", f"`{signing.get('timestamp', 'ms')}`"),
    ]
    if nonce := signing.get("nonce"):
        kind = "a random UUID" if nonce == "uuid" else f"rising, in `{nonce}`"
        rows.append(("nonce", kind))
    for name, digest in signing.get("digests", {}).items():
        rows.append((f"`{{{name}}}`", f"{digest['hash']} of `{_one_line(digest['of'])}`"))
    for name, value in signing.get("headers", {}).items():
        rows.append((f"header `{name}`", f"`{_one_line(str(value))}`"))
    for place in ("before", "after"):
        for one in signing.get(place, ()):
            optional = ", unless the caller gives it" if one.get("optional") else ""
            rows.append((f"parameter `{one['param']}`", f"`{one['value']}`{optional}"))
    if "signature" in signing:
        rows.append(("the signature", f"parameter `{signing['signature']['param']}`, last"))
    notes = [_bound(signing)]
    if "raw_query" in signing["message"]:
        notes.append(
            "The exchange signs queries **unescaped**: `a=1&b=2` would be signed alike as one "
            "parameter or two. So a parameter that holds `&` is refused here, which leaves one "
            "reading."
        )
    if pairs := _run_together(signing["message"]):
        notes.append(
            f"The exchange signs with **nothing between** {pairs}: one signed string can be read "
            "as more than one request. Who verifies must look at the time, look the path up among "
            "the operations below, and know the names of its parameters."
        )
    if unsigned := signing.get("unsigned"):
        places = " and ".join(f"`{place}`" for place in unsigned)
        notes.append(f"The exchange signs **nothing of what goes into** {places}.")
    if "{concat}" in signing["message"]:
        notes.append(
            "The exchange signs names and values **joined without a sign between them**: other "
            "lists of parameters may be signed alike. What is sent is not."
        )
    return "## Signing\n\n" + table(("", ""), rows) + "\n\n" + "\n\n".join(notes)


def _run_together(message: str) -> str:
    from hauberk_plugins.signing.binding import run_together
    from hauberk_plugins.signing.template import Template

    return ", ".join(f"`{{{one}}}` and `{{{two}}}`" for one, two in run_together(Template(message)))


def _bound(signing: Mapping[str, Any]) -> str:
    said = signing["message"] + "".join(one["of"] for one in signing.get("digests", {}).values())
    whole = ("{path}", "{tail}", "{envelope}")
    if any(token in said for token in whole):
        return "The signature binds the path."
    if "jwt" in said:
        return "The signature binds method, host and path, and **neither parameters nor body**."
    return (
        "The signature does **not** bind the path: whoever may have strings signed may do anything "
        "that the key may. So Hauberk never signs a string, only a request that it has judged."
    )


def _answers(data: Mapping[str, Any]) -> str:
    rows = []
    for name, signs in data.get("errors", {}).items():
        if name == "field":
            continue
        said = [f"HTTP {status}" for status in signs.get("status", ())]
        said += [f"code `{code}`" for code in signs.get("code", ())]
        rows.append((f"`{name}`", _MEANINGS[name], ", ".join(said)))
    parts = ["## Answers"]
    if rows:
        parts.append(table(("", "means", "is told by"), rows))
    if "server_time" in data:
        time = data["server_time"]
        parts.append(f"It tells its time at `{time['endpoint']}`, in `{time['field']}`.")
    if "key_check" in data:
        parts.append(f"`hauberk keys check` asks `{data['key_check']['endpoint']}`.")
    return "\n\n".join(parts) if len(parts) > 1 else ""


def _operations(operations: Mapping[str, Any]) -> str:
    by_operation: dict[str, list[str]] = defaultdict(list)
    depends = []
    for endpoint, meaning in operations.items():
        if isinstance(meaning, str):
            by_operation[meaning].append(f"`{endpoint}`")
        else:
            depends.append((f"`{endpoint}`", _judged(meaning)))
    order = ("trade", "reduce", "cancel", "read", "transfer", "withdraw", "admin", "public")
    parts = ["## Operations", "What is not here is denied."]
    if depends:
        parts.append(table(("endpoint", "is"), depends))
    for operation in order:
        if found := by_operation.get(operation):
            parts.append(f"**{operation}**: " + ", ".join(found))
    return "\n\n".join(parts)


def _judged(meaning: Mapping[str, Any]) -> str:
    rules = [
        f"{operation} where `{name}` is `{value}`"
        for name, values in meaning.get("when", {}).items()
        for value, operation in values.items()
    ]
    return f"{meaning['otherwise']}; " + ", ".join(rules)


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n")
