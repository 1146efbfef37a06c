"""What a page is about: whose data, which target, which plan and mappings, by which version, made when and by whom."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from migrate import __version__
from migrate.language.shared import read_mapping_text
from migrate.plan.carried import check_carried
from migrate.sentence import Sentence, one_after_other

if TYPE_CHECKING:
    from migrate.plan.document import PlanDocument
    from migrate.plan.open_plan import Plan

Fact = tuple[str, str]
_HASH_CHARS = 12


def facts_of_plan(plan: Plan, state: str) -> tuple[Fact, ...]:
    """Facts of a plan's page, as pairs of a label and a text. `state`: that of the plan."""
    document = plan.document
    snapshot = document.snapshot.name
    if document.snapshot.base:
        base = document.snapshot.base.name
        snapshot = Sentence("{snapshot}, a delta on {base}", snapshot=snapshot, base=base)
    if document.corrections:
        corrected = document.corrections.told
    else:
        corrected = ()
    address = urlsplit(str(document.settings.get("octolis.base_url", "")))
    return (
        ("Datatrics project", _project_of(plan)),
        ("Octolis", address.netloc or Sentence("not known")),
        ("Datasets", ", ".join(_with_id(*one) for one in document.dataset_ids.items())),
        ("Snapshot", snapshot),
        *([("Of the snapshot", document.scope.told)] if document.scope else []),
        *([("Corrections", one_after_other(corrected))] if corrected else []),
        *([("Target", document.target)] if document.target else []),
        ("Plan", Sentence("{plan} ({state})", plan=plan.name, state=Sentence(state))),
        ("Mappings", ", ".join(_versions(document))),
        *facts_of_making(),
    )


def _with_id(name: str, id_: str) -> str:
    """A dataset's name, with its id in the account where that is another."""
    if name == id_:
        return name
    return f"{name} ({id_})"


def _project_of(plan: Plan) -> str:
    manifest = plan.folder.parents[1] / "snapshots" / plan.document.snapshot.name / "manifest.json"
    try:
        return str(json.loads(manifest.read_bytes())["project_id"])
    except (OSError, ValueError, KeyError):
        # The snapshot may be gone long before its plan's report is read.
        return Sentence("not known")


def conditions_of(plan: Plan, dataset: str) -> list[str]:
    """What the mappings of a dataset ask of a row to be taken, as they say it; rows without it are left out on purpose.

    None where a plan of an earlier version does not carry its mappings.

    **Raises**: Damaged where a carried text is not the one that the plan was made from.
    """
    check_carried(plan.folder, plan.document)
    conditions = []
    for carried in plan.document.carried:
        # A plan carries look-up tables as well.
        if not carried.path.endswith((".yaml", ".yml")):
            continue
        value = read_mapping_text(plan.folder / carried.path).document.value
        if isinstance(value, dict) and value.get("dataset") == dataset and "where" in value:
            conditions.append(str(value["where"]))
    return conditions


def facts_of_making() -> tuple[Fact, ...]:
    """Who made a page, and by which version of the tool."""
    return (("Made by", f"{_user()}@{socket.gethostname()}, migrate {__version__}"),)


def _versions(document: PlanDocument) -> Sequence[str]:
    files = chain.from_iterable(mapping.files for mapping in document.mappings.values())
    used = {file.file.rsplit("/", 1)[-1]: file.sha256 for file in files}
    return [f"{file} {sha256[:_HASH_CHARS]}" for file, sha256 in sorted(used.items())]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container without a name for its user.
        return "unknown"
