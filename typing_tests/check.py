"""Run mypy --strict as a consumer would and compare what it reports with what is marked."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MARK = re.compile(r"#\s*E:\s*(\S+)")
REPORT = re.compile(r"(\S+?):(\d+): error: .*\[([a-z-]+)\]$")


def main() -> int:
    files = [HERE / "right.py", HERE / "wrong.py"]
    expected = {
        (path.name, number, match[1])
        for path in files
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (match := MARK.search(line))
    }
    # From elsewhere and without this project's configuration: only what is installed counts.
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--config-file=", *map(str, files)],
            capture_output=True,
            text=True,
            check=False,
            cwd=elsewhere,
        )
    found = {
        (Path(match[1]).name, int(match[2]), match[3])
        for line in done.stdout.splitlines()
        if (match := REPORT.match(line))
    }
    for where, what in ((expected - found, "not reported"), (found - expected, "not expected")):
        for name, number, code in sorted(where):
            print(f"typing_tests/{name}:{number}: [{code}] {what}", file=sys.stderr)
    if done.returncode > 1 or expected != found:
        print(done.stdout + done.stderr, file=sys.stderr)
        return 1
    print(f"typing: {len(expected)} mistakes reported, nothing else")
    return 0


if __name__ == "__main__":
    sys.exit(main())
