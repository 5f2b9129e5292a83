"""Every block of the tutorial can be pasted at Python's prompt, as the tutorial tells its reader.

The prompt of Python 3.11 and 3.12 takes a line at a time, and an empty one ends a statement.
"""

from __future__ import annotations

import re
from codeop import CommandCompiler

import pytest
from page_examples import ROOT

TUTORIAL = ROOT / "docs" / "tutorial" / "guarded-bot.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"(?:>>>|\.\.\.)(?: |$)")


def typed(block: str) -> list[str]:
    """What a reader types or pastes: of an example with prompts, what stands behind them."""
    lines = block.splitlines()
    if not block.startswith(">>>"):
        return lines
    kept, is_code = [], False
    for line in lines:
        # In what is expected, `...` stands for any text.
        is_code = line.startswith(">>>") or (is_code and line.startswith("..."))
        if is_code:
            kept.append(_PROMPT.sub("", line, count=1))
    return kept


def problem(block: str) -> str | None:
    """Why Python's prompt does not take a block; `None` if it does, and all of it."""
    compiler, statement = CommandCompiler(), ""
    for line in typed(block):
        statement += line + "\n"
        try:
            complete = compiler(statement[:-1]) is not None
        except SyntaxError as error:
            return f"{error.msg}: {line!r}"
        if complete:
            statement = ""
    return f"it waits for an empty line after {statement!r}" if statement else None


def test_every_block_of_the_tutorial_can_be_pasted_at_pythons_prompt() -> None:
    blocks = _BLOCK.findall(TUTORIAL.read_text("utf-8"))
    assert len(blocks) > 9
    assert [told for told in map(problem, blocks) if told] == []


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ("class A:\n    x = 1\n\n    y = 2\n", "unexpected indent: '    y = 2'"),
        (">>> for x in y:\n...     print(x)\n1\n>>> z\n", "invalid syntax: 'z'"),
        ("def f():\n    return 1\n", "it waits for an empty line"),
        (">>> for x in y:\n...     print(x)\n...\n1\n>>> z\n...\n", None),
        ("class A:\n    x = 1\n    y = 2\n\n\na = A()\n", None),
    ],
)
def test_what_the_prompt_does_not_take_is_found(block: str, told: str | None) -> None:
    found = problem(block)
    assert (found is None) if told is None else (found is not None and found.startswith(told))
