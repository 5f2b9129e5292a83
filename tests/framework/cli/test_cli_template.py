"""What `hauberk init` writes, against what the built-in plugins have by themselves."""

import pytest

from hauberk.builtins import BUILTINS, DEFAULT_PORTS
from hauberk.config import read_config
from hauberk.registry import BOTS


@pytest.fixture
def written(config):
    """The hauberk.yml of `hauberk init`."""
    return read_config(config)


def test_every_plugin_that_is_named_is_granted_exactly_what_it_has_by_default(written):
    named = {name: grants for name, grants in written.grants.items() if name in BUILTINS}
    assert named == {name: BUILTINS[name].grants for name in named}


def test_every_plugin_that_is_listed_or_provides_a_port_has_its_grants_spelt_out(written):
    providing = {*written.plugins, *written.ports.values()} - {BOTS}
    assert {name for name in providing if BUILTINS[name].grants} <= set(written.grants)


def test_every_port_is_provided_by_whom_it_is_by_default(written):
    assert written.ports == {port: DEFAULT_PORTS[port] for port in written.ports}
