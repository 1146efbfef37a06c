"""What is odd about the values of a key: shared by several rows, placeholders for nobody, look-alikes. Pure.

Once rows are collapsed a key stands on one row only, and 29 people of the address `n/a` look like one. So the rows that
lost are counted by their key, and the row that won with them.

Octolis compares keys as given, so look-alikes are planned as they are. A target whose database takes letter
case, spaces or Unicode form for nothing makes them one: they fuse, and the later overwrites. The plan
cannot know which of the two it has before it, so it says what would happen, in numbers.

**Source**: Octolis help, "Add preparation to your dataset": keys are compared as given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from migrate.mapping.texts import NOBODY, PLACEHOLDER
from migrate.plan.classify import Labels
from migrate.plan.document import SharedKey
from migrate.plan.partitions import some_of
from migrate.plan.tables import PlanTable
from migrate.sentence import Sentence

ODD_SCHEMA = {
    "columns": pl.String,
    "what": pl.String,
    "value": pl.String,
    "rows": pl.UInt32,
    "like": pl.String,
}
"""`what`: shared, placeholder or look_alike; `like`: the form in which look-alikes are the same."""

_PART_ROWS = 500_000
HASHES_AT_ONCE = 4_000_000
"""So many hashes are sorted at once."""
BEFORE_COLLAPSE = ("nobody", "collapsed")
"""What `keys.parquet` calls keys that rows shared before they became one; the rest of it is of the planned rows."""
LISTED = 100
"""So many of the largest clusters are kept, and so many of those whose key stands for nobody."""
# Something has to stand between the parts: `a`, `bc` and `ab`, `c` are two keys.
_BETWEEN = "\x1f"


def odd_values(
    values: Callable[[], Iterator[pl.Series]], columns: Sequence[str], *, alternative: bool
) -> tuple[pl.DataFrame, SharedKey]:
    """The odd values of one key over the planned rows, most rows first, and their counts.

    `values` gives them part by part, as often as it is called. The rows of one dataset are unique by its own key, so
    values are shared under an `alternative` key only. Values are counted where they are odd: to count all would take
    many times the memory of the values.
    """
    name = ", ".join(columns)
    empty = 0
    hashes = [pl.Series(dtype=pl.UInt64)]
    forms = [pl.Series(dtype=pl.UInt64)]
    placeholder = [pl.Series(dtype=pl.String)]
    for part in values():
        empty += part.null_count()
        filled = part.drop_nulls()
        placeholder.append(_some(filled, filled.str.contains(PLACEHOLDER)))
        forms += [folded(some).hash() for some in value_parts(filled)]
        if alternative:
            hashes.append(filled.hash())
    several = repeated_hashes(pl.concat(hashes))
    like = repeated_hashes(pl.concat(forms))
    del hashes, forms
    shared = _counted(
        _picked(values(), several) if alternative else several.clear().cast(pl.String)
    )
    shared = shared.filter(pl.col("rows") > 1)
    placeholders = _counted(pl.concat(placeholder))
    alike = _look_alikes(_picked(values(), like))
    odd = pl.concat(
        [
            frame.select(
                pl.lit(name).alias("columns"),
                pl.lit(what).alias("what"),
                "value",
                pl.col("rows").cast(pl.UInt32),
                (pl.col("like") if "like" in frame.columns else pl.lit(None, pl.String)).alias(
                    "like"
                ),
            )
            for what, frame in (
                ("shared", shared),
                ("placeholder", placeholders),
                ("look_alike", alike),
            )
        ]
    ).sort(["what", "rows", "like", "value"], descending=[False, True, False, False])
    return odd, SharedKey(
        columns=tuple(columns),
        empty=empty,
        shared=shared.height,
        shared_rows=int(shared.get_column("rows").sum()),
        placeholders=placeholders.height,
        placeholder_rows=int(placeholders.get_column("rows").sum()),
        look_alikes=alike.get_column("like").n_unique(),
        look_alike_rows=int(alike.get_column("rows").sum()),
    )


def repeated_hashes(hashes: pl.Series) -> pl.Series:
    """Which rows have a hash that another row has too: all that may be the same are among them, and little else; null
    is like nothing.

    Sorting numbers takes a fraction of the memory that grouping the values would; many are sorted some at a time.
    """
    count = 1 + len(hashes) // HASHES_AT_ONCE
    several = [pl.Series(dtype=pl.UInt64)]
    for number in range(count):
        ordered = (hashes.filter(hashes % count == number) if count > 1 else hashes).sort()
        again = (ordered == ordered.shift(1)).fill_null(value=False)
        several.append(ordered.filter(again).unique())
    return hashes.is_in(pl.concat(several).implode()).fill_null(value=False)


def _picked(parts: Iterator[pl.Series], wanted: pl.Series) -> pl.Series:
    """The values, of those that are none of null, that `wanted` says true of."""
    picked = [pl.Series(dtype=pl.String)]
    start = 0
    for part in parts:
        filled = part.drop_nulls()
        picked.append(_some(filled, wanted.slice(start, len(filled))))
        start += len(filled)
    return pl.concat(picked)


def _some(values: pl.Series, wanted: pl.Series) -> pl.Series:
    return some_of(values.to_frame(), wanted).to_series()


def _counted(values: pl.Series) -> pl.DataFrame:
    return values.rename("value").value_counts(name="rows")


def _look_alikes(values: pl.Series) -> pl.DataFrame:
    """Values that are the same once letter case, spaces and Unicode form are put aside, with that `like` form.

    Two values look alike where their forms are the same and they are not: one value many times is no look-alike.
    """
    counted = values.rename("value").to_frame().group_by("value").len(name="rows")
    like = counted.with_columns(folded(counted.get_column("value")).alias("like"))
    return like.filter(pl.col("like").len().over("like") > 1)


def value_parts(values: pl.Series) -> Iterator[pl.Series]:
    """The values some at a time: the forms of all of them would take as much memory again."""
    return (values.slice(start, _PART_ROWS) for start in range(0, len(values), _PART_ROWS))


def folded(values: pl.Series) -> pl.Series:
    """The texts without what a database may take for nothing: letter case, spaces, Unicode form."""
    # Zero-width characters are no white space to `\s`, and as invisible to a person.
    blanks = r"[\s\u{200b}-\u{200d}\u{feff}]+"
    return (
        _one_form(values)
        .str.to_lowercase()
        # Lower case leaves it; case folding, which a database may use, does not.
        .str.replace_all("ß", "ss", literal=True)
        .str.replace_all(blanks, "")
    )


def _one_form(values: pl.Series) -> pl.Series:
    """The texts in Unicode form NFKC. It leaves ASCII as it is, which is not worth the dearest step of all."""
    places = (values.str.len_bytes() > values.str.len_chars()).arg_true()
    if not len(places):
        return values
    return values.clone().scatter(places, values.gather(places).str.normalize("NFKC"))


@dataclass(frozen=True)
class KeyClusters:
    """`placeholder`: rows whose key stands for nobody and that became one with others. `largest`: one row per key.

    **Shape**: `largest` has the columns of `ODD_SCHEMA`; `what` is `nobody`, or `collapsed` for any other key; `rows`
    counts the row that won, too. Most rows first.
    """

    placeholder: int
    largest: pl.DataFrame


def find_clusters(losers: PlanTable, key: str) -> KeyClusters:
    """The clusters of the rows that were collapsed, from the keys of those that lost; `key`: the columns' names."""
    if not losers.height:
        return KeyClusters(0, pl.DataFrame(schema=ODD_SCHEMA))
    keys = pl.concat([frame["key"] for frame in losers.frames(["key"])]).rename("value")
    is_nobody = keys.str.contains(NOBODY)
    nobody = _sizes(keys.filter(is_nobody))
    others = keys.filter(~is_nobody)
    # Hashes are counted first: the texts of a million keys would take many times their memory.
    by_hash = others.hash().rename("hash").value_counts(sort=True).head(LISTED)
    largest = others.filter(others.hash().is_in(by_hash.get_column("hash").implode()))
    placeholder = int(nobody.get_column("rows").sum())
    clusters = pl.concat(
        [_listed(nobody, "nobody", key), _listed(_sizes(largest), "collapsed", key)]
    )
    return KeyClusters(placeholder, clusters)


