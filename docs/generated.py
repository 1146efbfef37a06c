"""Writes a page that a script of this folder makes, or tells whether it is what the script would write."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def write_or_check(page: Path, text: str, arguments: Sequence[str]) -> int:
    """0, or 1 where --check finds the page out of date; `arguments` are those of the script, its own path first."""
    if "--check" not in arguments:
        page.write_text(text, encoding="utf-8", newline="\n")
    elif page.read_text(encoding="utf-8") != text:
        sys.stderr.write(
            f"docs/{page.name} is out of date; run: python docs/{Path(arguments[0]).name}\n"
        )
        return 1
    return 0
