"""What is read off a signed request: tokens, and headers that stand there once."""

from __future__ import annotations

from hauberk.request import Request
from hauberk_plugins.signing.template import Template
from hauberk_plugins.signing.verdict import refuse


class Values(dict[str, str]):
    """Tokens read off a request. The same one may stand in several places, with one value."""

    def take(self, template: Template, text: str, where: str) -> None:
        """Note what a template's tokens stand for in a text."""
        found = template.read(text)
        if found is None:
            refuse("form", f"{where} is not there, or not of the form that the venue takes")
        for token, value in found.items():
            self.note(token, value)

    def note(self, token: str, value: str) -> None:
        """Note a token's value."""
        if self.setdefault(token, value) != value:
            refuse("form", f"it has two {token} that differ")

    def __repr__(self) -> str:
        return "[values of a signed request]"


def header_of(signed: Request, name: str) -> str:
    """Return a header's value, whatever the case of its name; empty where it is not there.

    Raises:
        VerificationFailed: It is there twice.
    """
    wanted = name.lower()
    places = [at for at, header in enumerate(signed.headers) if header[0].lower() == wanted]
    if len(places) > 1:
        refuse("form", f"header {name} is there twice")
    return signed.headers[places[0]][1] if places else ""