def shared_placeholders(odd: pl.DataFrame, key: str) -> int:
    """Planned rows that share a placeholder under another key than `key`: the target itself would make them one."""
    others = odd.filter((pl.col("columns") != key) & (pl.col("what") == "shared"))
    nobody = others.filter(pl.col("value").str.contains(NOBODY))
    return int(nobody.get_column("rows").sum())


def _sizes(losers: pl.Series) -> pl.DataFrame:
    """`value` and `rows` of each key: those that lost, and the one that won."""
    counted = losers.value_counts(name="rows")
    return counted.with_columns(pl.col("rows") + 1)


def _listed(sizes: pl.DataFrame, what: str, key: str) -> pl.DataFrame:
    most = sizes.sort(["rows", "value"], descending=[True, False]).head(LISTED)
    named = most.select(
        pl.lit(key).alias("columns"),
        pl.lit(what).alias("what"),
        "value",
        "rows",
        pl.lit(None, pl.String).alias("like"),
    )
    return named.cast(ODD_SCHEMA)  # type: ignore[arg-type]  # polars types its own schema too narrowly


def look_alike_warnings(
    rows: PlanTable,
    labels: Labels,
    target_rows: PlanTable | None,
    key: Sequence[str],
    own_rows: int,
) -> tuple[str, ...]:
    """What to know of look-alike keys; `own_rows`: planned rows whose key looks like another planned row's."""
    warnings = []
    if own_rows:
        warnings.append(
            Sentence(
                "{count} planned rows have keys that differ from each other in letter case, spaces or Unicode form "
                "only: where the target takes these for one, they fuse, and the later overwrites",
                count=own_rows,
            )
        )
    if target_rows is None:
        there = 0
    else:
        there = _new_beside(rows, labels, target_rows, key)
    if there:
        warnings.append(
            Sentence(
                "{count} rows are planned as new, though the target has their key in another spelling (letter case, "
                "spaces, Unicode form): where it takes these for one, they fuse with its records, and overwrite them",
                count=there,
            )
        )
    return tuple(warnings)


