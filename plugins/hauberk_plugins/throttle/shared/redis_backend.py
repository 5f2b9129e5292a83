"""`RedisBackend`: keeps the ledger in Redis; one script a call, and the server's time.

It needs the extra `redis`. A connection is used by one call at a time, since the limiter calls so.
A call either is answered within the timeout, connecting and finding the host included, or its
connection is dropped. Nothing is sent twice:
whoever calls knows whether to call again, and under which number.
"""

from __future__ import annotations

import contextlib
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

from hauberk.errors import InvalidValue
from hauberk.secret import Secret
from hauberk_plugins.throttle.bounded import Bounded, TimedSocket
from hauberk_plugins.throttle.shared.call import Answer, BackendLost, Call
from hauberk_plugins.throttle.shared.redis_script import SCRIPT, Script

_SCHEMES: Final = ("redis", "rediss", "unix")
#: What a refusal means, and what to do about it.
_REMEDIES: Final = {
    "NOAUTH": "it wants a password: put it into the URL",
    "WRONGPASS": "it refuses the password in the URL",
    "NOPERM": "its user may not do this: allow EVALSHA, EVAL, TIME, INFO, @string and @hash",
    "READONLY": "it is a replica: name the primary in the URL",
    "OOM": "its memory is full",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "CLUSTERDOWN": "its cluster is down",
    "MISCONF": "it cannot write its data to disk",
    "BUSY": "another script keeps it busy",
    "WRONGTYPE": "a record is not one of the ledger's: delete it",
}


#: Redis may come back without its data: every process asks so often whether it is what it was, and
#: nothing is granted of what has just begun before all have asked.
BEAT_US: Final = 400_000
GRACE_US: Final = 1_500_000


class RedisBackend:
    """Calls one Redis server, or the node of a cluster that has the budget's slot.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py reads it.
        prefix: What every key begins with, in braces.
        timeout_s: How long a call may take at most, whatever it takes.

    Raises:
        InvalidValue: The URL is none, or the extra is not installed.
    """

    def __init__(self, url: Secret, prefix: str, *, timeout_s: float) -> None:
        try:
            import redis
        except ModuleNotFoundError:
            raise InvalidValue(
                "the shared budget is in Redis, and redis is not installed: "
                "pip install 'hauberk[redis]'"
            ) from None
        self._redis = redis
        self._script = Script(prefix)
        self._timeout_s = timeout_s
        self._settings, self.where = _settings(redis, url)
        self._connection: Any = None
        self._is_used = False
        self._connecting = Bounded("hauberk-redis")
        self._end_s = 0.0

    def call(self, call: Call) -> Answer:
        """Do what a call says.

        Raises:
            BackendLost: It cannot be done, or whether it was is not known.
        """
        self._end_s = monotonic() + self._timeout_s
        if self._connection is not None:
            self._connection._sock.begin(self._timeout_s)
        try:
            try:
                reply = self._evaluate(call)
            except self._redis.exceptions.MovedError as moved:
                # All keys are in one slot: whichever node has it has all of them.
                self.close()
                self._settings |= {"host": moved.host, "port": int(moved.port)}
                reply = self._evaluate(call)
            return self._script.answer(call, reply)
        except BaseException as error:
            # Half an answer may be left in it.
            self.close()
            lost = self._loss(error)
            if lost is None:
                raise
            raise lost from None

    def sweep(self) -> None:
        """Nothing: every key has a time to live."""

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _closed(connection)

    def _evaluate(self, call: Call) -> Any:
        self._is_used = self._connection is not None
        try:
            return self._exchange(self._script.command(call))
        except self._redis.exceptions.NoScriptError:
            return self._exchange(self._script.command(call, b"EVAL", SCRIPT))

    def _exchange(self, command: bytes) -> Any:
        connection = self._connection or self._connect()
        connection.send_packed_command([command], check_health=False)
        return connection.read_response(disable_decoding=True)

    def _connect(self) -> Any:
        # Nothing interrupts a resolver: it has a thread of its own.
        left_s = max(self._end_s - monotonic(), 0)
        connection = self._connection = self._connecting.call(self._made, left_s, _closed)
        connection._sock.begin(max(self._end_s - monotonic(), 0.001))
        return connection

    def _made(self) -> Any:
        settings = dict(self._settings)
        make = settings.pop("connection_class")
        connection = make(
            **settings,
            protocol=2,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            retry=self._redis.retry.Retry(self._redis.backoff.NoBackoff(), 0),
            health_check_interval=0,
        )
        connection.end_s = self._end_s
        try:
            connection.connect()
            self._check(connection)
        except BaseException:
            _closed(connection)
            raise
        return connection

    def _check(self, connection: Any) -> None:
        """Refuse a server that may throw records away: a budget would be given back.

        Raises:
            BackendLost: It may.
        """
        connection.send_command("INFO", "memory")
        text = connection.read_response(disable_decoding=True)
        found = dict(line.split(b":", 1) for line in bytes(text).splitlines() if b":" in line)
        policy = found.get(b"maxmemory_policy", b"noeviction").decode("ascii", "replace")
        if found.get(b"maxmemory", b"0") != b"0" and policy != "noeviction":
            raise BackendLost(
                f"{self.where} throws records away when its memory is full, and with them what was "
                f"used: set its maxmemory-policy to noeviction, not {policy[:40]}"
            )

    def _loss(self, error: BaseException) -> BackendLost | None:
        """Say what went wrong, if it is what can go wrong with a back-end."""
        errors = self._redis.exceptions
        if isinstance(error, BackendLost):
            return error
        if isinstance(error, errors.TimeoutError | TimeoutError):
            return BackendLost(f"{self.where} did not answer within {self._timeout_s:g} s")
        if isinstance(error, errors.ConnectionError):
            # One that was in use was perhaps closed while nobody looked, as idle ones are.
            again = self._is_used
            return BackendLost(self._refusal(error, "cannot be reached"), again=again)
        if isinstance(error, errors.RedisError):
            return BackendLost(self._refusal(error, "refuses"))
        if isinstance(error, OSError | ValueError | TypeError | LookupError):
            return BackendLost(f"{self.where} answers with what the ledger never wrote: {error}")
        return None

    def _refusal(self, error: Exception, what: str) -> str:
        text = str(error)
        code = type(error).__name__.removesuffix("Error")
        for word, remedy in _REMEDIES.items():
            if word in text.upper().split()[:1] or word == _CODES.get(code):
                return f"{self.where}: {remedy}"
        if "unreadable record" in text:
            return (
                f"{self.where} holds a record that the ledger never wrote, under "
                f"{self._script.begins.decode()}: delete what begins so while nothing is sent"
            )
        return f"{self.where} {what}: {text.splitlines()[0][:200] if text else code}"


