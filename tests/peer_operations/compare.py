"""Compare the kept lists of ccxt's endpoints with what ccxt lists, and count.

    python compare.py --peer PYTHON [EXCHANGE …] [--write FOLDER]

PYTHON is one that has ccxt. The lists are in `tests/vectors/operations/`, a file an exchange, each
with the version of ccxt that it is from; `make test` checks the venue files by them without ccxt.
With `--write`, they are made afresh: read the difference, endpoint by endpoint.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from classes import Classes

HERE: Final = Path(__file__).parent
KEPT: Final = HERE.parent / "vectors" / "operations"
FORMAT: Final = "hauberk-operations 1"


def told_by_ccxt(peer: str, script: str, exchanges: list[str]) -> list[dict[str, Any]]:
    """Have ccxt tell of every exchange that it has, in a process of its own."""
    done = subprocess.run(
        [peer, str(HERE / script), *exchanges],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"ccxt failed:\n{done.stderr[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def kept_list(told: dict[str, Any], classes: Classes) -> dict[str, Any]:
    """Return what is kept: private endpoints, and what else unified methods need."""
    exchange = told["exchange"]
    hosts: dict[str, list[list[str]]] = {}
    for one in told["endpoints"]:
        if not one["private"] and not one["needed"]:
            continue
        method, path = one["method"], one["path"]
        kind = classes.of(exchange, method, path) if one["private"] else "public"
        row = [method, path, kind, " ".join(one["needed"])]
        if row not in hosts.setdefault(one["host"], []):
            hosts[one["host"]].append(row)
    for rows in hosts.values():
        rows.sort(key=lambda row: (row[1], row[0]))
    return {"format": FORMAT, "exchange": exchange, "ccxt": told["ccxt"], "hosts": hosts}


def written(kept: dict[str, Any]) -> str:
    """Return a list as text, an endpoint a line, so that differences can be read."""
    head = {key: value for key, value in kept.items() if key != "hosts"}
    hosts = [
        f"  {json.dumps(host)}: [\n" + ",\n".join(f"   {json.dumps(row)}" for row in rows) + "\n  ]"
        for host, rows in sorted(kept["hosts"].items())
    ]
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    return "{\n" + "\n".join(lines) + '\n "hosts": {\n' + ",\n".join(hosts) + "\n }\n}\n"


def missed(peer: str, made: dict[str, dict[str, Any]]) -> list[str]:
    """Say which endpoints unified methods reach that no list says are needed."""
    needed = {
        (exchange, row[0], row[1])
        for exchange, kept in made.items()
        for rows in kept["hosts"].values()
        for row in rows
        if row[3]
    }
    return [
        f"{one['exchange']}: {one['method']} {one['path']}"
        for one in told_by_ccxt(peer, "call_with_ccxt.py", list(made))
        if one["private"] and (one["exchange"], one["method"], one["path"]) not in needed
    ]


def main() -> int:
    """Compare, say what differs, and write lists where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, help="a Python that has ccxt")
    parser.add_argument("--write", type=Path, help="where lists go")
    parser.add_argument("exchanges", nargs="*", help="all that have a list where none is named")
    args = parser.parse_args()
    names = args.exchanges or sorted(path.stem for path in KEPT.glob("*.json"))
    classes, failed = Classes(), 0
    lists: dict[str, dict[str, Any]] = {}
    for told in told_by_ccxt(args.peer, "list_with_ccxt.py", names):
        made, path = kept_list(told, classes), KEPT / f"{told['exchange']}.json"
        lists[told["exchange"]] = made
        counts = Counter(row[2] for rows in made["hosts"].values() for row in rows)
        kept = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        if args.write:
            said = "written"
            (args.write / path.name).write_text(written(made), "utf-8")
        elif kept.get("ccxt") != made["ccxt"]:
            said = f"not compared: the list is from ccxt {kept.get('ccxt', 'none')}"
        else:
            said = "as kept" if kept == made else "DIFFERS from what is kept"
            failed += kept != made
        print(f"{told['exchange']} (ccxt {made['ccxt']}): {said}; {dict(sorted(counts.items()))}")
    for one in missed(args.peer, lists):
        print(f"a unified method calls it, and the list does not say so: {one}")
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
