"""A minute under saturation, drawn by the rate limiter itself: `python docs/_ext/saturated.py`.

Three bots want more than a window holds, all the time; each dot row is what one of them was granted
in each second, and the line what counted. No plotting library: the picture is a few rectangles.
"""

from __future__ import annotations

import heapq
from pathlib import Path
from typing import Final

from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.windows import Kind, Scope, Window

SVG: Final = Path(__file__).parent.parent / "explanation" / "saturated-minute.svg"
S: Final = 1_000_000_000
EPOCH: Final = 1_700_000_040 * S  # a full minute
JITTER: Final = 250_000_000
SECONDS: Final = 60
#: One bot sends orders, two read; now and then somebody cancels.
BOTS: Final = ("orders", "reads", "cancels")
COLOURS: Final = ("#1f6feb", "#8b949e", "#d1242f")
WINDOWS: Final = (
    Window("weight-10s", Kind.CALENDAR, Scope.IP, 10, 100, "weight", 10),
    Window("orders-2s", Kind.ROLLING, Scope.ACCOUNT, 2, 10, "orders", 1),
)


def granted() -> list[dict[str, int]]:
    """Run the minute on a clock of its own; return what each bot was granted in each second."""
    limiter = RateLimiter()
    weight, orders = (limiter.meter(("venue", "", w.name), w, JITTER) for w in WINDOWS)
    takes = {
        "orders": ((weight, 1), (orders, 1)),
        "reads": ((weight, 2),),
        "cancels": ((weight, 1), (orders, 1)),
    }
    seconds = [dict.fromkeys(BOTS, 0) for _ in range(SECONDS)]
    # Each time, a bot's name and how many it has sent: a request is asked for until it is granted.
    asks = [(0, "orders", 0), (0, "reads", 0), (0, "cancels", 0)]
    while asks:
        now, bot, number = heapq.heappop(asks)
        if now >= SECONDS * S:
            continue
        name, cancels = f"{bot}{number}", bot == "cancels"
        wait = limiter.ask(name, takes[bot], now, EPOCH + now, cancels)
        if wait:
            heapq.heappush(asks, (now + max(wait, 1_000_000), bot, number))
            continue
        limiter.end(name, True, now)
        seconds[now // S][bot] += sum(amount for meter, amount in takes[bot] if meter is weight)
        pause = 2_500_000_000 if cancels else 40_000_000
        heapq.heappush(asks, (now + pause, bot, number + 1))
    return seconds


def svg(seconds: list[dict[str, int]]) -> str:
    """Draw stacked bars, a second each, of the weight that was granted."""
    left, top, width, height, step = 46, 30, 720, 180, 12
    most = max(sum(second.values()) for second in seconds)
    tall = -(-most // 10) * 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 14} 262" '
        'font-family="sans-serif" font-size="12" role="img">',
        "<title>Weight granted in each second of a saturated minute</title>",
        f'<rect width="{left + width + 14}" height="262" fill="#ffffff"/>',
    ]
    for level in range(0, tall + 1, max(10, tall // 4 // 10 * 10)):
        y = top + height - height * level // tall
        parts.append(
            f'<path d="M{left} {y}h{width}" stroke="#d0d7de"/>'
            f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{level}</text>'
        )
    for number, second in enumerate(seconds):
        y = top + height
        for bot, colour in zip(BOTS, COLOURS, strict=True):
            tallness = round(height * second[bot] / tall, 2)
            y = round(y - tallness, 2)
            if tallness:
                parts.append(
                    f'<rect x="{left + number * step + 1}" y="{y:g}" width="{step - 2}" '
                    f'height="{tallness:g}" fill="{colour}"/>'
                )
    for number in range(0, SECONDS + 1, 10):
        x = left + number * step
        parts.append(
            f'<path d="M{x} {top}v{height + 5}" stroke="#57606a" stroke-dasharray="3 3"/>'
            f'<text x="{x}" y="{top + height + 20}" text-anchor="middle">{number} s</text>'
        )
    for index, (bot, colour) in enumerate(zip(BOTS, COLOURS, strict=True)):
        x = left + index * 110
        parts.append(
            f'<rect x="{x}" y="244" width="10" height="10" fill="{colour}"/>'
            f'<text x="{x + 16}" y="253">{bot}</text>'
        )
    parts.append(f'<text x="{left}" y="18">weight granted, a second</text></svg>')
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    SVG.write_text(svg(granted()), encoding="ascii")
