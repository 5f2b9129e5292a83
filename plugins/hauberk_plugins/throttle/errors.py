"""Why a request is not paced but refused."""

from __future__ import annotations

from hauberk.errors import HauberkError


class TooDear(HauberkError):
    """One request costs more than a window ever holds."""

    def __init__(self, window: str, amount: int, size: int) -> None:
        super().__init__(window, amount, size)
        self.window = window
        self.amount = amount
        self.size = size

    def __str__(self) -> str:
        return (
            f"it costs {self.amount} of window {self.window!r}, which never holds more than "
            f"{self.size}: correct `costs` or `windows` if that is not so"
        )


class LineFull(HauberkError):
    """As many requests wait for a window as may.

    Attributes:
        window: Its name.
        waiting: How many.
        wait_ns: How long it would have to wait behind them.
    """

    def __init__(self, window: str, waiting: int, wait_ns: int) -> None:
        super().__init__(window, waiting, wait_ns)
        self.window = window
        self.waiting = waiting
        self.wait_ns = wait_ns

    def __str__(self) -> str:
        return f"{self.waiting} requests wait for window {self.window!r} already"


class Frozen(HauberkError):
    """The exchange has shut us out for longer than anybody would wait in line.

    Attributes:
        wait_ns: For how much longer.
    """

    def __init__(self, wait_ns: int) -> None:
        super().__init__(wait_ns)
        self.wait_ns = wait_ns

    def __str__(self) -> str:
        return (
            f"the exchange has shut this address, account or key out: nothing is sent for "
            f"{-(-self.wait_ns // 1_000_000_000)} s"
        )


class NotKept(HauberkError):
    """What a request takes cannot be made durable, and so nothing is granted."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"what is used of a budget cannot be kept: {self.why}"
