"""Engines (DESIGN 2, `verify_batch`): asked in order; one that fails or passes is passed over."""

from __future__ import annotations

from typing import Any

import pytest

from hauberk.batch import SignedBatch
from hauberk.errors import MisuseError
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.testing import make_guard

BATCH = SignedBatch("hmac-sha256", b"ab", (0, 1, 2), b"xy", (0, 1, 2), (0, 0), (b"k",))


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


def test_the_first_that_answers_is_believed_and_no_other_asked() -> None:
    guard, asked = engines(None, b"\1\0", b"\0\0")
    with guard:
        assert guard.verify_batch(BATCH) == b"\1\0"
    assert asked == ["e0", "e1"]


@pytest.mark.parametrize("wrong", [OSError("no device"), SystemExit(), b"\1", b"\1\1\1", [1, 1]])
def test_one_that_fails_or_answers_for_other_rows_is_passed_over(wrong: Any) -> None:
    guard, asked = engines(wrong, b"\1\1")
    with guard:
        assert guard.verify_batch(BATCH) == b"\1\1"
        assert guard.snapshot.hooks("e0")["verify_batch"].failures == 1
    assert asked == ["e0", "e1"]


def test_a_batch_that_nobody_verified_is_never_taken_for_verified() -> None:
    guard, _ = engines(None, OSError())
    with guard, pytest.raises(MisuseError, match="no engine verified"):
        guard.verify_batch(BATCH)
