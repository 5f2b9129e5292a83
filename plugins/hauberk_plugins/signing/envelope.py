"""Envelopes: JSON objects that carry the parameters beside what signing adds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from hauberk_plugins.signing.ready import Ready
from hauberk_plugins.signing.scheme import SPREAD

_PARAMS: Final = frozenset({"params"})


def enveloped(ready: Ready, values: Mapping[str, str], params: str) -> str:
    """Return the envelope: compact JSON.

    Args:
        ready: The account's credentials, with the members.
        values: What the members are made of.
        params: The parameters, as a JSON object.
    """
    members = []
    for name, template in ready.members:
        if name == SPREAD:
            if inner := params[1:-1]:
                members.append(inner)
        elif template.tokens == _PARAMS:
            members.append(f"{_text(name)}:{params}")
        else:
            members.append(f"{_text(name)}:{_text(template.render(values))}")
    return "{" + ",".join(members) + "}"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
