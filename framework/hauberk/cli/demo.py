"""`hauberk demo`: a bot trades through Hauberk on a sandbox, and everything goes wrong that can.

Everything is real but the exchange and the mail server, and those speak over real sockets on
loopback; commands run in processes of their own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from attrs import asdict

from hauberk.cli.answer import Answer
from hauberk.cli.demo_closing import closing, lines
from hauberk.cli.demo_evidence import prove, restore
from hauberk.cli.demo_operator import Operator
from hauberk.cli.demo_promises import unkept
from hauberk.cli.demo_scenes import Scenes
from hauberk.cli.demo_stage import Stage, staged
from hauberk.cli.demo_story import Exchange, Scale, Story
from hauberk.cli.options import Options

#: Small, so that pacing is seen.
SCALE: Final = Scale()


def demo(*, options: Options = Options()) -> Answer:
    """Trade on a sandbox exchange, be attacked, and show what Hauberk did about it.

    It takes about half a minute. Nothing outside this machine is reached, and nothing is left
    behind. For example:
        hauberk demo
        hauberk demo --json
    """
    say: Callable[[str], object] = (
        (lambda _: None) if options.json else lambda text: print(text, flush=True)  # noqa: T201
    )
    return perform(SCALE, say)


def perform(scale: Scale, say: Callable[[str], object]) -> Answer:
    """Do it all; the answer is yes only if every promise came true."""
    began, story = time.monotonic(), Story(scale)
    with _quiet(), staged(scale, say) as stage:
        say(f"A sandbox exchange listens on {stage.url}: {scale.weight} weight in "
            f"{scale.weight_s} s, {scale.orders} orders in {scale.orders_s} s.")  # fmt: skip
        operator = Operator(stage.terminal)
        _guarded(stage, operator, story)
        prove(stage, operator, story)
        restore(stage, operator, story)
        story.exchange = _seen(stage)
    story.seconds = round(time.monotonic() - began, 1)
    broken = unkept(story)
    document: dict[str, Any] = {
        "table": [asdict(line) for line in lines(story)],
        **asdict(story, filter=lambda attribute, _: attribute.name not in ("scale", "rows")),
        "rows": [asdict(row) for row in story.rows.values()],
        "unkept": broken,
    }
    return Answer(document, lambda: closing(story), not broken)


def _guarded(stage: Stage, operator: Operator, story: Story) -> None:
    """Play what happens while the guard is open."""
    from hauberk import open as open_guard

    stage.say("The operator becomes its first user, and makes a recovery point while the bot runs:")
    operator.enrol()
    operator.log_in()
    with open_guard(stage.config) as guard:
        operator.make_point()
        Scenes(stage, guard, operator, story).play()
        if stage.mailbox is None:
            story.mails = None
            return
        stage.say("The mail server waits for what the on-call engineer is told …")
        stage.mailbox.wait_for(lambda got: not story.unheard(got), stage.scale.mail_s)
        story.mails = stage.mailbox.subjects


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the kernel warns of out of the story, which tells it."""
    logger = logging.getLogger("hauberk")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _seen(stage: Stage) -> Exchange:
    exchange = stage.exchange
    return Exchange(
        requests=len(stage.arrived()),
        orders=len(exchange.orders("main")) + len(exchange.orders("scalper")),
        answered_429=exchange.answered(429) + exchange.answered(418),
        withdrawals=len(exchange.withdrawals),
    )