#: redis-py makes classes of some refusals, and takes their words away.
_CODES: Final = {
    "Authentication": "NOAUTH",
    "AuthenticationWrongNumberOfArgs": "NOAUTH",
    "NoPermission": "NOPERM",
    "ReadOnly": "READONLY",
    "OutOfMemory": "OOM",
    "BusyLoading": "LOADING",
    "MasterDown": "MASTERDOWN",
    "ClusterDown": "CLUSTERDOWN",
}


def _timed(kind: Any) -> Any:
    """Make a kind of connection of which a whole call has one time."""

    class Timed(kind):  # type: ignore[misc]
        end_s: float

        def _connect(self) -> Any:
            made = TimedSocket(super()._connect(), monotonic)
            made.begin(max(self.end_s - monotonic(), 0.001))
            return made

    return Timed


def _closed(connection: Any) -> None:
    with contextlib.suppress(Exception):
        connection.disconnect()


def _settings(redis: Any, url: Secret) -> tuple[dict[str, Any], str]:
    """Take a URL apart; with how to call it without its password."""
    text = url.reveal_text()
    try:
        scheme, host = urlsplit(text).scheme, urlsplit(text).hostname
        if scheme not in _SCHEMES:
            raise ValueError
        settings = dict(redis.connection.parse_url(text))
        path = settings.get("path")
    except ValueError:
        raise InvalidValue(
            "the URL of Redis cannot be read: it must be like redis://:PASSWORD@HOST:6379/0, "
            "rediss://… or unix:///PATH"
        ) from None
    kinds = {
        "redis": redis.connection.Connection,
        "rediss": redis.connection.SSLConnection,
        "unix": redis.connection.UnixDomainSocketConnection,
    }
    settings["connection_class"] = _timed(kinds[scheme])
    for name in ("socket_timeout", "socket_connect_timeout", "retry_on_timeout", "max_connections"):
        settings.pop(name, None)
    where = (
        f"Redis at {path}"
        if path
        else f"Redis at {host or 'localhost'}:{settings.get('port', 6379)}"
    )
    return settings, where
