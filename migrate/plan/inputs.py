"""What a plan was made of, as `plan.json` names it."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from pathlib import Path

from migrate.mapping.model import Mapping
from migrate.plan.document import BaseUsed, FileUsed, MappingUsed
from migrate.plan.files import stored_columns
from migrate.plan.lookups import parents_used
from migrate.snapshot.reading import Snapshot


def whole_below(snapshot: Snapshot) -> Snapshot:
    """The whole snapshot that a delta stands on in the end."""
    if snapshot.base is None:
        return snapshot
    return whole_below(snapshot.base)


def base_used(snapshot: Snapshot | None) -> BaseUsed | None:
    """A delta's base, and what that stands on, as `plan.json` names them; None for a whole snapshot."""
    if snapshot is None:
        return None
    below = base_used(snapshot.base)
    return BaseUsed(name=snapshot.name, manifest_sha256=snapshot.manifest_sha256, base=below)


def mapping_used(mapping: Mapping, every: Dict[str, Mapping]) -> MappingUsed:
    """A mapping as `plan.json` names it; `every`: all mappings by dataset, for what it looks up."""
    return MappingUsed(
        file=Path(mapping.file).name,
        sha256=mapping.sha256,
        includes=mapping.includes,
        resource=mapping.resource,
        key=mapping.key,
        alternative_keys=mapping.alternative_keys,
        recipe_columns=tuple(name for name, column in mapping.columns.items() if column.recipe),
        consent_columns=tuple(name for name, column in mapping.columns.items() if column.consent),
        stored_columns={
            name: stored
            for name, stored in stored_columns(list(mapping.columns)).items()
            if name != stored
        },
        after=tuple(
            FileUsed(
                file=Path(part.file).name,
                sha256=part.sha256,
                includes=part.includes,
                resource=part.resource,
            )
            for part in mapping.parts[1:]
        ),
        parents=parents_used(mapping, every),
    )
