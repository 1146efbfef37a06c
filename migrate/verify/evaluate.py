"""A mapping worked out for many records at once by DuckDB: what each should become, or the rule that keeps it out.

Apart from the planner: fields by a reader of its own, expressions and columns written as SQL. A column that holds
something the verifier has no reading of its own for is left out and named, never guessed.

**Source**: the mapping language as docs/mapping.md describes it.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from migrate import parquet
from migrate.verify.column import Lane
from migrate.verify.fields import ID, LEFT, LEFT_AT, ORDER, PLACE, SOURCE, read_fields
from migrate.verify.language.database import database, register
from migrate.verify.language.steps import quoted
from migrate.verify.lookup import LookupTable, store_lookup
from migrate.verify.made import Identity, Left, Record, Row
from migrate.verify.mapping_query import GONE, ZONE, MappingQuery
from migrate.verify.rules import Conventions, DatasetRules
from migrate.verify.typed import Unverifiable

_READ_ROWS = 25_000


@dataclass(frozen=True)
class _Fields:
    """Fields in files: which fields have a column there, and whether a NUL may be in one."""

    files: list[Path]
    known: set[str]
    has_nul: bool


@dataclass
class Evaluator:
    """One dataset's mapping, ready to run. `unverifiable` names columns that are left out, and why.

    `touched_from`: records from this place in the snapshot on may have changed since the last plan. `folder`: where
    fields wait for the database; with none, in a folder that goes with the evaluator. `order`: the columns of the
    whole dataset, where several files make it.
    """

    rules: DatasetRules
    conventions: Conventions
    lookups: Mapping[str, LookupTable]
    touched_from: int = 0
    discarded: frozenset[Identity] = frozenset()
    folder: Path | None = None
    columns: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    unverifiable: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compiles the mapping. Raises Unverifiable where the dataset as a whole cannot be worked out."""
        self._queries: dict[bool, MappingQuery] = {}
        self._called: set[str] = set()
        self._opened = contextlib.ExitStack()
        self._numbers = count()
        query = self._query(has_nul=True)
        self.unverifiable = query.unverifiable
        self.wanted = query.wanted()
        self.columns = self.order = tuple(query.columns)
        blocked = [*self.rules.doubts, *(n for n in self.rules.key if n not in query.columns)]
        if blocked:
            reason = self.unverifiable.get(blocked[0], "not known to the verifier")
            raise Unverifiable(f"{blocked[0]}: {reason}")

    def work_out(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """What becomes of records (`_raw`, `_source`, `_id`, `_position`), frame by frame.

        The fields of one frame are read while the database works on those of the frame before.

        **Shape**: one row for each record, or for each element of its list, in any order: the columns of `OWN`, each
        verified column as canonical text under `c:NAME`; `_left` names the rule that keeps a row out, `_left_at` where.
        """
        # One thread ahead and no more, so that two frames are in memory at most.
        with ThreadPoolExecutor(1) as reader:
            reading: Future[_Fields] | None = None
            for frame in (frame for frame in frames if frame.height):
                before = reading
                reading = reader.submit(self._read, frame)
                if before is not None:
                    yield self.answer(before.result())
            if reading is not None:
                yield self.answer(reading.result())

    def steps(self, records: Iterable[Record]) -> list[dict[str, Any]]:
        """What becomes of a few records, in their order, with every step of every column under `COLUMN/LANE/STEP`."""
        made = self.answer(self._read(frame_of(records)), with_steps=True)
        return made.sort(ORDER, PLACE, nulls_last=False).to_dicts()

    def lanes_of(self, column: str) -> tuple[Lane, ...]:
        """The ways of a column's texts, whose steps `steps` gives."""
        return self._query(has_nul=True).columns[column].lanes

    def close(self) -> None:
        """Closes the database and removes its files."""
        self._opened.close()

    def _query(self, *, has_nul: bool) -> MappingQuery:
        if has_nul not in self._queries:
            self._queries[has_nul] = MappingQuery(
                self.rules, self.conventions, self.lookups, has_nul
            )
        return self._queries[has_nul]

    def _read(self, frame: pl.DataFrame) -> _Fields:
        """Puts the fields of records into files for the database."""
        read = _Fields([], set(), _has_nul(frame))
        for part in frame.iter_slices(_READ_ROWS):
            fields = self._with_own(read_fields(part, self.wanted, with_identity=read.has_nul))
            file = self._files / f"fields-{next(self._numbers)}.parquet"
            # Read once, a moment later, and removed.
            parquet.write(fields, file, compression="uncompressed", statistics=False)
            read.files.append(file)
            read.known.update(fields.columns)
        return read

    def answer(self, fields: _Fields, *, with_steps: bool = False) -> pl.DataFrame:
        """What the database makes of fields that were read."""
        made = self._files / "made.parquet"
        sql = self._write(fields, with_steps)
        self._database.execute(
            f"COPY ({sql}) TO {quoted(str(made))} (FORMAT parquet, COMPRESSION lz4)"
        )
        answers = parquet.read(made)
        for file in (*fields.files, made):
            file.unlink()
        return answers

    def _write(self, fields: _Fields, with_steps: bool) -> str:
        """The query that makes outcomes of fields in files."""
        # Nearly no record has a NUL, so most are spared the conditions that look for one in every text.
        query = self._query(has_nul=fields.has_nul)
        outputs = query.outputs(self.order, self.touched_from)
        outputs += query.steps() if with_steps else []
        calls = query.writer.calls
        register(self._database, {one: calls[one] for one in calls if one not in self._called})
        self._called |= calls.keys()
        listed = ", ".join(quoted(str(file)) for file in fields.files)
        relation = query.relation(f"read_parquet([{listed}], union_by_name = true)", fields.known)
        return query.writer.query(relation, outputs)

    @cached_property
    def _files(self) -> Path:
        """Where fields and outcomes wait; empty at first, and gone with the evaluator."""
        if self.folder is None:
            return Path(self._opened.enter_context(tempfile.TemporaryDirectory()))
        shutil.rmtree(self.folder, ignore_errors=True)
        self._opened.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        return self.folder

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        connection = self._opened.enter_context(database(self._files))
        for lookup, table in self.lookups.items():
            store_lookup(connection, self._files, lookup, table)
        return connection

    def _with_own(self, fields: pl.DataFrame) -> pl.DataFrame:
        """The rows with the zone of their source, and whether a person has discarded them."""
        sources = fields.get_column(SOURCE).unique().to_list()
        zones = {source: self.zone_of(source) for source in sources}
        zone = pl.col(SOURCE).replace_strict(zones, return_dtype=pl.String, default=zones.get(None))
        gone = pl.lit(False)
        if self.discarded:
            who = pl.struct(SOURCE, ID, PLACE)
            gone = who.map_elements(lambda one: tuple(one.values()) in self.discarded, pl.Boolean)
        return fields.with_columns(zone.alias(ZONE), gone.alias(GONE))

    def zone_of(self, source: str | None) -> str:
        """The zone of a source's naive times: its own, or that set for another name of the same source."""
        zones, aliases = self.conventions.timezones, self.conventions.source_aliases
        source = source or ""
        if source in zones:
            return zones[source]
        mine = aliases.get(source, source)
        same = (zone for other, zone in zones.items() if aliases.get(other, other) == mine)
        return next(same, zones.get("*", "UTC"))


def frame_of(records: Iterable[Record]) -> pl.DataFrame:
    """Records as a snapshot gives them."""
    schema = {"_raw": pl.String, "_source": pl.String, "_id": pl.String, "_position": pl.Int64}
    return pl.DataFrame(list(records), schema=schema, orient="row")


def as_made(row: Mapping[str, Any], columns: Sequence[str]) -> Row | Left:
    """A row of `Evaluator.work_out` as what became of a record."""
    if row[LEFT] is not None:
        return Left(row[SOURCE], row[ID], row[PLACE], row[LEFT], row[LEFT_AT])
    return Row(row[SOURCE], row[ID], row[PLACE], tuple(row[f"c:{one}"] for one in columns))


def _has_nul(frame: pl.DataFrame) -> bool:
    """Whether a NUL or half a surrogate pair may be in a text of these records."""
    escaped = pl.col("_raw").str.contains(r"\\u(?:0000|[dD][89a-fA-F])")
    bare = pl.any_horizontal(pl.col("_source", "_id").str.contains("\0", literal=True))
    return bool(frame.select((escaped | bare.fill_null(False)).any()).item())
