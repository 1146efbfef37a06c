"""Paths on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class UserPath(click.Path):
    """A path in which `~` is the home folder, also where the shell has left it alone (`--out=~/x`, in quotes)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Fails for the home of a user that there is not."""
        if str(value).startswith("~"):
            try:
                value = str(Path(value).expanduser())
            except RuntimeError:
                self.fail(f"{str(value)!r} names the home folder of nobody here.", param, ctx)
        return super().convert(value, param, ctx)
