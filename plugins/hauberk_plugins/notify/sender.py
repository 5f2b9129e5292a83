"""Sending one message through one URL, within a hard deadline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import frozen

from hauberk.environment import VARIABLES
from hauberk.secret import Secret
from hauberk_plugins.notify.templates import Message

INSTALL: Final = "the extra is not installed: pip install 'hauberk[notify]'"
LATE: Final = "no answer by the deadline"
#: How long the process may take to begin and to end, beyond what sending may take.
_START_S: Final = 5.0
_COURIER: Final = str(Path(__file__).with_name("courier.py"))
#: What the process gets to see of the environment: a bot's has its keys.
_PASSED: Final = (
    *("PATH", "HOME", "TZ", "TMPDIR", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY"),
    # Of a session of a desktop, for the schemes that show something there.
    *("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"),
)


class Sender(Protocol):
    """Sends; called from several threads at once."""

    def send(self, url: Secret, message: Message, timeout_s: float) -> str:
        """Send a message; never raises.

        Args:
            url: Where, as apprise writes it.
            message: What.
            timeout_s: How long it may take altogether.

        Returns:
            Nothing if it was taken; else why not, without anything of the URL.
        """

    def stop(self) -> None:
        """End what is under way."""


@frozen
class Checked:
    """What is to be said of a URL.

    Attributes:
        is_known: Whether its scheme is one of apprise's.
        is_read: Whether apprise can read the rest of it.
        near: A scheme that was probably meant, or nothing.
    """

    is_known: bool
    is_read: bool
    near: str = ""


class CourierFailed(Exception):
    """The process did not answer; its text may be shown."""


class CourierSender:
    """Sends through apprise, each message by a process of its own that is killed at the deadline.

    Args:
        environ: Environment variables, of which a few are passed on.
        python: The interpreter.
    """

    def __init__(
        self, environ: Mapping[str, str] = VARIABLES, python: str = sys.executable
    ) -> None:
        self._environ = environ
        self._python = python
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_stopped = False

    def send(self, url: Secret, message: Message, timeout_s: float) -> str:
        """Send a message."""
        try:
            answer = self._ask({"title": message.title, "body": message.body}, timeout_s, url=url)
        except CourierFailed as failed:
            return str(failed)
        if answer.get("missing"):
            return INSTALL
        return str(answer.get("why", "the process that sends did not say whether it has"))

    def check(self, urls: Sequence[Secret], timeout_s: float) -> list[Checked]:
        """Look at URLs without sending anything.

        Raises:
            CourierFailed: They cannot be looked at; says why.
        """
        answer = self._ask({}, timeout_s, check=urls)
        if answer.get("missing"):
            raise CourierFailed(INSTALL)
        if "checked" not in answer:
            raise CourierFailed(str(answer.get("why", "apprise does not say")))
        return [
            Checked(bool(one["scheme"]), bool(one["url"]), *map(str, one["near"]))
            for one in answer["checked"]
        ]

    def stop(self) -> None:
        """Kill what is under way, and begin nothing more."""
        with self._lock:
            self._is_stopped = True
            running = tuple(self._running)
        for process in running:
            process.kill()

    def _ask(
        self,
        asked: dict[str, Any],
        timeout_s: float,
        url: Secret | None = None,
        check: Sequence[Secret] | None = None,
    ) -> dict[str, Any]:
        path = [part for part in sys.path if os.path.isabs(part)]  # noqa: PTH117 - as text
        asked |= {"path": path, "timeout_s": timeout_s + _START_S}
        try:
            process = self._started()
        except (OSError, RuntimeError) as error:
            raise CourierFailed(f"no process can be started: {type(error).__name__}") from None
        try:
            said = _exchanged(process, asked, timeout_s, url, check)
        finally:
            with self._lock:
                self._running.discard(process)
        try:
            answer = json.loads(said)
        except ValueError:
            answer = None
        if type(answer) is not dict:
            raise CourierFailed("the process that sends ended without an answer")
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        environ = {name: self._environ[name] for name in _PASSED if name in self._environ}
        with self._lock:
            if self._is_stopped:
                raise CourierFailed("it was stopped")
            process = subprocess.Popen(  # noqa: S603 - this interpreter, this package's script
                [self._python, "-I", _COURIER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environ,
                cwd="/",
                start_new_session=True,  # Ctrl-C at a terminal is not meant for it
            )
            self._running.add(process)
        return process


def _exchanged(
    process: subprocess.Popen[bytes],
    asked: dict[str, Any],
    timeout_s: float,
    url: Secret | None,
    check: Sequence[Secret] | None,
) -> bytes:
    """Ask, and wait for the answer; the process has ended on return."""
    is_late = False
    with process:
        try:
            said, _ = process.communicate(_written(asked, url, check), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            said, is_late = b"", True
        except (OSError, ValueError):  # it ended before it had read, or was killed
            said = b""
        finally:
            process.kill()
    if is_late:
        raise CourierFailed(f"{LATE}, after {timeout_s:g} s")
    return said


def _written(asked: dict[str, Any], url: Secret | None, check: Sequence[Secret] | None) -> bytes:
    """Write the question, with what is secret in it as late as can be."""
    if url is not None:
        asked = {**asked, "url": url.reveal().decode("utf-8", "replace")}
    if check is not None:
        asked = {**asked, "check": [one.reveal().decode("utf-8", "replace") for one in check]}
    return json.dumps(asked).encode()
