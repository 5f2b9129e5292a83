"""Whether an answer says that everything is cancelled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from hauberk import Response
from hauberk.recipes import CANCEL_ALL, Recipe, Wording
from hauberk_plugins.killswitch.answer import DONE, Judgement, judged

PLAIN = Recipe(
    CANCEL_ALL,
    "spot",
    "DELETE",
    "/orders",
    "",
    Wording(),
    None,
    (0, 0),
    None,
    None,
    frozenset({"-2011"}),
)
GOOD = evolve(PLAIN, good=("code", "0"))
ERRORS = {"field": ("code", "error.*")}


def judge(status: int, body: Any, recipe: Recipe = PLAIN, said: str = "") -> Judgement:
    text = body if type(body) is bytes else json.dumps(body).encode()
    return judged(Response(status, (), text), recipe, said, ERRORS)


@pytest.mark.parametrize(
    "body", [[], {}, [{"orderId": 1}], {"result": 3}, {"error": []}, {"code": None}]
)
def test_a_good_status_without_a_code_is_done(body: Any) -> None:
    assert judge(200, body) == DONE


@pytest.mark.parametrize("code", [0, "0"])
def test_a_venue_that_says_so_in_a_field_is_done_when_it_says_so(code: Any) -> None:
    assert judge(200, {"code": code, "data": None}, GOOD) == DONE


@pytest.mark.parametrize(
    ("recipe", "body"),
    [
        (PLAIN, {"code": -1121}),
        (PLAIN, {"error": ["EGeneral:Permission denied"]}),
        (GOOD, {"code": 1}),
        (GOOD, {"msg": "0"}),
        (GOOD, [0]),
        (PLAIN, 7),
    ],
)
def test_a_good_status_with_an_error_in_it_is_not_done(recipe: Recipe, body: Any) -> None:
    found = judge(200, body, recipe)
    assert (found.ok, found.again) == (False, False)


def test_nothing_to_cancel_is_as_good_as_done() -> None:
    assert judge(400, {"code": -2011, "msg": "Unknown order sent."}) == DONE
    assert not judge(400, {"code": -1121}).ok


@pytest.mark.parametrize(("left", "is_done"), [("-1", True), (-1, True), (7, False), ("", False)])
def test_an_exchange_that_cancels_so_many_at_a_time_is_asked_until_nothing_is_left(
    left: Any, is_done: bool
) -> None:
    found = judge(200, {"code": 0, "data": {"next": left}}, evolve(GOOD, until=("data.next", "-1")))
    assert found == (DONE if is_done else Judgement(False, "more orders are left", again=True))


def test_an_answer_that_does_not_say_what_is_left_is_taken_for_done() -> None:
    assert judge(200, {"code": 0}, evolve(GOOD, until=("data.next", "-1"))) == DONE


def test_a_refusal_is_told_by_its_code_and_never_by_its_text() -> None:
    found = judge(400, {"code": "x" * 50 + "\x1b[31m", "msg": "signature=hunter2"})
    assert found == Judgement(False, f"refused: HTTP status 400, code {'x' * 40}")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_fails_is_asked_again(status: int) -> None:
    assert judge(status, b"<html>").again


def test_an_answer_that_never_came_is_asked_for_again() -> None:
    found = judged(Response(error="TimeoutError"), PLAIN, "", ERRORS)
    assert found == Judgement(False, "no answer: TimeoutError", again=True)


@pytest.mark.parametrize("body", [b"", b"<html>captcha</html>", b"{", b"\xff\xfe", b"[" * 100_000])
def test_garbage_with_a_good_status_is_asked_again(body: bytes) -> None:
    found = judge(200, body)
    assert (found.ok, found.again) == (False, True)


@pytest.mark.parametrize("said", ["revoked", ""])
def test_a_key_that_is_not_taken_is_not_tried_again(said: str) -> None:
    assert judge(401, {"code": -2015}, said=said) == Judgement(
        False, "the exchange does not take the key"
    )


def test_a_wrong_clock_is_tried_again() -> None:
    assert judge(400, {"code": -1021}, said="skew").again


@pytest.mark.parametrize(
    ("status", "said", "retry", "after_s"),
    [
        (429, "", "7", 7.0),
        (429, "throttled", "", 1.0),
        (418, "", "", 120.0),
        (418, "banned", "30", 30.0),
        (200, "throttled", "", 1.0),
        (429, "", "-1", 1.0),
        (429, "", "soon", 1.0),
        (429, "", "9" * 40, 999_999_999.0),
        (429, "", "٣", 1.0),
    ],
)
def test_who_is_to_hold_off_does_for_as_long_as_it_is_told(
    status: int, said: str, retry: str, after_s: float
) -> None:
    headers = (("retry-after", retry),) if retry else ()
    found = judged(Response(status, headers, b"{}"), PLAIN, said, ERRORS)
    assert (found.ok, found.again, found.after_s) == (False, True, after_s)


@pytest.mark.parametrize("status", [418, 429])
def test_a_ban_whose_body_was_cut_off_is_waited_for(status: int) -> None:
    answer = Response(status, (("Retry-After", "7"),), b"", error="IncompleteRead")
    found = judged(answer, PLAIN, "", ERRORS)
    assert (found.again, found.after_s) == (True, 7)


def test_a_good_status_whose_body_was_cut_off_is_asked_again() -> None:
    answer = Response(200, (), b"[]", error="IncompleteRead")
    assert judged(answer, PLAIN, "", ERRORS).again
