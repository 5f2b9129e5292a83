"""Every example in README and docs runs, a page at a time, in a folder of its own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from page_examples import PAGES, ROOT, run_page

Run = Callable[[Path], None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a page; what it does to the process is undone."""

    def run(page: Path) -> None:
        for name in ("HAUBERK_CONFIG", "BINANCE_KEY", "BINANCE_SECRET"):
            monkeypatch.delenv(name, raising=False)
        folder, aside = tmp_path / "page", tmp_path / "aside"
        folder.mkdir()
        aside.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))
        with _process_as_before(folder):
            run_page(page, aside, monkeypatch.setenv)

    return run


@contextmanager
def _process_as_before(folder: Path) -> Iterator[None]:
    """Put back the handler of SIGHUP and the environment, and forget modules from a folder."""
    handler, environ = signal.getsignal(signal.SIGHUP), dict(os.environ)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, handler)
        os.environ.clear()
        os.environ.update(environ)
        for name, module in tuple(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file is not None and Path(file).is_relative_to(folder):
                del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_run_as_they_stand(page: Path, run: Run) -> None:
    run(page)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```python\nassert False, 'untrue'\n```\n", "untrue"),
        ("```python\n>>> 1 + 1\n3\n```\n", "Expected"),
        ("```console\n$ false\n```\n", "exited 1, not 0"),
        ("```console\n$ true\n# exit 1\n```\n", "exited 0, not 1"),
        ("```console\n$ echo one\ntwo\n```\n", "got:\none"),
        ("```yaml\nmod: enforce\n```\n", "did you mean 'mode'"),
    ],
)
def test_an_example_that_is_not_true_fails(text: str, told: str, run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(Exception, match=told):
        run(page)


def test_what_a_page_writes_and_where_it_goes_is_there_for_the_next_command(
    run: Run, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```{code-block} text\n:caption: a/b.txt\n\nhello\n```\n"
        "```console\n$ cd a\n```\n```console\n$ cat b.txt\n> echo there\nhe...\nthere\n```\n"
    )
    run(page)
