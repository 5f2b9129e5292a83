"""`import hauberk` beside `import pluggy, attrs`, each in a fresh interpreter."""

import statistics
import subprocess
import sys

from _rounds import ROUNDS, figure

SUBJECT = "import hauberk"
PEER = "import pluggy, attrs"


def fresh(code: str) -> float:
    """Milliseconds that the statement takes in an interpreter that has loaded nothing else."""
    timed = "import time; t = time.perf_counter(); " + code + "; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return float(done.stdout) * 1e3


def main() -> None:
    fresh(SUBJECT), fresh(PEER)
    took = [(fresh(SUBJECT), fresh(PEER)) for _ in range(ROUNDS)]
    value, peer = (statistics.median(times) for times in zip(*took, strict=True))
    figure("import hauberk", value, "ms", PEER, peer, "<= 1.3")


if __name__ == "__main__":
    main()
