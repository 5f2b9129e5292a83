"""Envelopes: JSON objects that carry the parameters beside what signing adds."""

from __future__ import annotations

from collections.abc import Mapping
from json.encoder import encode_basestring as _text
from typing import Final

from hauberk_plugins.signing.scheme import PARAMS, SPREAD, Envelope
from hauberk_plugins.signing.template import Template

_INNER: Final = "params"


class Writer:
    """Writes one scheme's envelopes: compact JSON, of which only values are left to be put in.

    Args:
        envelope: What it holds.
        held: Tokens that are the same in every request, such as the key.
    """

    __slots__ = ("_commas", "_template")

    def __init__(self, envelope: Envelope, held: Mapping[str, str]) -> None:
        names = [name for name, _ in envelope.members]
        #: Before and behind parameters that are members, if there are any.
        self._commas: tuple[str, str] | None = None
        if SPREAD in names:
            is_first = names[0] == SPREAD
            self._commas = ("", "," * (len(names) > 1)) if is_first else (",", "")
        pieces = ["{"]
        for index, (name, text) in enumerate(envelope.members):
            if name == SPREAD:
                pieces += [_INNER, ""]
                continue
            pieces[-1] += "," * (index > 0 and names[:index] != [SPREAD]) + f"{_text(name)}:"
            if text == PARAMS:
                pieces += [_INNER, ""]
                continue
            quote = "" if name in envelope.numbers else '"'
            pieces[-1] += quote
            for at, piece in enumerate(Template(text).folded(held).pieces()):
                if at % 2:
                    pieces += [piece, ""]
                else:
                    pieces[-1] += _text(piece)[1:-1]
            pieces[-1] += quote
        pieces[-1] += "}"
        self._template = Template.of_pieces(pieces)

    def write(self, values: dict[str, str], params: str) -> str:
        """Return an envelope.

        Args:
            values: What members are made of: text without quotes and backslashes.
            params: The parameters, as a JSON object without space around it.
        """
        if self._commas is not None:
            params = params[1:-1].strip()
            if params:
                before, behind = self._commas
                params = f"{before}{params}{behind}"
        values[_INNER] = params
        return self._template.render(values)
