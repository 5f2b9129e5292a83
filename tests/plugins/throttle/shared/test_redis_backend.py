"""Redis that refuses, lies, hangs or goes: each a loss with its reason, none a grant."""

from __future__ import annotations

import builtins
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from hauberk.errors import InvalidValue
from hauberk.secret import Secret
from hauberk_plugins.throttle.shared.call import Ask, BackendLost, Call, Report, Status
from hauberk_plugins.throttle.shared.config import SharedConfig
from hauberk_plugins.throttle.shared.making import redis_backend
from hauberk_plugins.throttle.shared.redis_backend import RedisBackend
from hauberk_plugins.throttle.shared.shape import Shape

from .conftest import PASSWORD, PATIENCE_S, RedisServer

SHAPE = Shape("v/", "rolling", 10_000_000, 0, 5)


def call(seq: int = 1, *, owner: str = "aa", acked: int = 0) -> Call:
    return Call(owner, seq, acked, reports=(Report(SHAPE),), asks=(Ask(0, 1),), claim=f"{owner}1")


def backend(url: str | Secret, timeout_s: float = 2.0) -> RedisBackend:
    return RedisBackend(url if isinstance(url, Secret) else Secret(url), "t", timeout_s=timeout_s)


class FakeRedis:
    """Answers every command of the ledger as a test wants; those before it as Redis does."""

    def __init__(self) -> None:
        self.answer: bytes | None = b""
        self.seen: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._is_over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def close(self) -> None:
        self._is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            one.close()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while data := connection.recv(1 << 20):
                for command in data.split(b"*")[1:]:
                    words = command.split(b"\r\n")
                    verb = words[2].upper() if len(words) > 2 else b""
                    if verb in (b"EVALSHA", b"EVAL"):
                        self.seen.append(verb)
                        if self.answer is None:
                            connection.close()
                            return
                        connection.sendall(self.answer)
                    elif verb == b"INFO":
                        connection.sendall(
                            b"$14\r\nmaxmemory:0\r\n\r\n\r\n"[:0] + b"$11\r\nmaxmemory:0\r\n"
                        )
                    elif verb in (b"AUTH", b"SELECT", b"CLIENT", b"HELLO", b"PING"):
                        connection.sendall(b"+OK\r\n")
        except OSError:
            return


@pytest.fixture
def fake() -> Iterator[FakeRedis]:
    pytest.importorskip("redis")
    server = FakeRedis()
    yield server
    server.close()


def test_a_call_is_answered_and_the_script_is_loaded_again_where_it_is_gone(
    server: RedisServer,
) -> None:
    with closing(backend(server.url)) as one, closing(server.client()) as client:
        assert one.call(call(1)).status is Status.GRANTED
        client.script_flush()
        assert one.call(call(2)).status is Status.GRANTED
        assert one.call(call(3)).raw_us > 1_700_000_000_000_000


REFUSALS = {
    b"-NOAUTH Authentication required.\r\n": "it wants a password: put it into the URL",
    b"-NOPERM this user has no permissions\r\n": "its user may not do this",
    b"-READONLY You can't write against a read only replica.\r\n": "name the primary in the URL",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n": "its memory is full",
    b"-LOADING Redis is loading the dataset in memory\r\n": "it is still loading",
    b"-MASTERDOWN Link with MASTER is down\r\n": "a replica that has lost its primary",
    b"-CLUSTERDOWN The cluster is down\r\n": "its cluster is down",
    b"-MISCONF Redis is configured to save RDB snapshots\r\n": "cannot write its data",
    b"-BUSY Redis is busy running a script.\r\n": "another script keeps it busy",
    b"-WRONGTYPE Operation against a key\r\n": "delete it",
    b"-ERR unreadable record: claims script: 1\r\n": "a record that the ledger never wrote",
    b"-ERR something else\r\n": "refuses: something else",
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda text: text.split()[0].decode())
def test_a_refusal_is_a_loss_with_its_reason(fake: FakeRedis, refusal: bytes) -> None:
    fake.answer = refusal
    with closing(backend(fake.url)) as one, pytest.raises(BackendLost) as caught:
        one.call(call())
    assert REFUSALS[refusal] in caught.value.reason
    assert f"127.0.0.1:{fake.port}" in caught.value.reason
    assert PASSWORD not in str(caught.value)


