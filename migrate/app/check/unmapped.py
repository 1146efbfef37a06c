"""What of a snapshot would make `plan` stop, since mappings with `unmapped: fail` leave it unmapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.mapping.fields import unused_element_fields, unused_fields
from migrate.mapping.model import parts_of
from migrate.snapshot.reading import POSITION, Snapshot, newest_whole, open_snapshot
from migrate.snapshot.records import OWN_COLUMNS

if TYPE_CHECKING:
    from migrate.config import Project
    from migrate.mapping.model import Mapping as MappingFile
    from migrate.workspace import Workspace

_SHOWN = 20


@dataclass(frozen=True)
class Strict:
    """A resource of a snapshot and what no mapping of it uses nor ignores: `fields`, those of elements as `items[].x`.

    `files`: the mapping files that say `unmapped: fail`.
    """

    snapshot: str
    resource: str
    files: tuple[str, ...]
    fields: tuple[str, ...]

    def told(self) -> str:
        """A sentence; of very many fields the first ones."""
        if not self.fields:
            return f"the mappings use or ignore every field of snapshot {self.snapshot}"
        if len(self.fields) > _SHOWN:
            more = f" and {len(self.fields) - _SHOWN} more"
        else:
            more = ""
        strict = f"{' and '.join(self.files)} {'says' if len(self.files) == 1 else 'say'} `unmapped: fail`"
        fields = ", ".join(self.fields[:_SHOWN]) + more
        return f"`migrate plan` would stop: {strict}, and no mapping uses {fields} (snapshot {self.snapshot})"


def strict_resources(
    project: Project, workspace: Workspace, mappings: Mapping[str, MappingFile]
) -> Iterator[Strict]:
    """Of the snapshot that `plan` would take, each resource with a mapping that is strict; none without a snapshot.

    Mappings that a plan leaves out, since their dataset has no id, stop nothing.

    **Raises**: MigrateError where the snapshot cannot be read.
    """
    ids = project.octolis
    strict = [
        mapping
        for mapping in parts_of(mappings.values())
        if mapping.unmapped == "fail"
        and mapping.dataset in (ids.webhooks if mapping.is_feed else ids.datasets)
    ]
    name = newest_whole(workspace) if strict else None
    if name is None:
        return
    # Names of fields are all it needs; hashing the parts is for whoever relies on their values.
    snapshot = open_snapshot(workspace, name, check_files=False)
    for resource in dict.fromkeys(str(mapping.resource) for mapping in strict):
        files = tuple(Path(mapping.file).name for mapping in strict if mapping.resource == resource)
        same = [one for one in parts_of(mappings.values()) if one.resource == resource]
        fields = _left(snapshot, resource, same)
        if fields is not None:
            yield Strict(snapshot.name, resource, files, fields)


def _left(snapshot: Snapshot, name: str, mappings: list[MappingFile]) -> tuple[str, ...] | None:
    """The fields that none of a resource's mappings uses nor ignores; None where the snapshot has no such resource."""
    resource = snapshot.resource(name)
    if resource is None:
        return None
    columns = [column for column in resource.columns if column not in (*OWN_COLUMNS, POSITION)]
    return (
        *unused_fields(columns, mappings),
        *unused_element_fields(columns, resource.frames, mappings),
    )
