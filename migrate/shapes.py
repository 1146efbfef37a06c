"""The Parquet files that the tool keeps: which columns each kind of them has, and of which types.

A file that somebody has changed, its hash in the manifest with it, may hold anything. Whoever reads one goes through
`migrate.parquet`, which asks here what the file has to be, by its place and name in the workspace.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

Kind = pl.DataType | type[pl.DataType]

ORIGIN = pl.Struct(
    {"resource": pl.String, "source": pl.String, "id": pl.String, "position": pl.Int64}
)
PLAIN = (
    pl.String,
    pl.Boolean,
    pl.Int32,
    pl.Int64,
    pl.UInt32,
    pl.UInt64,
    pl.Float64,
    pl.Decimal,
    pl.Date,
    pl.Datetime,
)
_TEXT = (pl.String,)
_MAPPED = (pl.String, pl.Int32, pl.Boolean, pl.Date, pl.Datetime, pl.Decimal)
"""What a column of a mapping may be."""
_PLAN_AGAIN = "make a new plan with `migrate plan`; a plan's files must not be edited"
_EXTRACT_AGAIN = "bring the file back from a backup, or make a new snapshot: migrate extract"


@dataclass(frozen=True, eq=False)
class Shape:
    """What one kind of file holds, and what to do where one does not.

    `late`: columns that files of an earlier version lack. `filled`: those that never lack a value. `others`: the types
    that further columns may have, which a later version may have added.
    """

    what: str
    remedy: str
    columns: Mapping[str, Kind]
    late: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()
    others: tuple[type[pl.DataType], ...] = PLAIN

    def troubles(self, schema: Mapping[str, Kind], *, strict: bool = False) -> Iterator[str]:
        """What of a file's columns is not as it has to be; `strict`: as this version writes it."""
        for name, kind in self.columns.items():
            if name in schema:
                if schema[name] != kind:
                    yield f"column {name!r} is {schema[name]}, not {_word(kind)}"
            elif strict or name not in self.late:
                yield f"column {name!r} is missing"
        for name in schema.keys() - self.columns.keys():
            if not isinstance(schema[name], self.others):
                yield f"column {name!r:.80} is {schema[name]!s:.80}, which none of its columns can be"
            elif strict and self.others == PLAIN:
                yield f"column {name!r:.80} is none of its columns"


def shape_of(path: Path) -> Shape | None:
    """What the file at a path has to be; None where it is none that the tool keeps under such a name."""
    # As long as the longest pattern: the workspace itself may lie below a folder called `plans`.
    place = "/".join(path.parts[-4:])
    for pattern, shape in _PLACES:
        if pattern.search(place):
            return shape
    return None


def _word(kind: Kind) -> str:
    return str(kind) if isinstance(kind, pl.DataType) else kind.__name__


def _texts(*names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, pl.String)


def _of_plan(
    what: str, columns: Mapping[str, Kind], filled: Collection[str] = (), late: Collection[str] = ()
) -> Shape:
    return Shape(f"a plan's {what}", _PLAN_AGAIN, columns, frozenset(late), frozenset(filled))


_OWN: dict[str, Kind] = {
    "_source": pl.String,
    "_id": pl.String,
    "_page": pl.Int64,
    "_raw": pl.String,
}
_WHO: dict[str, Kind] = {**_texts("resource", "source", "id"), "position": pl.Int64}
_ROW: dict[str, Kind] = {
    "change": pl.String, "key": pl.String, "payload": pl.String, "sources": pl.List(ORIGIN),
    "masterid": pl.String, "changed": pl.List(pl.String),
}  # fmt: skip
_SLOT: dict[str, Kind] = {"batch": pl.Int32, "position": pl.Int32}
_NEVER_EMPTY = frozenset({"batch", "position", "change", "key", "payload", "sources"})

