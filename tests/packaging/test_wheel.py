"""The distribution as a stranger gets it: built, installed in an environment of its own, used."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[2]


def run(*command: object, cwd: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> dict[str, Path]:
    """Build Hauberk and the example of a third party."""
    out = tmp_path_factory.mktemp("wheels")
    for source in (ROOT, ROOT / "examples" / "hauberk-trading-hours"):
        run(sys.executable, "-m", "build", "--wheel", "--outdir", out, source, cwd=out)
    return {path.name.split("-")[0]: path for path in out.glob("*.whl")}


@pytest.fixture(scope="module")
def python(wheels, tmp_path_factory) -> Path:
    """An environment with both installed, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", *wheels.values(), cwd=folder)
    return python


def test_the_wheel_holds_both_roots_their_data_and_their_types(wheels):
    names = set(zipfile.ZipFile(wheels["hauberk"]).namelist())
    assert {
        "hauberk/py.typed",
        "hauberk_plugins/py.typed",
        "hauberk_plugins/venues/binance.yml",
        "hauberk/dispatch.py",
    } <= names
    assert any(name.startswith("hauberk/cli/scaffold/template/") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_the_first_commands_work_in_a_folder_of_one_s_own(python, tmp_path):
    hauberk = python.with_name("hauberk")
    run(hauberk, "init", "mine", cwd=tmp_path)
    config = tmp_path / "mine" / "hauberk.yml"
    keys = {"BINANCE_KEY": "k" * 16, "BINANCE_SECRET": "s" * 16}
    doctor = json.loads(run(hauberk, "doctor", "--config", config, "--json", cwd=tmp_path, **keys))
    assert doctor["ok"]
    signed = json.loads(
        run(
            *(hauberk, "sign", "GET", "https://api.binance.com/api/v3/account"),
            *("--config", config, "--json"),
            cwd=tmp_path,
            **keys,
        )
    )
    assert "signature=" in signed["url"]


def test_a_third_party_is_loaded_only_when_it_is_named_and_else_not_imported(python, tmp_path):
    hauberk = python.with_name("hauberk")
    run(hauberk, "init", "mine", cwd=tmp_path)
    config = tmp_path / "mine" / "hauberk.yml"
    script = (
        "import sys, hauberk\n"
        f"with hauberk.open({str(config)!r}, transient=True) as guard:\n"
        "    print([part.name for part, _ in guard.snapshot.parts])\n"
        "print('hauberk_trading_hours' in sys.modules)\n"
    )
    assert run(python, "-c", script, cwd=tmp_path).splitlines()[-1] == "False"
    text = config.read_text("utf-8")
    text = text.replace("[killswitch, policy, bots,", "[killswitch, policy, trading_hours, bots,")
    text = text.replace(
        "third_party: {}",
        "third_party:\n  hauberk-trading-hours: {plugins: [trading_hours], grants: []}",
    )
    config.write_text(text, "utf-8")
    names, imported = run(python, "-c", script, cwd=tmp_path).splitlines()[-2:]
    assert "trading_hours" in names
    assert imported == "True"


def test_every_module_imports_without_any_extra(python, tmp_path):
    # But for the pytest plugin, which nobody but pytest loads, and the insides of engines, which
    # are imported once what they need is known to be there.
    script = (
        "import importlib, pkgutil, hauberk, hauberk_plugins\n"
        "engines = ('hauberk_plugins.batch.', 'hauberk_plugins.gpu.')\n"
        "extras = ('llvmlite', 'numba', 'numba_cuda', 'numpy', 'pyarrow')\n"
        "for root in (hauberk, hauberk_plugins):\n"
        "    for found in pkgutil.walk_packages(root.__path__, root.__name__ + '.'):\n"
        "        if found.name.endswith(('__main__', '.testing.plugin')): continue\n"
        "        if '.template' in found.name: continue\n"
        "        try:\n"
        "            importlib.import_module(found.name)\n"
        "        except ModuleNotFoundError as error:\n"
        "            if found.name.endswith('.plugin'): raise\n"
        "            if not found.name.startswith(engines): raise\n"
        "            if error.name not in extras: raise\n"
    )
    run(python, "-c", script, cwd=tmp_path)
    script = "from hauberk.testing import check_plugin; check_plugin(object)"
    with pytest.raises(AssertionError, match=r"pip install 'hauberk\[testing\]'"):
        run(python, "-c", script, cwd=tmp_path)
