"""Reading YAML: data or every error, never anything else."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hauberk.errors import ConfigError
from hauberk.yamlfile import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    Document,
    dotted,
    inspect_yaml,
    load_yaml,
    parse_yaml,
    shown,
)


def read(text: str | bytes) -> dict[str, object]:
    return parse_yaml(text, "f.yml").data


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f.yml")
    return [str(problem) for problem in caught.value.problems]


PIECES = [
    *"abc:-?[]{},&*!|>'\"%@`#~ \n\t0159.\\\0\ufeff\r\x85",
    *("  ", "\n- ", "\nk: ", "*a", "&a ", "!!int ", "!x ", "---\n", "...\n", "%YAML 1.1\n"),
    *("%TAG ! x\n", "<<: ", ".inf", "0x", "1e9", "\\U99999999", "null"),
]


@given(st.binary(max_size=200) | st.text(max_size=100) | st.lists(st.sampled_from(PIECES)))
def test_any_input_gives_plain_data_or_a_config_error(text: str | bytes | list[str]) -> None:
    try:
        data = read("".join(text) if isinstance(text, list) else text)
    except ConfigError as error:
        found = error.problems
    else:
        assert is_plain(data)
        return
    assert found
    assert all(problem.file == "f.yml" and problem.message for problem in found)


def is_plain(value: object) -> bool:
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if type(value) is list:
        return all(is_plain(item) for item in value)
    return value is None or type(value) in (str, int, float, bool)


KEYS = st.text("abcxyz_é0123456789.", min_size=1, max_size=6)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(KEYS, PLAIN, max_size=4))
def test_what_ruamel_writes_is_read_back(data: dict[str, object]) -> None:
    written = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False  # in flow style it writes "?0" unquoted, and cannot read it
    yaml.dump(data, written)
    assert read(written.getvalue()) == data


@given(
    st.lists(st.tuples(KEYS, st.integers(0, 3), st.integers(0, 3)), unique_by=lambda row: row[0])
)
def test_lines_are_those_of_keys_and_items(rows: list[tuple[str, int, int]]) -> None:
    text, lines = "", {}
    for key, gap, items in rows:
        text += "# a comment\n" * gap
        lines[("k" + key,)] = text.count("\n") + 1
        text += f"k{key}:\n"
        for index in range(items):
            lines["k" + key, index] = text.count("\n") + 1
            text += f"  - {index}\n"
    document = parse_yaml(text, "f.yml")
    assert {path: document.line(path) for path in lines} == lines


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert read("") == read("# only a comment\n") == read("---\n") == {}


def test_scalars_have_the_types_of_yaml_1_2() -> None:
    data = read(
        "text: [yes, no, on, 2024-01-02, 1_000, 12:30, '5', \"true\", ! 5, !!str 5, 0b1, <<]\n"
        "none: [null, ~, ]\nbool: [true, FALSE]\n"
        "int: [5, -7, +3, 010, 0o17, 0xfF, !!int '5']\n"
        "float: [1.5, .5, 1., 1e3, -1.5E-3, .inf, -.INF, !!float 1.0]\n"
    )
    assert data["text"] == [
        *("yes", "no", "on", "2024-01-02", "1_000", "12:30"),
        *("5", "true", "5", "5", "0b1", "<<"),
    ]
    assert data["none"] == [None, None]
    assert data["bool"] == [True, False]
    assert data["int"] == [5, -7, 3, 10, 15, 255, 5]
    inf = float("inf")
    assert data["float"] == [1.5, 0.5, 1.0, 1000.0, -0.0015, inf, -inf, 1.0]


def test_aliases_are_read_and_take_the_line_of_their_use() -> None:
    document = parse_yaml("a: &a {x: [1, 2]}\n\nb: *a\n", "f.yml")
    assert document.data["b"] == {"x": [1, 2]}
    assert document.line(("b", "x", 0)) == 3


def test_lines_fall_back_to_the_nearest_parent() -> None:
    document = parse_yaml("a: 1\nb:\n  c:\n    - x\n    - y\n", "f.yml")
    assert document.line(("b", "c", 1)) == 5
    assert document.line(("b", "c", 7)) == 3
    assert document.line(("b", "z", "q")) == 2
    assert document.line(("nowhere",)) == 1
    assert document.get(("b", "c", 1)) == "y"
    assert document.get(("b", "c", 7)) is document.get(("a", "x")) is None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1,\n", 3, "is not YAML"),
        ("a: 1\n\tb: 2\n", 2, "is not YAML"),
        ("a: *nowhere\n", 1, "alias 'nowhere' has no anchor before it"),
        ("a: 1\nb: &x [1, *x]\n", 2, "alias 'x' refers to itself"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tag '!!python/object:os.system' is not"),
        ("a: 1\nb: !sealed x\n", 2, "tag '!sealed' is not allowed"),
        ("a: !!set {x}\n", 1, "tag '!!set' is not allowed"),
        ("a: !!binary aGk=\n", 1, "tag '!!binary' is not allowed"),
        ("a: !!seq {x: 1}\n", 1, "tag '!!seq' is not allowed"),
        ("a: !!int five\n", 1, "'five' is not what !!int says"),
        ("a: 1\nb: 2\na: 3\n", 3, "duplicate key 'a', first at line 1"),
        ("a: 1\n5: 2\n", 2, "key 5 is not text: quote it"),
        ("a: 1\ntrue: 2\n", 2, "key true is not text"),
        ("a: 1\n? [x]\n: 2\n", 2, "key is not text"),
        ("a: 1\n---\nb: 2\n", 2, "more than one document"),
        ("- a\n- b\n", 1, "must be a mapping"),
        ("just text", 1, "must be a mapping"),
        ("%YAML 1.1\n---\na: yes\n", 2, "another YAML than 1.2"),
        ("a: 1\nb: \x07\n", 2, "character 0x7"),
        (b"a: 1\nb: \xff\xfe\n", 2, "is not UTF-8"),
        ("a: 1".encode("utf-16"), 1, "is not UTF-8"),
        (f"a: {'9' * 65}\n", 1, "too many digits"),
        ("a: 1e999\n", 1, "out of range"),
    ],
)
def test_each_refusal_names_its_line(text: str | bytes, line: int, words: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert found[0].startswith(f"f.yml:{line}: ")
    assert words in found[0]


def test_every_problem_is_found_at_once_in_the_order_of_the_file() -> None:
    text = "a: !x 1\nb: 1\nb: {c: !!python/name:x 2, 7: 1}\nd: *z\n"
    assert problems(text) == [
        "f.yml:1: a: tag '!x' is not allowed: remove it",
        "f.yml:3: b: duplicate key 'b', first at line 2",
        "f.yml:3: b.c: tag '!!python/name:x' is not allowed: remove it",
        "f.yml:3: b: key 7 is not text: quote it",
        "f.yml:4: d: alias 'z' has no anchor before it",
    ]


def test_what_stood_before_a_syntax_error_is_reported_with_it() -> None:
    found = problems("a: !x 1\nb: }\n")
    assert [line.split(":")[1] for line in found] == ["1", "2"]


def test_data_that_can_be_read_is_handed_on_beside_its_problems() -> None:
    document, found = inspect_yaml("a: 1\na: 2\nb: !x 3\n", "f.yml")
    assert document.data == {"a": 1, "b": 3}
    assert len(found) == 2


def test_an_alias_bomb_is_stopped_before_it_expands() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
    )
    assert f"holds more than {MAX_NODES} values, aliases expanded" in problems(bomb)[-1]


def test_the_limit_on_values_is_exact() -> None:
    # The mapping, its key and the list are three.
    assert len(read("a: [" + "1," * (MAX_NODES - 3) + "]")["a"]) == MAX_NODES - 3  # type: ignore[arg-type]
    assert "holds more than" in problems("a: [" + "1," * (MAX_NODES - 2) + "]")[0]


@pytest.mark.parametrize("bracket", ["[", "{", "- ", "? "])
def test_deep_nesting_is_stopped_without_recursing_into_it(bracket: str) -> None:
    assert f"nested more than {MAX_DEPTH} deep" in problems(bracket * 3_000)[0]


def test_nesting_up_to_the_limit_is_read() -> None:
    levels = MAX_DEPTH - 1
    assert read("a: " + "[" * levels + "]" * levels)["a"] != []
    assert "nested" in problems("a: " + "[" * (levels + 1) + "]" * (levels + 1))[0]


def test_a_file_is_read_with_its_path_in_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "h.yml"
    path.write_text("a: 1\nb: !x 2\n")
    with pytest.raises(ConfigError) as caught:
        load_yaml(path)
    assert str(caught.value).startswith(f"{path}:2: b: tag")
    path.write_text("a: ü\n", encoding="utf-8")
    assert load_yaml(path).data == {"a": "ü"}
    assert load_yaml(path).file == str(path)


def test_a_file_over_one_mebibyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "h.yml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert load_yaml(path).data == {}
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # a sparse terabyte: reading it would not end
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load_yaml(path)
    assert "larger than 1 MiB" in problems("#" * (MAX_BYTES + 1))[0]


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="not a regular file"):
            load_yaml(path)


def test_a_missing_or_unreadable_path_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_yaml(tmp_path / "missing.yml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml("nul\0byte")


def test_values_are_shown_short_and_without_control_characters() -> None:
    assert shown("x" * 100) == repr("x" * 39 + "…")
    assert shown("a\x1b[2J\u202e") == r"'a\x1b[2J\u202e'"
    assert (shown(None), shown(True), shown(1.5)) == ("null", "true", "1.5")
    assert len(shown([1] * 100)) == 40
    assert dotted(("accounts", "a b\x07", 3)) == r"accounts.'a b\x07'.3"
    assert "\x1b" not in problems('"a\\e[2J": 1\n"a\\e[2J": 2\n')[0]


def test_a_document_cannot_be_reassigned() -> None:
    with pytest.raises(AttributeError):
        Document("f", {}).data = {}  # type: ignore[misc]
