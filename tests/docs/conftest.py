"""Makes importable what the documentation's tests share with it."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[1] / "docs" / "_ext")]
