"""What stands where an extra is not installed, so that every module imports without it."""

from __future__ import annotations

from typing import Any, NoReturn, Self

from hauberk.errors import MisuseError


class Absent:
    """Stands for a package that is not installed, and for whatever would be made with it.

    Args:
        package: Its name.
        extra: The extra of Hauberk that brings it.
    """

    def __init__(self, package: str, extra: str = "testing") -> None:
        self._words = f"{package} is not installed: pip install 'hauberk[{extra}]'"

    def refuse(self) -> NoReturn:
        """Say what to install.

        Raises:
            MisuseError: Always.
        """
        raise MisuseError(self._words)

    def __getattr__(self, name: str) -> Self:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_args: Any, **_named: Any) -> Self:  # noqa: D102 - as any attribute
        return self

    def __or__(self, other: object) -> Self:
        return self
