"""What type a request says that its body is."""

from __future__ import annotations

from collections.abc import Mapping

from hauberk_plugins.signing.scheme import CONTENT_TYPES, ENVELOPE, QUERY, Scheme


def content_types(scheme: Scheme) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the type by place: of a request with a body, and of one without; empty for none."""
    types = {QUERY: "", **CONTENT_TYPES}
    if scheme.envelope is not None and scheme.envelope.header:
        types[ENVELOPE] = ""
    bare = {
        place: kind if scheme.typed or place == ENVELOPE else "" for place, kind in types.items()
    }
    return types, bare
