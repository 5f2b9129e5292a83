"""What `hauberk demo` promises, and whether it came true: its verdict looks at all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, frozen


@frozen
class Scale:
    """How much the demo does.

    Attributes:
        loop: Orders that the bot sends one after the other; more than a window holds.
        burst: Orders that it sends at once, from asyncio.
        weight: What the sandbox allows, and what the guard is told of it: weight per address.
        weight_s: In how many seconds.
        orders: Orders per account, likewise.
        orders_s: In how many seconds.
        jitter_ms: How late a request may arrive, on a machine that does other things as well.
    """

    loop: int = 40
    burst: int = 20
    weight: int = 20
    weight_s: int = 3
    orders: int = 15
    orders_s: int = 3
    jitter_ms: int = 250


@define
class Row:
    """One line of the closing table.

    Attributes:
        what: What the bot tried.
        tried: How often.
        left: How often it was cleared.
        answered: How often the exchange said yes to it.
        refused: How often it was denied.
        by: Who denied it last, or what the exchange said in place of yes.
        why: The reason given.
        seconds: How long all of it took.
    """

    what: str
    tried: int = 0
    left: int = 0
    answered: int = 0
    refused: int = 0
    by: str = ""
    why: str = ""
    seconds: float = 0.0


@frozen
class Exchange:
    """What the exchange saw.

    Attributes:
        requests: That arrived, but for questions for the time.
        orders: That it took.
        answered_429: How often it had to answer 429 or 418.
        withdrawals: That were made.
    """

    requests: int
    orders: int
    answered_429: int
    withdrawals: int


@frozen
class Story:
    """What happened.

    Attributes:
        scale: How much was to happen.
        rows: What the bot tried, by a short name.
        told: What responders said they did about the HIGH incident, by plugin.
        paused: Whether the bot's strategy is paused at the end.
        exchange: What arrived.
    """

    scale: Scale
    rows: dict[str, Row]
    told: dict[str, str]
    paused: bool
    exchange: Exchange

    @property
    def sent(self) -> int:
        """How many orders the exchange must have taken: one was left resting."""
        return self.scale.loop + self.scale.burst + 1


def _answered(name: str) -> Callable[[Story], bool]:
    """Whether all that was tried left and was answered."""

    def check(story: Story) -> bool:
        row = story.rows[name]
        return 0 < row.tried == row.left == row.answered

    return check


def _refused(name: str, by: str) -> Callable[[Story], bool]:
    """Whether nothing of what was tried left, and who saw to that."""

    def check(story: Story) -> bool:
        row = story.rows[name]
        return 0 < row.tried == row.refused and row.left == 0 and row.by == by

    return check


def _paced(story: Story) -> bool:
    scale, row = story.scale, story.rows["loop"]
    windows = (row.tried - 1) // scale.orders
    return row.tried == scale.loop > scale.orders and row.seconds >= windows * scale.orders_s


#: In the order of the story.
PROMISES: Final[tuple[tuple[str, Callable[[Story], bool]], ...]] = (
    ("more orders than a window holds wait for the next one", _paced),
    ("every order of the loop is answered", _answered("loop")),
    ("every order from asyncio is answered", _answered("burst")),
    ("the withdrawal is refused by policy", _refused("withdrawal", "policy")),
    ("what no map knows is refused by policy", _refused("unknown", "policy")),
    ("another host is refused by the kernel", _refused("elsewhere", "kernel")),
    ("the bot's own hook refuses 50 BTC", _refused("large", "prudence")),
    (
        "the incident reaches the kill switch and the bot's own hook",
        lambda story: story.paused and story.told.keys() >= {"killswitch", "prudence"},
    ),
    ("after HIGH, an order is refused by the kill switch", _refused("order", "killswitch")),
    ("after HIGH, a cancel is answered", _answered("cancel")),
    ("after CRITICAL, nothing leaves", _refused("anything", "killswitch")),
    (
        "the exchange sees what left, and nothing else",
        lambda story: story.exchange.requests == story.sent + 1,  # the cancel
    ),
    ("the exchange takes every order, once", lambda story: story.exchange.orders == story.sent),
    ("the exchange never answers 429 or 418", lambda story: not story.exchange.answered_429),
    ("the exchange sees no withdrawal", lambda story: not story.exchange.withdrawals),
)


def unkept(story: Story) -> list[str]:
    """Return the promises that did not come true."""
    return [words for words, check in PROMISES if not check(story)]
