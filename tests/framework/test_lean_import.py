"""What `import hauberk` loads, and what it does not."""

import subprocess
import sys

import pytest

HEAVY = ("numba", "numpy", "aiohttp", "apprise", "cryptography", "cattrs", "ruamel", "ruamel.yaml",
         "cyclopts", "rich", "structlog", "uvicorn", "hypothesis", "hauberk_plugins")  # fmt: skip


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import hauberk",
        "from hauberk import Request, Incident, Guard, Cleared, Context",
        "import hauberk.testing",
    ],
)
def test_it_loads_pluggy_and_attrs_and_nothing_heavy(code):
    modules = loaded(code)
    assert {"pluggy", "attrs"} <= modules
    assert modules.isdisjoint(HEAVY)


def test_a_configuration_loads_its_readers_when_it_is_opened():
    assert {"cattrs", "ruamel.yaml"} <= loaded("import hauberk\nhauberk.open")


def test_every_name_that_is_exported_is_there():
    import hauberk

    assert sorted(hauberk.__all__) == hauberk.__all__
    for name in hauberk.__all__:
        assert getattr(hauberk, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hauberk.nothing  # noqa: B018
