"""What the files are called. Pure.

**Source**: Octolis help, "(S)FTP" and "Set up SFTP: guidelines": an import finds its files by the beginning of their
names or by a regular expression, such as `contacts_\\d{8}.csv$`, and may take the date in the name as the time of
modification.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

Format = Literal["csv", "json"]
PARTIAL = ".partial"
"""Ends the name of a file that is being written or uploaded: no pattern of an import finds it."""

MANIFEST = "handover.json"


def file_name(dataset: str, day: date, form: Format, part: int | None = None) -> str:
    """`contacts_20261129.csv`, or `contacts_20261129_0001.csv` of several files; parts count from 1."""
    number = "" if part is None else f"_{part:04d}"
    return f"{dataset}_{day:%Y%m%d}{number}.{form}"


def name_pattern(dataset: str, form: Format) -> str:
    """The regular expression that finds a dataset's files and no other's: to be entered in the account."""
    return rf"^{re.escape(dataset)}_\d{{8}}(_\d{{4}})?\.{form}$"
