"""The plugin `signing`."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from hauberk.accounts import Account
from hauberk.errors import ConfigError, ConfigProblem, CredentialsMissing, MisuseError, SigningError
from hauberk.keypath import path_text
from hauberk.ports import Credentials
from hauberk.request import Operation, Request, Response
from hauberk.secret import Secret
from hauberk_plugins.signing.asking import Clocks
from hauberk_plugins.signing.plugin import SigningConfig, SigningPlugin
from hauberk_plugins.venues.catalogue import VenueCatalogue

VENUE = VenueCatalogue().venue("binance")
ORDER = Request("POST", "https://api.binance.com/api/v3/order", {"a": "1"}).stamped(
    "id", Operation.TRADE
)


class World:
    """A context with one account, whose credentials and venue can be changed."""

    def __init__(self):
        self.name = "signing"
        self.predecessor = None
        self.is_resident = False
        self.accounts = {"main": Account("binance")}
        self.passed_ns = self.stepped_ns = self.held_ns = 0
        self.clock = SimpleNamespace(
            wall_ns=lambda: 1_499_827_319_559_000_000 + self.passed_ns + self.stepped_ns,
            monotonic_ns=lambda: 10**12 + self.passed_ns,
        )
        self.granted = {}
        self.held = Credentials(Secret("k"), Secret("s"))
        self.used = VENUE

    def has(self, port):
        return port in self.granted

    @property
    def transport(self):
        send = self.granted["transport"].send

        def sent(request, *, timeout_s, leaving):
            self.passed_ns += self.held_ns  # in line
            leaving()
            return send(request, timeout_s=timeout_s)

        return SimpleNamespace(send=sent)

    @property
    def keys(self):
        return SimpleNamespace(credentials=self.credentials)

    @property
    def venues(self):
        return SimpleNamespace(venue=lambda name: self.used)

    def credentials(self, account):
        if self.held is None:
            raise CredentialsMissing(account, "env:K", ["the environment"])
        return self.held


@pytest.fixture
def world():
    return World()


@pytest.fixture
def plugin(world):
    plugin = SigningPlugin(SigningConfig())
    plugin.on_start(world)
    return plugin


def test_a_request_is_signed_with_the_account_and_the_clock(plugin):
    signed = plugin.sign_request(ORDER)
    assert signed.headers[0] == ("X-MBX-APIKEY", "k")
    assert signed.body.startswith(b"a=1&recvWindow=5000&timestamp=1499827319559&signature=")


def test_the_recv_window_is_configurable(world):
    plugin = SigningPlugin(SigningConfig(recv_window_ms=100))
    plugin.on_start(world)
    assert b"recvWindow=100&" in plugin.sign_request(ORDER).body


@pytest.mark.parametrize("ms", [0, -1, 60_001])
def test_a_recv_window_that_no_venue_takes_is_refused(ms):
    with pytest.raises(ValueError, match="recv_window_ms"):
        SigningConfig(recv_window_ms=ms)


def test_a_public_request_needs_no_credentials(plugin, world):
    world.held = None
    public = Request("GET", "https://api.binance.com/api/v3/depth", {"symbol": "LTCBTC"})
    sent = plugin.sign_request(public.stamped("id", Operation.PUBLIC))
    assert sent.url.endswith("/api/v3/depth?symbol=LTCBTC")
    assert sent.headers == ()
    with pytest.raises(CredentialsMissing):
        plugin.sign_request(ORDER)


def test_rotated_credentials_are_used_from_the_next_request_on(plugin, world):
    before = plugin.sign_request(ORDER)
    world.held = Credentials(Secret("k2"), Secret("s2"))
    after = plugin.sign_request(ORDER)
    assert after.headers[0] == ("X-MBX-APIKEY", "k2")
    assert after.body != before.body


def without_a_scheme(name):
    return SimpleNamespace(
        name=name,
        sorts_params=False,
        section=lambda _: {},
        problem=lambda path, text: ConfigProblem(f"{name}.yml", 1, path_text(path), text),
    )


def test_an_account_that_a_reload_changed_is_looked_up_anew(plugin, world):
    plugin.sign_request(ORDER)
    world.accounts = {"main": Account("other")}
    world.used = without_a_scheme("other")
    with pytest.raises(ConfigError, match=r"other\.yml"):
        plugin.sign_request(ORDER)
    world.accounts = {}
    with pytest.raises(SigningError, match="no account 'main'"):
        plugin.sign_request(ORDER)


def test_an_unknown_account_is_refused(plugin):
    with pytest.raises(SigningError, match=r"no account 'other': name it in hauberk\.yml"):
        plugin.sign_request(Request("GET", "https://api.binance.com/x", account="other"))


def test_a_faulty_scheme_stops_the_start(world):
    world.used = without_a_scheme("demo")
    with pytest.raises(ConfigError):
        SigningPlugin(SigningConfig()).on_start(world)
    world.accounts = {"main": Account("demo", signer="own")}
    SigningPlugin(SigningConfig()).on_start(world)


def test_before_its_start_it_signs_nothing():
    with pytest.raises(MisuseError, match="has not been started"):
        SigningPlugin(SigningConfig()).sign_request(ORDER)


def test_after_its_stop_no_key_is_kept(plugin):
    plugin.sign_request(ORDER)
    plugin.on_stop()
    assert plugin._desks == {}


class Exchange:
    """A transport behind which an exchange tells its time."""

    def __init__(self, ahead_ms):
        self.ahead_ms = ahead_ms
        self.asked = []

    def send(self, request, *, timeout_s):
        assert timeout_s > 0
        self.asked.append(request.url)
        ms = 1_499_827_319_559 + self.ahead_ms
        return Response(200, body=b'{"serverTime":%d}' % ms)


def now(plugin):
    """Have clocks asked in place of a thread of their own."""

    def spawn(function):
        function()
        return lambda _: None

    plugin._clocks._spawn = spawn


def test_requests_are_signed_by_the_exchanges_clock(plugin, world):
    world.granted["transport"] = exchange = Exchange(ahead_ms=1_500)
    now(plugin)
    assert b"timestamp=1499827321059&" in plugin.sign_request(ORDER).body
    plugin.sign_request(ORDER)
    assert exchange.asked == ["https://api.binance.com/api/v3/time"]


def test_what_a_question_waits_for_its_turn_is_no_part_of_its_way(plugin, world):
    world.granted["transport"] = Exchange(ahead_ms=4_000)
    world.held_ns = 4 * 10**9  # so that the exchange's clock is ours
    now(plugin)
    plugin.sign_request(ORDER)
    assert b"timestamp=1499827323559&" in plugin.sign_request(ORDER).body


@pytest.mark.parametrize("error", ["Denied", "Held", "TimeoutError"])
def test_a_question_that_was_held_back_or_cut_off_changes_nothing(plugin, world, error):
    answer = Response(200, body=b'{"serverTime":1499827329559}', error=error)
    world.granted["transport"] = SimpleNamespace(send=lambda request, timeout_s: answer)
    now(plugin)
    assert b"timestamp=1499827319559&" in plugin.sign_request(ORDER).body


def test_a_skew_error_has_the_clock_asked_again(plugin, world):
    world.granted["transport"] = exchange = Exchange(ahead_ms=0)
    now(plugin)
    plugin.sign_request(ORDER)
    plugin.on_response(ORDER, Response(400, body=b'{"code":-1102}'))
    plugin.sign_request(ORDER)
    exchange.ahead_ms = 2_000
    plugin.on_response(ORDER, Response(400, body=b'{"code":-1021}'))
    world.passed_ns = 5 * 10**9
    assert b"timestamp=1499827321559&" in plugin.sign_request(ORDER).body
    assert len(exchange.asked) == 2


@pytest.mark.parametrize(("hours", "way"), [(-1, "behind"), (1, "ahead of")])
def test_a_clock_set_by_an_hour_while_running_signs_nothing(plugin, world, hours, way):
    world.granted["transport"] = exchange = Exchange(0)
    now(plugin)
    plugin.sign_request(ORDER)
    world.passed_ns, exchange.ahead_ms = 30 * 10**9, 30_000
    world.stepped_ns = hours * 3_600 * 10**9
    with pytest.raises(SigningError, match=f"clock is 3600 s {way} that of binance"):
        plugin.sign_request(ORDER)
    assert len(exchange.asked) == 2


def test_a_clock_set_by_an_hour_at_an_exchange_that_hangs_signs_nothing(plugin, world):
    world.granted["transport"] = exchange = Exchange(0)
    now(plugin)
    plugin.sign_request(ORDER)
    exchange.send = lambda request, timeout_s: Response(error="TimeoutError")
    world.passed_ns, world.stepped_ns = 30 * 10**9, -3_600 * 10**9
    for _ in range(2):
        with pytest.raises(SigningError, match="this machine's clock was set"):
            plugin.sign_request(ORDER)


def test_a_clock_that_is_set_back_at_once_signs_by_the_exchanges(plugin, world):
    world.granted["transport"] = exchange = Exchange(0)
    now(plugin)
    plugin.sign_request(ORDER)
    world.passed_ns, exchange.ahead_ms, world.stepped_ns = 30 * 10**9, 30_000, 2 * 10**9
    assert b"timestamp=1499827349559&" in plugin.sign_request(ORDER).body


def test_the_time_for_which_a_request_waited_counts(plugin, world):
    world.granted["transport"] = exchange = Exchange(0)
    now(plugin)
    plugin.sign_request(ORDER)
    world.passed_ns, exchange.ahead_ms, world.stepped_ns = 30 * 10**9, 30_500, 2 * 10**9

    def send(request, timeout_s):
        world.passed_ns += 10**9
        return Exchange.send(exchange, request, timeout_s=timeout_s)

    world.granted["transport"] = SimpleNamespace(send=send)
    assert b"timestamp=1499827350559&" in plugin.sign_request(ORDER).body


def test_requests_that_come_meanwhile_wait_for_the_same_answer(world):
    world.granted["transport"] = exchange = Exchange(0)
    clocks = Clocks(world)
    clocks.begin([(VENUE, VENUE.bases[0])])
    asked, answers, waited = threading.Event(), threading.Event(), []
    spawn = clocks._spawn

    def spawned(function):
        join = spawn(function)

        def joined(seconds):
            waited.append(seconds)
            if len(waited) == 3:  # all are waiting
                answers.set()
            join(30)

        return joined

    def send(request, timeout_s):
        asked.set()
        answers.wait(30)
        return Exchange.send(exchange, request, timeout_s=timeout_s)

    clocks._spawn = spawned
    world.granted["transport"] = SimpleNamespace(send=send)
    world.passed_ns, exchange.ahead_ms, world.stepped_ns = 30 * 10**9, 30_000, 2 * 10**9
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(clocks.time_ns(VENUE, VENUE.bases[0])))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1_499_827_349_559_000_000] * 3
    assert len(exchange.asked) == 2


@pytest.mark.parametrize(("off_ms", "way"), [(3_600_000, "behind"), (-3_600_000, "ahead of")])
def test_with_a_clock_an_hour_off_nothing_is_signed(plugin, world, off_ms, way):
    world.granted["transport"] = Exchange(off_ms)
    now(plugin)
    told = rf"clock is 3600 s {way} that of binance: set it \(NTP\)"
    for _ in range(2):
        with pytest.raises(SigningError, match=told):
            plugin.sign_request(ORDER)


def test_a_clock_an_hour_off_is_known_before_the_first_request_is_signed(world):
    world.is_resident = True
    world.granted["transport"] = Exchange(3_600_000)
    plugin = SigningPlugin(SigningConfig())
    plugin.on_start(world)  # asks in a thread, and waits for it
    with pytest.raises(SigningError, match="3600 s behind"):
        plugin.sign_request(ORDER)


def test_a_start_does_not_wait_for_an_exchange_that_hangs(world):
    hung, asked = threading.Event(), threading.Event()

    def hang(request, timeout_s):
        asked.set()
        hung.wait(30)
        return Response(error="Timeout")

    world.granted["transport"] = SimpleNamespace(send=hang)
    clocks = Clocks(world)
    clocks.begin([(VENUE, VENUE.bases[0])], wait_s=0.05)
    assert asked.wait(30), "it was asked"
    hung.set()


def test_a_command_that_signs_once_asks_nobody_at_its_start(world):
    world.granted["transport"] = exchange = Exchange(0)
    SigningPlugin(SigningConfig()).on_start(world)
    assert exchange.asked == []


def test_the_hosts_of_one_exchange_are_asked_once(plugin, world):
    world.granted["transport"] = exchange = Exchange(0)
    now(plugin)
    for base in VENUE.bases[:3]:
        plugin.sign_request(
            Request("POST", f"{base}/api/v3/order", {"a": "1"}).stamped("id", Operation.TRADE)
        )
    assert len(exchange.asked) == 1


def test_a_reload_does_not_forget_what_was_measured(plugin, world):
    world.granted["transport"] = Exchange(1_500)
    now(plugin)
    plugin.sign_request(ORDER)
    world.granted["transport"] = exchange = Exchange(0)
    world.predecessor = plugin
    after = SigningPlugin(SigningConfig(recv_window_ms=100))
    after.on_start(world)
    assert b"timestamp=1499827321059&" in after.sign_request(ORDER).body
    assert exchange.asked == []


def test_an_exchange_that_tells_no_time_is_signed_for_by_our_clock(plugin, world):
    exchange = Exchange(0)
    world.granted["transport"] = exchange
    exchange.send = lambda request, timeout_s: Response(error="ConnectTimeout")
    now(plugin)
    assert b"timestamp=1499827319559&" in plugin.sign_request(ORDER).body


def test_nobody_is_asked_where_that_is_not_wanted(world):
    world.granted["transport"] = exchange = Exchange(1_500)
    plugin = SigningPlugin(SigningConfig(sample_clock=False))
    plugin.on_start(world)
    now(plugin)
    assert b"timestamp=1499827319559&" in plugin.sign_request(ORDER).body
    assert exchange.asked == []