def bulk(*numbers: int) -> bytes:
    """Write an answer as the script does."""
    packed = struct.pack(f"<{len(numbers)}q", *numbers)
    return b"$%d\r\n%b\r\n" % (len(packed), packed)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"+OK\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"*0\r\n",
        b"*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n",
        bulk(0, 0, 0, 0, 0),
        bulk(9, 0, 0, 0, 0, 0),
        bulk(1, -5, 0, 0, 0, 0),
        bulk(0, 0, 2, 0, 0, 0),
        bulk(0, 0, 0, 0, 0, 0, 0),
        bulk(0, 0, 0, 0, 0, 7),
        b"$5\r\n12345\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\xff\x00\r\n",
        b"*-5\r\n",
        b":0\r\n",
    ],
)
def test_an_answer_that_is_none_is_a_loss(fake: FakeRedis, nonsense: bytes) -> None:
    fake.answer = nonsense
    with closing(backend(fake.url, 0.3)) as one, pytest.raises(BackendLost):
        one.call(call())


@pytest.mark.parametrize("part", [b"", b"*6\r\n:0\r\n:0", b"$1000000\r\nx"])
def test_an_answer_that_does_not_come_whole_is_a_loss(fake: FakeRedis, part: bytes) -> None:
    fake.answer = part
    with (
        closing(backend(fake.url, 0.1)) as one,
        pytest.raises(BackendLost, match=r"did not answer within 0\.1 s"),
    ):
        one.call(call())


def test_a_connection_that_is_closed_is_worth_one_more_call(fake: FakeRedis) -> None:
    fake.answer = None
    with closing(backend(fake.url)) as one:
        with pytest.raises(BackendLost) as fresh:
            one.call(call())
        assert not fresh.value.again
        fake.answer = bulk(0, 0, 0, 5, 0, 0)
        assert one.call(call(2)).status is Status.GRANTED
        fake.answer = None
        with pytest.raises(BackendLost) as used:
            one.call(call(3))
        assert used.value.again


def test_another_node_of_a_cluster_is_followed(fake: FakeRedis, server: RedisServer) -> None:
    other = FakeRedis()
    other.answer = bulk(0, 0, 0, 5, 0, 0)
    fake.answer = f"-MOVED 42 127.0.0.1:{other.port}\r\n".encode()
    try:
        with closing(backend(fake.url)) as one:
            assert one.call(call()).status is Status.GRANTED
            assert one.call(call(2)).status is Status.GRANTED
        assert len(fake.seen) == 1
    finally:
        other.close()


def test_nobody_there_is_a_loss() -> None:
    pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        closing(backend(f"redis://:{PASSWORD}@127.0.0.1:{port}")) as one,
        pytest.raises(BackendLost, match="cannot be reached") as caught,
    ):
        one.call(call())
    assert PASSWORD not in str(caught.value)


def test_a_wrong_password_is_a_loss_that_does_not_repeat_it(
    make_redis: Callable[..., RedisServer],
) -> None:
    server = make_redis("--requirepass", PASSWORD)
    for url in (f"unix://{server.path}", f"unix://:not-{PASSWORD}@{server.path}"):
        with closing(backend(url)) as one, pytest.raises(BackendLost) as caught:
            one.call(call())
        assert "password" in caught.value.reason
        assert PASSWORD not in repr(caught.value) + str(caught.value)
    with closing(backend(f"unix://:{PASSWORD}@{server.path}")) as one:
        assert one.call(call()).status is Status.GRANTED


