"""`hauberk demo`: its main job at a fraction of its length, and that its verdict misses nothing."""

from collections.abc import Callable

import pytest
from attrs import evolve

from hauberk.cli.demo import SCALE as WHOLE
from hauberk.cli.demo import perform
from hauberk.cli.demo_promises import PROMISES, Exchange, Row, Scale, Story, unkept
from hauberk.guard import Guard

#: One order more than a window holds: one wait. Nothing is late even where much else runs.
SCALE = Scale(loop=6, burst=2, weight=50, weight_s=1, orders=5, orders_s=1, jitter_ms=1_000)
#: Nothing to be paced.
SHORT = evolve(SCALE, loop=1, burst=1)
PACED = "more orders than a window holds wait for the next one"


def run(scale):
    """Do the demo's main job, without a word."""
    return perform(scale, lambda _: None)


def test_every_promise_comes_true_and_is_seen_to():
    answer = run(SCALE)
    assert answer.document["unkept"] == []
    assert answer.ok
    assert [(row["tried"], row["left"], row["answered"], row["refused"], row["by"])
            for row in answer.document["rows"]] == [
        (6, 6, 6, 0, ""),
        (2, 2, 2, 0, ""),
        (1, 0, 0, 1, "policy"),
        (1, 0, 0, 1, "policy"),
        (1, 0, 0, 1, "kernel"),
        (1, 0, 0, 1, "prudence"),
        (1, 0, 0, 1, "killswitch"),
        (1, 1, 1, 0, ""),
        (1, 0, 0, 1, "killswitch"),
    ]  # fmt: skip
    assert answer.document["rows"][0]["seconds"] >= 1
    assert answer.document["exchange"] == {
        "requests": 10, "orders": 9, "answered_429": 0, "withdrawals": 0
    }  # fmt: skip


def test_the_whole_demo_is_paced_in_the_loop_and_in_the_burst():
    assert WHOLE.loop > 2 * WHOLE.orders
    assert WHOLE.burst > WHOLE.orders


def test_without_the_bots_hooks_the_answer_is_no(monkeypatch):
    monkeypatch.setattr(Guard, "register", lambda *_args, **_options: "")
    answer = run(SHORT)
    assert not answer.ok
    assert answer.document["unkept"] == [
        PACED,
        "the bot's own hook refuses 50 BTC",
        "the incident reaches the kill switch and the bot's own hook",
        "the exchange sees what left, and nothing else",
    ]


def test_without_orders_the_answer_is_no_and_so_is_the_exit_status(hauberk, monkeypatch):
    monkeypatch.setattr("hauberk.cli.demo.SCALE", evolve(SCALE, loop=0, burst=0))
    ran = hauberk("demo", "--json")
    assert ran.status == 1
    assert ran.document["unkept"] == [
        PACED,
        "every order of the loop is answered",
        "every order from asyncio is answered",
    ]
    assert ran.err == ""


def test_a_person_is_told_what_was_not_as_promised(hauberk, monkeypatch):
    monkeypatch.setattr("hauberk.cli.demo.SCALE", SHORT)
    ran = hauberk("demo")
    assert ran.status == 1
    assert f"Not as promised: {PACED}" in ran.out


# The verdict by itself: each thing that can go wrong breaks a promise.


def story() -> Story:
    """One in which all went well."""
    refused = {
        **dict.fromkeys(("withdrawal", "unknown"), "policy"),
        **dict.fromkeys(("order", "anything"), "killswitch"),
        "elsewhere": "kernel",
        "large": "prudence",
    }
    rows = {
        "loop": Row("", tried=6, left=6, answered=6, seconds=1.25),
        "burst": Row("", tried=2, left=2, answered=2),
        "cancel": Row("", tried=1, left=1, answered=1),
        **{name: Row("", tried=1, refused=1, by=by) for name, by in refused.items()},
    }
    told = {"killswitch": "restricted", "prudence": "paused"}
    return Story(SCALE, rows, told, True, Exchange(10, 9, 0, 0))


def test_when_all_went_well_nothing_is_unkept():
    assert unkept(story()) == []


def changed(name: str, **values: object) -> Callable[[Story], Story]:
    """Have one row be otherwise."""
    return lambda story: evolve(
        story, rows={**story.rows, name: evolve(story.rows[name], **values)}
    )


def seen(**values: int) -> Callable[[Story], Story]:
    """Have the exchange see something else."""
    return lambda story: evolve(story, exchange=evolve(story.exchange, **values))


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (changed("loop", seconds=0.99), PACED),
        (changed("loop", tried=7, left=7, answered=7), PACED),
        (lambda story: evolve(story, scale=evolve(SCALE, orders=6)), PACED),
        (changed("loop", answered=5), "every order of the loop is answered"),
        (changed("loop", left=5, answered=5), "every order of the loop is answered"),
        (changed("burst", answered=1), "every order from asyncio is answered"),
        (changed("withdrawal", left=1), "the withdrawal is refused by policy"),
        (changed("withdrawal", by="throttle"), "the withdrawal is refused by policy"),
        (changed("unknown", tried=2), "what no map knows is refused by policy"),
        (changed("elsewhere", by="policy"), "another host is refused by the kernel"),
        (changed("large", left=1, refused=0), "the bot's own hook refuses 50 BTC"),
        (
            lambda story: evolve(story, paused=False),
            "the incident reaches the kill switch and the bot's own hook",
        ),
        (
            lambda story: evolve(story, told={"prudence": "paused"}),
            "the incident reaches the kill switch and the bot's own hook",
        ),
        (changed("order", refused=0), "after HIGH, an order is refused by the kill switch"),
        (changed("cancel", answered=0), "after HIGH, a cancel is answered"),
        (changed("anything", by="policy"), "after CRITICAL, nothing leaves"),
        (seen(requests=11), "the exchange sees what left, and nothing else"),
        (seen(orders=8), "the exchange takes every order, once"),
        (seen(answered_429=1), "the exchange never answers 429 or 418"),
        (seen(withdrawals=1), "the exchange sees no withdrawal"),
    ],
)
def test_whatever_goes_otherwise_is_a_promise_broken(change, broken):
    assert broken in [words for words, _ in PROMISES]
    assert unkept(change(story())) == [broken]
