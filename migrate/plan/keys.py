"""What is odd about the values of a key: shared by several rows, placeholders for nobody, look-alikes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from migrate.mapping.placeholders import PLACEHOLDER
from migrate.plan.document import SharedKey

ODD_SCHEMA = {
    "columns": pl.String,
    "what": pl.String,
    "value": pl.String,
    "rows": pl.UInt32,
    "like": pl.String,
}
"""`what`: shared, placeholder or look_alike; `like`: the form in which look-alikes are the same."""

_PART_ROWS = 500_000


def odd_values(
    values: pl.Series, columns: Sequence[str], *, alternative: bool
) -> tuple[pl.DataFrame, SharedKey]:
    """The odd values of one key over the planned rows, most rows first, and their counts.

    The rows of one dataset are unique by its own key, so values are shared under an `alternative` key only. Values are
    counted where they are odd: to count all would take many times the memory of the values.
    """
    name = ", ".join(columns)
    values = values.rename("value")
    filled = values.drop_nulls() if values.null_count() else values
    shared = (
        _counted(filled.filter(repeated_hashes(filled.hash())))
        if alternative
        else _counted(filled.clear())
    )
    shared = shared.filter(pl.col("rows") > 1)
    placeholders = _counted(filled.filter(filled.str.contains(PLACEHOLDER)))
    alike = _look_alikes(filled)
    found = pl.concat(
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
    return found, SharedKey(
        columns=tuple(columns),
        empty=values.null_count(),
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

    Sorting numbers takes a fraction of the memory that grouping the values would.
    """
    ordered = hashes.sort()
    several = ordered.filter((ordered == ordered.shift(1)).fill_null(value=False)).unique()
    return hashes.is_in(several.implode()).fill_null(value=False)


def _counted(values: pl.Series) -> pl.DataFrame:
    return values.rename("value").value_counts(name="rows")


def _look_alikes(values: pl.Series) -> pl.DataFrame:
    """Values that are the same once letter case, spaces and Unicode form are put aside, with that `like` form.

    Two values look alike where their forms are the same and they are not: one value many times is no look-alike.
    """
    some = pl.DataFrame(schema={"value": pl.String})
    if len(values):
        form = pl.concat([folded(part).hash() for part in value_parts(values)])
        some = values.filter(repeated_hashes(form)).rename("value").to_frame()
    counted = some.group_by("value").len(name="rows")
    like = counted.with_columns(folded(counted.get_column("value")).alias("like"))
    return like.filter(pl.col("like").len().over("like") > 1)


def value_parts(values: pl.Series) -> Iterator[pl.Series]:
    """The values some at a time: the forms of all of them would take as much memory again."""
    return (values.slice(start, _PART_ROWS) for start in range(0, len(values), _PART_ROWS))


def folded(values: pl.Series) -> pl.Series:
    """The texts without what a database may take for nothing: letter case, spaces, Unicode form."""
    blanks = r"[\s\u{200b}-\u{200d}\u{feff}]+"
    return (
        _one_form(values)
        .str.to_lowercase()
        .str.replace_all("ß", "ss", literal=True)
        .str.replace_all(blanks, "")
    )


def _one_form(values: pl.Series) -> pl.Series:
    """The texts in Unicode form NFKC. It leaves ASCII as it is, which is not worth the dearest step of all."""
    places = (values.str.len_bytes() > values.str.len_chars()).arg_true()
    if not len(places):
        return values
    return values.clone().scatter(places, values.gather(places).str.normalize("NFKC"))
