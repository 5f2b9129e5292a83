"""Shared by the whole suite: how hard hypothesis tries.

CI runs a seeded tenth of what `make sweep` runs in full.
"""

import os

from hypothesis import HealthCheck, settings

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
