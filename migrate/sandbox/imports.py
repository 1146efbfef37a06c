"""The account's import of files: what lies in the folder that SFTP serves becomes records of the datasets.

Source: Octolis help, "(S)FTP" and "Set up SFTP: guidelines": CSV with `;` by default or JSON, UTF-8 with or without
BOM, a file found by a regular expression on its name. Decided here, as they are silent: a file is taken once, as soon
as it has lain long enough, and is gone then; each row is an upsert by the dataset's key; a row that the dataset would
refuse by the API is refused here, and the others are taken; in a CSV, an empty cell without quotes leaves the column
out (the reading `empty_cell=erased` empties it), `""` is the empty text, and `\\N` without quotes is null.

A file is looked for whenever the API is asked something: so nothing runs beside it, and a test sees the same each time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from migrate.sandbox.declare import DatasetSpec
from migrate.sandbox.faults import Fault, FaultBook
from migrate.sandbox.octolis import Dataset, Written
from migrate.sandbox.octolis_routes import OctolisService
from migrate.sandbox.raw_json import BrokenJson, read_values

# As the guidelines name files, `contacts_20261129.csv`; a time may follow the day.
_NAME = re.compile(r"(.+)_\d{8}(?:_\d{4})?\.(csv|json)")
# Not the csv module: it does not say whether a cell stood in quotes, on which its meaning depends.
_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^;\n"]*))(;|\r?\n|$)')
NULL = "\\N"
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: the rows in it, and how many the dataset took and refused. `reason`: of the whole file."""

    name: str
    sha256: str
    dataset: str
    rows: int = 0
    written: int = 0
    refused: int = 0
    reason: str = ""


@dataclass
class Importer:
    """Takes the files of one folder into the datasets. `wall_s`: the time that files lie by."""

    folder: Path
    service: OctolisService
    faults: FaultBook
    wall_s: Callable[[], float]
    done: list[Imported] = field(default_factory=list)
    _waiting: dict[str, tuple[Fault, ...]] = field(default_factory=dict)

    def listing(self) -> list[dict[str, Any]]:
        """What was imported, oldest first."""
        return [asdict(one) for one in self.done]

    def look(self) -> None:
        """Takes what has lain long enough."""
        for path in sorted(self.folder.iterdir()):
            matched = _NAME.fullmatch(path.name)
            if matched is None or not path.is_file():
                continue
            dataset = self._dataset(matched[1])
            if dataset is not None:
                self._look_at(path, dataset, matched[2])

    def _dataset(self, name: str) -> Dataset | None:
        every = self.service.datasets.values()
        return next((dataset for dataset in every if dataset.spec.name == name), None)

    def _look_at(self, path: Path, dataset: Dataset, form: str) -> None:
        # A file is looked at again and again while it lies: its faults are drawn once.
        if path.name not in self._waiting:
            self._waiting[path.name] = tuple(self.faults.fire("sftp", "IMPORT", path.name))
        faults = {fault.kind: fault.value for fault in self._waiting[path.name]}
        lag_s = float(faults.get("import-lag") or 0)
        if self.wall_s() < path.stat().st_mtime + lag_s:
            return
        data = path.read_bytes()
        # Before it is imported: whatever comes of it, it is never taken twice.
        path.unlink()
        del self._waiting[path.name]
        self.done.append(self._take(path.name, data, dataset, form, faults))

    def _take(
        self, name: str, data: bytes, dataset: Dataset, form: str, faults: dict[str, str]
    ) -> Imported:
        head = Imported(name, hashlib.sha256(data).hexdigest(), dataset.spec.name)
        if "import-refused" in faults:
            return _refused(head, "the file was refused")
        try:
            text = data.decode(faults.get("import-encoding") or "utf-8-sig")
            records = list(read_json(text) if form == "json" else read_csv(text, dataset.spec))
        except (UnicodeDecodeError, BrokenJson, ValueError) as error:
            return _refused(head, str(error))
        every = int(faults.get("import-partial") or 0)
        now_ms = self.service.now_ms()
        written = []
        for number, record in enumerate(records, 1):
            if every and number % every == 0:
                continue
            outcome = dataset.upsert(record, now_ms)
            if isinstance(outcome, Written):
                written.append(outcome)
        self.service.save(dataset, written)
        counts = (len(records), len(written), len(records) - len(written))
        return Imported(name, head.sha256, head.dataset, *counts)


def _refused(head: Imported, why: str) -> Imported:
    return Imported(head.name, head.sha256, head.dataset, reason=why[:200])


def read_json(text: str) -> Iterator[Any]:
    """The records of an array. Raises BrokenJson."""
    values = read_values(text.encode())
    if not isinstance(values, list):
        raise BrokenJson("the file is no array")
    yield from values


def read_csv(text: str, spec: DatasetSpec) -> Iterator[dict[str, Any]]:
    """The records of a CSV file, its first line the names of the columns. Raises ValueError."""
    lines = read_cells(text)
    names = [cell for cell, _ in next(lines, [])]
    if not names:
        raise ValueError("the file has no header")
    types = {column.name: column.type for column in spec.columns}
    for cells in lines:
        if len(cells) != len(names):
            raise ValueError(f"a line has {len(cells)} cells, the header {len(names)}")
        read = [
            _value(cell, types.get(name, "text"), spec)
            for name, cell in zip(names, cells, strict=True)
        ]
        yield {
            name: value for name, value in zip(names, read, strict=True) if value is not _MISSING
        }


def read_cells(text: str) -> Iterator[list[tuple[str, bool]]]:
    """The lines of a CSV file with `;`, each cell with whether it stood in quotes. Raises ValueError."""
    at = 0
    line = list[tuple[str, bool]]()
    while at < len(text):
        cell = _CELL.match(text, at)
        if cell is None:
            raise ValueError(f"character {at + 1} does not belong there")
        quoted = cell[1] is not None
        line.append((cell[1].replace('""', '"') if quoted else cell[2], quoted))
        at = cell.end()
        if cell[3] != ";":
            yield line
            line = []
    if line:
        yield line


def _value(cell: tuple[str, bool], kind: str, spec: DatasetSpec) -> Any:
    text, quoted = cell
    if not quoted and text in ("", NULL):
        is_left_out = not text and spec.readings.empty_cell == "kept"
        return _MISSING if is_left_out else None
    if kind == "boolean":
        # What is no such word stays a text, which the dataset refuses as it would by the API.
        return {"true": True, "false": False}.get(text, text)
    if kind in ("integer", "float"):
        try:
            return read_values(text.encode())
        except BrokenJson:
            return text
    return text