def _new_beside(rows: PlanTable, labels: Labels, target_rows: PlanTable, key: Sequence[str]) -> int:
    """How many planned rows without a row in the target have a key that one which is none of ours looks like."""
    is_new = labels.of_all.is_null()
    if labels.touched is not None:
        is_new &= labels.touched
    is_nobodys = pl.repeat(value=True, n=target_rows.height, eager=True)
    is_nobodys = is_nobodys.scatter(labels.of_all.drop_nulls(), False)
    new = _forms(rows, key, is_new)
    others = _forms(target_rows, key, is_nobodys)
    if new is None or others is None or not len(new) or not len(others):
        return 0
    return int(new.is_in(others.unique().implode()).sum())


def _forms(table: PlanTable, key: Sequence[str], wanted: pl.Series) -> pl.Series | None:
    """Hashes of some rows' keys without what may count as nothing; None where the table shows no key."""
    if not set(key) <= set(table.names):
        return None
    hashes = [pl.Series(dtype=pl.UInt64)]
    start = 0
    for frame in table.frames(key):
        mine = frame.select(key).filter(wanted.slice(start, frame.height))
        start += frame.height
        text = pl.concat_str(pl.col(key).cast(pl.String), separator=_BETWEEN)
        hashes.append(folded(mine.select(text).to_series().drop_nulls()).hash())
    return pl.concat(hashes)
