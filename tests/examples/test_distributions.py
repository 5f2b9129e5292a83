"""What holds of every example that is a distribution of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.examples.distributions import EXAMPLES, install, python

#: Of each, the modules of Hauberk that it may import.
PUBLIC = {
    "hauberk-trading-hours": {"hauberk", "hauberk.errors", "hauberk.accounts"},
    "hauberk-oncall": {"hauberk", "hauberk.errors"},
    "hauberk-office-hours": {"hauberk"},
}


def test_every_one_is_looked_at() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/pyproject.toml")} == set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_it_passes_its_own_tests_against_the_installed_wheel(name: str, tmp_path: Path) -> None:
    site, tests = install(name, tmp_path / "made"), tmp_path / "tests"
    shutil.copytree(EXAMPLES / name / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(EXAMPLES / name / "pyproject.toml", tmp_path)
    shown = python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider"),
        "--hypothesis-profile=ci",  # without deadlines: a busy machine is no failure
        cwd=tmp_path,
        PYTHONPATH=str(site),
    )
    assert re.search(r"^\d+ passed", shown, re.MULTILINE)


@pytest.mark.parametrize("name", PUBLIC)
def test_it_passes_mypy_strict(name: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    cache = pytestconfig.cache
    folder = cache.mkdir(f"{name}-mypy") if cache else tmp_path
    shown = python("-m", "mypy", "--cache-dir", folder, cwd=EXAMPLES / name, MYPYPATH="src")
    assert shown.startswith("Success: no issues found")


@pytest.mark.parametrize("name", PUBLIC)
def test_it_imports_only_what_a_third_party_may(name: str) -> None:
    package = name.replace("-", "_")
    found = list((EXAMPLES / name / "src" / package).rglob("*.py"))
    assert found
    for path in found:
        for module in re.findall(
            r"^(?:from|import) (hauberk[.\w]*)", path.read_text(), re.MULTILINE
        ):
            assert module in PUBLIC[name] or module.startswith(package), path.name
