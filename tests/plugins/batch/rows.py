"""Batches for the engines' tests, as hypothesis draws them: rows good and bad, columns broken."""

from __future__ import annotations

import hashlib
import hmac
from array import array

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from hauberk.batch import SignedBatch

HASHED = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "sha256", "rfc6962-leaf", "rfc6962-node")
#: Lengths on both sides of where a block more begins, of 64 and of 128 bytes.
EDGES = sorted(
    {max(0, n * size + off) for size in (64, 128) for n in range(4) for off in range(-18, 3)}
)


def sign(algorithm: str, key: bytes, message: bytes) -> bytes:
    """What a right signature is, by hashlib."""
    if algorithm.startswith("hmac-"):
        return hmac.digest(key, message, algorithm[5:])
    prefix = {"sha256": b"", "rfc6962-leaf": b"\0", "rfc6962-node": b"\1"}[algorithm]
    return hashlib.sha256(prefix + message).digest()


def messages(longest: int = 1 << 16) -> SearchStrategy[bytes]:
    """Messages of lengths that matter; few bytes to draw, whatever the length."""
    sizes = st.sampled_from(EDGES) | st.integers(0, 300) | st.integers(0, longest)
    return st.builds(lambda seed, size: _stretched(seed, size), st.binary(max_size=8), sizes)


def _stretched(seed: bytes, size: int) -> bytes:
    return hashlib.shake_128(seed).digest(size)


@st.composite
def batches(
    draw: DrawFn, algorithm: str, *, broken: bool = True, longest: int = 1 << 16
) -> SignedBatch:
    """Draw a batch; where it may be broken, of signatures and columns that make no sense too."""
    keys = draw(
        st.lists(
            st.builds(
                _stretched,
                st.binary(max_size=4),
                st.sampled_from([0, 1, 20, 63, 64, 65, 127, 128, 129, 300]),
            ),
            min_size=1,
            max_size=4,
        )
    )
    pool = draw(st.lists(messages(longest), min_size=1, max_size=6))
    rows = []
    for message, index, damage in draw(
        st.lists(
            st.tuples(
                st.sampled_from(pool),
                st.integers(0, len(keys) - 1),
                st.sampled_from(["", "", "", "bit", "short", "half", "long", "empty"]),
            ),
            max_size=40,
        )
    ):
        tag = sign(algorithm, keys[index], message)
        if broken and damage == "bit":
            bit = draw(st.integers(0, 8 * len(tag) - 1))
            tag = bytes(
                byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(tag)
            )
        elif broken and damage:
            tag = {
                "short": tag[:-1],
                "half": tag[: len(tag) // 2 - draw(st.integers(0, 1))],
                "long": tag + b"\0",
                "empty": b"",
            }[damage]
        rows.append((message, tag, index))
    batch = SignedBatch.of(algorithm, rows, keys)
    if not broken or not rows or not draw(st.booleans()):
        return batch
    return _mangled(draw, batch)


def _mangled(draw: DrawFn, batch: SignedBatch) -> SignedBatch:
    columns = {
        name: array("q", getattr(batch, name))
        for name in ("message_offsets", "signature_offsets", "key_indices")
    }
    for _ in range(draw(st.integers(1, 3))):
        column = columns[draw(st.sampled_from(sorted(columns)))]
        wrong = st.sampled_from(
            [-1, -(2**63), 2**63 - 1, len(batch.messages), len(batch.messages) + 1]
        )
        column[draw(st.integers(0, len(column) - 1))] = draw(wrong | st.integers(-5, 500))
    return SignedBatch(
        batch.algorithm,
        batch.messages,
        columns["message_offsets"],
        batch.signatures,
        columns["signature_offsets"],
        columns["key_indices"],
        batch.keys,
    )
