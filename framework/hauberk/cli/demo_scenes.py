"""The scenes of `hauberk demo` in which a bot trades, and somebody attacks it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from attrs import define, field

from hauberk.cli.demo_bot import Bot, Prudence
from hauberk.cli.demo_operator import OPERATOR, Operator
from hauberk.cli.demo_stage import KEYS, MAD, SANE, Stage
from hauberk.cli.demo_story import Halt, Lift, Story
from hauberk.cli.demo_tries import at_once, each, once
from hauberk.records import Login, Outcome, Severity
from hauberk.request import Request
from hauberk.secret import Secret

if TYPE_CHECKING:
    from hauberk.guard import Guard

#: An address that nobody has (RFC 5737).
ATTACKER: Final = "203.0.113.7"
#: How long cancelling everything may take, on a machine that does other things as well.
_LANE_S: Final = 5.0
CRITICAL: Final = "a key was revoked, and nobody here knows why"


@define(eq=False)
class Scenes:
    """What happens while the guard is open.

    Attributes:
        stage: Where it plays.
        guard: The guard.
        operator: Who is called.
        story: Where it is written down.
    """

    stage: Stage
    guard: Guard
    operator: Operator
    story: Story
    bot: Bot = field(init=False)
    mad: Bot = field(init=False)
    prudence: Prudence = field(init=False, factory=Prudence)

    def __attrs_post_init__(self) -> None:
        self.bot = Bot(self.guard, self.stage.url, SANE)
        self.mad = Bot(self.guard, self.stage.url, MAD)
        self.guard.register(self.prudence, name="prudence")

    def play(self) -> None:
        """Play all of them."""
        self.trade()
        self.overreach()
        self.guess()
        self.withdraw()
        self.lift()
        self.run_away()
        self.revoke()
        self.halt()
        self.story.alarms = tuple(self.prudence.alarms)
        self.story.paused = self.prudence.is_paused

    def trade(self) -> None:
        """Trade more than a window holds, twice."""
        scale, order = self.stage.scale, self.bot.order
        self.say(f"The bot sends {scale.loop} orders as fast as it can; Hauberk paces them …")
        self.story.rows["loop"] = each(
            f"{scale.loop} orders in a loop", scale.loop, lambda: self.bot.send(order())
        )
        self.say(f"… and {scale.burst} at once from asyncio, under the same budget.")
        self.story.rows["burst"] = at_once(
            f"{scale.burst} orders at once, asyncio", scale.burst, self.bot
        )

    def overreach(self) -> None:
        """Try what the bot should not."""
        self.say("It tries what it should not …")
        unknown = self.bot.request("POST", "/sapi/v1/anything")
        elsewhere = "https://api.binance.com.evil.example/api/v3/account"
        self.once("unknown", "an endpoint that no map knows", unknown)
        self.once(
            "elsewhere", "the same key at another host", Request("GET", elsewhere, account=SANE)
        )
        self.once("large", "an order of 50 BTC", self.bot.order("50"))

    def guess(self) -> None:
        """Have somebody guess the operator's password."""
        count = self.stage.scale.guesses
        self.say(f"Somebody at {ATTACKER} guesses {OPERATOR}'s password, {count} times …")

        def guess() -> int:
            self.guard.login(Login(OPERATOR, Secret("correct horse"), source=ATTACKER))
            return 200

        self.story.rows["guesses"] = each(f"{count} guessed passwords", count, guess)
        self.once("unstopped", "an order after the guesses", self.bot.order())

    def withdraw(self) -> None:
        """Have something withdraw."""
        self.once("resting", "an order far from the market", self.bot.resting())
        resting = (self.bot.last or {}).get("orderId", 0)
        self.say("Something withdraws, with a key that could …")
        withdrawal = {"coin": "BTC", "address": "bc1qattacker", "amount": "2"}
        path = "/sapi/v1/capital/withdraw/apply"
        self.once("withdrawal", "a withdrawal", self.bot.request("POST", path, **withdrawal))
        self.once("order", "an order after HIGH", self.bot.order())
        cancel = {"symbol": "BTCUSDT", "orderId": resting}
        self.once(
            "cancel", "a cancel after HIGH", self.bot.request("DELETE", "/api/v3/order", **cancel)
        )

    def lift(self) -> None:
        """Lift it, from another process."""
        self.say("The incident ended all sessions, so that lifting it takes a fresh login:")
        before = self.operator.resume("it was a drill")
        self.operator.log_in()
        after = self.operator.resume("it was a drill")
        self.story.lift = Lift(before.plugin if before.status == 1 else "", after.status == 0)
        self.once("lifted", "an order after that", self.bot.order())

    def run_away(self) -> None:
        """Have a bot go mad."""
        self.once("left", "another far from the market", self.bot.resting())
        count, order = self.stage.scale.runaway, self.mad.order
        self.say("Another bot has a bug, and orders, and orders …")
        self.story.rows["runaway"] = each("a runaway loop", count, lambda: self.mad.send(order()))

    def revoke(self) -> None:
        """Have the exchange revoke that bot's key."""
        self.say("The exchange revokes its key …")
        self.stage.exchange.revoke_key(KEYS[MAD][0])
        look = self.mad.request("POST", "/api/v3/order/test", symbol="BTCUSDT", side="BUY",
                                type="MARKET", quantity="0.001")  # fmt: skip
        self.story.rows["revoked"] = each("a key that was revoked", 3, lambda: self.mad.send(look))

    def halt(self) -> None:
        """Report something CRITICAL, and see that nothing leaves any more."""
        self.say("The bot reports that as CRITICAL:")
        before = len(self.stage.arrived())
        incident = self.guard.report(CRITICAL, Severity.CRITICAL, {"account": MAD})
        for outcome in incident.outcomes:
            self.say(f"  {outcome.plugin}: {outcome.did} ({outcome.took_ns / 1e6:.1f} ms)")
        look = self.bot.request("GET", "/api/v3/openOrders", symbol="BTCUSDT")
        self.once("anything", "anything after CRITICAL", look)
        resting = self.resting()
        arrived = tuple(self.stage.arrived()[before:])
        self.story.halt = _halt(incident.outcomes, arrived, resting)

    def resting(self) -> int:
        """Say how many orders are open at the exchange, once the emergency lane had its time."""
        until = time.monotonic() + _LANE_S
        while True:
            count = sum(one.status == "NEW" for one in self.stage.exchange.orders(SANE))
            if not count or time.monotonic() > until:
                return count
            time.sleep(0.05)

    def once(self, name: str, what: str, request: Request) -> None:
        """Have something sent once."""
        self.story.rows[name] = once(what, self.bot, request)

    def say(self, text: str) -> None:
        """Tell whoever watches."""
        self.stage.say(text)


def _halt(outcomes: Iterable[Outcome], arrived: tuple[str, ...], resting: int) -> Halt:
    did: dict[str, tuple[str, ...]] = {}
    for outcome in outcomes:
        did[outcome.plugin] = (*did.get(outcome.plugin, ()), outcome.did)
    by_switch = [one.took_ns for one in outcomes if one.plugin == "killswitch" and one.ok]
    return Halt(did, by_switch[0] / 1e6 if by_switch else 0.0, arrived, resting)
