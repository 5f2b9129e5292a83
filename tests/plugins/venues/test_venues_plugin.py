"""What the plugin says about `hauberk.yml` before it is made."""

from __future__ import annotations

import pytest

from hauberk.written import Written
from hauberk_plugins.venues.plugin import VenuesConfig, VenuesPlugin

MISSPELT = {"main": {"venue": "binanse"}}


def problems(**given):
    given = {"config": VenuesConfig(), "provides": frozenset({"venues"}), **given}
    return list(VenuesPlugin.config_problems(Written(name="venues", **given)))


def test_an_account_at_no_venue_is_accused_with_the_nearest_name():
    [(at, message)] = problems(accounts=MISSPELT)
    assert at == ("accounts", "main", "venue")
    assert message.endswith("; did you mean 'binance'?")


@pytest.mark.parametrize("account", [{}, {"venue": 5}, {"venue": None}, {"venue": ["binance"]}])
def test_what_is_no_name_is_said_elsewhere(account):
    assert problems(accounts={"main": account}) == []


def test_another_provider_of_venues_is_not_spoken_for():
    assert problems(accounts=MISSPELT, provides=frozenset()) == []


def test_where_its_own_section_is_wrong_nobody_knows_which_venues_there_are():
    assert problems(accounts=MISSPELT, config=None, section={"foldr": "mine"}) == []


def test_a_folder_stands_beside_the_configuration(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "demo.yml").write_text("not read: [")
    config = VenuesConfig(tmp_path.relative_to(tmp_path.parent) / "mine")
    given = {"config": config, "folder": tmp_path.parent}
    assert problems(accounts={"main": {"venue": "demo"}}, **given) == []
    [(_, message)] = problems(accounts={"main": {"venue": "dem"}}, **given)
    assert f"in {VenuesPlugin(config).catalogue._folders[0]}, {tmp_path}/mine" in message
