"""`write_plugin` writes a distribution that installs and passes mypy and its tests unchanged."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.builtins import RESERVED
from hauberk.cli.scaffold import Names, ScaffoldError, write_plugin
from hauberk.cli.scaffold import write as writing

LOOK = """
import hauberk, json, sys
with hauberk.open(sys.argv[1]) as guard:
    names = [part.name for part, _ in guard.snapshot.parts]
    origin = guard.snapshot.part("quiet_hours").origin
print(json.dumps({"names": names, "origin": origin}))
"""

CONFIG = """
state: state
plugins: [killswitch, policy, quiet_hours, bots, throttle, signing]
required: [quiet_hours]
third_party: {hauberk-quiet-hours: {plugins: [quiet_hours], grants: []}}
accounts: {main: {venue: binance, key: "env:K", secret: "env:S"}}
quiet_hours: {pause_s: 2.5}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaffold") / "quiet-hours"
    write_plugin("hauberk-quiet-hours", folder)
    return folder


def _run(*args: str | Path, cwd: Path, path: Path | None = None, **environment: str) -> str:
    """Run Python as somebody would who has installed Hauberk, and what stands at a path."""
    before = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    if path is not None:
        before |= {"PYTHONPATH": str(path), "MYPYPATH": str(path)}
    done = subprocess.run(
        [sys.executable, *args], cwd=cwd, env=before, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _opened(tmp_path: Path, path: Path) -> dict[str, object]:
    (tmp_path / "hauberk.yml").write_text(CONFIG)
    shown: dict[str, object] = json.loads(
        _run("-W", "error", "-c", LOOK, "hauberk.yml", cwd=tmp_path, path=path)
    )
    return shown


def test_every_file_of_a_distribution_is_there(written: Path) -> None:
    assert sorted(str(p.relative_to(written)) for p in written.rglob("*") if p.is_file()) == [
        ".github/workflows/ci.yml",
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/hauberk_quiet_hours/__init__.py",
        "src/hauberk_quiet_hours/plugin.py",
        "src/hauberk_quiet_hours/py.typed",
        "src/hauberk_quiet_hours/spacing.py",
        "tests/test_plugin.py",
        "tests/test_spacing.py",
    ]


def test_the_files_are_returned(tmp_path: Path) -> None:
    files = write_plugin("hauberk-quiet-hours", str(tmp_path / "here"))
    assert files == sorted(p for p in (tmp_path / "here").rglob("*") if p.is_file())


def test_it_passes_mypy_strict_and_its_own_tests_unchanged(
    written: Path, pytestconfig: pytest.Config
) -> None:
    cache = pytestconfig.cache
    folder = cache.mkdir("scaffold-mypy") if cache else written
    src = written / "src"
    types = _run("-m", "mypy", "--strict", "--cache-dir", folder, cwd=written, path=src)
    assert types.startswith("Success: no issues found in 5 source files")
    tests = _run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=written, path=src)
    assert re.search(r"^5 passed", tests, re.MULTILINE)


