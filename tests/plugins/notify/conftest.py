"""Makes importable what these tests share: servers on loopback, a sender that the test decides."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from notify_servers import MailServer, Misbehaving, Webhook


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A server that takes what is posted to it."""
    with Webhook() as server:
        yield server


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A server that takes email."""
    with MailServer() as server:
        yield server


@pytest.fixture(params=["hangs", "drips", "resets", "refuses"])
def misbehaving(request: pytest.FixtureRequest) -> Iterator[Misbehaving]:
    """A server that does not do what servers do."""
    with Misbehaving(request.param) as server:
        yield server
