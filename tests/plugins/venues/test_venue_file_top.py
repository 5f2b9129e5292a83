"""A venue file's base URLs and its envelope: what leads nowhere, or says two things, is refused."""

from __future__ import annotations

import pytest

from hauberk.errors import ConfigError
from hauberk.yamlfile import Document
from hauberk_plugins.venues.envelope import EnvelopeForm
from hauberk_plugins.venues.parse import parse_venue


class Numbered(Document):
    """A document all of whose values stand in one line."""

    def line(self, path=()):
        return 7


def parse(**changes):
    made = {"name": "demo", "base_urls": ["https://api.demo.test"], "operations": {}}
    return parse_venue(Numbered("demo.yml", made | changes))


def problems(**changes):
    with pytest.raises(ConfigError) as caught:
        parse(**changes)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "base",
    [
        "https://api..example",
        "https://.example",
        "https://example.",
        "https://-a.example",
        "https://a-.example",
        "https://" + "a" * 64 + ".example",
        "https://api.example:0",
        "https://api.example:080",
        "https://api.example:65536",
        "https://api.example:99999",
        "http://127.0.0.1:70000",
        "https://api.example\n",
    ],
)
def test_a_base_url_that_leads_nowhere_is_refused(base):
    assert problems(base_urls=[base]) == [
        "demo.yml:7: base_urls.0: must be https://host or https://host:port in small letters, "
        "without a path (http only on loopback)"
    ]


@pytest.mark.parametrize("base", ["https://a.b-c.example:65535", "https://x", "http://[::1]:1"])
def test_a_base_url_that_leads_somewhere_is_taken(base):
    assert parse(base_urls=[base]).bases == (base,)


def test_a_venue_without_any_base_url_is_refused():
    assert problems(base_urls=[]) == [
        "demo.yml:7: base_urls: must name one base URL at least, as https://api.acme.example"
    ]


@pytest.mark.parametrize("given", [{}, {"header": "X-P", "member": "p"}, "header", [], None, True])
def test_an_envelope_is_one_thing_and_says_which(given):
    (told,) = problems(body="json", envelope=given)
    assert told.startswith("demo.yml:7: envelope: must be {header: NAME} (a header carries")


def test_an_envelope_is_a_header_a_member_or_the_body():
    assert parse(envelope={"header": "X-P"}).envelope == EnvelopeForm(header="x-p")
    assert parse(envelope={"member": "p"}).envelope == EnvelopeForm(member="p")
    assert parse(envelope="body").envelope == EnvelopeForm()
    assert "envelope.header: must be a header's name" in problems(envelope={"header": "X\nP"})[0]


def test_parameters_that_are_signed_in_an_envelope_are_judged_in_one():
    told = problems(body="json", signing={"place": {"POST": "envelope"}})
    assert told == ["demo.yml:7: signing.place.POST: needs `envelope` at the top of the file"]
