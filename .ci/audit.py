"""Asks pip-audit whether a locked distribution has a known weakness; says so where nobody could be asked.

Exit code 1 only for a weakness. A service that cannot be reached, or does not know a distribution, is no pass either:
it is printed as what it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCKS = ("requirements.lock",)
_LONGEST_S = 120


def judge(found: dict[str, Any]) -> tuple[int, list[str]]:
    """The exit code and what to print, from pip-audit's JSON."""
    entries = found["dependencies"]
    skipped = [entry["name"] for entry in entries if "skip_reason" in entry]
    weak = [entry for entry in entries if entry.get("vulns")]
    lines = [
        f"WEAK {entry['name']} {entry['version']}: {vuln['id']}, fixed in {', '.join(vuln['fix_versions']) or 'none'}"
        for entry in weak
        for vuln in entry["vulns"]
    ]
    checked = len(entries) - len(skipped)
    lines.append(
        f"{checked} of {len(entries)} distributions checked, {len(weak)} with a known weakness"
    )
    if skipped:
        lines.append(f"SKIPPED {len(skipped)} that the service does not know: {', '.join(skipped)}")
    return (1 if weak else 0), lines


def audit(lock: str) -> tuple[int, list[str]]:
    """The same for one lock file; why it was skipped, where the service gave no answer."""
    tool = Path(sys.executable).with_name("pip-audit")
    options = (
        "--require-hashes",
        "--disable-pip",
        "--progress-spinner=off",
        "--format=json",
        "--timeout=10",
    )
    try:
        done = subprocess.run(  # noqa: S603  # a fixed command
            [str(tool), *options, "-r", lock],
            check=False,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
        )
        return judge(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return 0, [f"SKIPPED {lock}: no answer within {_LONGEST_S} s"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return 0, [f"SKIPPED {lock}: {reason:.300}"]


def main() -> int:
    """1 where a weakness is known."""
    results = [audit(lock) for lock in LOCKS]
    for _code, lines in results:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return max(code for code, _lines in results)


if __name__ == "__main__":
    raise SystemExit(main())
