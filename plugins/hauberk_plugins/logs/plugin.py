"""The plugin `logs`: a recorder that writes events as lines."""

from __future__ import annotations

import sys
import threading
from typing import Final

from attrs import frozen

from hauberk.context import Context
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Event
from hauberk_plugins.logs.file import LogFile
from hauberk_plugins.logs.lines import EventLog, Format, Level

_STDERR: Final = threading.Lock()


@frozen
class LogsConfig:
    """The section `logs` of `hauberk.yml`.

    Attributes:
        format: `console`, a line for people, or `json`, one JSON object a line.
        level: The least that is written: debug, info, warning, error or critical.
        file: Where to append, made with mode 0600; relative to the folder of `hauberk.yml`.
            Standard error if empty.
    """

    format: Format = "console"
    level: Level = "info"
    file: str = ""


class LogsPlugin(Plugin):
    """Recorder: writes each event as one line, secrets masked. Needs the grant `record`."""

    interface = (1, 1)
    Config = LogsConfig

    def __init__(self, config: LogsConfig) -> None:
        self._config = config
        self._file: LogFile | None = None

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Open the log."""
        config = self._config
        if config.file:
            self._file = LogFile(context.folder / config.file)
        write = _to_stderr if self._file is None else self._file.write
        self._log = EventLog(write, config.format, config.level)

    @hookimpl
    def on_stop(self) -> None:
        """Close the log."""
        if self._file is not None:
            self._file.close()

    @hookimpl
    def on_event(self, event: Event) -> None:
        """Write the event."""
        self._log.write(event)


def _to_stderr(line: str) -> None:
    with _STDERR:  # looked up each time: a program may redirect it
        sys.stderr.write(line)
        sys.stderr.flush()
