"""`!sealed` values: read where they may stand, refused elsewhere, opened for their plugin alone."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen

from hauberk.builtins import DEFAULT_PORTS
from hauberk.config import read_config
from hauberk.context import Context
from hauberk.errors import ConfigError, MisuseError, NotGranted, SealError
from hauberk.hooks import Plugin, hookimpl
from hauberk.schema import json_schema
from hauberk.sealed import Sealed
from hauberk.structure import structure
from hauberk.testing import MemoryVault, Providers, make_guard
from hauberk.yamlfile import Document, inspect_yaml, parse_yaml

BLOB = base64.b64encode(b"blob").decode()


@frozen
class Inner:
    name: str
    pin: Sealed | None = None


@frozen
class Section:
    token: Sealed | None = None
    text: str = ""
    number: int = 0
    anything: Any = None
    inner: tuple[Inner, ...] = ()
    by_name: dict[str, Sealed] = field(factory=dict)
    either: str | Sealed = ""
    word: Any = field(default="", converter=lambda value: value)


def document(text: str) -> Document:
    found, problems = inspect_yaml(text, "h.yml", sealed=True)
    assert problems == []
    return found


def problems(text: str) -> list[str]:
    found, problems = inspect_yaml(text, "h.yml", sealed=True)
    if not problems:
        with pytest.raises(ConfigError) as caught:
            structure(found, Section, ("s",))
        problems = list(caught.value.problems)
    return [str(problem) for problem in problems]


def test_a_sealed_value_is_read_with_its_path() -> None:
    found = document(f'a: {{"b.c": [!sealed {BLOB}, !sealed "{BLOB}"]}}\n')
    first, second = Sealed('a."b.c".0', b"blob"), Sealed('a."b.c".1', b"blob")
    assert found.data == {"a": {"b.c": [first, second]}}
    assert found.sealed == {("a", "b.c", 0): first, ("a", "b.c", 1): second}


def test_nothing_of_what_is_sealed_is_shown() -> None:
    found = document(f"a: !sealed {BLOB}\n")
    shown = repr(found) + str(found) + repr(found.data["a"])
    assert "blob" not in shown
    assert BLOB not in shown


@pytest.mark.parametrize(
    "text",
    [
        "!sealed",
        "!sealed ''",
        "!sealed not base64",
        "!sealed AAE",
        "!sealed AA*=",
        "!sealed |\n    AAE=\n",
        "!sealed é",
    ],
)
def test_what_is_not_base64_is_refused(text: str) -> None:
    assert problems(f"s:\n  token: {text}\n") == [
        "h.yml:2: s.token: !sealed takes what `hauberk config set PATH --sealed` writes, and "
        "nothing else"
    ]


@pytest.mark.parametrize(
    "text", ["!sealed [a]", "!sealed {a: b}", "!!sealed x", "!Sealed x", "!python/x y"]
)
def test_the_tag_is_for_scalars_and_other_tags_stay_refused(text: str) -> None:
    found = problems(f"s: {{token: {text}}}\n")
    assert len(found) == 1
    assert "is not allowed: remove it" in found[0]


def test_a_key_cannot_be_sealed() -> None:
    assert "key a sealed value is not text" in problems(f"!sealed {BLOB}: 1\n")[0]


def test_the_tag_is_refused_where_nobody_asked_for_it() -> None:
    with pytest.raises(ConfigError, match="tag '!sealed' is not allowed"):
        parse_yaml(f"a: !sealed {BLOB}\n", "venue.yml")


@pytest.mark.parametrize(
    "text", [f"s: {{token: &t !sealed {BLOB}, either: *t}}", f"a: &a {{b: !sealed {BLOB}}}\ns: *a"]
)
def test_an_alias_does_not_bring_a_sealed_value_to_another_place(text: str) -> None:
    assert "a sealed value stands in one place alone" in problems(text)[0]


def test_a_field_for_it_takes_it() -> None:
    made = structure(
        document(
            f"s:\n  token: !sealed {BLOB}\n  inner: [{{name: a, pin: !sealed {BLOB}}}]\n"
            f"  by_name: {{x: !sealed {BLOB}}}\n  either: !sealed {BLOB}\n"
        ),
        Section,
        ("s",),
    )
    assert made.token == Sealed("s.token", b"blob")
    assert made.inner[0].pin == Sealed("s.inner.0.pin", b"blob")
    assert made.by_name == {"x": Sealed("s.by_name.x", b"blob")}
    assert made.either == Sealed("s.either", b"blob")
    assert structure(document("s: {either: plain}"), Section, ("s",)).either == "plain"


@pytest.mark.parametrize("value", ["hunter2", "12345", "true", "[hunter2]", "'sealed'"])
def test_plain_text_in_such_a_field_is_refused_unseen_and_says_how_to_seal_it(value: str) -> None:
    assert problems(f"s:\n  token: {value}\n") == [
        "h.yml:2: s.token: must be sealed: run `hauberk config set s.token --sealed`"
    ]


def test_the_command_that_seals_it_can_be_pasted_into_a_shell() -> None:
    found = problems('s:\n  by_name: {my.acct: x, "it\'s": y}\n')
    assert "run `hauberk config set 's.by_name.\"my.acct\"' --sealed`" in found[0]
    assert """run `hauberk config set 's.by_name."it'"'"'s"' --sealed`""" in found[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text: {}", "s.text: expected text, not a sealed value"),
        ("number: {}", "s.number: expected a whole number, not a sealed value"),
        ("inner: {}", "s.inner: expected a list, not a sealed value"),
        ("inner: [{{name: {}}}]", "s.inner.0.name: expected text, not a sealed value"),
        ("anything: {}", "s.anything: s.anything is sealed, and nothing opens it there"),
        ("anything: {{a: [{}]}}", "s.anything: s.anything.a.0 is sealed, and nothing opens it"),
        ("word: {}", "s.word: s.word is sealed, and nothing opens it there"),
    ],
)
def test_a_sealed_value_anywhere_else_is_refused(text: str, message: str) -> None:
    [found] = problems(f"s: {{{text.format(f'!sealed {BLOB}')}}}\n")
    assert message in found
    assert BLOB not in found


LIST = "plugins: [killswitch, signing]\n"


def test_a_sealed_value_among_the_keys_of_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hauberk.yml"
    path.write_text(
        f"{LIST}ports: {{vault: signing}}\nstate: !sealed {BLOB}\n"
        f"accounts: {{main: {{venue: binance, secret: !sealed {BLOB}}}}}\n"
    )
    assert [str(problem) for problem in read_config(path).problems] == [
        f"{path}:3: state: expected a path, not a sealed value",
        f"{path}:4: accounts.main.secret: expected text, not a sealed value",
    ]


def test_a_file_with_a_sealed_value_loads_what_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "hauberk.yml"
    path.write_text("plugins: [killswitch]\ngrants: {killswitch: [], keys: []}\n")
    assert "vault" not in read_config(path).providers
    with path.open("a") as file:
        file.write(f"killswitch: {{token: !sealed {BLOB}}}\n")
    assert read_config(path).providers["vault"] == DEFAULT_PORTS["vault"]


def test_a_sealed_value_that_no_plugin_opens_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hauberk.config.DEFAULT_PORTS", {p: n for p, n in DEFAULT_PORTS.items() if p != "vault"}
    )
    path = tmp_path / "hauberk.yml"
    path.write_text(f"{LIST}killswitch: {{token: !sealed {BLOB}}}\n")
    [found] = read_config(path).problems
    assert str(found).endswith(
        "2: killswitch.token: is sealed, and no plugin opens it: name one, `ports: {vault: PLUGIN}`"
    )


def test_the_schema_says_that_a_field_is_sealed() -> None:
    schema = json_schema({"s": Section})
    made = schema["$defs"][f"{Section.__module__}.Section"]["properties"]
    sealed = made["by_name"]["additionalProperties"]
    assert sealed["contentEncoding"] == "base64"
    assert sealed["writeOnly"] is True
    assert "`!sealed …`" in sealed["description"]
    assert made["token"]["anyOf"] == [sealed, {"type": "null"}]
    assert not any("Sealed" in name for name in schema["$defs"])


class Opens(Plugin):
    """Tries what it is told to open, when it starts."""

    interface = (1, 1)

    def __init__(self, *sealed: Any) -> None:
        self.sealed = sealed
        self.opened: list[Any] = []

    @hookimpl
    def on_start(self, context: Context) -> None:
        for one in self.sealed:
            try:
                self.opened.append(context.unseal(one).reveal())
            except (SealError, NotGranted, MisuseError) as error:
                self.opened.append(str(error))


CONFIG = MemoryVault("config")


def test_a_plugin_opens_what_is_sealed_in_its_own_section_without_a_grant() -> None:
    opens = Opens(Sealed("opens.token", CONFIG.seal("opens.token", b"s3cret")))
    with make_guard(opens):
        assert opens.opened == [b"s3cret"]


@pytest.mark.parametrize(
    "path", ["other.token", "accounts.main.secret", "opensx.a", "", '"opens".a']
)
def test_no_plugin_opens_what_is_sealed_elsewhere(path: str) -> None:
    opens = Opens(Sealed(path, CONFIG.seal(path, b"s3cret")))
    with make_guard(opens):
        [told] = opens.opened
        assert told == (
            f"plugin 'opens' may not use {path!r}: a plugin opens what is sealed in its own "
            "section, 'opens'"
        )


def test_what_was_sealed_for_another_place_does_not_open_under_an_own_name() -> None:
    stolen = CONFIG.seal("other.token", b"s3cret")
    opens = Opens(Sealed("opens.token", stolen), "text", evolve(Sealed("opens.a", b"x"), blob=b""))
    with make_guard(opens):
        assert "was not sealed under this name" in opens.opened[0]
        assert opens.opened[1] == "unseal takes a hauberk.sealed.Sealed, not str"
        assert "was not sealed under this name" in opens.opened[2]


def test_without_a_vault_it_says_what_to_do() -> None:
    class NoVault(Providers):
        provides = {"venues": "venues"}

    opens = Opens(Sealed("opens.token", b"x"))
    with make_guard(opens, providers=NoVault()):
        assert opens.opened == [
            "opens.token is sealed, and no plugin that opens it is started before 'opens': name "
            "one, `ports: {vault: …}`, and list it first if at all"
        ]
