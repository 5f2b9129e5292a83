"""Plain data to classes: nothing coerced, every error found."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import field, frozen, validators
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import ConfigError
from hauberk.secret import Secret
from hauberk.structure import structure
from hauberk.yamlfile import Document, parse_yaml


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 3


def parse_amount(text: str) -> Decimal:
    amount, _, unit = text.partition(" ")
    if unit != "USDT":
        raise ValueError("an amount is written as 5 USDT")
    return Decimal(amount)


@frozen
class Inner:
    name: str
    size: int = field(default=1, validator=validators.ge(1))


@frozen
class Outer:
    whole: int = 0
    ratio: float = 0.0
    exact: Decimal = Decimal(0)
    flag: bool = False
    text: str = ""
    path: Path = Path()
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    word: Literal["a", "b", 1] = "a"
    maybe: int | None = None
    either: int | str = 0
    names: tuple[str, ...] = ()
    pair: tuple[int, str] = (0, "")
    colours: frozenset[Colour] = frozenset()
    inner: Inner | None = None
    inners: dict[str, Inner] = field(factory=dict)
    lists: list[list[int]] = field(factory=list)
    amount: Decimal = field(default="0 USDT", converter=parse_amount)
    anything: Any = None


def made(text: str) -> Outer:
    return structure(parse_yaml(text, "f"), Outer)


def problems(text: str, cls: type = Outer) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        structure(parse_yaml(text, "f"), cls)
    return [str(problem) for problem in caught.value.problems]


def test_every_type_is_made_from_its_yaml() -> None:
    assert made(
        "whole: 5\nratio: 0.5\nexact: 0.1\nflag: true\ntext: '5'\npath: a/b\ncolour: green\n"
        "level: 3\nword: 1\nmaybe: 7\neither: x\nnames: [a, b]\npair: [1, x]\n"
        "colours: [red, red]\ninner: {name: n}\ninners: {k: {name: m, size: 2}}\n"
        "lists: [[1], []]\namount: 5 USDT\nanything: [1, {a: b}]\n"
    ) == Outer(
        *(5, 0.5, Decimal("0.1"), True, "5", Path("a/b"), Colour.GREEN, Level.HIGH, 1, 7, "x"),
        *(("a", "b"), (1, "x"), frozenset({Colour.RED}), Inner("n"), {"k": Inner("m", 2)}),
        *([[1], []], "5 USDT", [1, {"a": "b"}]),
    )


def test_a_whole_number_serves_where_a_number_is_due() -> None:
    assert made("ratio: 2\nexact: 3") == Outer(ratio=2.0, exact=Decimal(3))
    assert type(made("ratio: 2").ratio) is float


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("whole: '5'", "whole: expected a whole number, not '5'"),
        ("whole: 5.0", "whole: expected a whole number, not 5.0"),
        ("whole: true", "whole: expected a whole number, not true"),
        ("whole: null", "whole: expected a whole number, not null"),
        ("ratio: '0.5'", "ratio: expected a number, not '0.5'"),
        ("ratio: true", "ratio: expected a number, not true"),
        ("ratio: .nan", "ratio: must be a finite number"),
        ("exact: .inf", "exact: must be a finite number"),
        ("exact: '0.1'", "exact: expected a number, not '0.1'"),
        ("flag: 1", "flag: expected true or false, not 1"),
        ("flag: yes", "flag: expected true or false, not 'yes'"),
        ("path: 5", "path: expected a path, not 5"),
        ("path: ''", "path: expected a path, not ''"),
        ("colour: gren", "colour: 'gren' is not one of red, green; did you mean 'green'?"),
        ("level: true", "level: true is not one of 1, 3"),
        ("level: '3'", "level: '3' is not one of 1, 3; did you mean '3'?"),
        ("word: c", "word: 'c' is not one of a, b, 1"),
        ("word: true", "word: true is not one of a, b, 1"),
        ("colour: [red]", "colour: expected one of red, green, not a list"),
        ("maybe: x", "maybe: expected a whole number or nothing, not 'x'"),
        ("names: abc", "names: expected a list, not 'abc'"),
        ("names: {a: b}", "names: expected a list, not a mapping"),
        ("colours: red", "colours: expected a list, not 'red'"),
        ("pair: [1]", "pair: expected 2 items, not 1"),
        ("inner: [1]", "inner: expected a mapping or nothing, not a list"),
        ("inner: {nam: x, name: y}", "inner.nam: unknown key 'nam'; did you mean 'name'?"),
        ("inners: [a]", "inners: expected a mapping, not a list"),
        ("lists: [[1], [x]]", "lists.1.0: expected a whole number, not 'x'"),
        ("amount: 5", "amount: expected text, not a bare number, true or false: quote it"),
        ("amount: 5 EUR", "amount: an amount is written as 5 USDT"),
    ],
)
def test_nothing_is_coerced_and_the_message_says_what_is_due(text: str, message: str) -> None:
    assert problems(text) == [f"f:1: {message}"]


def test_what_stands_where_text_is_due_is_not_repeated() -> None:
    found = problems("text: 123456789\n") + problems("either: 12345.6789\n")
    assert not any("12345" in problem for problem in found)


def test_every_error_is_found_at_once_with_its_own_line() -> None:
    found = problems(
        "whole: x\nnames:\n  - a\n  - 5\ninner:\n  size: 0\ninners:\n  k: {name: 5, siez: 1}\n"
        "nams: []\ncolours: [red, blu, x]\n"
    )
    assert sorted(found, key=lambda text: int(text.split(":")[1])) == [
        "f:1: whole: expected a whole number, not 'x'",
        "f:4: names.1: expected text, not a bare number, true or false: quote it",
        "f:5: inner: missing key 'name'",
        "f:6: inner.size: 'size' must be >= 1: 0",
        "f:8: inners.k.name: expected text, not a bare number, true or false: quote it",
        "f:8: inners.k.siez: unknown key 'siez'; did you mean 'size'?",
        "f:9: nams: unknown key 'nams'; did you mean 'names'?",
        "f:10: colours.1: 'blu' is not one of red, green",
        "f:10: colours.2: 'x' is not one of red, green",
    ]


def test_a_section_is_found_by_its_path_and_an_absent_one_is_empty() -> None:
    document = parse_yaml("a:\n  inner:\n    - {name: n}\n    - {name: 5}\nempty:\n", "f")
    assert structure(document, Inner, ("a", "inner", 0)) == Inner("n")
    with pytest.raises(ConfigError, match=r"f:4: a\.inner\.1\.name: expected text"):
        structure(document, Inner, ("a", "inner", 1))
    assert structure(document, Outer, ("empty",)) == structure(document, Outer, ("no",)) == Outer()
    with pytest.raises(ConfigError, match="f:5: empty: missing key 'name'"):
        structure(document, Inner, ("empty",))


def test_a_validator_that_looks_at_the_instance_is_asked_by_the_constructor() -> None:
    @frozen
    class Range:
        low: int
        high: int = field()

        @high.validator
        def _check(self, _: object, value: int) -> None:
            if value < self.low:
                raise ValueError("high is below low")

    assert structure(parse_yaml("r: {low: 1, high: 2}", "f"), Range, ("r",)) == Range(1, 2)
    with pytest.raises(ConfigError, match="f:1: r: high is below low"):
        structure(parse_yaml("r: {low: 3, high: 2}", "f"), Range, ("r",))


def test_a_validators_message_is_cut_and_escaped() -> None:
    @frozen
    class Picky:
        text: str = field(validator=validators.in_(["a"]))

    [found] = problems('text: "' + "x" * 500 + '\\e"', Picky)
    assert "x" * 39 in found
    assert "x" * 41 not in found
    assert "\x1b" not in found


def test_a_secret_has_no_place_in_a_configuration() -> None:
    @frozen
    class Leaky:
        token: Secret

    [found] = problems("token: hunter2", Leaky)
    assert "Secret" in found
    assert "hunter2" not in found


def test_a_class_that_cannot_be_read_is_its_authors_mistake() -> None:
    @frozen
    class Broken:
        x: Nowhere  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match="Nowhere"):
        structure(Document("f", {"x": 1}), Broken)


def test_a_private_field_is_written_without_its_underscore() -> None:
    @attrs.frozen
    class Hidden:
        _depth: int

    assert structure(parse_yaml("depth: 3", "f"), Hidden) == Hidden(3)
    assert problems("dept: 3", Hidden) == [
        "f:1: missing key 'depth'",
        "f:1: dept: unknown key 'dept'; did you mean 'depth'?",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["red", "a", "5"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "size", "k"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([a.name for a in attrs.fields(Outer)]), VALUES))
def test_any_data_gives_an_instance_of_exact_types_or_a_config_error(data: dict[str, Any]) -> None:
    try:
        outer = structure(Document("f", data), Outer)
    except ConfigError as error:
        problems = error.problems
    else:
        assert type(outer.whole) is int
        assert type(outer.ratio) is float
        assert type(outer.flag) is bool
        assert type(outer.names) is tuple
        assert all(type(name) is str for name in outer.names)
        assert all(type(colour) is Colour for colour in outer.colours)
        return
    assert problems
    assert all(problem.path.split(".")[0] in data for problem in problems)
