"""Where `hauberk demo` plays: a sandbox exchange, a mail server, a folder with a configuration."""

from __future__ import annotations

import secrets
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import asdict, frozen

from hauberk.cli.demo_mail import Mailbox
from hauberk.cli.demo_story import Scale
from hauberk.cli.demo_terminal import Terminal

if TYPE_CHECKING:
    from hauberk_plugins.sandbox import SandboxExchange

#: Two bots, each with an account of its own: one that is sane, one that goes mad.
SANE, MAD = "main", "scalper"
KEYS: Final = {
    SANE: ("demo-main-not-a-real-key", "demo-main-not-a-real-secret"),
    MAD: ("demo-scalper-not-a-real-key", "demo-scalper-not-a-real-secret"),
}
_PRIVATE: Final = 0o600

_CONFIG: Final = """\
state: hauberk-state
plugins: [killswitch, policy, bots, throttle, signing, auth, monitor, audit, logs, recovery{notify}]
required: [killswitch, policy, throttle, signing, audit]
venues: {{folder: "{venues}"}}
encryption: {{key: file:wrapping.key}}
keys: {{dotenv: .env}}
accounts:
  main: {{venue: sandbox, key: env:MAIN_KEY, secret: env:MAIN_SECRET, base_url: "{url}"}}
  scalper: {{venue: sandbox, key: env:SCALPER_KEY, secret: env:SCALPER_SECRET, base_url: "{url}"}}
killswitch:
  cancel_all: {{accounts: {{main: {{markets: [spot]}}}}}}
throttle:
  jitter_ms: {jitter_ms}
  windows:
    sandbox:
      - {{name: weight, kind: calendar, scope: ip, seconds: {weight_s}, size: {weight}, counts: weight}}
      - {{name: orders, kind: rolling, scope: account, seconds: {orders_s}, size: {orders}, counts: orders}}
monitor:
  rules:
    - name: order-rate
      title: Orders come faster than this bot trades
      on: [request.left]
      where: {{operation: [trade], account: [scalper]}}
      per: account
      threshold: {runaway_at}
      window_s: 600
      severity: HIGH
audit: {{witnesses: ["file:../witness"]}}
logs: {{format: json, file: events.jsonl}}
"""  # noqa: E501
_NOTIFY: Final = """\
notify:
  routes:
    - {name: mail, to: file:mail.url, severity: medium, digest_s: 1}
"""


@frozen(eq=False)
class Stage:
    """Where it plays.

    Attributes:
        scale: How much is to happen.
        say: Tells it to whoever watches.
        folder: That of `hauberk.yml`.
        url: Where the exchange is.
        exchange: The exchange.
        mailbox: What receives notifications; `None` where the extra that sends is not installed.
        terminal: Where an operator types.
    """

    scale: Scale
    say: Callable[[str], object]
    folder: Path
    url: str
    exchange: SandboxExchange
    mailbox: Mailbox | None
    terminal: Terminal

    def arrived(self) -> list[str]:
        """Return what arrived at the exchange, but for questions for the time."""
        # Signing asks for that by itself, once in a while.
        return [f"{one.method} {one.path}" for one in self.exchange.arrivals
                if one.path != "/api/v3/time"]  # fmt: skip

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "hauberk.yml"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "hauberk-state"


@contextmanager
def staged(scale: Scale, say: Callable[[str], object]) -> Iterator[Stage]:
    """Set it up, and take all of it down again."""
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hauberk-demo-")))
        exchange = _exchange(scale)
        url = _served(stack, exchange)
        mailbox = stack.enter_context(Mailbox()) if can_notify() else None
        folder, home = top / "bot", top / "home"
        folder.mkdir(0o700)
        home.mkdir(0o700)
        _write(folder, url, scale, mailbox)
        terminal = Terminal(folder / "hauberk.yml", home, say)
        yield Stage(scale, say, folder, url, exchange, mailbox, terminal)


def can_notify() -> bool:
    """Whether the extra `notify` is installed, which sends."""
    return find_spec("apprise") is not None


def _exchange(scale: Scale) -> SandboxExchange:
    from hauberk_plugins.sandbox import Limit, SandboxExchange

    exchange = SandboxExchange(
        weight_limit=Limit(scale.weight, scale.weight_s),
        order_limits=(Limit(scale.orders, scale.orders_s),),
    )
    for account, (key, secret) in KEYS.items():
        # These keys could withdraw. That they never do is Hauberk's doing.
        exchange.add_key(key, secret, account=account, may=("read", "trade", "withdraw"))
    return exchange


def _served(stack: ExitStack, exchange: SandboxExchange) -> str:
    from hauberk_plugins.sandbox import SandboxServer

    return stack.enter_context(SandboxServer(exchange)).url


def _write(folder: Path, url: str, scale: Scale, mailbox: Mailbox | None) -> None:
    import hauberk_plugins.sandbox

    lines = [f"{account.upper()}_KEY={key}\n{account.upper()}_SECRET={secret}\n"
             for account, (key, secret) in KEYS.items()]  # fmt: skip
    _write_private(folder / ".env", "".join(lines))
    _write_private(folder / "wrapping.key", b64encode(secrets.token_bytes(32)).decode() + "\n")
    if mailbox is not None:
        _write_private(folder / "mail.url", mailbox.url + "\n")
    text = _CONFIG.format(
        url=url,
        venues=Path(hauberk_plugins.sandbox.__file__).parent / "venues",
        notify="" if mailbox is None else ", notify",
        **asdict(scale),
    )
    text += "" if mailbox is None else _NOTIFY
    (folder / "hauberk.yml").write_text(text, encoding="utf-8")


def _write_private(path: Path, text: str) -> None:
    path.touch(_PRIVATE)
    path.write_text(text, encoding="utf-8")
