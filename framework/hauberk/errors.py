"""The tree of errors: each says what, where and what to do, and never a secret.

Whose fault it is decides the branch: `Denied` is an answer, `ConfigError` is the operator's to
mend, `PluginRefused` the plugin author's, `MisuseError` the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence


class HauberkError(Exception):
    """The root of everything that Hauberk raises on purpose."""


class Denied(HauberkError):
    """The request or the login may not proceed.

    Attributes:
        plugin: Who refused: a plugin's name, or `kernel`.
        reason: Why, in words for a person.
        retry_after: Seconds after which asking again may succeed; `None` if it will not.
        request_id: The id under which the attempt is recorded; empty for a login.
    """

    def __init__(
        self,
        plugin: str,
        reason: str,
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(plugin, reason, retry_after, request_id)
        self.plugin = plugin
        self.reason = reason
        self.retry_after = retry_after
        self.request_id = request_id

    def __str__(self) -> str:
        later = "" if self.retry_after is None else f" (try again in {self.retry_after:g} s)"
        return f"denied by {self.plugin}: {self.reason}{later}"


class InvalidValue(HauberkError, ValueError):
    """A value given to a constructor is not one that Hauberk can carry."""


class PluginRefused(HauberkError):
    """A plugin may not be registered.

    Attributes:
        plugin: The plugin's name.
        reason: Which rule it breaks and what to do about it.
    """

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(plugin, reason)
        self.plugin = plugin
        self.reason = reason

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} is refused: {self.reason}"


class StartFailed(HauberkError):
    """Required plugins are missing or did not start, so the kernel does not.

    Attributes:
        plugin: The first of them.
        reason: Why it did not.
        others: Each of the others, with the reason.
    """

    def __init__(self, plugin: str, reason: str, others: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(plugin, reason, tuple(others))
        self.plugin = plugin
        self.reason = reason
        self.others = tuple(others)

    def __str__(self) -> str:
        return "\n".join(
            f"plugin {plugin!r} is required and did not start: {reason}"
            for plugin, reason in ((self.plugin, self.reason), *self.others)
        )


class MisuseError(HauberkError):
    """The guard was called in a way or at a time that it cannot answer."""


class ReentrancyError(MisuseError):
    """A hook called back into the guard where that is refused, or too deep."""


class ClosedError(MisuseError):
    """The guard is closed, or belongs to the parent of a forked process."""


class NotGranted(HauberkError):
    """A plugin used something that `hauberk.yml` does not grant it."""

    def __init__(self, plugin: str, grant: str, remedy: str = "") -> None:
        super().__init__(plugin, grant, remedy)
        self.plugin = plugin
        self.grant = grant
        self.remedy = remedy

    def __str__(self) -> str:
        remedy = self.remedy or f"add {self.grant!r} to its grants in hauberk.yml"
        return f"plugin {self.plugin!r} may not use {self.grant!r}: {remedy}"


class CredentialsMissing(HauberkError):
    """A reference to a key or secret leads nowhere.

    Attributes:
        account: Whose credential it is.
        reference: The reference as configured, for example `env:BINANCE_KEY`.
        looked_in: The places that were searched, in order.
    """

    def __init__(
        self, account: str, reference: str, looked_in: Sequence[str], remedy: str = ""
    ) -> None:
        super().__init__(account, reference, tuple(looked_in), remedy)
        self.account = account
        self.reference = reference
        self.looked_in = tuple(looked_in)
        self.remedy = remedy

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return (
            f"account {self.account!r}: {self.reference} is not set "
            f"(looked in {', '.join(self.looked_in)}){remedy}"
        )


class SigningError(HauberkError):
    """A request cannot be signed as its venue's scheme demands."""


class StoreError(HauberkError):
    """The store could not do what was asked; nothing was half-written."""


class StoreConflict(StoreError):
    """A record is not at the version that the caller last saw: read it again, then retry."""


class SealError(HauberkError):
    """Something cannot be sealed or opened; the subclass and the text say why and what to do."""


class Altered(SealError):
    """What was sealed is not as it was left: changed, cut off, removed, swapped or put back."""


class UnsafeFile(HauberkError):
    """A file or folder may not be used as it stands: whose it is, who else may use it, what it is.

    Attributes:
        path: Which.
        problem: What is wrong with it.
        remedy: What to do, a command where there is one.
    """

    def __init__(self, path: object, problem: str, remedy: str) -> None:
        super().__init__(str(path), problem, remedy)
        self.path = str(path)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


def safe_text(error: BaseException) -> str:
    """Say what failed, in words that may be shown and stored.

    Returns:
        The text of an error of our own; of any other its type's name alone, since its text may
        quote a secret.
    """
    return str(error) if isinstance(error, HauberkError) else type(error).__name__


class ConfigProblem:
    """One thing wrong with a configuration: where, and what.

    Attributes:
        file: The file's path as given.
        line: Counted from 1, as editors do; 0 where no line applies.
        path: Dotted path of the value, for example `accounts.main.venue`; empty for the whole.
        message: What is wrong and, where one is near, the valid name.
    """

    __slots__ = ("file", "line", "message", "path")

    def __init__(self, file: str, line: int, path: str, message: str) -> None:
        self.file = file
        self.line = line
        self.path = path
        self.message = message

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"

    def __repr__(self) -> str:
        return f"ConfigProblem({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfigProblem) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class ConfigError(HauberkError):
    """A configuration cannot be used; every problem found is listed.

    Attributes:
        problems: All of them, in the order of the file.
    """

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
