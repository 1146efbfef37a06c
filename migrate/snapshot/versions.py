"""Which of two versions of a record is the newer one, by what the record says of itself; pure."""

from __future__ import annotations

from migrate.moments import is_later


def is_newer(updated: str | None, than: str | None) -> bool | None:
    """Whether `updated` is a later moment than the other text; None where that cannot be told.

    Any spelling of a time is read, see `migrate/moments.py`; equal times are not told apart.
    """
    return is_later(updated, than)
