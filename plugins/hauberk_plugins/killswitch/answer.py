"""Whether an exchange did what the emergency lane asked, and whether asking again makes sense."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from hauberk.recipes import Recipe
from hauberk.request import Response

#: How long to hold off where the exchange does not say, by what it said.
_HOLD_OFF_S: Final = {"throttled": 1.0, "banned": 120.0}
_HOPELESS: Final = (401, 403)
_MAX_CODE: Final = 40


@frozen
class Judgement:
    """What came of one request.

    Attributes:
        ok: Whether the exchange did it, or had nothing to do.
        why: What is wrong, in a few words; empty if nothing is.
        again: Whether asking again may help.
        after_s: How long to wait before that, at least.
    """

    ok: bool
    why: str = ""
    again: bool = False
    after_s: float = 0.0


DONE: Final = Judgement(True)


def judged(answer: Response, recipe: Recipe, said: str, errors: Mapping[str, Any]) -> Judgement:
    """Judge an answer.

    Args:
        answer: What came.
        recipe: What was asked.
        said: What the venue file makes of the answer: `skew`, `revoked`, `banned`, `throttled`, or
            nothing.
        errors: The venue file's section of that name, which says where codes stand.
    """
    if answer.error and answer.status not in (418, 429):  # of a ban, the status is enough
        return Judgement(False, f"no answer: {answer.error}", again=True)
    if said == "revoked" or (not said and answer.status in _HOPELESS):
        return Judgement(False, "the exchange does not take the key")
    if said in _HOLD_OFF_S or answer.status in (418, 429):
        said = said or ("banned" if answer.status == 418 else "throttled")
        return Judgement(False, said, again=True, after_s=_retry_after(answer, _HOLD_OFF_S[said]))
    if said:
        return Judgement(False, f"the exchange says {said}", again=True)
    if answer.status >= 500:
        return Judgement(False, f"HTTP status {answer.status}", again=True)
    return _read(answer, recipe, errors)


def _read(answer: Response, recipe: Recipe, errors: Mapping[str, Any]) -> Judgement:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return Judgement(False, f"HTTP status {answer.status} and no JSON", again=True)
    codes = tuple(_codes(document, errors.get("field", ())))
    if recipe.nothing.intersection(codes):
        return DONE
    is_2xx = 200 <= answer.status < 300
    if is_2xx and recipe.good is not None:
        field, wanted = recipe.good
        if wanted in _at(document, field):
            return _whole(document, recipe)
    elif is_2xx and not codes and type(document) in (dict, list):
        return _whole(document, recipe)
    told = f", code {_shown(codes[0])}" if codes else ""
    return Judgement(False, f"refused: HTTP status {answer.status}{told}")


def _whole(document: Any, recipe: Recipe) -> Judgement:
    """Say whether anything is left, where one request cancels no more than so many orders."""
    if recipe.until is None:
        return DONE
    field, wanted = recipe.until
    if all(found == wanted for found in _at(document, field)):
        return DONE
    return Judgement(False, "more orders are left", again=True)


def _codes(document: Any, fields: Any) -> Iterator[str]:
    """Yield what stands where errors have their code; null and the like are none."""
    for field in [fields] if type(fields) is str else fields:
        yield from (code for code in _at(document, field) if code not in ("null", "false", '""'))


def _at(document: Any, field: str) -> tuple[str, ...]:
    """Return what stands at a path, text as it is and all else as JSON; empty for nothing."""
    found = [document]
    for part in field.split("."):
        found = [inner for one in found for inner in _inside(one, part)]
    return tuple(one if type(one) is str else json.dumps(one) for one in found)


def _inside(value: Any, part: str) -> list[Any]:
    if type(value) is dict:
        return [value[part]] if part in value else []
    if type(value) is not list:
        return []
    if part == "*":
        return value
    return [value[int(part)]] if part.isdecimal() and int(part) < len(value) else []


def _retry_after(answer: Response, otherwise_s: float) -> float:
    given = answer.header("Retry-After") or ""
    return float(given[:9]) if given.isascii() and given.isdigit() else otherwise_s


def _shown(code: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in code[:_MAX_CODE])
