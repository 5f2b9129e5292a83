"""JSON Schema (2020-12) of `hauberk.yml`, for editors, made from the classes that check it."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import attrs

from hauberk.config import ConfigFile
from hauberk.sealed import TAG, Sealed
from hauberk.structure import MAPPINGS, SEQUENCES, SETS, input_type

_SCALARS: Final[dict[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    bool: {"type": "boolean"},
    Path: {"type": "string"},
    types.NoneType: {"type": "null"},
    # JSON Schema has no tags: to it, what stands behind one is text like any other.
    Sealed: {
        "type": "string",
        "contentEncoding": "base64",
        "pattern": "^[A-Za-z0-9+/]+={0,2}$",
        "writeOnly": True,
        "description": f"Sealed: `{TAG} …`, as `hauberk config set PATH --sealed` writes it.",
    },
}
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n(?:        .*|[ ]*)$)*)", re.MULTILINE)


def json_schema(configs: Mapping[str, type]) -> dict[str, Any]:
    """Describe the whole file.

    Args:
        configs: The `Config` class of each plugin that may have a section, by the plugin's name.
    """
    definitions: dict[str, Any] = {}
    whole = _class(ConfigFile, definitions)
    for name, cls in configs.items():
        # A section with nothing in it but comments is null, and counts as empty.
        whole["properties"][name] = {
            "anyOf": [_schema(cls, definitions), {"type": "null"}],
            "description": _summary(cls),
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hauberk.yml",
        **whole,
        "$defs": definitions,
    }


def _class(cls: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    texts = _descriptions(cls)
    properties, required = {}, []
    for field in attrs.fields(attrs.resolve_types(cls)):
        if not field.init:
            continue
        described = {**_schema(input_type(field), definitions)}
        if text := texts.get(field.name):
            described["description"] = " ".join((text, described.pop("description", ""))).strip()
        if field.default is attrs.NOTHING:
            required.append(field.alias)
        elif (default := _default(field)) is not attrs.NOTHING:
            described["default"] = default
        properties[field.alias] = described
    return {
        "type": "object",
        "description": _summary(cls),
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Describe a type, as `structure` reads it."""
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin in _SCALARS:
        return _SCALARS[origin]
    if attrs.has(origin):
        name = f"{origin.__module__}.{origin.__qualname__}"
        if name not in definitions:
            definitions[name] = {}  # a class may hold its own kind
            definitions[name] = _class(origin, definitions)
        return {"$ref": f"#/$defs/{name}"}
    if isinstance(origin, type) and issubclass(origin, Enum):
        return {"enum": [member.value for member in origin]}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(arm, definitions) for arm in args]}
    if origin is tuple and args and args[-1] is not Ellipsis:
        items = [_schema(arm, definitions) for arm in args]
        return {"type": "array", "prefixItems": items, "minItems": len(args), "maxItems": len(args)}
    if origin in SEQUENCES or origin in SETS:
        return {"type": "array", "items": _schema(args[0] if args else Any, definitions)}
    if origin in MAPPINGS:
        of_value = _schema(args[1] if args else Any, definitions)
        return {"type": "object", "additionalProperties": of_value}
    return {}


def _default(field: attrs.Attribute[Any]) -> Any:
    """Return a default as JSON, or `NOTHING` where it has no form in the file."""
    default: Any = field.default
    if hasattr(default, "takes_self"):  # attrs.Factory
        default = attrs.NOTHING if default.takes_self else default.factory()
    return _plain(default)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Path | Decimal):
        return str(value) if isinstance(value, Path) else float(value)
    if isinstance(value, tuple | list | set | frozenset):
        items = [_plain(item) for item in value]
        return attrs.NOTHING if attrs.NOTHING in items else items
    return {} if value == {} else attrs.NOTHING


def _summary(cls: type) -> str:
    """Return the first paragraph of a docstring."""
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def _descriptions(cls: type) -> dict[str, str]:
    """Read the section `Attributes:` of a docstring (Google style)."""
    _, _, section = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section)}
