"""Time ccxt's sign(): a line of cases in, then for each line with a number, seconds a call.

Runs in an environment of its own, beside `benchmarks/signing.py`, which reads what it says.
"""

from __future__ import annotations

import copy
import json
import sys
import time

from sign_with_ccxt import exchange


def main() -> None:
    """Sign the cases in rounds, each case by an exchange that was made before."""
    cases = json.loads(sys.stdin.readline())
    made = [exchange(case) for case in cases]
    for line in sys.stdin:
        rounds = int(line)
        # sign() changes what it is given.
        given = [[copy.deepcopy(case["params"]) for case in cases] for _ in range(rounds)]
        began = time.perf_counter()
        for params in given:
            for one, case, mine in zip(made, cases, params, strict=True):
                one.sign(case["path"], case["api"], case["method"], mine)
        took = time.perf_counter() - began
        print(took / rounds / len(cases), flush=True)


if __name__ == "__main__":
    main()
