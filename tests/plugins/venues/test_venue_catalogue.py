"""Finding venue files and reading them from disk."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from hauberk.errors import ConfigError
from hauberk_plugins.venues import catalogue as catalogue_module
from hauberk_plugins.venues.catalogue import BUILT_IN, UnknownVenue, VenueCatalogue
from hauberk_plugins.venues.plugin import VenuesConfig, VenuesPlugin

BUILT_IN_NAMES = tuple(sorted(path.stem for path in BUILT_IN.glob("*.yml")))
DEMO = """\
name: demo
base_urls: [https://api.demo.test]
operations:
  GET /time: public
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "demo.yml").write_text(DEMO)
    return tmp_path


def problem(folder, text):
    (folder / "demo.yml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        VenueCatalogue([folder]).venue("demo")
    return str(caught.value).replace(str(folder), "")


def test_a_venue_is_found_beside_the_built_in_ones(folder):
    catalogue = VenueCatalogue([BUILT_IN, folder])
    assert catalogue.names() == tuple(sorted((*BUILT_IN_NAMES, "demo")))
    assert catalogue.venue("demo").bases == ("https://api.demo.test",)


def test_a_venue_is_read_once_and_stays_the_same_object(folder):
    catalogue = VenueCatalogue([folder])
    venue = catalogue.venue("demo")
    (folder / "demo.yml").write_text("broken: [")
    assert catalogue.venue("demo") is venue


def test_an_unknown_venue_is_refused_with_the_nearest_name_and_the_places(folder):
    with pytest.raises(UnknownVenue, match=r"'demmo' in /.*; did you mean 'demo'\?"):
        VenueCatalogue([folder]).venue("demmo")


@pytest.mark.parametrize("name", ["../demo", "demo.yml", "", "/etc/passwd", "Demo"])
def test_a_name_is_looked_up_and_never_made_into_a_path(folder, name):
    with pytest.raises(UnknownVenue):
        VenueCatalogue([folder]).venue(name)


def test_a_file_may_not_take_the_place_of_a_built_in_one(folder):
    (folder / "binance.yml").write_text(DEMO)
    with pytest.raises(ConfigError, match="choose another name"):
        VenueCatalogue([BUILT_IN, folder])


def test_a_folder_that_is_not_there_is_said_and_changes_nothing(tmp_path):
    plugin = VenuesPlugin(VenuesConfig(tmp_path / "none"))
    with pytest.raises(ConfigError, match="is not a folder"):
        plugin.on_start(SimpleNamespace(folder=tmp_path))
    assert plugin.catalogue.names() == BUILT_IN_NAMES


def test_a_file_with_a_name_that_no_account_could_write_is_refused(folder):
    (folder / "My Venue.yml").write_text(DEMO)
    with pytest.raises(ConfigError, match="small letters"):
        VenueCatalogue([folder])


def test_the_name_in_the_file_must_be_that_of_the_file(folder):
    assert problem(folder, DEMO.replace("name: demo", "\nname: other")) == (
        "/demo.yml:2: name: must be 'demo', as the file is called"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEMO + "  GET /time: read\n", "/demo.yml:5: operations.'GET /time': duplicate key"),
        (DEMO + "  GET /b: raed\n", "/demo.yml:5: operations.'GET /b': 'raed' is none of"),
        (DEMO + "opertions: {}\n", "/demo.yml:5: opertions: unknown key; did you mean"),
        (DEMO + "  GET /b: !!python/name:os.system x\n", "/demo.yml:5: operations.'GET /b': tag"),
        ("", "/demo.yml:1: 'name' is missing"),
        ("- a\n", "/demo.yml:1: must be a mapping"),
        ("name: [\n", "is not YAML"),
    ],
)
def test_a_broken_file_is_refused_with_line_path_and_reason(folder, text, message):
    assert message in problem(folder, text)


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_file_that_others_can_change_is_not_obeyed(folder, mode):
    (folder / "demo.yml").chmod(mode)
    catalogue = VenueCatalogue([BUILT_IN, folder])
    with pytest.raises(
        ConfigError, match=f"is not safe to obey.*run: chmod go-w {folder}/demo.yml"
    ):
        catalogue.venue("demo")
    (folder / "demo.yml").chmod(0o644)
    assert catalogue.venue("demo").name == "demo"


@pytest.mark.parametrize(("mode", "is_safe"), [(0o777, 0), (0o703, 0), (0o1777, 1), (0o770, 1)])
def test_nor_is_one_in_a_folder_where_anybody_can_replace_it(folder, mode, is_safe):
    folder.chmod(mode)
    catalogue = VenueCatalogue([folder])
    if is_safe:
        assert catalogue.venue("demo").name == "demo"
    else:
        with pytest.raises(ConfigError, match=rf"^{folder}: is not safe to obey"):
            catalogue.venue("demo")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_nor_is_one_of_somebody_elses(folder):
    os.chown(folder / "demo.yml", 4321, 0)
    with pytest.raises(ConfigError, match="it belongs to user id 4321"):
        VenueCatalogue([folder]).venue("demo")


def test_what_comes_with_hauberk_is_as_safe_as_its_code(folder, monkeypatch):
    # A virtual environment of a group's, say: whoever can change the files can change the code.
    (folder / "demo.yml").chmod(0o664)
    monkeypatch.setattr(catalogue_module, "BUILT_IN", folder)
    assert VenueCatalogue([folder]).venue("demo").name == "demo"


def test_the_plugin_provides_the_catalogue_as_soon_as_it_is_made(tmp_path):
    plugin = VenuesPlugin(VenuesConfig())
    catalogue = getattr(plugin, plugin.provides["venues"])
    assert catalogue.names() == BUILT_IN_NAMES
    plugin.on_start(SimpleNamespace(folder=tmp_path))
    assert catalogue.names() == BUILT_IN_NAMES


def test_the_folder_stands_beside_the_configuration(folder):
    plugin = VenuesPlugin(VenuesConfig(Path(folder.name)))
    plugin.on_start(SimpleNamespace(folder=folder.parent))
    assert plugin.catalogue.venue("demo").name == "demo"
