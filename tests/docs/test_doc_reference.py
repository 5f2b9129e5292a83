"""The reference leaves nothing out: each page is compared with what it describes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import attrs
import generated
import pytest
import venuepages
from page_examples import PAGES, ROOT

import hauberk
import hauberk.testing
from hauberk.config import ConfigFile, Grant
from hauberk.discovery import configs
from hauberk.errors import HauberkError
from hauberk.hooks import HOOKS, Plugin
from hauberk.ports import PORTS
from hauberk.registry import GRANTS
from hauberk.testing import strategies

DOCS = ROOT / "docs"


def page(name: str) -> str:
    """A page as it is built."""
    return generated.expand((DOCS / name).read_text("utf-8"))


def missing(names: Iterable[str], text: str, form: str = "`{}`") -> list[str]:
    return [name for name in names if form.format(name) not in text]


def test_every_hook_is_documented_with_its_role_and_what_a_failure_means() -> None:
    text = page("reference/hooks.md")
    assert missing(HOOKS, text, "## `{}`") == []
    sections = text.split("## `on_request`")[1].split("## Ports")[0].split("\n(hook-")
    assert len(sections) == len(HOOKS)
    assert all("**Role.**" in part and "**On failure.**" in part for part in sections)


def test_every_venue_has_a_page_made_from_its_file() -> None:
    pages = {path.stem for path in (DOCS / "reference/venues").glob("*.md")} - {"index"}
    assert pages == set(venuepages.venue_names())
    for name in pages:
        text = page(f"reference/venues/{name}.md")
        assert f"In `hauberk.yml`: `venue: {name}`." in text
        assert "## Operations" in text
        assert "## Signing" in text


def test_every_argument_of_every_hook_is_documented() -> None:
    text = page("reference/hooks.md")
    for hook, arguments in HOOKS.items():
        section = text.split(f"\n## `{hook}`\n")[1].split("\n## ")[0]
        assert missing(arguments, section, "- `{}`: ") == [], hook


def test_a_hook_whose_docstring_says_too_little_cannot_be_documented(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def on_request(self, request):  # type: ignore[no-untyped-def]
        """Judge a request."""

    monkeypatch.setattr(Plugin, "on_request", on_request)
    with pytest.raises(ValueError, match="on_request has no paragraph 'Role: '"):
        generated.hooks()


def test_every_grant_and_every_port_is_documented() -> None:
    text = page("reference/hooks.md").split("## Grants")[1].split("\n## ")[0]
    assert missing(GRANTS, text, "| `{}` |") == []
    assert missing(Grant, text, "| `{}` |") == []
    assert missing(PORTS, text, "`context.{}`") == []


def test_every_key_of_the_configuration_is_documented() -> None:
    text = page("reference/configuration.md")
    assert missing(attrs.fields_dict(ConfigFile), text, "| `{}` |") == []
    for plugin, config in configs().items():
        section = text.split(f"## The section `{plugin}`")[1].split("\n## ")[0]
        assert missing(attrs.fields_dict(config), section, "| `{}` |") == [], plugin


def test_every_key_has_a_meaning() -> None:
    text = page("reference/configuration.md")
    meanings = re.findall(r"^\| `\w+` \|.*\| (.*) \|$", text, re.MULTILINE)
    assert meanings
    assert all(meanings)


def test_every_command_is_documented_with_its_usage_and_its_document() -> None:
    names = generated.command_names()
    assert {"init", "vault put", "user add"} <= set(names)
    text = page("reference/commands.md")
    assert missing(names, text, "### `hauberk {}`") == []
    assert missing(names, text, "Usage: hauberk {}") == []
    documents = re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE)
    assert set(names) <= {name for row in documents for name in re.findall(r"`([^`]+)`", row)}


def test_everything_that_hauberk_exports_is_documented() -> None:
    errors = [n for n in hauberk.__all__ if _is_error(getattr(hauberk, n))]
    others = [n for n in hauberk.__all__ if n not in errors]
    text = page("reference/python.md")
    documented = re.findall(r"^\.\. (?:autoclass|autofunction|py:data):: (\w+)", text, re.MULTILINE)
    assert set(documented) == set(others)
    assert missing(errors, page("reference/errors.md"), "- `{}`: ") == []


def test_every_method_of_a_guard_is_documented() -> None:
    public = {n for n in vars(hauberk.Guard) if not n.startswith("_")} - {"kernel", "snapshot"}
    text = page("reference/python.md").split("autoclass:: Guard")[1].split("```")[0]
    assert public == set(re.findall(r"\w+", text.partition(":members:")[2]))


def test_every_error_of_the_kernel_is_documented() -> None:
    classes = [c.__name__ for c in vars(hauberk.errors).values() if _is_error(c)]
    assert missing(classes, page("reference/errors.md"), "- `{}`: ") == []


def test_the_whole_testing_kit_is_documented() -> None:
    text = page("reference/testing.md")
    documented = re.findall(r"^\.\. (?:autoclass|autofunction|py:data):: (\w+)", text, re.MULTILINE)
    assert set(documented) == set(hauberk.testing.__all__)
    source = (ROOT / "framework/hauberk/testing/plugin.py").read_text("utf-8")
    fixtures = re.findall(r"@pytest\.fixture\ndef (\w+)", source)
    assert fixtures
    assert missing(fixtures, text, "| `{}` |") == []
    assert set(strategies.__all__) <= set(dir(strategies))


def test_every_benchmark_is_explained() -> None:
    scripts = [path.name for path in (ROOT / "benchmarks").glob("[a-z]*.py")]
    assert scripts
    assert missing(scripts, page("explanation/performance.md"), "| `benchmarks/{}` |") == []


def test_every_decision_has_context_decision_and_cost() -> None:
    for path in sorted((DOCS / "decisions").glob("0*.md")):
        text = path.read_text("utf-8")
        assert text.startswith(f"# {path.name[:4]}: "), path.name
        heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert heads == ["Context", "Decision", "What it costs"], path.name


@pytest.mark.parametrize("path", [*PAGES, DOCS / "index.md"], ids=lambda p: p.name)
def test_every_link_within_the_repository_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, HauberkError)
