"""Shared by the whole suite: how hard hypothesis tries, and where keys are made.

CI runs a seeded tenth of what `make sweep` runs in full.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

# What others may write is not obeyed, and tests write configurations as an editor does.
os.umask(os.umask(0o077) | 0o022)

# Run by `make test-ccxt`, in an environment of its own.
collect_ignore = ["peer_clients"]

_FULL = os.environ.get("HAUBERK_SWEEP") == "full"

settings.register_profile(
    "quick",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("sweep", max_examples=500, deadline=None)
settings.load_profile("sweep" if _FULL else "quick")


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """Whatever a test sends by itself, it sends on this machine."""
    from hauberk_plugins.transport.http import HttpTransport

    connected = HttpTransport._connection

    def connection(self, scheme, netloc, timeout_s):
        if not netloc.startswith(("127.0.0.1", "localhost", "[::1]")):
            raise OSError(f"{netloc} is not on this machine")
        return connected(self, scheme, netloc, timeout_s)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(HttpTransport, "_connection", connection)
        yield


@pytest.fixture(autouse=True, scope="session")
def homes(tmp_path_factory):
    """Keys, sessions and the tokens of devices are kept below the user's own folders: not ours."""
    with pytest.MonkeyPatch.context() as patched:
        for what in ("CONFIG_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR"):
            patched.setenv(f"XDG_{what}", str(tmp_path_factory.mktemp(what.lower())))
        yield