_PART = Shape(
    "a part of a snapshot",
    _EXTRACT_AGAIN,
    _OWN,
    filled=frozenset({"_page", "_raw"}),
    others=_TEXT,
)
_DAMAGED = Shape(
    "a snapshot's list of damaged records", _EXTRACT_AGAIN, {**_OWN, "_received": pl.Binary}
)
_DOUBLES = Shape(
    "a snapshot's list of other versions",
    _EXTRACT_AGAIN,
    {**_OWN, "kept_page": pl.Int64, "by_time": pl.Boolean},
)
_DELTA = Shape(
    "a snapshot's list of changes",
    _EXTRACT_AGAIN,
    _texts("_source", "_id", "state"),
    filled=frozenset({"state"}),
)
_RECORDS = Shape(
    "a plan's records", _PLAN_AGAIN, {**_SLOT, **_ROW}, filled=_NEVER_EMPTY, others=_MAPPED
)
_UNCHANGED = Shape(
    "a plan's unchanged records",
    _PLAN_AGAIN,
    _ROW,
    filled=_NEVER_EMPTY - set(_SLOT),
    others=_MAPPED,
)
_RESTORED = Shape(
    "an undo's records",
    "take the folder away and give the undo again",
    {**_SLOT, **{name: kind for name, kind in _ROW.items() if name != "changed"}},
    filled=_NEVER_EMPTY,
)
_PAGE = Shape(
    "a page of the target", _PLAN_AGAIN, {"__masterid__": pl.String},
    filled=frozenset({"__masterid__"}), others=_TEXT,
)  # fmt: skip
_FOREIGN = Shape(
    "a plan's list of others' records", _PLAN_AGAIN, {"masterid": pl.String}, others=_MAPPED
)
_LISTS: dict[str, Shape] = {
    "rejects": _of_plan(
        "rejects",
        {
            **_texts("source", "id", "rule", "column", "value", "resource"),
            "position": pl.Int64, "snapshot_row": pl.Int64,
        },
        ["rule"], ["resource", "position", "snapshot_row"],
    ),
    "collapsed": _of_plan(
        "list of collapsed records",
        {
            **_texts("key", "winner_resource", "winner_source", "winner_id"), "winner_position": pl.Int64,
            **_WHO, "rank": pl.Int64, "lost": pl.String,
        },
        ["key"], ["resource", "position", "winner_resource", "winner_position", "rank", "lost"],
    ),
    "missing": _of_plan(
        "list of missing rows", {**_texts("source", "id", "key"), "position": pl.Int64}
    ),
    "samples": _of_plan(
        "samples",
        {**_texts("key", "masterid", "column", "old", "new"), "report_only": pl.Boolean},
        ["column"],
    ),
    "merges": _of_plan(
        "list of merges",
        {
            "cluster": pl.UInt32, "records": pl.UInt32,
            **_texts("place", "key", "change", "masterid", "through", "value"),
        },
        ["cluster", "records"],
    ),
    "keys": _of_plan(
        "list of odd keys", {**_texts("columns", "what", "value", "like"), "rows": pl.UInt32},
        ["columns", "what", "rows"],
    ),
    "losses": _of_plan(
        "examples of losses", _texts("column", "loss", "before", "after", "source", "id"),
        ["column", "loss"], ["source", "id"],
    ),
    "gone": _of_plan(
        "list of gone records", {**_WHO, **_texts("key", "masterid"), "others": pl.Int64}, (), ["resource", "position"],
    ),
    "moved": _of_plan(
        "list of moved rows", {**_WHO, **_texts("old_key", "key", "masterid")}, (), ["resource", "position"],
    ),
    "discarded": _of_plan(
        "discarded rows",
        {**_WHO, **_texts("reason", "note", "who", "plan"), "at": pl.Float64, "snapshot_row": pl.Int64},
        (), ["resource", "snapshot_row"],
    ),
    "waiting": _of_plan(
        "waiting rows", {**_WHO, **_texts("lookup", "parent_id"), "snapshot_row": pl.Int64},
        (), ["resource", "snapshot_row"],
    ),
    "orders_left_out": _of_plan(
        "list of orders left out",
        {**_texts("lookup", "reason"), "snapshot_row": pl.Int64, "found": pl.Boolean}, (), ["found"],
    ),
    "totals": _of_plan(
        "totals",
        {**_texts("period", "label", "place"), "rows": pl.Int64, "amount": pl.Decimal(38, 6), "unreadable": pl.Int64},
        ["place", "rows", "unreadable"],
    ),
    "unreadable": _of_plan("examples of amounts", _texts("source", "id", "text", "what"), (), ["what"]),
}  # fmt: skip
_SAMPLE = _of_plan("list of a sample's records", _texts("source", "id"))
_WHOLE = _of_plan(
    "count of a snapshot's records", {**_texts("resource", "source"), "day": pl.Date, "records": pl.Int64},
    ["resource", "records"],
)  # fmt: skip
_CORRECTED: dict[str, Kind] = {
    "number": pl.Int64, **_texts("resource", "source", "id", "field", "sent", "value", "by", "why"), "at": pl.Float64,
}  # fmt: skip
_CORRECTIONS = Shape(
    "the list of corrections", "bring it back from a backup, or move it away and import the corrections again",
    _CORRECTED, filled=frozenset({"number", "resource", "id", "field"}),
)  # fmt: skip
_CARRIED = _of_plan(
    "corrections",
    {**_CORRECTED, "state": pl.String},
    ["number", "resource", "id", "field", "state"],
)
_CROSSWALK = Shape(
    "a crosswalk", "it is written again by `migrate load`",
    {**_texts("source", "id", "resource", "key", "masterid", "change"), "position": pl.Int64,
     "written_at": pl.Datetime("us", "UTC")},
)  # fmt: skip
_WALK_OF_PROJECTS = Shape(
    "a crosswalk of several projects", "it is written again by `migrate reconcile --projects`",
    {"project": pl.String, **_CROSSWALK.columns},
)  # fmt: skip
_NOT_IMPORTED = Shape(
    "a list of rows that were not imported", "remove it: it is written again when the import is looked at",
    _texts("key", "reason", "columns"),
)  # fmt: skip
_ALTERED = Shape(
    "a list of altered values", "it is written again by `migrate load`",
    {"batch": pl.Int32, "position": pl.Int32, **_texts("key", "masterid", "column", "loss", "sent", "stored")},
)  # fmt: skip
_DIFFERENCES = Shape(
    "a list of differences", "make it again: migrate reconcile --deep",
    _texts("finding", "name", "key", "masterid", "column", "expected", "found", "source", "id", "modified_at"),
    filled=frozenset({"finding", "name"}),
)  # fmt: skip

