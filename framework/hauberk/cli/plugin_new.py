"""`hauberk plugin new`."""

from __future__ import annotations

from pathlib import Path

from hauberk.cli.answer import Answer
from hauberk.cli.failure import unwritable
from hauberk.cli.options import Options


def new(name: str, folder: Path, /, *, options: Options = Options()) -> Answer:  # noqa: ARG001
    """Write a plugin: a distribution with one guard, tests, README and CI file.

    It installs, type-checks and passes its own tests as it stands.

    For example:
        hauberk plugin new hauberk-quiet-hours quiet-hours

    Args:
        name: Name of the distribution.
        folder: Where to write it; must not exist, or be empty.
    """
    from hauberk.cli.scaffold import write_plugin

    try:
        files = [str(path) for path in write_plugin(name, folder)]
    except OSError as error:
        raise unwritable(error, "name another folder") from None
    steps = (
        f"Wrote {len(files)} files to {folder}.\n\nNext:\n  cd {folder}\n"
        "  pip install --editable '.[test]'\n  pytest\n  mypy --strict src"
    )
    return Answer({"name": name, "folder": str(folder), "files": files}, steps)
