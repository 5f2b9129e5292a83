"""`hauberk config schema`: for editors, so it is printed whatever hauberk.yml looks like."""

import json


def test_it_prints_a_schema_of_the_configurations_plugins(hauberk, config):
    ran = hauberk("config", "schema", "--config", config)
    assert ran.status == 0
    schema = json.loads(ran.out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"accounts", "plugins", "throttle", "logs"} <= set(schema["properties"])
    assert hauberk("config", "schema", "--config", config, "--json").document == schema


def test_without_a_configuration_it_is_that_of_the_built_in_plugins(hauberk):
    assert "throttle" in hauberk("config", "schema", "--json").document["properties"]


def test_a_broken_configuration_does_not_keep_it_from_being_mended(hauberk, config):
    config.write_text("plugins: [", "utf-8")
    assert hauberk("config", "schema", "--config", config, "--json").status == 0


def test_a_third_partys_section_is_in_it(hauberk, config, third_party):
    third_party("""
        from attrs import frozen

        @frozen
        class Hours:
            '''When it is quiet.

            Attributes:
                since: The first quiet hour.
            '''

            since: int = 22

        class Quiet(Base):
            Config = Hours

            def __init__(self, config):
                self.config = config
    """)
    section = hauberk("config", "schema", "--config", config, "--json").document["properties"]
    assert "quiet" in section
