"""What in the section `policy` could never decide anything, or could not be kept to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from hauberk.accounts import Account
from hauberk.keypath import KeyPath
from hauberk.ports import Venue
from hauberk.request import Operation
from hauberk.spelling import nearest
from hauberk_plugins.policy.amounts import Amount
from hauberk_plugins.policy.config import Caps, Match, PolicyConfig, Rule
from hauberk_plugins.policy.rules import may_fit
from hauberk_plugins.policy.symbols import Symbols, SymbolSet

Fault: TypeAlias = tuple[KeyPath, str]
_ORDERS: Final = (Operation.TRADE, Operation.REDUCE)


def judges_orders(config: PolicyConfig) -> bool:
    """Whether anything in it needs orders to be read."""
    sections: list[Caps] = [config, *config.accounts.values()]
    return any(
        one is not None
        for caps in sections
        for one in (
            caps.symbols, caps.max_order, caps.max_day, caps.price_band, caps.max_orders
        )
    ) or bool(config.rules)  # fmt: skip


def problems(config: PolicyConfig, accounts: Mapping[str, Mapping[str, Any]]) -> Iterator[Fault]:
    """Find what is wrong by the file alone.

    Args:
        config: The section.
        accounts: What the file says of accounts.
    """
    venues = [said.get("venue") for said in accounts.values()]
    for name, caps in config.accounts.items():
        if name not in accounts:
            yield ("accounts", name), f"there is no account {name!r}{nearest(name, accounts)}"
        for at, message in _laxer(config, caps):
            yield ("accounts", name, *at), message
    for key, by_venue in (("contracts", config.contracts), ("harmless", config.harmless)):
        for venue in by_venue:
            if venue not in venues:
                near = nearest(venue, [name for name in venues if isinstance(name, str)])
                yield (key, venue), f"no account is at venue {venue!r}{near}"
    for index, rule in enumerate(config.rules):
        for at, message in _rule(config, rule, accounts):
            yield ("rules", index, *at), message


def ungranted(config: PolicyConfig, has: Callable[[str], bool]) -> Iterator[Fault]:
    """Find what needs a port that the plugin has not.

    Args:
        config: The section.
        has: Whether a port is granted and provided.
    """
    if not has("venues"):
        yield (), "orders are read by venue files: grant it, `grants: {policy: [venues, …]}`"
    for at, caps in _sections(config):
        if caps.max_day is not None and not has("store"):
            yield (
                (*at, "max_day"),
                "is kept in the store, or a restart would give it back: grant it, "
                "`grants: {policy: [store, …]}`",
            )
    if has("reference_price"):
        return
    bands = [(*at, "price_band") for at, caps in _sections(config) if caps.price_band is not None]
    bands += [
        ("rules", index, "price_band")
        for index, rule in enumerate(config.rules)
        if rule.price_band is not None
    ]
    for at in bands:
        yield (
            at,
            "lies around a reference price, and no plugin provides any, so that every order would "
            "be denied: name one under `ports.reference_price`, and grant it",
        )


def unreadable(
    config: PolicyConfig,
    accounts: Mapping[str, Account],
    symbols: Mapping[str, Sequence[Symbols]],
    *,
    has_prices: bool,
) -> Iterator[Fault]:
    """Find symbols and currencies that no market of any account in question can have.

    Args:
        config: The section.
        accounts: By name.
        symbols: By account that may trade, how symbols are made at its venue.
        has_prices: Whether amounts can be converted.
    """
    for at, caps in _sections(config):
        chosen = [name for name in symbols if not at or at[1] == name]
        yield from _strange(at, "symbols", caps.symbols, chosen, symbols)
        for key in ("max_order", "max_day"):
            yield from _unquoted((*at, key), getattr(caps, key), chosen, symbols, has_prices)
    for index, rule in enumerate(config.rules):
        at = ("rules", index)
        of, at_venues = rule.match.account, rule.match.venue
        chosen = [
            name for name in symbols
            if (of is None or name in of)
            and (at_venues is None or accounts[name].venue in at_venues)
        ]  # fmt: skip
        yield from _strange((*at, "match"), "symbol", rule.match.symbol, chosen, symbols)
        yield from _unquoted((*at, "max_order"), rule.max_order, chosen, symbols, has_prices)


def _strange(
    at: KeyPath, key: str, names: tuple[str, ...] | None, chosen: Sequence[str],
    symbols: Mapping[str, Sequence[Symbols]],
) -> Iterator[Fault]:  # fmt: skip
    ways = [one for account in chosen for one in symbols[account]]
    for name in names or ():
        if "*" not in name and ways and not any(one.can_be(name) for one in ways):
            yield (
                (*at, key),
                f"{name} is no symbol at the venue of {', '.join(chosen)}, by `orders.symbols` of "
                "its file, so that it would match nothing",
            )


def _unquoted(
    at: KeyPath, cap: Amount | None, chosen: Sequence[str],
    symbols: Mapping[str, Sequence[Symbols]], has_prices: bool,
) -> Iterator[Fault]:  # fmt: skip
    if cap is None or has_prices:
        return
    known: set[str] = set()
    for account in chosen:
        for one in symbols[account]:
            if one.quoted_in is None:
                return
            known |= one.quoted_in
    if known and cap.currency not in known:
        yield (
            at,
            f"nothing is quoted in {cap.currency} at the venue of {', '.join(chosen)}"
            f"{nearest(cap.currency, sorted(known))}, and without a reference price nothing is "
            "converted: every order would be denied",
        )


def unmatched(
    config: PolicyConfig, accounts: Mapping[str, Account], venues: Mapping[str, Venue]
) -> Iterator[Fault]:
    """Find rules that are for no endpoint of any account's venue.

    Args:
        config: The section.
        accounts: By name.
        venues: By account.
    """
    for index, rule in enumerate(config.rules):
        match = rule.match
        if match.path is None and match.method is None:
            continue
        # What a file of a user's own knows nothing of is denied in any case.
        endpoints = [
            endpoint
            for name, venue in venues.items()
            if (match.account is None or name in match.account)
            and (match.venue is None or accounts[name].venue in match.venue)
            for endpoint in venue.endpoints()
        ]
        if endpoints and not any(may_fit(match, endpoint) for endpoint in endpoints):
            part = "method" if match.path is None else "path"
            yield (
                ("rules", index, "match", part),
                "no endpoint of the venues that it is for is like this: it can never match",
            )


def _laxer(above: Caps, caps: Caps) -> Iterator[Fault]:
    for name in ("max_order", "max_day"):
        own, other = getattr(caps, name), getattr(above, name)
        if own and other and own.currency == other.currency and own.value > other.value:
            yield (name,), f"is above `policy.{name}`, {other}, which counts too: it never decides"
    if caps.price_band and above.price_band and caps.price_band > above.price_band:
        yield (
            ("price_band",),
            f"is wider than `policy.price_band`, {above.price_band}",
        )
    own_rate, rate = caps.max_orders, above.max_orders
    if own_rate and rate and own_rate.seconds == rate.seconds and own_rate.count > rate.count:
        yield ("max_orders",), f"is above `policy.max_orders`, {rate}, which counts too"
    if caps.symbols is None or above.symbols is None:
        return
    allowed = SymbolSet(above.symbols)
    for name in caps.symbols:
        if not allowed.meets(SymbolSet([name])):
            yield (
                ("symbols",),
                f"{name} is not in `policy.symbols`, which counts too"
                f"{nearest(name, above.symbols)}",
            )


def _rule(
    config: PolicyConfig, rule: Rule, accounts: Mapping[str, Mapping[str, Any]]
) -> Iterator[Fault]:
    says = any(one is not None for one in rule.caps)
    if not rule.deny and not says:
        yield (), "says nothing: give it `deny`, `max_order`, `price_band` or `max_orders`"
    if rule.deny and says:
        yield ("deny",), "denies what its other limits would judge: make two rules of it"
    match = rule.match
    for name in match.account or ():
        if name not in accounts:
            yield (
                ("match", "account"),
                f"there is no account {name!r}{nearest(name, accounts)}: it can never match",
            )
    yield from _venues(match, accounts)
    yield from _operations(rule)
    if match.symbol is None or config.symbols is None:
        return
    if not SymbolSet(config.symbols).meets(SymbolSet(match.symbol)):
        yield (
            ("match", "symbol"),
            "is in no case in `policy.symbols`, without which all is denied: it never decides",
        )


def _venues(match: Match, accounts: Mapping[str, Mapping[str, Any]]) -> Iterator[Fault]:
    if match.venue is None:
        return
    chosen = [
        said.get("venue")
        for name, said in accounts.items()
        if match.account is None or name in match.account
    ]
    for venue in match.venue:
        if venue not in chosen:
            near = nearest(venue, [name for name in chosen if isinstance(name, str)])
            yield ("match", "venue"), f"no account of its is at {venue!r}{near}: it can never match"


def _operations(rule: Rule) -> Iterator[Fault]:
    match = rule.match
    if match.operation is None:
        return
    at: KeyPath = ("match", "operation")
    if Operation.UNKNOWN in match.operation:
        yield at, "what is unknown is denied in any case: it can never match"
    is_of_orders = match.symbol is not None or not rule.deny
    if is_of_orders and not any(one in _ORDERS for one in match.operation):
        yield at, "only trade and reduce place orders, of which the rule is: it can never match"


def _sections(config: PolicyConfig) -> Iterator[tuple[KeyPath, Caps]]:
    yield (), config
    for name, caps in config.accounts.items():
        yield ("accounts", name), caps
