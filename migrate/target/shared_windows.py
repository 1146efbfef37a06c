"""Where all commands of one user on one machine tell each other what a key has spent.

The service counts by key and by account, whichever folder a command works in. So the file lies with the user and not in
the workspace: two workspaces that use one key share its windows, and a wait that the service has asked of one is kept
by the other. It holds numbers, and of each key a fingerprint.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import platformdirs
from pydantic import SecretStr

FALLBACK = "budget.json"
_FORGET_S = 7 * 86_400


def windows_file(base_url: str, workspace: Path) -> Path:
    """The file for the service at `base_url`; in the workspace where the user's own folder cannot be written to."""
    folder = Path(platformdirs.user_state_dir("migrate", appauthor=False)) / "points"
    own = workspace / FALLBACK
    if not folder.is_absolute():  # nobody's home
        return own
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return own
    if not os.access(folder, os.W_OK | os.X_OK):
        return own
    _forget_old(folder)
    name = hashlib.blake2b(base_url.rstrip("/").encode(), digest_size=8).hexdigest()
    return folder / f"{name}.json"


def _forget_old(folder: Path) -> None:
    """Removes the files of services that nobody has asked for a week, such as sandboxes of the past."""
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            if file.stat().st_mtime < time.time() - _FORGET_S:
                file.unlink(missing_ok=True)


def fingerprints(keys: Sequence[SecretStr]) -> tuple[str, ...]:
    """What stands for each key in the file: enough to tell keys apart, and nothing to ask the service with."""
    return tuple(
        hashlib.blake2b(
            key.get_secret_value().encode(), digest_size=8, person=b"migrate-points"
        ).hexdigest()
        for key in keys
    )


def lift_waits(file: Path, names: Collection[str]) -> int:
    """Takes back the waits that the service has asked of these keys, after it has told a person otherwise.

    Gives how many there were. What was spent stays counted.
    """
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        processes = [one for one in saved["processes"].values() if isinstance(one, dict)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0
    lifted = 0
    for state in processes:
        told = zip(state.get("names", ()), state.get("keys", ()), strict=False)
        for name, key in told:
            if name in names and key.get("paused_s"):
                key["paused_s"] = 0
                lifted += 1
    if lifted:
        temporary = file.with_suffix(".lift")
        temporary.write_text(json.dumps(saved), encoding="utf-8", newline="\n")
        temporary.replace(file)
    return lifted
