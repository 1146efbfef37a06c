"""Prints a lock without the distributions that are named: `without.py LOCK NAME…`. What nobody needs takes time."""

import re
import sys
from pathlib import Path

lock, *names = sys.argv[1:]
blocks = re.split(r"\n(?=\S)", Path(lock).read_text(encoding="utf-8").strip())
locked = {re.split(r"[= ]", block, maxsplit=1)[0] for block in blocks}
unknown = set(names) - locked
if unknown:
    raise SystemExit(f"{lock} holds no {', '.join(sorted(unknown))}")
kept = [block for block in blocks if re.split(r"[= ]", block, maxsplit=1)[0] not in names]
sys.stdout.write("\n".join(kept) + "\n")
