"""`hauberk init`: all of it or nothing, over nothing, for nobody else to read."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from hauberk.cli import init as module
from hauberk.config import read_config
from hauberk.opening import schema_for
from hauberk.yamlfile import load_yaml

FILES = ("hauberk.yml", "hauberk.schema.json")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_it_makes_the_configuration_its_schema_and_the_state_folder(hauberk, tmp_path):
    ran = hauberk("init", "bot", "--json")
    assert ran.status == 0
    assert names(tmp_path / "bot") == ["hauberk-state", "hauberk.schema.json", "hauberk.yml"]
    assert ran.document == {
        "config": "bot/hauberk.yml",
        "schema": "bot/hauberk.schema.json",
        "state": "bot/hauberk-state",
    }


def test_it_says_what_to_do_next(hauberk):
    out = hauberk("init", "bot").out
    assert "bot/.env" in out
    assert "chmod 600" in out
    assert "hauberk doctor --config bot/hauberk.yml" in out


def test_without_a_folder_it_writes_here(hauberk, tmp_path):
    out = hauberk("init").out
    assert out.endswith("hauberk doctor\n")
    assert read_config(tmp_path / "hauberk.yml").problems == ()


def test_the_account_is_at_binance_with_its_keys_in_the_environment(config):
    account = read_config(config).accounts["main"]
    assert account.venue == "binance"
    assert (account.key, account.secret) == ("env:BINANCE_KEY", "env:BINANCE_SECRET")


def test_doctor_finds_nothing_wrong_once_the_keys_are_set(hauberk, tmp_path):
    hauberk("init", "bot")
    dotenv = tmp_path / "bot" / ".env"
    dotenv.touch(0o600)
    dotenv.write_text("BINANCE_KEY=k\nBINANCE_SECRET=s\n", "utf-8")
    ran = hauberk("doctor", "--config", "bot/hauberk.yml", "--json")
    assert ran.status == 0
    assert {check["status"] for check in ran.document["checks"]} == {"ok"}


def test_every_setting_has_a_comment_above_it(config):
    lines = config.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if line and line[0].isalpha():
            above = [text for text in lines[max(0, number - 5) : number] if text]
            assert above[-1].startswith("#"), line


def test_the_schema_beside_it_is_the_one_that_config_schema_prints(hauberk, config):
    written = json.loads((config.parent / "hauberk.schema.json").read_text("utf-8"))
    assert written == hauberk("config", "schema", "--config", config, "--json").document


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_whatever_the_umask_nobody_else_can_read_or_change_it(hauberk, tmp_path, umask):
    before = os.umask(umask)
    try:
        ran = hauberk("init", "over/bot")
    finally:
        os.umask(before)
    assert ran.status == 0
    folder = tmp_path / "over" / "bot"
    for private in (folder.parent, folder, folder / "hauberk-state"):
        assert mode(private) == 0o700
    for name in FILES:
        assert mode(folder / name) == 0o600


def test_it_is_private_from_the_first_moment(hauberk, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "chmod", lambda *_args: None)
    monkeypatch.setattr(os, "fchmod", lambda *_args: None)
    before = os.umask(0)
    try:
        hauberk("init", "bot")
    finally:
        os.umask(before)
    assert mode(tmp_path / "bot") == mode(tmp_path / "bot" / "hauberk-state") == 0o700
    assert mode(tmp_path / "bot" / "hauberk.yml") == 0o600


def test_a_folder_that_is_there_stays_as_it_is(hauberk, tmp_path):
    state = tmp_path / "bot" / "hauberk-state"
    state.mkdir(parents=True)
    state.chmod(0o750)
    (state / "kept").write_text("x", "utf-8")
    assert hauberk("init", "bot").status == 0
    assert mode(state) == 0o750
    assert (state / "kept").read_text("utf-8") == "x"


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_overwritten(hauberk, tmp_path, name):
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / name).write_text("mine", "utf-8")
    ran = hauberk("init", "bot", "--json")
    assert ran.status == 2
    assert ran.document["error"] == "UsageError"
    assert f"bot/{name} exists: nothing was written" in ran.err
    assert names(folder) == [name]
    assert (folder / name).read_text("utf-8") == "mine"


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_a_files_place_is_not_followed(hauberk, tmp_path, name):
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert hauberk("init", "bot").status == 2
    assert not (tmp_path / "elsewhere").exists()
    assert names(folder) == [name]


def test_a_file_that_comes_in_between_is_not_overwritten(hauberk, tmp_path, monkeypatch):
    real = Path.hardlink_to

    def late(path, target):
        path.write_text("mine", "utf-8")
        real(path, target)

    monkeypatch.setattr(Path, "hardlink_to", late)
    ran = hauberk("init", "bot")
    assert ran.status == 2
    assert names(tmp_path / "bot") == ["hauberk.yml"]
    assert (tmp_path / "bot" / "hauberk.yml").read_text("utf-8") == "mine"


@pytest.mark.parametrize("at", ["bot", "bot/deeper/still"])
def test_a_file_in_the_folders_place_is_named(hauberk, tmp_path, at):
    (tmp_path / "bot").write_text("a file", "utf-8")
    ran = hauberk("init", at)
    assert ran.status == 2
    assert "it is no folder: nothing was written" in ran.err


def test_a_file_in_the_state_folders_place_undoes_the_rest(hauberk, tmp_path):
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot" / "hauberk-state").write_text("a file", "utf-8")
    assert hauberk("init", "bot").status == 2
    assert names(tmp_path / "bot") == ["hauberk-state"]


@pytest.mark.parametrize(
    ("code", "status"), [(errno.EACCES, 2), (errno.EROFS, 2), (errno.ENOSPC, 3), (errno.EIO, 3)]
)
def test_what_cannot_be_written_is_named_and_leaves_nothing(
    hauberk, tmp_path, monkeypatch, code, status
):
    def failing(path, *_args):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(module, "_write", failing)
    ran = hauberk("init", "new/bot", "--json")
    assert ran.status == status
    assert "new/bot/hauberk.yml" in ran.err
    assert os.strerror(code) in ran.document["message"]
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["mkdir", "fsync", "link", "schema", "sync"])
def test_an_interrupt_at_any_step_leaves_nothing_behind(hauberk, tmp_path, monkeypatch, step):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    target = {
        "mkdir": (Path, "mkdir"),
        "fsync": (os, "fsync"),
        "link": (Path, "hardlink_to"),
        "schema": (module, "_schema"),
        "sync": (module, "_sync"),
    }[step]
    with monkeypatch.context() as patched:
        patched.setattr(*target, interrupted)
        ran = hauberk("init", "new/bot")
    assert ran.status == 130
    assert names(tmp_path) == []
    assert hauberk("init", "new/bot").status == 0


def test_its_schema_accepts_it(config):
    schema = schema_for(config)
    assert list(objections(load_yaml(config).data, schema, schema["$defs"])) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mode: enforce", "mode: enforced"),
        ("    venue: binance", "    venu: binance"),
        ("[read, trade, cancel]", "[read, steal]"),
        ("  format: console", "  format: 7"),
        ("state: hauberk-state", "state: [hauberk-state]"),
    ],
)
def test_its_schema_objects_to_what_hauberk_objects_to(config, edit, old, new):
    edit(old, new)
    schema = schema_for(config.parent / "hauberk.yml")
    assert list(objections(load_yaml(config).data, schema, schema["$defs"]))


def objections(value, schema, defs):
    """As much of JSON Schema 2020-12 as ours uses; anything else in it is an error of the test."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    schema = dict(schema)
    for ignored in ("$schema", "$defs", "title", "description", "default", "uniqueItems"):
        schema.pop(ignored, None)
    if reference := schema.pop("$ref", ""):
        yield from objections(value, defs[reference.removeprefix("#/$defs/")], defs)
    options = schema.pop("anyOf", [])
    if options and all(list(objections(value, option, defs)) for option in options):
        yield value
    if "enum" in schema and value not in schema.pop("enum"):
        yield value
    kind = schema.pop("type", None)
    if kind in kinds and type(value) is not kinds[kind]:
        yield value
    if kind in ("integer", "number") and type(value) not in (int, float):
        yield value
    properties, extra = schema.pop("properties", {}), schema.pop("additionalProperties", True)
    required, items = schema.pop("required", []), schema.pop("items", {})
    for bound in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems"):
        schema.pop(bound, None)
    assert not schema, f"the test does not know {schema}"
    if type(value) is dict:
        yield from (name for name in required if name not in value)
        for name, item in value.items():
            if name in properties:
                yield from objections(item, properties[name], defs)
            elif extra is False:
                yield name
            elif type(extra) is dict:
                yield from objections(item, extra, defs)
    if type(value) is list:
        for item in value:
            yield from objections(item, items, defs)
