"""`python -m hauberk.cli`, where the script `hauberk` is not on the path."""

from __future__ import annotations

import sys

from hauberk.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
