"""What can go wrong with recovery points: each error says which file, why, and what to do.

Those that say that a point is not what was made are `Altered`: the answer is no. The others are
for whoever typed the command to mend.
"""

from __future__ import annotations

from hauberk.errors import Altered, HauberkError


class RecoveryError(HauberkError):
    """The base of the errors of recovery.

    Attributes:
        path: Which file or folder, or which point.
        problem: What is wrong.
        remedy: What to do.
    """

    def __init__(self, path: object, problem: str, remedy: str) -> None:
        super().__init__(str(path), problem, remedy)
        self.path = str(path)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


class NoSuchPoint(RecoveryError):
    """There is no recovery point of that name."""


class PointTooRecent(RecoveryError):
    """A later version of Hauberk made it."""


class NotRestored(RecoveryError):
    """Nothing was restored; all stands as it did."""


class StateInUse(NotRestored):
    """Another process uses the state folder."""


class Rollback(NotRestored, Altered):
    """The point is older than what is known to have been recorded since."""


class Interrupted(RecoveryError):
    """A restore was stopped in the middle, and is to be ended first."""


class PointNotMade(RecoveryError):
    """No point was made, and nothing of it is left."""


class PointAltered(RecoveryError, Altered):
    """A point is not as it was made.

    Attributes:
        findings: All that is wrong with it, each with its file.
    """

    def __init__(self, path: object, problem: str, findings: tuple[str, ...] = ()) -> None:
        remedy = "use another point, and find out who changed this one; nothing was restored"
        super().__init__(path, problem, remedy)
        self.args = (str(path), problem, findings)
        self.findings = findings or (problem,)

    def __str__(self) -> str:
        more = "".join(f"\n  {one}" for one in self.findings) if len(self.findings) > 1 else ""
        return f"{super().__str__()}{more}"


class PointForeign(PointAltered):
    """It is another installation's, or nobody known here signed it."""


class DrillFailed(RecoveryError, Altered):
    """What a point holds does not open, or does not fit together."""
