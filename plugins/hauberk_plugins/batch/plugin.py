"""The plugin `batch`: an engine on the processor's vectors, and the reference for every engine."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import field, frozen, validators

from hauberk.batch import SignedBatch, Verdicts
from hauberk.context import Context
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Severity
from hauberk_plugins.batch.hashing import Hasher
from hauberk_plugins.batch.reference import ReferenceEngine

if TYPE_CHECKING:
    from hauberk_plugins.batch.cpu import CpuEngine

log = logging.getLogger("hauberk")

#: What the engine needs; it comes with the extra.
_NEEDED: Final = ("numba", "numpy")


@frozen
class BatchConfig:
    """How batches are verified.

    Attributes:
        threads: How many at once; as many as there are processors unless given.
    """

    threads: int | None = field(
        default=None, validator=validators.optional([validators.ge(1), validators.le(1_024)])
    )


class BatchPlugin(Plugin):
    """Engine: HMAC and hashes in vectors where numba is installed; provides `reference`."""

    interface = (1, 1)
    Config = BatchConfig
    provides: ClassVar[dict[str, str]] = {"reference": "reference", "hashes": "hasher"}

    def __init__(self, config: BatchConfig) -> None:
        self.reference = ReferenceEngine(config.threads)
        self.hasher = Hasher(self._open, self._wrong)
        self._threads = config.threads
        self._engine: CpuEngine | None = None

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Say so if there is only the reference."""
        self._context = context
        if not is_available():
            log.info("batches are verified row by row: for vectors, pip install 'hauberk[batch]'")

    @hookimpl
    def verify_batch(self, batch: SignedBatch) -> Verdicts | None:
        """Verify in vectors, or pass."""
        engine = self._open()
        return None if engine is None else engine.verify(batch)

    def _open(self) -> CpuEngine | None:
        """Return the engine, made when it is first needed; `None` where it cannot run."""
        if self._engine is None and is_available():
            # Late: it brings numba, and compiles.
            from hauberk_plugins.batch.compiled import cache_folder
            from hauberk_plugins.batch.cpu import CpuEngine

            self._engine = CpuEngine(self._threads, cache=cache_folder())
        return self._engine

    def _wrong(self, title: str, details: dict[str, Any]) -> None:
        self._context.report(title, Severity.CRITICAL, details)


def is_available() -> bool:
    """Whether the engine's libraries are installed."""
    return all(find_spec(name) is not None for name in _NEEDED)
