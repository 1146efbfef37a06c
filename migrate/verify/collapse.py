"""Rows that share a key, made one row: the verifier's own ranking, in SQL.

The order of records, by which rows of one key are told first and later: by when a record was created, none first; then
by its source, its id, numbers in it by their value, and the element's place. **Source**: docs/design/plan.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from migrate import parquet
from migrate.verify.fields import ID, PLACE, SOURCE
from migrate.verify.language.database import database, register
from migrate.verify.language.steps import name, quoted
from migrate.verify.mapping_query import CREATED, NULLS, PART, ranked_time
from migrate.verify.rules import DatasetRules

_NUMBER = f"regexp_extract({ID}, '[0-9]*$')"
_ORDER = (
    "_made", f"COALESCE({SOURCE}, '')", f"left({ID}, length({ID}) - length({_NUMBER}))",
    f"length(ltrim({_NUMBER}, '0'))", f"ltrim({_NUMBER}, '0')", ID, f"COALESCE({PLACE}, 0)",
)  # fmt: skip


def collapse(
    rows: pl.DataFrame, rules: DatasetRules, columns: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The row that survives of each key, and those that went into it.

    With `fill_gaps` a column takes the best-ranked value that a record has of its own: a value beats a null and a
    default, the winner's as well as another's; without any the winner's null or default stands. A consent is false
    where a record says so, which no default does, true only where the winner says so, and never filled.
    """
    with TemporaryDirectory() as folder:
        files = {kind: Path(folder) / f"{kind}.parquet" for kind in ("given", "winners", "losers")}
        parquet.write(rows, files["given"], statistics=False)
        with database(Path(folder)) as connection:
            register(connection, {"ranked": (ranked_time, 2)})
            connection.execute(f"CREATE TABLE ranked AS {_ranked(files['given'], rules)}")
            for kind, sql in (("winners", _winners(rules, columns)), ("losers", _LOSERS)):
                connection.execute(f"COPY ({sql}) TO {quoted(str(files[kind]))} (FORMAT parquet)")
        return (
            parquet.read(files["winners"]).select(rows.columns),
            parquet.read(files["losers"]).select(rows.columns),
        )


_LOSERS = "SELECT * EXCLUDE (_made, _rank) FROM ranked WHERE _rank > 1 ORDER BY _key, _rank"


def _ranked(file: Path, rules: DatasetRules) -> str:
    """All rows with their rank, the winner's 1.

    `latest`: the newest time, one without a time last, the later record among equals. `first`: the first record.
    `source_order`: the source named first, those not named last, then as `latest`.
    """
    order = list(_ORDER)
    if rules.by != "first":
        order = [f"{one} DESC" for one in ("COALESCE(_recency, '')", *_ORDER)]
    if rules.by == "source_order":
        places = " ".join(f"WHEN {quoted(s)} THEN {n}" for n, s in enumerate(rules.source_order))
        last = len(rules.source_order)
        order.insert(
            0, f"(CASE COALESCE({SOURCE}, '') {places} ELSE {last} END)" if places else "0"
        )
    zone, text = (f"split_part({CREATED}, chr(0), {part})" for part in (1, 2))
    made = f"(CASE WHEN {CREATED} = '' THEN '' ELSE ranked({text}, {zone}) END)"
    # the rows of one file before those of the next
    order.insert(0, PART)
    given = f"(SELECT *, {made} AS _made FROM read_parquet({quoted(str(file))}))"  # noqa: S608  quoted
    return f"SELECT *, row_number() OVER (PARTITION BY _key ORDER BY {', '.join(order)}) AS _rank FROM {given}"  # noqa: S608


def _winners(rules: DatasetRules, columns: Sequence[str]) -> str:
    own = {
        one: f"(CASE WHEN {_is_weak('r', place)} THEN NULL ELSE r.{name(f'c:{one}')} END)"
        for place, one in enumerate(columns)
    }
    taken = []
    for one in columns:
        # Strictest first: one no among several records of a person is a no, and a gap is never filled with a yes.
        if rules.columns[one].consent:
            taken.append(
                f"CASE WHEN bool_or({own[one]} = 'false') THEN 'false' END AS {name(f'c:{one}')}"
            )
        elif rules.fill_gaps:
            taken.append(f"arg_min({own[one]}, r._rank) AS {name(f'c:{one}')}")
        else:
            taken.append(f"CAST(NULL AS VARCHAR) AS {name(f'c:{one}')}")
    values = {one: f"COALESCE(g.{name(f'c:{one}')}, w.{name(f'c:{one}')})" for one in columns}
    nulls = [
        f"CASE WHEN {_is_weak('w', place)} AND {values[one]} IS NULL THEN '{place},' ELSE '' END"
        for place, one in enumerate(columns)
    ]
    chosen = ", ".join(f"{sql} AS {name(f'c:{one}')}" for one, sql in values.items())
    groups = f"(SELECT r._key, {', '.join(taken)} FROM ranked r GROUP BY r._key)"  # noqa: S608
    return (
        f"SELECT w.* EXCLUDE (_made, _rank, {NULLS}, {', '.join(name(f'c:{one}') for one in columns)}), {chosen},"  # noqa: S608
        f" NULLIF(',' || concat({', '.join(nulls)}), ',') AS {NULLS}"
        f" FROM ranked w JOIN {groups} g ON g._key = w._key WHERE w._rank = 1"
    )


def _is_weak(table: str, place: int) -> str:
    return f"COALESCE(contains({table}.{NULLS}, ',{place},'), FALSE)"
