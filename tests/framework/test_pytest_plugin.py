"""What authors get from pytest when Hauberk is installed: four fixtures, and no slower start."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import hauberk
from hauberk import Denied, Deny, Plugin, Request, Wait, hookimpl
from hauberk.context import Context
from hauberk.errors import ClosedError, NotGranted
from hauberk.testing import DEFAULT_URL, FakeClock, GuardFactory, MemoryStore, RunningSandbox
from hauberk.testing.sandbox import running_sandbox

ORDER = Request("POST", DEFAULT_URL)


class Tally(Plugin):
    """Counts in its store, waits a second, and refuses the third request."""

    interface = (1, 1)

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context
        self.due_ns: dict[str, int] = {}

    @hookimpl
    def on_request(self, request: Request) -> Deny | Wait | None:
        now = self.context.clock.monotonic_ns()
        if request.id in self.due_ns:
            return None if now >= self.due_ns[request.id] else Wait(1)
        record = self.context.store.get("count")
        count = int(record.value) if record else 0
        if count >= 2:
            return Deny("that is enough")
        self.context.store.put("count", str(count + 1).encode())
        self.due_ns[request.id] = now + 10**9
        return Wait(1)


def test_a_guard_goes_by_the_clock_and_the_store_of_the_test(
    guard: GuardFactory, clock: FakeClock, store: MemoryStore
) -> None:
    armed = guard(Tally(), grants={"tally": ["store"]})
    armed.clear(ORDER)
    assert clock.monotonic_ns() == 10**9
    record = store.get("count")
    assert record is not None
    assert record.value == b"1"
    armed.clear(ORDER)
    with pytest.raises(Denied, match="that is enough"):
        armed.clear(ORDER)


def test_the_store_can_be_filled_before_the_plugin_starts(
    guard: GuardFactory, store: MemoryStore
) -> None:
    store.put("count", b"2")
    with pytest.raises(Denied, match="that is enough"):
        guard(("named", Tally()), grants={"named": ["store"]}).clear(ORDER)


def test_only_the_first_plugin_has_the_store_of_the_test(
    guard: GuardFactory, store: MemoryStore
) -> None:
    grants = {"first": ["store"], "second": ["store"]}
    guard(("first", Tally()), ("second", Tally()), grants=grants).clear(ORDER)
    guard(("second", Tally()), ("first", Tally()), grants=grants).clear(ORDER)
    assert [record.version for _, record in store.scan()] == [2]


def test_ports_are_granted_as_in_a_configuration(guard: GuardFactory) -> None:
    with pytest.raises(Denied, match="may not use 'store'"):
        guard(Tally()).clear(ORDER)
    assert issubclass(NotGranted, hauberk.HauberkError)


def test_every_guard_is_closed_after_the_test(clock: FakeClock, store: MemoryStore) -> None:
    with GuardFactory(clock, store) as guard:
        made = [guard(), guard()]
        made[0].clear(ORDER)
    for one in made:
        with pytest.raises(ClosedError):
            one.clear(ORDER)


def _get(url: str, key: str = "") -> tuple[int, object]:
    request = urllib.request.Request(url, headers={"X-MBX-APIKEY": key} if key else {})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def _signed(sandbox: RunningSandbox, at_ms: int) -> str:
    query = f"timestamp={at_ms}"
    mac = hmac.new(sandbox.secret.reveal(), query.encode(), hashlib.sha256).hexdigest()
    return f"{sandbox.url}/api/v3/account?{query}&signature={mac}"


def test_the_sandbox_serves_and_knows_its_key(sandbox: RunningSandbox, clock: FakeClock) -> None:
    assert _get(f"{sandbox.url}/api/v3/ping") == (200, {})
    now_ms = clock.wall_ns() // 1_000_000
    status, account = _get(_signed(sandbox, now_ms), sandbox.key)
    assert (status, bool(account)) == (200, True)
    assert sandbox.exchange.arrivals[-1].account == "main"


def test_the_sandbox_goes_by_the_clock_of_the_test(
    sandbox: RunningSandbox, clock: FakeClock
) -> None:
    url = _signed(sandbox, clock.wall_ns() // 1_000_000)
    clock.advance(3_600)
    status, answer = _get(url, sandbox.key)
    assert (status, answer["code"]) == (400, -1021)  # type: ignore[index]


def test_the_sandbox_hides_its_secret_and_stops(clock: FakeClock) -> None:
    with running_sandbox(clock) as sandbox:
        assert "[secret]" in repr(sandbox)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{sandbox.url}/api/v3/ping", timeout=10)  # noqa: S310 - loopback


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    script = (
        "import pytest, sys; before = set(sys.modules); import hauberk.testing.plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = set(_python("-c", script).split())
    heavy = ("hypothesis", "hauberk.guard", "hauberk.kernel", "hauberk.testing.clock", "asyncio",
             "uvicorn", "hauberk_plugins", "cattrs", "ruamel.yaml")  # fmt: skip
    assert not loaded & set(heavy)
    assert "hauberk.testing.plugin" in loaded


AUTHORS_TEST = """
from hauberk.testing import check_plugin
from hauberk.testing.guards import HaltOnHigh

def test_it_keeps_the_contract():
    check_plugin(HaltOnHigh)

def test_it_halts(guard, clock, store):
    guard()
"""


def test_an_author_needs_no_conftest(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(AUTHORS_TEST)
    shown = _python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path))
    assert "2 passed" in shown


def test_every_name_of_the_kit_can_be_loaded() -> None:
    import hauberk.testing

    for name in hauberk.testing.__all__:
        assert getattr(hauberk.testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'mystery'"):
        _ = hauberk.testing.mystery  # type: ignore[attr-defined]


def _python(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
