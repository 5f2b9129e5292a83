"""A sandbox exchange and a guard for it: what the bots here trade on until they are given another.

`HAUBERK_CONFIG` names a configuration of your own; its account `main` then decides where they go.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hauberk
from hauberk_plugins.sandbox import SandboxExchange, SandboxServer

CONFIG = """\
state: hauberk-state
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
venues: {{folder: "{venues}"}}
accounts:
  main: {{venue: {venue}, key: env:EXAMPLE_KEY, secret: env:EXAMPLE_SECRET, base_url: "{url}"}}
keys: {{dotenv: .env}}
throttle: {{store: {store}}}
"""


VENUES = Path(__file__).parent / "venues"


@contextmanager
def configured(
    store: str = "memory", venue: str = "binance"
) -> Iterator[tuple[Path, str, SandboxExchange | None]]:
    """Yield a configuration, where its account is, and the sandbox where one was started."""
    if "HAUBERK_CONFIG" in os.environ:
        path = Path(os.environ["HAUBERK_CONFIG"])
        with hauberk.open(path, transient=True) as guard:
            url = guard.snapshot.bindings["main"].bases[0]
        yield path, url, None
        return
    exchange = SandboxExchange()
    key, secret = exchange.add_key()
    with SandboxServer(exchange) as server, tempfile.TemporaryDirectory() as folder:
        dotenv = Path(folder, ".env")
        dotenv.touch(0o600)
        dotenv.write_text(f"EXAMPLE_KEY={key}\nEXAMPLE_SECRET={secret}\n", encoding="utf-8")
        path = Path(folder, "hauberk.yml")
        text = CONFIG.format(url=server.url, store=store, venue=venue, venues=VENUES)
        path.write_text(text, encoding="utf-8")
        yield path, server.url, exchange


@contextmanager
def guarded_market(venue: str = "binance") -> Iterator[tuple[hauberk.Guard, str]]:
    """Yield a guard, and where its account `main` is."""
    with configured(venue=venue) as (path, url, _), hauberk.open(path) as guard:
        yield guard, url
