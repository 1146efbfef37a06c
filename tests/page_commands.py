"""Prints the commands of one section of a page, as a shell runs them: `page_commands.py PAGE HEADING`."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def section_commands(page: Path, heading: str) -> str:
    """The `sh` blocks of the section, joined. Raises SystemExit where there is no such section, or no block in it."""
    text = page.read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    found = [section for section in sections if section.splitlines()[0] == heading]
    blocks = [
        block for section in found for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    ]
    if not blocks:
        raise SystemExit(f"{page}: no commands under {heading!r}")
    return "".join(blocks)


if __name__ == "__main__":
    print(section_commands(Path(sys.argv[1]), sys.argv[2]))  # noqa: T201  # printing is what this script is for
