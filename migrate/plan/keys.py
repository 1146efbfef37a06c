"""What is odd about the values of a key: shared by several rows, placeholders for nobody, look-alikes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from migrate.plan.document import SharedKey

ODD_SCHEMA = {"columns": pl.String, "what": pl.String, "value": pl.String, "rows": pl.UInt32, "like": pl.String}
"""`what`: shared, placeholder or look_alike; `like`: the form in which look-alikes are the same."""

_MAILBOXES = (
    "info|infos|contact|contacts|hello|hi|mail|email|e-mail|sales|support|service|office|admin|administrator|webmaster|"
    "postmaster|root|no-?reply|do-?not-?reply|none|nobody|noemail|nomail|no|na|n-a|null|unknown|anonymous|anonym|guest|"
    "klant|klantenservice|geen|geenmail|onbekend|test|tests|tester|dummy|example|fake|abc|asdf|qwerty|x+|a+|1+"
)
_WORDS = (
    r"n/?a|n\.a\.|none|null|nil|nan|undefined|unknown|onbekend|geen|inconnu|aucun|test|dummy|-+|\.+|_+|x+|\?+|0+|1+"
)
PLACEHOLDER = (
    rf"(?i)^\s*(?:{_WORDS}|(?:{_MAILBOXES})(?:\+[^@]*)?@.*|.*@(?:localhost|invalid)|"
    r"\+?\d{0,3}[ ()-]*0{6,}|\+?(?:0?123456\d*|1{6,}|9{6,}))\s*$"
)
"""What people and shops write where a form insists on a value: `info@…`, `noreply@…`, `n/a`, `-`, `0000000`."""


def odd_values(values: pl.Series, columns: Sequence[str], *, alternative: bool) -> tuple[pl.DataFrame, SharedKey]:
    """The odd values of one key over the planned rows, most rows first, and their counts.

    The rows of one dataset are unique by its own key, so values are shared under an `alternative` key only.
    """
    name = ", ".join(columns)
    counted = values.rename("value").drop_nulls().value_counts(name="rows")
    shared = counted.filter(pl.col("rows") > 1) if alternative else counted.clear()
    placeholders = _placeholders(counted)
    alike = _look_alikes(counted)
    found = pl.concat(
        [
            frame.select(
                pl.lit(name).alias("columns"),
                pl.lit(what).alias("what"),
                "value",
                pl.col("rows").cast(pl.UInt32),
                (pl.col("like") if "like" in frame.columns else pl.lit(None, pl.String)).alias("like"),
            )
            for what, frame in (("shared", shared), ("placeholder", placeholders), ("look_alike", alike))
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


def _placeholders(counted: pl.DataFrame) -> pl.DataFrame:
    return counted.filter(pl.col("value").str.contains(PLACEHOLDER))


def _look_alikes(counted: pl.DataFrame) -> pl.DataFrame:
    """Values that are the same once letter case, spaces and Unicode form are put aside, with that `like` form."""
    blanks = r"[\s\u{200b}-\u{200d}\u{feff}]+"
    folded = _one_form(counted.get_column("value")).str.to_lowercase().str.replace_all("ß", "ss", literal=True)
    like = counted.with_columns(folded.str.replace_all(blanks, "").alias("like"))
    return like.filter(pl.col("like").len().over("like") > 1)


def _one_form(values: pl.Series) -> pl.Series:
    """The texts in Unicode form NFKC. It leaves ASCII as it is, which is not worth the dearest step of all."""
    places = (values.str.len_bytes() > values.str.len_chars()).arg_true()
    if not len(places):
        return values
    return values.clone().scatter(places, values.gather(places).str.normalize("NFKC"))
