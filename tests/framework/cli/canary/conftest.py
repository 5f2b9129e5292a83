"""Makes importable what the canary's tests share, and makes their world once."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
