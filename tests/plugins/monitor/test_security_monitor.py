"""`SecurityMonitor`: counts decay, memory is bounded, an alert is told once an episode."""

from __future__ import annotations

import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import InvalidValue
from hauberk.records import Event, Severity
from hauberk_plugins.monitor.counters import Counters
from hauberk_plugins.monitor.rule import Counting, Per, Rule
from hauberk_plugins.monitor.security_monitor import SecurityMonitor
from hauberk_plugins.monitor.shipped import RULES, canary

S = 1_000_000_000
FAILED = Rule("failed", "Failed logins", ("login.denied",), 5, per=Per.SOURCE, window_s=10)


def event(kind="login.denied", account="", **fields):
    return Event(kind, 0, "kernel", account=account, fields_json=json.dumps(fields))


def alerts(monitor, events):
    return [alert.key for at, one in events for alert in monitor.observe(one, at)]


@given(st.lists(st.tuples(st.integers(0, 5 * S), st.integers(1, 3)), max_size=60))
def test_a_count_is_never_more_than_two_windows_hold_nor_less_than_its_cell(steps):
    counters, now, log = Counters(S), 0, []
    for step, amount in steps:
        now += step
        log.append((now, amount))
        count = counters.add("key", now, amount)
        assert count <= sum(n for at, n in log if at > now - 2 * S)
        assert count >= sum(n for at, n in log if at // S == now // S)


def test_what_was_counted_is_forgotten():
    counters = Counters(S)
    counters.add("key", 0, 100)
    assert counters.add("key", S + S // 2, 0) == 50
    assert counters.add("key", 2 * S, 0) == 0
    assert counters.add("key", 9 * S, 0) == 0


def test_a_million_keys_are_not_remembered():
    counters = Counters(S, max_keys=1_000)
    for n in range(20_000):
        counters.add(f"key {n}", n)
    assert len(counters) == 1_000


def test_an_alert_is_told_once_an_episode():
    monitor = SecurityMonitor([FAILED])
    burst = [(n * S // 10, event(source="a")) for n in range(30)]
    assert alerts(monitor, burst) == ["a"]
    assert alerts(monitor, [(60 * S, event(source="a"))]) == []
    again = [(61 * S + n, event(source="a")) for n in range(9)]
    assert alerts(monitor, again) == ["a"], "another episode"


def alarming(rule, episode):
    """As many events as make one alert of a rule, each time for the same key."""
    fields = {name: values[0].replace("*", "x") for name, values in (rule.where | rule.of).items()}
    account = fields.pop("account", "main")
    number = rule.least if rule.counts is Counting.SHARE else rule.threshold
    for n in range(number):
        source = f"{episode}-{n}" if rule.counts is Counting.UNSEEN else "home"
        yield event(rule.on[0].replace("*", "x"), account, user="u", **fields | {"source": source})


TWO = Rule("two", "Two of them", ("k",), 2)


@pytest.mark.parametrize("rule", [*RULES, canary("main"), TWO], ids=lambda rule: rule.name)
def test_what_was_told_once_is_told_again_when_it_begins_again(rule):
    monitor, quiet_ns = SecurityMonitor([rule]), int(rule.window_s * 3 * S)
    if rule.counts is Counting.UNSEEN:
        monitor.observe(event(rule.on[0], user="u", source="first"), 0)
    for episode in range(4):
        at = (episode + 1) * quiet_ns
        burst = [(at + n, one) for n, one in enumerate(alarming(rule, episode))]
        assert len(alerts(monitor, burst)) == 1, f"episode {episode}"
        assert alerts(monitor, [(at + len(burst), one) for _, one in burst[:1]]) == []


@pytest.mark.parametrize("threshold", [1, 2, 3])
def test_what_goes_on_is_one_episode_at_any_threshold(threshold):
    rule = Rule("r", "R", ("k",), threshold, window_s=10)
    step = 9 * S // threshold
    told = alerts(SecurityMonitor([rule]), [(n * step, event("k")) for n in range(200)])
    assert told == [""]


def test_a_known_source_is_no_alert_after_many_that_were_not():
    rule = Rule("new", "A source that is not known", ("login.granted",), 1, per=Per.USER,
                counts=Counting.UNSEEN, window_s=10)  # fmt: skip
    monitor = SecurityMonitor([rule])
    burst = [(9 * S + n, event("login.granted", user="a", source=f"s{n}")) for n in range(20)]
    assert alerts(monitor, burst) == ["a"]
    assert alerts(monitor, [(19 * S + 30, event("login.granted", user="a", source="s1"))]) == []


def test_each_source_counts_for_itself():
    monitor = SecurityMonitor([FAILED])
    events = [(n, event(source=f"s{n % 4}")) for n in range(16)]
    assert alerts(monitor, events) == []
    assert alerts(monitor, [(20, event(source="s1"))]) == ["s1"]
    assert alerts(monitor, [(21, event()), (22, event(source=7))]) == [], "nobody"


def test_each_key_has_an_incident_of_its_own_and_whoever_comes_from_everywhere_has_one():
    monitor, hour = SecurityMonitor([evolve(FAILED, threshold=1)]), 3_600 * S

    def title(n, now):
        (alert,) = monitor.observe(event(source=f"s{n}"), now)
        assert alert.details["source"] == f"s{n}"
        return alert.title

    titles = [title(n, n) for n in range(1_000)]
    assert titles[:2] == ["Failed logins: s0", "Failed logins: s1"]
    assert len(set(titles)) == 101
    assert titles[-1] == "Failed logins: others"
    assert title(1_000, 3 * hour) == "Failed logins: s1000"


def test_what_is_counted_for_all_names_nobody():
    rule = Rule("r", "R", ("k",), 1)
    (alert,) = SecurityMonitor([rule]).observe(event("k"), 0)
    assert alert.title == "R"


def test_only_what_matches_counts():
    rule = Rule("w", "Withdrawals", ("request.denied",), 1, {"operation": ("withdraw", "transfer")})
    monitor = SecurityMonitor([rule])
    assert alerts(monitor, [(0, event("request.denied", operation="trade"))]) == []
    assert alerts(monitor, [(0, event("request.left", operation="withdraw"))]) == []
    assert alerts(monitor, [(0, event("request.denied", operation="withdraw"))]) == [""]


def test_a_user_who_comes_from_where_he_never_did():
    rule = Rule("new", "A source that is not known", ("login.granted",), 1, per=Per.USER,
                counts=Counting.UNSEEN)  # fmt: skip
    monitor = SecurityMonitor([rule])
    first = [(0, event("login.granted", user="a", source="home")),
             (1, event("login.granted", user="b", source="home")),
             (2, event("login.granted", user="a", source="home"))]  # fmt: skip
    assert alerts(monitor, first) == []
    assert alerts(monitor, [(3, event("login.granted", user="a", source="elsewhere"))]) == ["a"]


def test_a_share_needs_enough_to_be_one():
    rule = Rule("cancels", "Cancels", ("request.left",), 90, per=Per.ACCOUNT, least=10,
                counts=Counting.SHARE, of={"operation": ("cancel",)})  # fmt: skip
    monitor = SecurityMonitor([rule])
    cancels = [(n, event("request.left", "main", operation="cancel")) for n in range(9)]
    assert alerts(monitor, cancels) == []
    assert alerts(monitor, [(10, event("request.left", "main", operation="trade"))]) == ["main"]


@pytest.mark.parametrize("on", ["login.denied", "login.*", "*", "gateway.refused", "auth.refused"])
def test_nobody_may_halt_trading_from_outside(on):
    with pytest.raises(InvalidValue, match="from outside"):
        Rule("r", "R", (on,), 1, severity=Severity.HIGH)
    Rule("r", "R", (on,), 1, severity=Severity.MEDIUM)


def test_what_only_insiders_cause_may_be_high():
    Rule("r", "R", ("request.denied",), 1, severity=Severity.CRITICAL)


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": 0}, {"window_s": 0}, {"window_s": float("nan")}, {"window_s": 1e9}, {"on": ()},
     {"on": ("a*b",)}, {"name": ""}, {"counts": Counting.SHARE}, {"of": {"a": ("b",)}},
     {"counts": Counting.SHARE, "of": {"a": ("b",)}, "threshold": 101}, {"least": 0}],
)  # fmt: skip
def test_a_rule_that_could_never_alert_is_refused(wrong):
    with pytest.raises(InvalidValue):
        Rule(**{"name": "r", "title": "R", "on": ("k",), "threshold": 1, **wrong})
