"""The rows that a mapping reads: a snapshot's rows, rows of other datasets beside them, and rows that are set aside.

Each field has a name that no expression can mistake, `f:NAME`. A row of another dataset is found by the identity of the
record it came from. Rows are set aside where a person has discarded them, or where their parent is not there yet.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass

import polars as pl

from migrate.mapping.columns import FIELD
from migrate.mapping.fields import IDENTITY, PROJECT, column_of, text_fields, used_names, value_at
from migrate.mapping.model import Mapping
from migrate.mapping.series import holds_any
from migrate.mapping.types import render
from migrate.names import ID_FIELDS, SOURCE_FIELDS

PLACE = ("_source", "_id", "_position", "_element")
LIST = "_list"
"""The text of the list that `each` names; as a field of its own (`f:NAME`) it may be read as well."""
SLICE_ROWS = 250_000
GATHERED_ROWS = 100_000
GATHERED_BYTES = 64 * 1024 * 1024
SLICE_BYTES = 16 * 1024 * 1024
# How a snapshot's field shows half a surrogate pair, and so also a text that has these six characters
_ESCAPE = "\\ud"
_HALF = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_IDENTITY_FIELDS = {"source": SOURCE_FIELDS, "id": ID_FIELDS}
_LONE = re.compile("[\ud800-\udfff]")
_ESCAPES = re.compile(
    r"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rf"|(?P<half>{_HALF})|(?P<other>\\.)"
)


def slices(mapping: Mapping, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows in runs that need little memory, at least one.

    The intermediate columns of a run are many times its size, the more so where a list gives many rows.
    """
    if not rows.height:
        yield rows
        return
    if mapping.each is None or mapping.each not in rows.columns:
        yield from rows.iter_slices(SLICE_ROWS)
        return
    # By the bytes of the lists, and not by records: one record may hold as many elements as a thousand others.
    sizes = rows[mapping.each].cast(pl.String).str.len_bytes().fill_null(0).cast(pl.Int64)
    by_bytes = sizes.cum_sum() // SLICE_BYTES
    by_rows = pl.int_range(rows.height, eager=True) // SLICE_ROWS
    runs = by_bytes * rows.height + by_rows
    start = 0
    for length in runs.rle().struct.field("len"):
        yield rows.slice(start, length)
        start += length


def needs_raw(mapping: Mapping) -> Callable[[pl.DataFrame], bool]:
    """Whether rows need their `_raw`, which is most of them: only it tells half a surrogate pair from a text."""
    read_columns = {*map(column_of, text_fields(mapping)), *IDENTITY.values()}

    def may_hold_halves(rows: pl.DataFrame) -> bool:
        # All of a column's texts put together: looked through several times faster than one by one.
        texts = pl.col([name for name in rows.columns if name in read_columns]).str.join("")
        holds_escape = texts.str.contains(_ESCAPE, literal=True)
        return bool(rows.select(pl.any_horizontal(holds_escape)).item())

    return may_hold_halves


