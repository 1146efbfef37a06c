"""The texts that a plan was made from, kept in its folder: what looks back at a load reads them, and nothing beside it.

Mappings are edited after a load, for instance to fix what was rejected. What was loaded stays what it was.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.errors import Damaged, MappingError
from migrate.plan.document import CarriedFile
from migrate.sentence import Sentence
from migrate.workspace import sha256_bytes, write_bytes

if TYPE_CHECKING:
    from migrate.plan.document import PlanDocument

FOLDER = "mappings"
"""The folder of a plan that holds them; no dataset may have this name."""
# Mapping files, what they share, and the tables that they name; not what stands beside them for people or editors.
_SUFFIXES = frozenset({".yaml", ".yml", ".csv", ".tsv"})
_DATASET = re.compile(r"^dataset:\s*[\"']?([A-Za-z0-9._-]+)", re.MULTILINE)
_SHOWN_LINES = 6
_LONGEST_LINE = 100


def carry_texts(
    source: Path, folder: Path, hashes: Mapping[str, str], datasets: Collection[str]
) -> tuple[CarriedFile, ...]:
    """Copies what the plan was made from into its folder.

    `hashes`: of each file that the plan uses, as it was read: mappings, and what they take something from. Other files
    of the folder are left out, unless they are mappings of one of the `datasets` as well.

    **Raises**: MappingError where a file was edited while the plan was made.
    """
    carried = []
    for path in _files_of(source, hashes):
        data = path.read_bytes()
        wanted = hashes.get(path.name)
        # Else the plan would carry another text than the one it was made from.
        if wanted is not None and sha256_bytes(data) != wanted:
            raise MappingError(
                [f"{path.name}: was edited while the plan was made"],
                hint="give the same command again",
            )
        if wanted is None and not _is_of(data, datasets):
            continue
        write_bytes(folder / FOLDER / path.name, data)
        carried.append(
            CarriedFile(path=f"{FOLDER}/{path.name}", bytes=len(data), sha256=sha256_bytes(data))
        )
    return tuple(carried)


def _files_of(folder: Path, used: Collection[str]) -> list[Path]:
    """What may be carried: what the plan uses, whatever its ending, and what looks like a mapping or a table."""
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path.name in used or path.suffix.lower() in _SUFFIXES)


def _is_of(data: bytes, datasets: Collection[str]) -> bool:
    """Whether a file is a mapping of one of these datasets."""
    made = _DATASET.search(data.decode("utf-8", "replace"))
    return made is not None and made[1] in datasets


def check_carried(folder: Path, document: PlanDocument) -> None:
    """Raises Damaged where a text of the plan is not what `plan.json` says."""
    for entry in document.carried:
        path = folder / entry.path
        if not path.is_file() or sha256_bytes(path.read_bytes()) != entry.sha256:
            raise Damaged(
                f"{path} is not what plan.json says",
                hint="bring it back from a backup; a plan's files must not be edited",
            )


@dataclass(frozen=True)
class TextChange:
    """What is not as it was when a plan was made, in a sentence, and what to add to it on a terminal."""

    said: Sentence
    detail: str = ""

    def __str__(self) -> str:
        """Both."""
        return f"{self.said}{self.detail}"


def mapping_name(file: str, dataset: str) -> Sentence:
    """A mapping file, named with the dataset that it makes."""
    return Sentence("mapping {file} ({dataset})", file=file, dataset=dataset)


def text_changes(folder: Path, document: PlanDocument, now: Path) -> Iterator[TextChange]:
    """What was edited of the texts since the plan was made, with the first lines that differ."""
    named: dict[str, str] = {}
    for dataset, used in document.mappings.items():
        named |= dict.fromkeys((file.file for file in used.files), dataset)
    for entry in document.carried:
        name = Path(entry.path).name
        what = mapping_name(name, named[name]) if name in named else name
        if not (now / name).is_file():
            yield TextChange(Sentence("{what} is gone", what=what))
            continue
        data = (now / name).read_bytes()
        if sha256_bytes(data) != entry.sha256:
            detail = f": {_describe(folder / entry.path, data)}"
            yield TextChange(Sentence("{what} was edited", what=what), detail)
    carried = {Path(entry.path).name for entry in document.carried}
    for path in _files_of(now, ()) if now.is_dir() else ():
        made = _DATASET.search(path.read_text(encoding="utf-8", errors="replace"))
        if path.name not in carried and made is not None and made[1] in document.mappings:
            yield TextChange(Sentence("{what} is new", what=mapping_name(path.name, made[1])))


def _describe(then: Path, now: bytes) -> str:
    """How many lines differ, and the first of them."""
    try:
        before = then.read_bytes().decode("utf-8").splitlines()
        after = now.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return "its text then cannot be read"
    lines = [
        line
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if line[:1] in "+-" and not line.startswith(("+++", "---"))
    ]
    added = sum(line.startswith("+") for line in lines)
    shown = [
        line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"
        for line in lines[:_SHOWN_LINES]
    ]
    if len(lines) > _SHOWN_LINES:
        more = [f"… {len(lines) - _SHOWN_LINES:,} lines more"]
    else:
        more = []
    head = f"{added:,} line{'' if added == 1 else 's'} added, {len(lines) - added:,} removed"
    return "\n    ".join([head, *shown, *more])
