"""The command `hauberk audit export`."""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

import base64
import json
from typing import Any, Final

from hauberk.cli import Answer, Options
from hauberk.command import started
from hauberk_plugins.audit.errors import AuditDamaged, AuditError, AuditUnwritable
from hauberk_plugins.audit.examine import lines
from hauberk_plugins.audit.levels import Levels, MissingHash
from hauberk_plugins.audit.merkle import (
    consistency_proof,
    inclusion_proof,
    is_included,
    leaf_hash,
    root,
)
from hauberk_plugins.audit.trust import Signed, left
from hauberk_plugins.notes.note import NoteError

_DEFAULTS: Final = Options()
_NAME: Final = "audit"


def export(  # noqa: D417
    *, proof: int, consistency: int | None = None, options: Options = _DEFAULTS
) -> Answer:
    """Print a record with the proof that it is in the log, for somebody who does not have the log.

    It holds the checkpoint, signed, and the path from the record to its root (RFC 6962). Where the
    log cannot be written, as on a read-only mount, it is the checkpoint that is there.

    For example:
        hauberk audit export --proof 17 --json > record-17.json
        hauberk audit export --proof 17 --consistency 10

    Args:
        proof: Which record, counted from 0.
        consistency: Prove besides that the log begins with the one that had so many records.
    """
    with started(options.config, _NAME, is_recorded=False) as audit:
        folder = audit.plugin.folder
        signed = _vouched(audit.plugin)
    if signed is None:
        raise NoteError("no key signs this log: list `encryption` and `storage` under `plugins:`")
    size, levels = signed.checkpoint.size, Levels(folder)
    try:
        path = inclusion_proof(proof, size, levels.get)
        document: dict[str, Any] = {
            "index": proof,
            "record": next(lines(folder, proof)).decode(),
            "path": [_text(step) for step in path],
            "checkpoint": signed.note,
        }
        if consistency is not None:
            steps = consistency_proof(consistency, size, levels.get)
            document["consistency"] = {
                "size": consistency,
                "root": _text(root(consistency, levels.get)),
                "path": [_text(step) for step in steps],
            }
    except ValueError as error:
        raise AuditError(folder, str(error), "count records from 0") from None
    except MissingHash as error:
        raise AuditError(folder, str(error), "restart a bot, which makes it again") from None
    finally:
        levels.close()
    leaf = leaf_hash(document["record"].encode())
    if not is_included(leaf, proof, size, path, signed.checkpoint.root):
        why = f"record {proof} and the hashes beside do not lead to the root that was signed"
        raise AuditDamaged(folder, why, "look at it with `hauberk audit verify`")
    return Answer(document, json.dumps(document, indent=2))


def _vouched(plugin: Any) -> Signed | None:
    """Vouch for all there is; where nothing can be written, go by the checkpoint that is there."""
    try:
        signed: Signed | None = plugin.seal()
    except AuditUnwritable:
        found = None if plugin.keys is None else left(plugin.folder, plugin.keys)
        if found is None:
            raise
        return found
    return signed


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
