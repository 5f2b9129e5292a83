"""`SecurityMonitor`: counts events by rules, and says when it is an alert. Pure: time comes in."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from attrs import frozen

from hauberk.records import Event
from hauberk_plugins.monitor.counters import MAX_KEYS, Counters
from hauberk_plugins.monitor.rule import Counting, Per, Rule, has_fields, is_of_kind

#: An episode ends when the count, before an event is added, has fallen below this part of the
#: threshold. Where one event is an alert, half of one says nothing: it ends after a quiet window.
_OVER: Final = 0.5
#: Keys of a rule that have an incident of their own within an hour; of more, all share one:
#: whoever comes from everywhere must not fill the book of incidents.
_NAMED: Final = 100
_NAMED_WINDOW_NS: Final = 3_600_000_000_000
_OTHERS: Final = "others"
_USER: Final = ("user", "by", "who")
_MAX_KEY: Final = 128
_MAX_SOURCES: Final = 100


@frozen
class Alert:
    """What a rule has to say.

    Attributes:
        rule: Which.
        key: For whom: an account, a user, a source; empty for all.
        count: How many, or what share in percent.
        is_named: Whether the key has an incident of its own.
    """

    rule: Rule
    key: str
    count: float
    is_named: bool = True

    @property
    def title(self) -> str:
        """Of the incident; it names for whom, so that another is another incident."""
        if self.rule.per is Per.ALL:
            return self.rule.title
        return f"{self.rule.title}: {self.key if self.is_named else _OTHERS}"

    @property
    def details(self) -> dict[str, Any]:
        """For the incident."""
        told: dict[str, Any] = {"rule": self.rule.name, "count": round(self.count, 1)}
        if self.rule.per is not Per.ALL:
            told[self.rule.per.value] = self.key
        return {**told, "threshold": self.rule.threshold, "window_s": self.rule.window_s}


class _Watched:
    """One rule with its counts and episodes."""

    def __init__(self, rule: Rule, max_keys: int) -> None:
        self.rule = rule
        self.max_keys = max_keys
        self.window_ns = int(rule.window_s * 1e9)
        self.counts = Counters(self.window_ns, max_keys)
        self.among = Counters(self.window_ns, max_keys)
        self.named = Counters(_NAMED_WINDOW_NS, 1)
        #: Of keys of whom it was told, until their episode is over, when they last matched; as
        #: bounded as the counts.
        self.alerting: OrderedDict[str, int] = OrderedDict()
        #: Of each user, from where he has come.
        self.seen: OrderedDict[str, set[str]] = OrderedDict()

    def dump(self) -> dict[str, Any]:
        return {
            "counts": self.counts.dump(),
            "among": self.among.dump(),
            "named": self.named.dump(),
            "alerting": [[key, at_ns] for key, at_ns in self.alerting.items()],
            "seen": {user: sorted(sources) for user, sources in self.seen.items()},
        }

    def load(self, kept: Mapping[str, Any]) -> None:
        self.counts.load(kept["counts"])
        self.among.load(kept["among"])
        self.named.load(kept["named"])
        self.alerting = OrderedDict((str(key), int(at_ns)) for key, at_ns in kept["alerting"])
        self.seen = OrderedDict((user, set(sources)) for user, sources in kept["seen"].items())

    def take(self, event: Event, fields: Mapping[str, Any], now_ns: int) -> Alert | None:
        rule = self.rule
        if "account" in rule.where:
            fields = {**fields, "account": event.account}
        if rule.where and not has_fields(fields, rule.where):
            return None
        key = _key(rule.per, event, fields)
        if key is None:
            return None
        if rule.counts is Counting.UNSEEN and not self._is_unseen(fields):
            return None
        count = self._count(key, fields, now_ns)
        if (last_ns := self.alerting.get(key)) is not None:
            if not self._is_over(count, last_ns, now_ns):
                self.alerting[key] = now_ns
                return None
            del self.alerting[key]
        if count < rule.threshold:
            return None
        self.alerting[key] = now_ns
        if len(self.alerting) > self.max_keys:
            self.alerting.popitem(last=False)
        return Alert(rule, key, count, self.named.add("", now_ns) <= _NAMED)

    def _count(self, key: str, fields: Mapping[str, Any], now_ns: int) -> float:
        rule = self.rule
        if rule.counts is not Counting.SHARE:
            return self.counts.add(key, now_ns)
        part = self.counts.add(key, now_ns, float(has_fields(fields, rule.of)))
        whole = self.among.add(key, now_ns)
        return 100 * part / whole if whole >= rule.least else 0.0

    def _is_over(self, count: float, last_ns: int, now_ns: int) -> bool:
        """Whether an episode had ended before the event by which the count is what it is."""
        if self.rule.counts is Counting.SHARE:
            return count < self.rule.threshold * _OVER
        if self.rule.threshold == 1:
            return now_ns - last_ns >= self.window_ns
        return count - 1 < self.rule.threshold * _OVER

    def _is_unseen(self, fields: Mapping[str, Any]) -> bool:
        """Whether a user who was seen before comes from where he never did.

        The first source of a user that was never seen says nothing.
        """
        user, source = _user(fields) or "", _text(fields.get("source"))
        sources = self.seen.get(user)
        if sources is None:
            self.seen[user] = {source}
            if len(self.seen) > self.max_keys:
                self.seen.popitem(last=False)
            return False
        self.seen.move_to_end(user)
        is_unseen = source not in sources
        if len(sources) >= _MAX_SOURCES:  # whoever comes from everywhere is at home nowhere
            sources.clear()
        sources.add(source)
        return is_unseen


class SecurityMonitor:
    """Watches events. Every method may be called from any thread.

    Args:
        rules: Each with a name of its own.
        max_keys: For how many users, sources or accounts each rule counts at once.
    """

    def __init__(self, rules: Iterable[Rule], max_keys: int = MAX_KEYS) -> None:
        self._lock = threading.Lock()
        self._watched = [_Watched(rule, max_keys) for rule in rules]
        self._by_kind: dict[str, list[_Watched]] = {}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules."""
        return tuple(watched.rule for watched in self._watched)

    def watches(self, kind: str) -> bool:
        """Whether a rule counts events of a kind."""
        return bool(self._of(kind))

    def dump(self) -> dict[str, Any]:
        """Return what was counted by the names of the rules, as JSON has it."""
        with self._lock:
            return {watched.rule.name: watched.dump() for watched in self._watched}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Take what was counted before in place of what is; of a rule that cannot be read, none."""
        with self._lock:
            for watched in self._watched:
                with suppress(KeyError, TypeError, ValueError, AttributeError):
                    watched.load(kept[watched.rule.name])

    def observe(self, event: Event, now_ns: int) -> list[Alert]:
        """Count an event; return what is an alert by it: once an episode.

        Args:
            event: What happened.
            now_ns: Monotonic clock.
        """
        watching = self._by_kind.get(event.kind)
        if watching is None:
            watching = self._of(event.kind)
        if not watching:
            return []
        fields = event.fields
        with self._lock:
            alerts = [watched.take(event, fields, now_ns) for watched in watching]
        return [alert for alert in alerts if alert is not None]

    def _of(self, kind: str) -> list[_Watched]:
        found = [one for one in self._watched if is_of_kind(kind, one.rule.on)]
        with self._lock:
            if len(self._by_kind) >= MAX_KEYS:  # kinds are few, unless a plugin makes them up
                self._by_kind.clear()
            self._by_kind[kind] = found
        return found


def _key(per: Per, event: Event, fields: Mapping[str, Any]) -> str | None:
    if per is Per.ALL:
        return ""
    if per is Per.ACCOUNT:
        return event.account or None
    found = _user(fields) if per is Per.USER else _text(fields.get("source"))
    return found or None


def _user(fields: Mapping[str, Any]) -> str | None:
    for name in _USER:
        if isinstance(found := fields.get(name), str):
            return found[:_MAX_KEY]
    return None


def _text(value: object) -> str:
    return value[:_MAX_KEY] if isinstance(value, str) else ""
