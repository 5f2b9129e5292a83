"""The engines of a guard: who is asked to verify a batch, and what happens where one is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING, Any, cast

from hauberk.batch import SignedBatch, Verified
from hauberk.ports import Reference
from hauberk.records import Severity
from hauberk.verifying import Verifier

if TYPE_CHECKING:
    from hauberk.kernel import Kernel


class Engines:
    """Verifies batches by the plugins in place."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._verifier = Verifier(SystemRandom(), self._disagreed)

    def verify(self, batch: SignedBatch) -> Verified:
        """Verify a batch by the first engine that answers; whatever it answers is checked.

        Raises:
            MisuseError: Nobody provides the port `reference`.
        """
        kernel = self._kernel
        snapshot = kernel.snapshot
        impls = sorted(
            snapshot.impls("verify_batch"), key=lambda impl: impl.name not in snapshot.order
        )
        engines = [(impl.name, partial(kernel.contained, impl)) for impl in impls]
        reference = cast("Reference | None", kernel.crew.view.provider("reference"))
        return self._verifier.verify(batch, engines, reference)

    def _disagreed(self, title: str, details: Mapping[str, Any]) -> None:
        self._kernel.report("kernel", title, Severity.CRITICAL, details)
