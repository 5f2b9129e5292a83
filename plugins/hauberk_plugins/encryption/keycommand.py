"""A wrapping key that a command prints, for example one that asks a password manager."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from hauberk.environment import VARIABLES
from hauberk.errors import InvalidValue
from hauberk.quiet import quietly
from hauberk.secret import Secret
from hauberk_plugins.encryption.errors import NoKey
from hauberk_plugins.encryption.wrapping import KEY, decoded

#: How long a command may take, seconds: long enough to unlock a password manager.
TIMEOUT_S: Final = 60.0
_MAX_OUTPUT: Final = 1_024


class KeyCommand:
    """A command that prints 32 bytes in base64 on stdout.

    No shell reads it; its stderr goes nowhere, since it may quote what it was asked for. It, and
    what it started, is killed when its time is over.

    Args:
        argv: The command and its arguments.
        timeout_s: How long it may take, seconds.
        monotonic: A clock that never steps back, in seconds.
        environ: The environment.
        withheld: Gives the variables that the command does not get: keys of accounts are none of
            its business, and others can see the environment of what it starts.

    Raises:
        InvalidValue: There is no command.
    """

    is_passphrase = False

    def __init__(
        self,
        argv: Sequence[str],
        timeout_s: float = TIMEOUT_S,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        environ: Mapping[str, str] = VARIABLES,
        withheld: Callable[[], Collection[str]] = tuple,
    ) -> None:
        if not argv or not argv[0] or any("\0" in word for word in argv):
            raise InvalidValue("a command for the wrapping key is a list of words, as [pass, show]")
        # Of its arguments nothing is shown: somebody may put a token there.
        self.reference = f"command {argv[0]}"
        self._argv = tuple(argv)
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._environ = environ
        self._withheld = withheld

    def fetch(self) -> Secret:
        """Run it; raises as `WrappingKey.fetch`."""
        found, why = self._ran()
        if found is None:
            remedy = "run it by hand, with 2>&1, to see what it says"
            raise NoKey(self.reference, (), why, remedy)
        return found

    def _ran(self) -> tuple[Secret | None, str]:
        try:
            process = quietly("running it", self._started)
        except OSError as error:
            return None, f"it cannot be run: {error.strerror}"
        with process:
            try:
                found, why = quietly("hearing it", lambda: self._heard(process))
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        return found, why

    def _started(self) -> subprocess.Popen[bytes]:
        withheld = self._withheld()
        return subprocess.Popen(  # noqa: S603 - no shell, and the operator's own words
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in self._environ.items() if name not in withheld},
            # A group of its own, so that what it started ends with it.
            start_new_session=True,
            bufsize=0,
        )

    def _heard(self, process: subprocess.Popen[bytes]) -> tuple[Secret | None, str]:
        end = self._monotonic() + self._timeout_s
        output = self._output(process, end)
        if output is None:
            return None, f"it did not end within {self._timeout_s:g} s"
        if len(output.reveal()) > _MAX_OUTPUT:
            return None, f"it printed more than {_MAX_OUTPUT} bytes"
        try:
            status = process.wait(max(end - self._monotonic(), 0))
        except subprocess.TimeoutExpired:
            return None, f"it did not end within {self._timeout_s:g} s"
        if status:
            how = f"exited with {status}" if status > 0 else f"was ended by signal {-status}"
            return None, f"it {how}"
        found = decoded(output.reveal())
        return found, "" if found else f"it did not print {KEY} bytes in base64"

    def _output(self, process: subprocess.Popen[bytes], end: float) -> Secret | None:
        """Read what it prints, up to a little more than is allowed; `None` if it takes too long."""
        descriptor = process.stdout.fileno() if process.stdout else -1
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        output = b""
        while len(output) <= _MAX_OUTPUT:
            left_ms = int((end - self._monotonic()) * 1_000)
            if left_ms <= 0 or not poller.poll(left_ms):
                return None
            part = os.read(descriptor, _MAX_OUTPUT + 1)
            if not part:
                break
            output += part
        return Secret(output)