def test_its_entry_point_is_found_and_its_section_read(written: Path, tmp_path: Path) -> None:
    point = tomllib.loads((written / "pyproject.toml").read_text())["project"]["entry-points"]
    info = tmp_path / "site" / "hauberk_quiet_hours-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: hauberk-quiet-hours\nVersion: 0.1.0\n"
    )
    lines = [f"{name} = {target}" for name, target in point["hauberk"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[hauberk]", *lines, ""]))
    (tmp_path / "site" / "hauberk_quiet_hours").symlink_to(written / "src/hauberk_quiet_hours")
    shown = _opened(tmp_path, tmp_path / "site")
    assert shown["origin"] == "hauberk-quiet-hours 0.1.0"


def test_it_builds_installs_and_is_loaded(written: Path, tmp_path: Path) -> None:
    out, site = tmp_path / "dist", tmp_path / "site"
    _run("-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=written)
    (wheel,) = out.iterdir()
    assert wheel.name == "hauberk_quiet_hours-0.1.0-py3-none-any.whl"
    _run(
        *("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel),
        cwd=tmp_path,
        PIP_DISABLE_PIP_VERSION_CHECK="1",
    )
    shown = _opened(tmp_path, site)
    assert shown["names"] == [
        "venues", "encryption", "storage", "keys", "transport",
        "killswitch", "policy", "quiet_hours", "throttle", "signing",
    ]  # fmt: skip
    assert (site / "hauberk_quiet_hours" / "py.typed").exists()


def test_every_name_is_derived_from_the_distributions() -> None:
    assert Names.derive("hauberk-quiet-hours") == Names(
        "hauberk-quiet-hours", "hauberk_quiet_hours", "quiet_hours", "QuietHoursPlugin",
        "QuietHoursConfig",
    )  # fmt: skip
    assert Names.derive("My.Own_Plugin2") == Names(
        "my-own-plugin2", "my_own_plugin2", "my_own_plugin2", "MyOwnPlugin2Plugin",
        "MyOwnPlugin2Config",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "cannot name a distribution: use letters, digits and single dashes"),
        ("-x", "cannot name a distribution"),
        ("x-", "cannot name a distribution"),
        ("quiet hours", "cannot name a distribution"),
        ("../evil", "cannot name a distribution"),
        ("x\n", "cannot name a distribution"),
        ("ünïcode", "cannot name a distribution"),
        ("hauberk-2fa", "must begin with a letter"),
        ("hauberk-" + "x" * 65, "at most 64 characters"),
        ("hauberk-throttle", "'throttle' is reserved.* for example hauberk-my-throttle"),
        ("hauberk-accounts", "a key of hauberk.yml"),
        ("Kill_Switch", None),
        ("bots", "'bots' is reserved"),
        ("hauberk", "'hauberk' is reserved"),
        ("class", "'class' cannot name a package, since Python.* example hauberk-class"),
        ("json", "'json' cannot name a package"),
        ("hauberk-plugins", "a key of hauberk.yml"),
        ("pytest", "'pytest' cannot name a package"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_what_to_do(
    name: str, why: str | None, tmp_path: Path
) -> None:
    if why is None:
        assert write_plugin(name, tmp_path / "new")
        return
    with pytest.raises(ScaffoldError, match=why):
        write_plugin(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@given(st.text(max_size=12) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,11}", fullmatch=True))
def test_whatever_is_accepted_makes_names_that_python_and_hauberk_take(name: str) -> None:
    try:
        names = Names.derive(name)
    except ScaffoldError:
        return
    assert names.package.isidentifier()
    assert names.cls.isidentifier()
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", names.plugin)
    assert names.plugin not in RESERVED
    for path, content in writing._contents(names).items():
        if path.endswith(".py"):
            ast.parse(content)
        assert "$" not in path
        if path == "pyproject.toml":
            assert tomllib.loads(content)["project"]["name"] == names.distribution


def test_an_empty_folder_is_used_and_a_full_one_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert len(write_plugin("hauberk-x", tmp_path / "empty")) == 10
    with pytest.raises(ScaffoldError, match="is not empty: name a folder that does not exist"):
        write_plugin("hauberk-x", tmp_path / "empty")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ScaffoldError, match="is there and no folder"):
        write_plugin("hauberk-x", tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ScaffoldError, match="is there and no folder"):
        write_plugin("hauberk-x", tmp_path / "dangling")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("existed", [False, True])
def test_what_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existed: bool
) -> None:
    written: list[Path] = []
    write_text = Path.write_text

    def interrupted(self: Path, *args: str, **kwargs: str) -> int:
        written.append(self)
        if len(written) == 6:
            raise KeyboardInterrupt
        return write_text(self, *args, **kwargs)

    folder = tmp_path / "new"
    if existed:
        folder.mkdir()
    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_plugin("hauberk-x", folder)
    assert list(tmp_path.iterdir()) == ([folder] if existed else [])
    assert not existed or not list(folder.iterdir())


def test_the_readme_says_how_to_allow_it(written: Path) -> None:
    text = (written / "README.md").read_text()
    assert "third_party: {hauberk-quiet-hours: {plugins: [quiet_hours], grants: []}}" in text
    assert "$" not in text
