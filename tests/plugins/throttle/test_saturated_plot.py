"""The picture in the documentation is what the limiter draws."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def saturated(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    monkeypatch.delitem(sys.modules, "saturated", raising=False)
    import saturated

    return saturated


def test_the_picture_is_what_the_code_draws(saturated: ModuleType) -> None:
    drawn = saturated.svg(saturated.granted())
    assert drawn == saturated.SVG.read_text("ascii"), "run: python docs/_ext/saturated.py"
    ElementTree.fromstring(drawn)  # noqa: S314 - our own


def test_no_ten_seconds_of_it_have_more_than_the_window_holds(saturated: ModuleType) -> None:
    seconds = saturated.granted()
    sums = [sum(sum(s.values()) for s in seconds[at : at + 10]) for at in range(0, 60, 10)]
    assert all(85 <= total <= 100 for total in sums)
    assert all(sum(s["cancels"] for s in seconds[at : at + 3]) for at in range(0, 57, 3))
