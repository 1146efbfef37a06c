"""The settings of the project that a plan depends on, and their fingerprint."""

from __future__ import annotations

import json

from migrate.config import Project
from migrate.workspace import sha256_bytes

SINCE = frozenset({"datatrics.project_id"})
"""Settings that a plan of an earlier version does not name: what it lacks is no change of it."""
PlanSettings = dict[str, str | int | dict[str, str]]


def settings_that_matter(project: Project) -> PlanSettings:
    """What decides values, keys, batches and where they go; a change of these makes a plan stale."""
    return {
        "datatrics.project_id": project.datatrics.project_id,
        "datatrics.timezones": dict(sorted(project.datatrics.timezones.items())),
        "datatrics.source_aliases": dict(sorted(project.datatrics.source_aliases.items())),
        "octolis.base_url": project.octolis.base_url,
        "octolis.float_digits": project.octolis.float_digits,
        "octolis.batch_bytes": project.octolis.batch_bytes,
    }


def settings_sha256(settings: PlanSettings) -> str:
    """A fingerprint that does not depend on the order of the lines in the project file."""
    return sha256_bytes(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode())