def gather_frames(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in the same order in fewer frames, for a mapping costs something a frame however few its rows.

    **Guarantees.** A frame more is taken in only while there are few rows and bytes, so memory stays bounded.
    """
    waiting: list[pl.DataFrame] = []
    rows, size = 0, 0.0
    for frame in frames:
        waiting.append(frame)
        rows += frame.height
        size += frame.estimated_size()
        if rows >= GATHERED_ROWS or size >= GATHERED_BYTES:
            yield pl.concat(waiting, rechunk=True)
            waiting, rows, size = [], 0, 0.0
    if waiting:
        yield pl.concat(waiting, rechunk=True)


def base_rows(mapping: Mapping, rows: pl.DataFrame, project: str = "") -> pl.DataFrame:
    """The rows with the fields that the mapping reads, each as `f:NAME`, and with `each` its list as `LIST`.

    Fields the rows lack are null.
    """
    series = [rows[name] for name in ("_source", "_id", "_position")]
    # A record without an escape has no half of a pair in any field, and that is nearly every record.
    is_suspect = "_raw" in rows.columns and rows["_raw"].str.contains(_HALF).any()
    if mapping.each:
        series.append(_field(rows, mapping.each).alias(LIST))
    fields = {name: (column_of(name),) for name in sorted(text_fields(mapping))}
    identity = {name: _IDENTITY_FIELDS[name][mapping.resource] for name in IDENTITY}
    for name, in_record in (fields | identity).items():
        field = _field(rows, IDENTITY.get(name, in_record[0]))
        if is_suspect and holds_any(field, _ESCAPE, literal=True):
            field = _refuse_halves(field, rows["_raw"], in_record)
        series.append(field.alias(FIELD + name))
    if PROJECT in used_names(mapping):
        series.append(pl.Series(FIELD + PROJECT, [project]).new_from_index(0, rows.height))
    return pl.DataFrame(series).with_columns(pl.lit(None, dtype=pl.Int64).alias("_element"))


def split_missing_ids(base: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The rows with an identity, and the others as rejects."""
    missing = base["_id"].fill_null("") == ""
    if not missing.any():
        return base, []
    return base.filter(~missing), [reject_all(base.filter(missing), "id_missing", "id", None)]


def reject_all(rows: pl.DataFrame, rule: str, column: str, value: pl.Expr | None) -> pl.DataFrame:
    """One reject per row, all for the same rule."""
    if value is None:
        text = pl.lit(None, dtype=pl.String)
    else:
        text = value
    return rows.select(*PLACE, rule=pl.lit(rule), column=pl.lit(column), value=text)


def _field(rows: pl.DataFrame, name: str) -> pl.Series:
    if name in rows.columns:
        return rows[name].cast(pl.String)
    return pl.Series(name, [None], dtype=pl.String).new_from_index(0, rows.height)


def _refuse_halves(field: pl.Series, raw: pl.Series, names: Sequence[str]) -> pl.Series:
    """The field with a NUL, which no text may hold, for each half of a surrogate pair.

    `names`: where it may stand in the record, of which the first that has a value counts.

    Only the record's JSON tells such a half from a text that spells the escape, so of the few rows that may
    hold one it is read again.
    """
    frame = pl.DataFrame({"text": field, "raw": raw})
    may_hold = pl.col("text").str.contains(_HALF) & pl.col("raw").str.contains(_HALF)
    places = frame.select(may_hold).to_series().arg_true()
    marked = []
    for text, record in frame[places].iter_rows():
        value = _value_of(record, names)
        if isinstance(value, str):
            marked.append(_LONE.sub("\0", value))
        else:
            # The text of a list or object is JSON itself, in which an escaped backslash begins no half.
            marked.append(_ESCAPES.sub(_mark_half, text))
    return field.scatter(places, marked) if marked else field


def _mark_half(escape: re.Match[str]) -> str:
    return "\0" if escape.lastgroup == "half" else escape.group()


def _value_of(raw: str, names: Sequence[str]) -> object:
    """The first value of a record under some names; None where there is none."""
    try:
        record = json.loads(raw, strict=False, object_pairs_hook=_named_as_columns)
    except ValueError:
        # Of a writer of little care: no comma too few and no unknown escape may hide the half.
        values = [_careless_value(raw, name) for name in names]
    else:
        values = [value_at(record, name) for name in names]
    return next((value for value in values if value not in (None, "")), None)


def _named_as_columns(members: Sequence[tuple[str, object]]) -> dict[str, object]:
    """An object with the escape of half a surrogate pair for that half in names, as a snapshot names its columns."""
    return {name.encode("utf-8", "backslashreplace").decode(): value for name, value in members}


def _careless_value(raw: str, name: str) -> str | None:
    """The text of the last string of a name in JSON that cannot be read as a whole, whatever it stands in."""
    for own in dict.fromkeys((name, name.rpartition(".")[2])):
        # A half in a name is its escape, whichever letters that has; a backslash that was sent is two.
        spelt = re.escape(json.dumps(own, ensure_ascii=False))
        escaped = re.escape('"' + own + '"')
        key = f"(?:{spelt}|(?i:{escaped}))"
        strings = re.findall(rf'{key}\s*:\s*("[^"\\]*(?:\\.[^"\\]*)*")', raw, re.DOTALL)
        with contextlib.suppress(ValueError):
            if strings:
                return str(json.loads(strings[-1], strict=False))
    return None


TOUCHED = "_touched"
WITHHELD = "_withheld"
"""Of a record that gave no row for a reason that may pass: who looks it up waits for it."""
GHOST = "_ghost"
"""Of a record that a delta has taken the row away from: it is found no more, and that is a change."""


@dataclass(frozen=True)
class LookedUp:
    """What a look-up found.

    **Shape.** `columns` has one row per row asked for, in the same order, text only; `orphan` is true where an id
    found nothing; `waiting` where it found a record that was withheld;
    `touched` where the row found says `_touched`, None where the table has no such column.
    """

    columns: pl.DataFrame
    orphan: pl.Series
    touched: pl.Series | None
    waiting: pl.Series


class LookupTable:
    """Another dataset's rows by the identity of the record each came from.

    **Shape.** `table` has `source`, `id`, the dataset's typed columns, and may have `_touched`, `_withheld`
    and `_ghost`; of
    two rows of one identity the first counts.
    `aliases` are other names of sources: the left name is treated as the right one. Where two records
    meet under one name, the first by the name of its own source counts, whatever order they come in.
    """

    def __init__(
        self, table: pl.DataFrame, columns: Collection[str], aliases: Dict[str, str]
    ) -> None:
        self._names = sorted(columns)
        self._aliases = aliases
        self._says_touched = table.schema.get(TOUCHED) == pl.Boolean
        rows = _as_text(table, self._names)
        self._exact = _first_of_each(rows)
        # Only where there are aliases: the second table doubles the memory of the look-up.
        self._resolved = None
        if aliases:
            self._resolved = _first_of_each(_meeting(self._exact, aliases))

    def find(self, source: pl.Series, record_id: pl.Series) -> LookedUp:
        """The columns of the row that came from (source, id): by the exact source, else with aliases resolved.

        **Guarantees.** Keeps order and number of rows.
        """
        has_id = pl.when(pl.col("i") != "").then(pl.col("i")).alias("i")
        asked = pl.DataFrame({"s": source, "i": record_id}).with_columns(has_id)
        rows = _join(asked, self._exact)
        if self._resolved is not None:
            by_alias = _join(_resolved(asked, self._aliases), self._resolved)
            rows = _prefer(rows, by_alias)
        is_orphan = pl.col("i").is_not_null() & pl.col("hit").is_null()
        return LookedUp(
            columns=rows.select(pl.col(f"v:{name}").alias(name) for name in self._names),
            orphan=rows.select(is_orphan.alias("orphan")).to_series(),
            touched=rows[TOUCHED].fill_null(False) if self._says_touched else None,
            waiting=rows.get_column("w").fill_null(value=False).rename("waiting"),
        )


def _as_text(table: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """The table as joins need it: `s`, `i`, texts `v:NAME`, `hit` where a row is there, `w` where it is withheld."""
    schema = table.collect_schema()
    columns = [pl.col("source").alias("s"), pl.col("id").alias("i")]
    for name in names:
        if name in schema:
            value = render(name, schema[name])
        else:
            value = pl.lit(None, dtype=pl.String)
        columns.append(value.alias(f"v:{name}"))
    if schema.get(TOUCHED) == pl.Boolean:
        columns.append(pl.col(TOUCHED))
    if GHOST in schema:
        is_ghost = pl.col(GHOST).fill_null(value=False)
    else:
        is_ghost = pl.lit(value=False)
    columns.append(pl.when(~is_ghost).then(pl.lit(value=True)).alias("hit"))
    is_withheld = pl.lit(value=False)
    if WITHHELD in schema:
        is_withheld = pl.col(WITHHELD).fill_null(value=False)
    return table.select(*columns, is_withheld.alias("w"))


def _first_of_each(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.unique(["s", "i"], keep="first", maintain_order=True)


def _meeting(rows: pl.DataFrame, aliases: Dict[str, str]) -> pl.DataFrame:
    """Rows under their common names, those that count first; a change of one is a change of all."""
    under_common_name = _resolved(rows.with_columns(pl.col("s").alias("own")), aliases)
    ordered = under_common_name.sort("hit", "w", "own", nulls_last=True, maintain_order=True)
    if TOUCHED in ordered.columns:
        ordered = ordered.with_columns(pl.col(TOUCHED).any().over("s", "i"))
    return ordered.drop("own")


def _join(asked: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    return asked.join(table, on=["s", "i"], how="left", maintain_order="left")


def _resolved(frame: pl.DataFrame, aliases: Dict[str, str]) -> pl.DataFrame:
    return frame.with_columns(pl.col("s").replace(list(aliases), list(aliases.values())))


def _prefer(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """The first table's row where it has one, else the second's."""
    both = pl.concat([first, second.select(pl.all().name.prefix("2:"))], how="horizontal")
    has_first = pl.col("hit").is_not_null()
    columns = [pl.col("s"), pl.col("i")]
    for name in first.columns:
        if name not in {"s", "i"}:
            chosen = pl.when(has_first).then(pl.col(name)).otherwise(pl.col(f"2:{name}"))
            columns.append(chosen.alias(name))
    preferred = both.select(columns)
    if TOUCHED not in first.columns:
        return preferred
    # What the exact name no longer finds, the other one may find: that is a change, too.
    either = pl.any_horizontal(TOUCHED, f"2:{TOUCHED}").alias(TOUCHED)
    return preferred.with_columns(both.select(either))


SET_ASIDE = pl.Schema(
    {
        "_source": pl.String,
        "_id": pl.String,
        "_position": pl.Int64,
        "_element": pl.Int64,
        "bucket": pl.String,
        "lookup": pl.String,
        "parent_id": pl.String,
    }
)
"""`bucket`: `discarded` or `waiting`; `lookup` and `parent_id`: what a waiting row waits for."""
DISCARDED, WAITING = "discarded", "waiting"
DISCARDED_IDENTITY = pl.Schema({"source": pl.String, "id": pl.String, "position": pl.Int64})
NOTHING_DISCARDED = pl.DataFrame(schema=DISCARDED_IDENTITY)


def are_discarded(rows: pl.DataFrame, discarded: pl.DataFrame) -> pl.Series:
    """Which rows are among the identities that were discarded. **Shape.** `discarded` as `DISCARDED_IDENTITY`."""
    if not discarded.height or not rows.height:
        return pl.Series([False]).new_from_index(0, rows.height)
    who = rows.select(
        pl.col("_source").alias("source"),
        pl.col("_id").alias("id"),
        pl.col("_element").cast(pl.Int64).alias("position"),
    )
    named = (
        discarded.select(list(DISCARDED_IDENTITY))
        .unique()
        .with_columns(pl.lit(value=True).alias("hit"))
    )
    joined = who.join(
        named, on=list(DISCARDED_IDENTITY), how="left", nulls_equal=True, maintain_order="left"
    )
    return joined.get_column("hit").fill_null(value=False)


def first_waiting(waiting: Dict[str, pl.Series], height: int) -> pl.Series:
    """The first look-up by which each row waits for its parent, null where none does."""
    lookup = pl.Series("lookup", [None], dtype=pl.String).new_from_index(0, height)
    # From the last to the first, so that the first one has the last word.
    for name in reversed(list(waiting)):
        waits = waiting[name]
        if waits.any():
            frame = pl.DataFrame({"lookup": lookup, "waits": waits})
            chosen = pl.when("waits").then(pl.lit(name)).otherwise(pl.col("lookup"))
            lookup = frame.select(chosen.alias("lookup")).to_series()
    return lookup


def as_set_aside(
    rows: pl.DataFrame,
    bucket: str,
    lookup: pl.Series | None = None,
    parent: pl.Series | None = None,
) -> pl.DataFrame:
    """Rows in the form of `SET_ASIDE`."""
    nothing = pl.lit(None, dtype=pl.String)
    return rows.select(
        *PLACE,
        pl.lit(bucket).alias("bucket"),
        (nothing if lookup is None else lookup).alias("lookup"),
        (nothing if parent is None else parent).alias("parent_id"),
    ).cast(SET_ASIDE)


def take_discarded(
    rejects: Sequence[pl.DataFrame], discarded: pl.DataFrame
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Rejects without those that were discarded; and these in the form of `SET_ASIDE`."""
    others, aside = [], []
    for frame in rejects:
        is_discarded = are_discarded(frame, discarded)
        others.append(frame.filter(~is_discarded))
        aside.append(as_set_aside(frame.filter(is_discarded), DISCARDED))
    return others, aside


def parents_of(lookup: pl.Series, ids: Dict[str, pl.Series]) -> pl.Series:
    """The id that each row looks up by the look-up it waits for, null where it waits for nothing."""
    parents = pl.Series("parent_id", [None], dtype=pl.String).new_from_index(0, len(lookup))
    for name, asked in ids.items():
        frame = pl.DataFrame({"parents": parents, "asked": asked, "by": lookup})
        chosen = pl.when(pl.col("by").eq_missing(name)).then("asked").otherwise("parents")
        parents = frame.select(chosen.alias("parent_id")).to_series()
    return parents