_NAMED = r"[^/]+/[^/]+"
_LISTS_OF_A_PLAN = [
    (rf"plans/{_NAMED}/{name}(-[a-z_]+)?\.parquet$", shape) for name, shape in _LISTS.items()
]
_PLACES: tuple[tuple[re.Pattern[str], Shape], ...] = tuple(
    (re.compile(pattern), shape)
    for pattern, shape in (
        (rf"snapshots/{_NAMED}/part-\d+\.parquet$", _PART),
        (rf"snapshots/{_NAMED}/damaged\.parquet$", _DAMAGED),
        (rf"snapshots/{_NAMED}/doubles\.parquet$", _DOUBLES),
        (rf"snapshots/{_NAMED}/delta\.parquet$", _DELTA),
        (r"plans/[^/]+/corrections/corrections\.parquet$", _CARRIED),
        (r"(^|/)corrections\.parquet$", _CORRECTIONS),
        (r"plans/[^/]+/scope/whole\.parquet$", _WHOLE),
        (r"plans/[^/]+/scope/[^/]+\.parquet$", _SAMPLE),
        (rf"plans/{_NAMED}/records\.parquet$", _RECORDS),
        (rf"plans/{_NAMED}/unchanged\.parquet$", _UNCHANGED),
        (rf"plans/{_NAMED}/before-\d+\.parquet$", _PAGE),
        (rf"plans/{_NAMED}/foreign\.parquet$", _FOREIGN),
        (rf"undo/{_NAMED}/records\.parquet$", _RESTORED),
        *_LISTS_OF_A_PLAN,
        (r"exports/[^/]+/crosswalk-projects-[^/]+\.parquet$", _WALK_OF_PROJECTS),
        (r"exports/[^/]+/crosswalk-[^/]+\.parquet$", _CROSSWALK),
        (r"exports/[^/]+/not-imported-[^/]+\.parquet$", _NOT_IMPORTED),
        (r"exports/[^/]+/altered-[^/]+\.parquet$", _ALTERED),
        (r"exports/[^/]+/differences-[^/]+\.parquet$", _DIFFERENCES),
        (r"\.[^/]+-read-back/.*page-\d+\.parquet$", _PAGE),
    )
)
"""By the end of a file's path, what it is; the first that fits."""
