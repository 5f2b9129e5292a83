"""Engines (DESIGN 2 and 7): asked in order, and believed only as far as they are checked."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.batch import Finding, SignedBatch
from hauberk.context import Context
from hauberk.errors import Denied, InvalidValue, MisuseError, NotGranted
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Severity
from hauberk.request import Request
from hauberk.testing import DEFAULT_URL, HmacReference, Providers, make_guard
from hauberk.verifying import AT_LEAST, ONE_IN, REFERENCE, Verifier

GOOD = hmac.digest(b"k", b"a", "sha256")
BATCH = SignedBatch.of("hmac-sha256", [(b"a", GOOD, 0), (b"b", GOOD, 0)], [b"k"])


class Engine(Plugin):
    def __init__(self, name: str, answer: Any, asked: list[str]) -> None:
        self.name, self.answer, self.asked = name, answer, asked

    @hookimpl
    def verify_batch(self, batch: SignedBatch) -> Any:
        self.asked.append(self.name)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def engines(*answers: Any) -> tuple[Guard, list[str]]:
    asked: list[str] = []
    names = [f"e{index}" for index in range(len(answers))]
    made = [(n, Engine(n, answer, asked)) for n, answer in zip(names, answers, strict=True)]
    return make_guard(*made, grants={name: ["verify"] for name in names}), asked


def test_the_first_that_answers_is_asked_and_no_other() -> None:
    guard, asked = engines(None, b"\1\0", b"\0\0")
    with guard:
        verified = guard.verify_batch(BATCH)
    assert (verified.verdicts, verified.engine, asked) == (b"\1\0", "e1", ["e0", "e1"])
    assert verified.rejected() == [1]
    assert verified.valid == 1


@pytest.mark.parametrize(
    "wrong", [OSError("no device"), SystemExit(), b"\1", b"\1\1\1", [1, 0], b"\1\x63", "10"]
)
def test_one_that_fails_or_answers_what_is_no_verdict_is_passed_over(wrong: Any) -> None:
    guard, asked = engines(wrong, b"\1\0")
    with guard:
        assert guard.verify_batch(BATCH).engine == "e1"
        assert not guard.incidents
    assert asked == ["e0", "e1"]


def test_where_every_engine_passes_the_reference_verifies() -> None:
    guard, _ = engines(None, OSError())
    with guard:
        verified = guard.verify_batch(BATCH)
    assert (verified.verdicts, verified.engine) == (b"\1\0", REFERENCE)


@pytest.mark.parametrize("lie", [b"\1\1", b"\0\0", b"\0\1"])
def test_an_engine_that_lies_is_a_critical_incident_and_is_not_asked_again(lie: bytes) -> None:
    guard, asked = engines(lie, b"\1\0")
    with guard:
        verified = guard.verify_batch(BATCH)
        assert (verified.verdicts, verified.engine) == (b"\1\0", REFERENCE)
        (incident,) = guard.incidents
        assert incident.severity is Severity.CRITICAL
        assert incident.title == "engine e0 verified wrongly"
        assert guard.verify_batch(BATCH).engine == "e1"
        with pytest.raises(Denied, match="verified wrongly"):
            guard.clear(Request("GET", DEFAULT_URL, account="main"))
    assert asked == ["e0", "e1"]


def test_without_a_reference_nothing_is_believed() -> None:
    class NoReference(Providers):
        provides = {port: at for port, at in Providers.provides.items() if port != "reference"}

    guard = make_guard(
        ("e0", Engine("e0", b"\1\1", [])), grants={"e0": ["verify"]}, providers=NoReference()
    )
    with guard, pytest.raises(MisuseError, match="list `batch`"):
        guard.verify_batch(BATCH)


class Asking(Plugin):
    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context


def test_a_plugin_has_batches_verified_by_the_same_engines() -> None:
    asking, other = Asking(), Asking()
    with make_guard(
        ("asking", asking),
        ("other", other),
        ("e0", Engine("e0", b"\1\0", [])),
        grants={"asking": ["reference"], "e0": ["verify"]},
    ):
        assert asking.context.verify_batch(BATCH).engine == "e0"
        with pytest.raises(NotGranted, match="reference"):
            other.context.verify_batch(BATCH)


class Counting(HmacReference):
    def __init__(self) -> None:
        self.rows: list[int] = []

    def verify(self, batch: SignedBatch, rows: Sequence[int] | None = None) -> bytes:
        self.rows += rows or range(len(batch))
        return super().verify(batch, rows)


@given(st.lists(st.booleans(), max_size=200), st.integers(0, 2**32))
def test_every_rejection_is_checked_and_a_part_of_the_rest(good: list[bool], seed: int) -> None:
    batch = SignedBatch.of(
        "hmac-sha256", [(b"a", GOOD if is_good else b"no", 0) for is_good in good], [b"k"]
    )
    verdicts, reference = bytes(map(Finding, good)), Counting()
    verifier = Verifier(Random(seed), lambda title, details: pytest.fail(title))
    assert verifier.verify(batch, [("e", lambda _: verdicts)], reference).verdicts == verdicts
    assert {row for row, is_good in enumerate(good) if not is_good} <= set(reference.rows)
    assert len(reference.rows) == len(set(reference.rows))
    assert len(reference.rows) >= min(AT_LEAST, len(good))


def test_a_lie_in_many_rows_is_found_by_the_sample() -> None:
    rows = 4 * ONE_IN * AT_LEAST
    wrong = rows // 20
    made = [(b"a", b"no", 0)] * wrong + [(b"a", GOOD, 0)] * (rows - wrong)
    batch = SignedBatch.of("hmac-sha256", made, [b"k"])
    told: list[dict[str, Any]] = []
    verifier = Verifier(Random(1), lambda title, details: told.append(details))
    found = verifier.verify(batch, [("liar", lambda b: b"\1" * len(b))], HmacReference())
    assert (found.engine, found.valid, verifier.set_aside) == (REFERENCE, rows - wrong, {"liar"})
    assert told[0]["wrongly_accepted"] > 0
    assert told[0]["wrongly_rejected"] == 0


def test_which_rows_are_sampled_cannot_be_foretold() -> None:
    batch = SignedBatch.of("hmac-sha256", [(b"a", GOOD, 0)] * 10_000, [b"k"])
    seen = set()
    for seed in range(5):
        reference = Counting()
        verifier = Verifier(Random(seed), pytest.fail)
        verifier.verify(batch, [("e", lambda b: b"\1" * len(b))], reference)
        seen.add(tuple(reference.rows))
    assert len(seen) == 5


@pytest.mark.parametrize(
    "columns",
    [
        ("md5", b"", (0,), b"", (0,), (), ()),
        ("hmac-sha256", b"", (0,), b"", (0, 0), (), ()),
        ("hmac-sha256", b"", (0, 0), b"", (0,), (0,), ()),
        ("hmac-sha256", b"", (0.5,), b"", (0,), (), ()),
        ("hmac-sha256", b"", (2**63,), b"", (0,), (), ()),
        ("hmac-sha256", b"", b"\0" * 8, b"", (0,), (), ()),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(columns: Any) -> None:
    with pytest.raises(InvalidValue):
        SignedBatch(*columns)


@pytest.mark.parametrize(
    ("message_offsets", "signature_offsets", "index", "found"),
    [
        ((0, 1), (0, 32), 0, Finding.VALID),
        ((1, 0), (0, 32), 0, Finding.OFFSETS),
        ((-1, 1), (0, 32), 0, Finding.OFFSETS),
        ((0, 2), (0, 32), 0, Finding.OFFSETS),
        ((0, 1), (0, 33), 0, Finding.OFFSETS),
        ((0, 1), (0, 32), 1, Finding.UNKNOWN_KEY),
        ((0, 1), (0, 32), -1, Finding.UNKNOWN_KEY),
    ],
)
def test_a_row_that_makes_no_sense_is_rejected_and_no_error(
    message_offsets: Any, signature_offsets: Any, index: int, found: Finding
) -> None:
    batch = SignedBatch(
        "hmac-sha256", b"a", message_offsets, GOOD, signature_offsets, (index,), (b"k",)
    )
    assert HmacReference().verify(batch) == bytes([found])


def test_a_batch_shows_no_key() -> None:
    assert "k" * 20 not in repr(SignedBatch.of("hmac-sha256", [], [b"k" * 20]))
