"""Which engines there are, by the names that people type."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import Any, Final

from hauberk.batch import SignedBatch, Verdicts, Verified
from hauberk.errors import HauberkError, safe_text
from hauberk.verifying import Engine, Verifier
from hauberk_plugins.batch.plugin import is_available
from hauberk_plugins.batch.reference import ReferenceEngine

log = logging.getLogger("hauberk")

#: Names that may be asked for.
NAMES: Final = ("auto", "cuda", "cpu", "reference")


class EngineMissing(HauberkError):
    """The engine that was asked for cannot run here; says why and what to do."""


def found(name: str, cuda: Callable[[], Any] | None = None) -> list[Engine]:
    """Return the engines of a name, in the order in which they are asked.

    Args:
        name: One of `NAMES`; `auto` means all that can run here, `reference` none. Behind `cuda`
            stands the processor, for when the GPU fails in the middle.
        cuda: Makes the engine of the GPU, or raises `HauberkError`; `None` where there is none.

    Raises:
        EngineMissing: The one that was asked for cannot run here.
    """
    engines: list[Engine] = []
    if name in ("auto", "cuda") and cuda is not None:
        try:
            engines.append(("cuda", _contained(cuda().verify)))
        except HauberkError as error:
            if name == "cuda":
                raise EngineMissing(
                    f"--engine cuda: {error}; --engine auto takes what runs here"
                ) from None
    elif name == "cuda":
        raise EngineMissing("--engine cuda: pip install 'hauberk[gpu]'")
    if name in ("auto", "cuda", "cpu"):
        if is_available():
            from hauberk_plugins.batch.cpu import default_engine

            engines.append(("cpu", _contained(default_engine().verify)))
        elif name == "cpu":
            raise EngineMissing("--engine cpu: pip install 'hauberk[batch]'")
    return engines


def verifier(
    engines: Sequence[Engine], report: Callable[[str, dict[str, Any]], Any]
) -> Callable[[SignedBatch], Verified]:
    """Return what verifies batches by engines, each of their answers checked by the reference.

    Args:
        engines: From `found`.
        report: Is told of an engine that verified wrongly.
    """
    reference, checked = ReferenceEngine(), Verifier(SystemRandom(), report)
    return lambda batch: checked.verify(batch, engines, reference)


def _contained(
    verify: Callable[[SignedBatch], Verdicts | None],
) -> Callable[[SignedBatch], Verdicts | None]:
    """Have what an engine raises said once, and the next one asked."""
    failed = False

    def ask(batch: SignedBatch) -> Verdicts | None:
        nonlocal failed
        if failed:
            return None
        try:
            return verify(batch)
        except Exception as error:
            failed = True
            log.warning("an engine failed and is not asked again: %s", safe_text(error))
            return None

    return ask
