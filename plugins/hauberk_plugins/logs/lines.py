"""Events as lines: a private structlog logger, so that the program's own is left alone."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import structlog

from hauberk.records import Event
from hauberk_plugins.logs.masking import masked

Format: TypeAlias = Literal["console", "json"]
Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BY_SEVERITY: Final = {
    "LOW": logging.INFO,
    "MEDIUM": logging.WARNING,
    "HIGH": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}
_BY_KIND: Final = {
    "request.intent": logging.DEBUG,
    "request.denied": logging.WARNING,
    "request.would_stop": logging.WARNING,
    "login.denied": logging.WARNING,
}
#: Names that structlog's renderer treats in ways of its own, with line breaks among them.
_RENDERED: Final = frozenset(
    {"exc_info", "exception", "stack", "stack_info", "logger", "logger_name"}
)
_PLAIN: Final = re.compile(r"[\w.-]+\Z")


class Lines:
    """What structlog hands finished lines to.

    Args:
        write: Takes one line with its end.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def msg(self, line: str) -> None:
        """Write a line."""
        self._write(f"{line}\n")

    debug = info = warning = error = critical = msg


class EventLog:
    """Writes each event as one line.

    Args:
        write: Takes one line with its end, text without control characters.
        form: `console` for people, `json` for machines.
        level: Events below it are left out.
    """

    def __init__(self, write: Callable[[str], object], form: Format, level: Level) -> None:
        threshold = logging.getLevelNamesMapping()[level.upper()]
        self._logger = structlog.wrap_logger(
            Lines(write),
            processors=[
                structlog.processors.add_log_level,
                _mask,
                *([_flatten] if form == "console" else []),
                structlog.processors.JSONRenderer()
                if form == "json"
                else structlog.dev.ConsoleRenderer(
                    colors=False, repr_native_str=True, sort_keys=False
                ),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(threshold),
            context_class=dict,
            cache_logger_on_first_use=True,
        )

    def write(self, event: Event) -> None:
        """Write an event."""
        fields = event.fields
        told = {"source": event.source, "request_id": event.request_id, "account": event.account}
        self._logger.log(
            level_of(event.kind, fields),
            event.kind,
            timestamp=_iso(event.at_ns),
            **{name: value for name, value in told.items() if value},
            fields=fields,
        )


def level_of(kind: str, fields: MutableMapping[str, Any]) -> int:
    """Say how loud an event is: an incident by its severity, a refusal a warning."""
    if kind.startswith("incident."):
        return _BY_SEVERITY.get(str(fields.get("severity")), logging.INFO)
    return _BY_KIND.get(kind, logging.INFO)


def _mask(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask everything, whatever came before."""
    made: dict[str, Any] = masked(dict(event))
    return made


def _flatten(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put fields beside the rest; one whose name is taken is written `fields.NAME`."""
    for name, value in event.pop("fields").items():
        shown = name if _PLAIN.match(name) else repr(name)
        event[f"fields.{shown}" if shown in event or shown in _RENDERED else shown] = value
    return event


def _iso(at_ns: int) -> str:
    seconds, ns = divmod(at_ns, 1_000_000_000)
    return f"{(_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')}.{ns:09d}Z"
