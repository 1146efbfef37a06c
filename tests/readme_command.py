"""Prints one of the README's two commands, `demo` or `test`; the README is the one place where they are kept."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
MARKERS = {"demo": "migrate demo", "test": "pytest"}


def quick_start_commands(text: str) -> list[str]:
    """The commands of the section "Quick start", in order; a fenced `sh` block holds one."""
    section = text.split("## Quick start", 1)[1].split("\n## ", 1)[0]
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]


def command(name: str) -> str:
    """The command that runs `name`. Raises SystemExit where the README does not have exactly one."""
    found = [
        c for c in quick_start_commands(README.read_text(encoding="utf-8")) if MARKERS[name] in c
    ]
    if len(found) != 1:
        raise SystemExit(
            f"README.md, Quick start: {len(found)} commands run {MARKERS[name]!r}, wanted 1"
        )
    return found[0]


if __name__ == "__main__":
    print(command(sys.argv[1]))  # noqa: T201  # printing is what this script is for
