"""Writing the files: templates filled with the names, all of them or none."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

import attrs

from hauberk.cli.scaffold.names import Names, ScaffoldError

#: Template to file; both may hold names.
_FILES: Final = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "ci.yml": ".github/workflows/ci.yml",
    "init.py": "src/$package/__init__.py",
    "spacing.py": "src/$package/spacing.py",
    "plugin.py": "src/$package/plugin.py",
    "py.typed": "src/$package/py.typed",
    "test_spacing.py": "tests/test_spacing.py",
    "test_plugin.py": "tests/test_plugin.py",
}


def write_plugin(name: str, folder: Path | str) -> list[Path]:
    """Write a plugin: a distribution with one guard, its tests, README and CI file.

    Args:
        name: The distribution's name, for example `hauberk-quiet-hours`.
        folder: Where to write it; must not exist, or be empty.

    Returns:
        The files, in the order of their names.

    Raises:
        ScaffoldError: The name cannot be used, or the folder is not empty; says what to do.
        OSError: The folder cannot be written; what was written is removed again.
    """
    names = Names.derive(name)
    folder = Path(folder)
    _check_empty(folder)
    contents = _contents(names)
    existed = folder.exists()
    try:
        for path, content in contents.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
    except BaseException:
        _remove(folder, itself=not existed)
        raise
    return sorted(folder / path for path in contents)


def _contents(names: Names) -> dict[str, str]:
    values = attrs.asdict(names)
    templates = files(__package__) / "template"
    return {
        Template(target).substitute(values): Template(
            (templates / f"{template}.tmpl").read_text(encoding="utf-8")
        ).substitute(values)
        for template, target in _FILES.items()
    }


def _check_empty(folder: Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()):
            raise ScaffoldError(f"{folder} is not empty: name a folder that does not exist yet")
    elif folder.exists() or folder.is_symlink():
        raise ScaffoldError(f"{folder} is there and no folder: name one that does not exist yet")


def _remove(folder: Path, *, itself: bool) -> None:
    if itself:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
