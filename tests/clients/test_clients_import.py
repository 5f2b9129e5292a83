import subprocess
import sys

import pytest

BLOCKED = """
import sys
for name in ("httpx", "httpx2", "requests", "aiohttp", "ccxt", "urllib3", "yarl", "multidict"):
    sys.modules[name] = None
import hauberk.clients.{name} as module
try:
    module.Denied
except ImportError:
    print("wants its library when used")
"""


@pytest.mark.parametrize("name", ["httpx", "httpx2", "requests", "aiohttp", "ccxt"])
def test_a_module_is_imported_without_its_library(name):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(name=name)], capture_output=True, text=True
    )
    assert done.stdout == "wants its library when used\n", done.stderr


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
@pytest.mark.parametrize("option", ["proxy", "mounts"])
def test_what_would_lead_past_the_guard_is_refused(name, option):
    from importlib import import_module

    import hauberk

    module = import_module(f"hauberk.clients.{name}")
    for make in (module.client, module.async_client):
        with pytest.raises(hauberk.MisuseError, match="past the guard"):
            make(None, **{option: "http://127.0.0.1:1"})
