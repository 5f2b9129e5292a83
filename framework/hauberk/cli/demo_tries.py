"""Trying something and counting what becomes of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from hauberk.cli.demo_bot import Bot
from hauberk.cli.demo_story import Row
from hauberk.errors import Denied
from hauberk.request import Request


def once(what: str, bot: Bot, request: Request) -> Row:
    """Have a bot send one request."""
    return each(what, 1, lambda: bot.send(request))


def each(what: str, count: int, send: Callable[[], int]) -> Row:
    """Do something so many times, one after the other.

    Args:
        what: What it is called.
        count: How often.
        send: Does it; returns the status that was answered.
    """
    row, began = Row(what, tried=count), time.monotonic()
    for done in range(count):
        _progress(what, done, count)
        _count(row, send)
    row.seconds = round(time.monotonic() - began, 2)
    return row


def at_once(what: str, count: int, bot: Bot) -> Row:
    """Have a bot send so many orders at once, from asyncio."""

    async def burst() -> list[int | BaseException]:
        sends = [bot.asend(bot.order()) for _ in range(count)]
        return await asyncio.gather(*sends, return_exceptions=True)

    row, began = Row(what, tried=count), time.monotonic()
    for result in asyncio.run(burst()):

        def outcome(result: int | BaseException = result) -> int:
            if isinstance(result, BaseException):
                raise result
            return result

        _count(row, outcome)
    row.seconds = round(time.monotonic() - began, 2)
    return row


def _count(row: Row, send: Callable[[], int]) -> None:
    try:
        status = send()
    except Denied as denied:
        row.refused += 1
        row.by, row.why = denied.plugin, denied.reason
        return
    row.left += 1
    if status == 200:
        row.answered += 1
    else:
        row.by = f"exchange: {status}"


def _progress(what: str, done: int, count: int) -> None:
    if count > 1 and sys.stderr.isatty():
        end = "\n" if done + 1 == count else ""
        sys.stderr.write(f"\r  {what}: {done + 1}/{count}{end}")
        sys.stderr.flush()
