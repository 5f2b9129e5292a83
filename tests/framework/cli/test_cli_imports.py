"""What a command loads: no more than it needs, so that it starts at once."""

import subprocess
import sys

import pytest

COUNT = """\
import sys
from hauberk.cli.main import main
status = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
"""


def loaded(*words):
    ran = subprocess.run(
        [sys.executable, "-c", COUNT, *words], capture_output=True, text=True, check=True
    )
    return set(ran.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (
            ["--version"],
            {"cyclopts", "rich", "cattrs", "ruamel.yaml", "asyncio", "hauberk.guard",
             "hauberk.opening", "structlog"},
        ),
        (
            ["sign", "GET", "https://api.binance.com/api/v3/time", "--json"],
            {"uvicorn", "dotenv", "hauberk_plugins.sandbox", "hauberk.cli.demo",
             "hauberk.cli.doctor", "hauberk.cli.contributed", "numpy", "aiohttp", "hypothesis"},
        ),
    ],
)  # fmt: skip
def test_a_command_loads_only_what_it_needs(config, monkeypatch, words, unwanted):
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))
    assert loaded(*words) & unwanted == set()
