"""Makes a `SharedLimiter` with all it needs, and the thread that it needs it from."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from hauberk.errors import InvalidValue
from hauberk.ports import Clock, Store
from hauberk.secret import Secret
from hauberk_plugins.throttle.kept import boot_id
from hauberk_plugins.throttle.shared.advance import MOST_AHEAD
from hauberk_plugins.throttle.shared.beating import Beating
from hauberk_plugins.throttle.shared.call import Backend
from hauberk_plugins.throttle.shared.config import SharedConfig
from hauberk_plugins.throttle.shared.limiter import SharedLimiter
from hauberk_plugins.throttle.shared.loss import Local
from hauberk_plugins.throttle.shared.owner import Owner
from hauberk_plugins.throttle.shared.redis_backend import BEAT_US, GRACE_US, RedisBackend
from hauberk_plugins.throttle.shared.store_backend import StoreBackend


def redis_backend(config: SharedConfig, environ: Mapping[str, str]) -> RedisBackend:
    """Make what calls Redis; it connects when it is first called.

    Raises:
        InvalidValue: The variable with its URL is not named or not set, its URL is none, or the
            extra is not installed.
    """
    if not config.url:
        raise InvalidValue(
            "`store: redis` needs to know where Redis is: `shared: {url: env:REDIS_URL}` names a "
            "variable that holds its URL"
        )
    name = config.url.removeprefix("env:")
    url = environ.get(name, "")
    if not url:
        raise InvalidValue(f"{config.url}: set that variable to the URL of Redis")
    return RedisBackend(Secret(url), config.prefix, timeout_s=config.timeout_ms / 1_000)


def store_backend(store: Store, clock: Clock) -> StoreBackend:
    """Make what keeps the ledger in the port `store`."""
    return StoreBackend(
        store, machine=_machine(), wall_ns=clock.wall_ns, monotonic_ns=clock.monotonic_ns
    )


def shared_limiter(
    backend: Backend,
    config: SharedConfig,
    clock: Clock,
    *,
    wake: Callable[[str], object] = lambda _: None,
    told: Callable[[str], object] = lambda _: None,
    noted: Callable[[str], object] = lambda _: None,
    froze: Callable[[], object] = lambda: None,
    most_ahead: int = MOST_AHEAD,
) -> SharedLimiter:
    """Make a limiter on a back-end; its thread begins with its first meter and ends with `close`.

    Args:
        backend: Keeps the ledger.
        config: How it is shared.
        clock: The injected clock.
        wake: Called with the id of a waiter that should ask again now.
        told: Called with why the ledger is lost, and with nothing when it is back: once each.
        noted: Called with what else happened to it: its clock stepped, or it forgot.
        froze: Called when another process turns out to have been shut out by the exchange.
        most_ahead: How many requests one call to the ledger may grant in advance.
    """
    may_forget = isinstance(backend, RedisBackend)
    is_local = config.on_loss == "local"
    beating = Beating(lambda: limiter.beat())
    owner = Owner(
        backend,
        monotonic_ns=clock.monotonic_ns,
        token=lambda: secrets.token_hex(8),
        lease_us=int(config.lease_s * 1e6),
        timeout_us=config.timeout_ms * 1_000,
        beat_us=BEAT_US if may_forget else None,
        grace_us=GRACE_US if may_forget else 0,
        tell=noted,
    )
    limiter = SharedLimiter(
        owner,
        monotonic_ns=clock.monotonic_ns,
        without=Local(config.share, config.processes, wake=wake) if is_local else None,
        wake=wake,
        told=told,
        froze=froze,
        most_ahead=most_ahead,
        beating=beating,
    )
    return limiter


def _machine() -> str:
    """Tell this start of this machine from all others: the monotonic clock begins with it."""
    found = boot_id().replace("-", "")
    # Where nothing tells, the clocks of no other process are compared with.
    return found if found.isalnum() else secrets.token_hex(16)
