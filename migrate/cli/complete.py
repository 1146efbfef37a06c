"""What Tab offers: names of datasets, resources, snapshots and plans of the project that the command line names.

Quick, since nothing of the project is opened but migrate.toml and its folders are listed; and silent: where anything is
amiss, Tab offers nothing, since a message would be written into the line that somebody is typing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from migrate.names import RESOURCE_GROUPS, RESOURCE_NAMES

RESOURCES = (*RESOURCE_NAMES, *RESOURCE_GROUPS)
COMPLETION_VARIABLE = "_MIGRATE_COMPLETE"
_KINDS = {
    "--snapshot": "snapshots",
    "--since": "snapshots",
    "--base": "snapshots",
    "--plan": "plans",
    "plans": "plans",
    "datasets": "datasets",
    "resources": "resources",
    "resource": "resources",
}


class Name(click.types.StringParamType):
    """Any text, offered from the names of one `kind` of thing."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin with what was typed, the newest first; none where they cannot be read."""
        try:
            names = names_of(self.kind, ctx.obj.project_file)
            return [CompletionItem(name) for name in names if name.startswith(incomplete)]
        except Exception:  # noqa: BLE001  # nothing may be printed into the line that is being typed
            return []


def offer_names(parameters: Iterable[click.Parameter]) -> None:
    """Makes Tab offer names wherever a parameter takes the name of something; by the parameters' own names."""
    for parameter in parameters:
        kind = next((_KINDS[name] for name in _spellings(parameter) if name in _KINDS), None)
        if kind and isinstance(parameter.type, click.types.StringParamType):
            parameter.type = Name(kind)


def _spellings(parameter: click.Parameter) -> list[str]:
    if isinstance(parameter, click.Option):
        return list(parameter.opts)
    return [parameter.name or ""]


def names_of(kind: str, project_file: Path) -> list[str]:
    """The names of that kind in a project, in the order in which one would look for them."""
    if kind == "resources":
        return list(RESOURCES)
    places = _places(project_file)
    if kind == "datasets":
        return list(places.datasets)
    return _folders(places.workspace / kind)


@dataclass(frozen=True)
class _Places:
    workspace: Path
    datasets: tuple[str, ...]


def _places(project_file: Path) -> _Places:
    from migrate.language.files import dataset_names

    # Not `load_project`: pydantic takes longer to import than somebody waits for a Tab.
    values: dict[str, Any] = tomllib.loads(project_file.read_text(encoding="utf-8-sig"))
    folder = project_file.absolute().parent
    mappings = folder / values.get("mappings", "mappings")
    mapped = dataset_names(mappings) if mappings.is_dir() else []
    with_id = values.get("octolis", {}).get("datasets", {})
    # Those with an id first, since only they can be planned and loaded.
    return _Places(
        folder / values.get("workspace", "migration"), tuple(dict.fromkeys([*with_id, *mapped]))
    )


def _folders(folder: Path) -> list[str]:
    from migrate.workspace import Workspace

    return Workspace(folder.parent).names(folder)[::-1]