def test_a_redis_that_may_throw_records_away_is_a_loss(
    make_redis: Callable[..., RedisServer],
) -> None:
    server = make_redis("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    with closing(backend(server.url)) as one, pytest.raises(BackendLost, match="noeviction"):
        one.call(call())


METER = b"{t}:meter:v/"
#: The whole numbers of a meter's record, by name, as they stand in it.
NAMES = (
    *("grain", "total", "first", "last", "newest", "tat", "open", "sweep", "lost", "theirs"),
    *("told", "kept", "owners", "claims"),
)


def damaged(record: bytes, **numbers: int) -> bytes:
    for name, value in numbers.items():
        at = 8 * NAMES.index(name)
        record = record[:at] + struct.pack("<q", value) + record[at + 8 :]
    return record


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda record: record[:-1],
    "empty": lambda _: b"",
    "a byte too many": lambda record: record + b"x",
    "a total below nothing": lambda record: damaged(record, total=-5),
    "a total beyond counting": lambda record: damaged(record, total=2**60),
    "sub-windows that are not there": lambda record: damaged(record, total=5, first=1, last=9),
    "sub-windows without end": lambda record: damaged(record, total=5, first=0, last=2**50),
    "sub-windows in no order": lambda record: damaged(record, total=5, first=9, last=3),
    "sub-windows that do not add up": lambda record: damaged(record, total=5, newest=1),
    "owners that do not end": lambda record: damaged(record, owners=2**52),
    "owners of a length below nothing": lambda record: damaged(record, owners=-8, claims=8),
    "claims of nobody": lambda record: damaged(record, claims=2) + b"x;",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_a_loss_that_changes_nothing(server: RedisServer, damage: str) -> None:
    with closing(backend(server.url)) as one, closing(server.client()) as client:
        one.call(call())
        client.set(METER, DAMAGE[damage](client.get(METER)))
        before = client.get(METER), client.hgetall("{t}:state")
        with pytest.raises(BackendLost, match="never wrote"):
            one.call(call(2))
        assert (client.get(METER), client.hgetall("{t}:state")) == before


@pytest.mark.parametrize("field", ["ledger", "@aa"])
def test_a_damaged_state_is_a_loss_that_changes_nothing(server: RedisServer, field: str) -> None:
    with closing(backend(server.url)) as one, closing(server.client()) as client:
        one.call(call())
        for value in (b"", b"x" * 16, b"\xff" * 16, b"\xff" * 64, b"\x7f" * 64):
            client.hset("{t}:state", field, value)
            before = client.get(METER), client.hgetall("{t}:state")
            with pytest.raises(BackendLost, match="never wrote"):
                one.call(call(2))
            assert (client.get(METER), client.hgetall("{t}:state")) == before


def test_what_stands_where_a_record_should_is_no_record_without_a_past(server: RedisServer) -> None:
    with closing(backend(server.url)) as one, closing(server.client()) as client:
        client.hset(METER.decode(), "total", 5)
        with pytest.raises(BackendLost, match="delete it"):
            one.call(call())
        client.delete(METER)
        client.set("{t}:state", "x")
        with pytest.raises(BackendLost, match="delete it"):
            one.call(call())


def test_a_clock_that_steps_ahead_grants_nothing_before_that_is_made_up_for(
    server: RedisServer,
) -> None:
    with closing(backend(server.url)) as one:
        first = one.call(call(1))
        late = Call("aa", 2, 1, reports=(Report(SHAPE),), latest_us=first.raw_us - 3_600_000_000)
        assert one.call(late).status is Status.STEPPED


@pytest.mark.parametrize("url", ["", "http://host", "redis://host:port", "nonsense", "unix:"])
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    pytest.importorskip("redis")
    with pytest.raises(InvalidValue) as caught:
        backend(f"{url}{PASSWORD if url == 'nonsense' else ''}")
    assert PASSWORD not in str(caught.value)


def test_a_variable_that_is_not_set_is_said() -> None:
    with pytest.raises(InvalidValue, match="env:REDIS_URL: set that variable"):
        redis_backend(SharedConfig(url="env:REDIS_URL"), {})


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *arguments: object) -> object:
        if name == "redis":
            raise ModuleNotFoundError(name)
        return found(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidValue, match="hauberk\\[redis\\]"):
        backend("redis://localhost")


@pytest.mark.parametrize(
    "given",
    [
        {"url": f"redis://:{PASSWORD}@host"},
        {"prefix": "a{b}"},
        {"prefix": ""},
        {"timeout_ms": 0},
        {"timeout_ms": 5_000},
        {"lease_s": 1},
        {"share": 0},
        {"on_loss": "local", "share": 0.2, "processes": 4},
        {"processes": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError) as caught:
        SharedConfig(**given)
    assert PASSWORD not in str(caught.value).split("(")[0]
