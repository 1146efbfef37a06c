"""Snapshot rows as a mapping reads them: each field under a name that no expression can mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

import polars as pl

from migrate.mapping.columns import FIELD
from migrate.mapping.fields import IDENTITY, PROJECT, column_of, text_fields, used_names, value_at
from migrate.mapping.model import Mapping
from migrate.mapping.series import holds_any

PLACE = ("_source", "_id", "_position", "_element")
LIST = "_list"
"""The text of the list that `each` names; as a field of its own (`f:NAME`) it may be read as well."""
SLICE_ROWS = 250_000
GATHERED_ROWS = 100_000
GATHERED_BYTES = 64 * 1024 * 1024
SLICE_BYTES = 16 * 1024 * 1024
# how a snapshot's field shows half a surrogate pair, and so also a text that has these six characters
_ESCAPE = "\\ud"
_HALF = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_LONE = re.compile("[\ud800-\udfff]")
_ESCAPES = re.compile(
    r"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rf"|(?P<half>{_HALF})|(?P<other>\\.)"
)


def slices(mapping: Mapping, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows in runs that need little memory, at least one.

    The intermediate columns of a run are many times its size, the more so where a list gives many rows.
    """
    if mapping.each is None or mapping.each not in rows.columns:
        yield from rows.iter_slices(SLICE_ROWS) if rows.height else [rows]
        return
    sizes = rows[mapping.each].cast(pl.String).str.len_bytes().fill_null(0).cast(pl.Int64).cum_sum()
    runs = (sizes // SLICE_BYTES) * rows.height + pl.int_range(
        rows.height, eager=True
    ) // SLICE_ROWS
    if rows.height:
        lengths = runs.rle().struct.field("len").to_list()
    else:
        lengths = [0]
    start = 0
    for length in lengths:
        yield rows.slice(start, length)
        start += length


def needs_raw(mapping: Mapping) -> Callable[[pl.DataFrame], bool]:
    """Whether rows need their `_raw`, which is most of them: only it tells half a surrogate pair from a text."""
    looked_at = {column_of(name) for name in text_fields(mapping)}

    def may_hold_halves(rows: pl.DataFrame) -> bool:
        # all of a column's texts put together: looked through several times faster than one by one
        texts = pl.col([name for name in rows.columns if name in looked_at]).str.join("")
        return bool(
            rows.select(pl.any_horizontal(texts.str.contains(_ESCAPE, literal=True))).item()
        )

    return may_hold_halves


def gather_frames(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in the same order in fewer frames, for a mapping costs something a frame however few its rows.

    **Guarantees.** A frame more is taken in only while there are few rows and bytes, so memory stays bounded.
    """
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        few = sum(part.height for part in waiting) < GATHERED_ROWS
        if not few or sum(part.estimated_size() for part in waiting) >= GATHERED_BYTES:
            yield pl.concat(waiting, rechunk=True)
            waiting = []
    if waiting:
        yield pl.concat(waiting, rechunk=True)


def base_rows(mapping: Mapping, rows: pl.DataFrame, project: str = "") -> pl.DataFrame:
    """The rows with the fields that the mapping reads, each as `f:NAME`, and with `each` its list as `LIST`.

    Fields the rows lack are null.
    """
    series = [rows[name] for name in ("_source", "_id", "_position")]
    suspect = "_raw" in rows.columns and rows["_raw"].str.contains(_HALF).any()
    if mapping.each:
        series.append(_field(rows, mapping.each).alias(LIST))
    for name in sorted(text_fields(mapping)):
        field = _field(rows, column_of(name))
        if suspect and holds_any(field, _ESCAPE, literal=True):
            field = _refuse_halves(field, rows["_raw"], column_of(name))
        series.append(field.alias(FIELD + name))
    series += [rows[column].alias(FIELD + name) for name, column in IDENTITY.items()]
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
    text = pl.lit(None, dtype=pl.String) if value is None else value
    return rows.select(*PLACE, rule=pl.lit(rule), column=pl.lit(column), value=text)


def _field(rows: pl.DataFrame, name: str) -> pl.Series:
    if name in rows.columns:
        return rows[name].cast(pl.String)
    return pl.Series(name, [None], dtype=pl.String).new_from_index(0, rows.height)


def _refuse_halves(field: pl.Series, raw: pl.Series, name: str) -> pl.Series:
    """The field with a NUL, which no text may hold, for each half of a surrogate pair.

    Only the record's JSON tells such a half from a text that spells the escape, so of the few rows that may
    hold one it is read again.
    """
    frame = pl.DataFrame({"t": field, "r": raw})
    suspects = frame.select(pl.col("t").str.contains(_HALF) & pl.col("r").str.contains(_HALF))
    places = suspects.to_series().arg_true()
    texts = [_refused(text, json, name) for text, json in frame[places].iter_rows()]
    return field.scatter(places, texts) if texts else field


def _refused(text: str, raw: str, name: str) -> str:
    """A field's text, as its record says it, with a NUL for each half of a surrogate pair."""
    value = value_at(json.loads(raw), name)
    if isinstance(value, str):
        return _LONE.sub("\0", value)
    return _ESCAPES.sub(lambda found: "\0" if found.lastgroup == "half" else found.group(), text)
