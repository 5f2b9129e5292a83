"""The JSON Schema for editors says what `structure` accepts."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import field, frozen

from hauberk.config import ConfigFile
from hauberk.schema import json_schema

try:
    from jsonschema import Draft202012Validator
except ImportError:  # not a dependency; the other tests look at the structure by hand
    Draft202012Validator = None


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@frozen
class Node:
    """A node.

    Attributes:
        name: What it is called, in words
            that go on here.
        children: Nodes below it.
    """

    name: str
    children: tuple[Node, ...] = ()


def from_text(text: str) -> Decimal:
    return Decimal(text)


@frozen
class Everything:
    """All kinds of fields.

    More about them.

    Attributes:
        whole: Of ms.
        amount: Written as text.

    Another section.
    """

    must: str
    whole: int = 5
    ratio: float | None = None
    flag: bool = True
    exact: Decimal = Decimal("1.5")
    path: Path = Path("a/b")
    colour: Colour = Colour.RED
    word: Literal["a", "b"] = "a"
    pair: tuple[int, str] = (1, "x")
    colours: frozenset[Colour] = frozenset()
    nodes: dict[str, Node] = field(factory=dict)
    amount: Decimal = field(default="0", converter=from_text)
    anything: Any = None
    derived: int = field(init=False, default=0)
    _hidden: int = 1


@pytest.fixture
def schema() -> dict[str, Any]:
    return json_schema({"everything": Everything})


def definition(schema: dict[str, Any], cls: type) -> dict[str, Any]:
    found = schema["$defs"][f"{cls.__module__}.{cls.__qualname__}"]
    assert isinstance(found, dict)
    return found


def test_it_is_json_and_refuses_unknown_keys(schema: dict[str, Any]) -> None:
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["plugins"]
    assert schema["additionalProperties"] is False
    assert all(made["additionalProperties"] is False for made in schema["$defs"].values())
    assert set(schema["properties"]) == {*attrs.fields_dict(ConfigFile), "everything"}


def test_every_setting_is_described(schema: dict[str, Any]) -> None:
    for name in attrs.fields_dict(ConfigFile):
        assert schema["properties"][name]["description"], name
    limits = schema["$defs"]["hauberk.settings.KernelLimits"]["properties"]
    assert all(limit["description"] and limit["default"] for limit in limits.values())
    assert schema["properties"]["mode"] == {
        "enum": ["enforce", "shadow"],
        "default": "enforce",
        "description": "`enforce`, or `shadow` to log what would have been denied and let it pass.",
    }


def test_each_type_has_its_form(schema: dict[str, Any]) -> None:
    made = definition(schema, Everything)
    assert made["description"] == "All kinds of fields."
    assert made["required"] == ["must"]
    node = {"$ref": f"#/$defs/{Node.__module__}.Node"}
    assert made["properties"] == {
        "must": {"type": "string"},
        "whole": {"type": "integer", "default": 5, "description": "Of ms."},
        "ratio": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "flag": {"type": "boolean", "default": True},
        "exact": {"type": "number", "default": 1.5},
        "path": {"type": "string", "default": "a/b"},
        "colour": {"enum": ["red", "blue"], "default": "red"},
        "word": {"enum": ["a", "b"], "default": "a"},
        "pair": {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
            "default": [1, "x"],
        },
        "colours": {"type": "array", "items": {"enum": ["red", "blue"]}, "default": []},
        "nodes": {"type": "object", "additionalProperties": node, "default": {}},
        "amount": {"type": "string", "default": "0", "description": "Written as text."},
        "anything": {"default": None},
        "hidden": {"type": "integer", "default": 1},
    }


def test_a_class_may_hold_its_own_kind(schema: dict[str, Any]) -> None:
    made = definition(schema, Node)["properties"]
    assert made["children"]["items"] == {"$ref": f"#/$defs/{Node.__module__}.Node"}
    assert made["name"]["description"] == "What it is called, in words that go on here."


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    text = json.dumps(schema)
    names = [part.partition('"')[0] for part in text.split('"#/$defs/')[1:]]
    assert names
    assert set(names) <= set(schema["$defs"])


@pytest.mark.skipif(Draft202012Validator is None, reason="jsonschema is not installed")
def test_a_validator_agrees_about_a_right_file_and_a_wrong_one(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    right = {"plugins": ["killswitch"], "everything": {"must": "x", "pair": [1, "a"]}}
    assert validator.is_valid(right)
    assert validator.is_valid({**right, "everything": None})
    assert not validator.is_valid({**right, "everything": {"must": 5}})
    assert not validator.is_valid({**right, "everythin": {}})
