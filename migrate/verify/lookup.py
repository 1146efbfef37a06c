"""Where the records of a dataset ended, for the datasets that look them up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

from migrate import parquet
from migrate.verify.language.steps import name, quoted
from migrate.verify.rules import DatasetRules, names_read

Pair = tuple[str | None, str | None]
SOURCE, ID, TOUCHED = "_source", "_id", "_touched"
# Names of an alias and of a source may be the same text; with this before it they cannot meet.
_ALIAS = "\0"
_PAIR = {SOURCE: pl.String, ID: pl.String}


@dataclass(frozen=True)
class LookupTable:
    """A dataset's records by source and id, and what is looked up of them.

    **Shape**: `rows` has one row per identity: `_source`, `_id`, `_touched` and the columns of `names`. Under an alias
    a source stands as `\\0ALIAS`. `withheld`: records that gave no row for a reason that may pass.
    """

    names: tuple[str, ...] = ()
    rows: pl.DataFrame = field(default_factory=lambda: empty_rows(()))
    aliases: Mapping[str, str] = field(default_factory=dict)
    withheld: frozenset[Pair] = frozenset()


def empty_rows(names: Iterable[str]) -> pl.DataFrame:
    """No rows of a table."""
    return pl.DataFrame(
        schema={
            SOURCE: pl.String,
            ID: pl.String,
            TOUCHED: pl.Boolean,
            **dict.fromkeys(names, pl.String),
        }
    )


def make_table(
    members: pl.DataFrame,
    names: tuple[str, ...],
    aliases: Mapping[str, str],
    withheld: Collection[Pair] = (),
) -> LookupTable:
    """The table of `members` (`_source`, `_id`, `_position`, `_touched` and `names`), and of records `withheld`.

    Where a record gave several rows the first counts; where two records meet under an alias, the first by source name.
    """
    placed = members.filter(pl.col(SOURCE).is_not_null() & pl.col(ID).is_not_null())
    placed = placed.sort(SOURCE, ID, "_position", nulls_last=False)
    rows = [placed.unique([SOURCE, ID], keep="first", maintain_order=True)]
    if aliases:
        common = rows[0].with_columns(
            (pl.lit(_ALIAS) + pl.col(SOURCE).replace(dict(aliases))).alias(SOURCE)
        )
        rows.append(common.unique([SOURCE, ID], keep="first", maintain_order=True))
    # nothing finds what has no source or no id
    lost = {(source, id_) for source, id_ in withheld if source is not None and id_ is not None}
    if aliases:
        lost |= {(_ALIAS + aliases.get(source, source), id_) for source, id_ in lost}
    table = pl.concat(rows).select(SOURCE, ID, TOUCHED, *names)
    return LookupTable(names, table, dict(aliases), frozenset(lost))


def store_lookup(
    connection: duckdb.DuckDBPyConnection, folder: Path, lookup: str, table: LookupTable
) -> None:
    """Gives a look-up's rows to the database, as `join_lookup` asks them."""
    withheld = pl.DataFrame(list(table.withheld), _PAIR, orient="row")
    missing = [
        pl.lit(None, pl.String).alias(one) for one in table.names if one not in table.rows.columns
    ]
    for kind, rows in (("rows", table.rows.with_columns(missing)), ("withheld", withheld)):
        file = folder / "lookup.parquet"
        parquet.write(rows, file)
        target = name(f"{lookup}?{kind}")
        stored = f"SELECT * RENAME (_source AS k_source, _id AS k_id) FROM read_parquet({quoted(str(file))})"  # noqa: S608  quoted
        connection.execute(f"CREATE TABLE {target} AS {stored}")
        file.unlink()


def join_lookup(relation: str, lookup: str, table: LookupTable, source: str, id_: str) -> str:
    """A relation in SQL with what each row looks up: `LOOKUP.COLUMN`, and `LOOKUP?found`, `?touched`, `?withheld`.

    A row of the very source counts first, then one of its alias. Withheld is what gave no row for a reason that may
    pass, whatever there is under the alias.
    """
    rows = name(f"{lookup}?rows")
    lost = name(f"{lookup}?withheld")
    alias = _alias_sql(source, table.aliases)
    joins = [f"LEFT JOIN {rows} a ON a.k_source = {source} AND a.k_id = {id_}"]
    joins.append(f"LEFT JOIN {lost} w ON w.k_source = {source} AND w.k_id = {id_}")
    is_known, is_withheld = "a.k_id IS NOT NULL", "w.k_id IS NOT NULL"
    values = {one: f"a.{name(one)}" for one in (TOUCHED, *table.names)}
    if table.aliases:
        joins.append(f"LEFT JOIN {rows} b ON b.k_source = {alias} AND b.k_id = {id_}")
        joins.append(f"LEFT JOIN {lost} v ON v.k_source = {alias} AND v.k_id = {id_}")
        also = "(w.k_id IS NULL AND b.k_id IS NOT NULL)"
        values = {
            one: f"(CASE WHEN {is_known} THEN {sql} WHEN {also} THEN b.{name(one)} END)"
            for one, sql in values.items()
        }
        is_known = f"({is_known} OR {also})"
        is_withheld = f"({is_withheld} OR v.k_id IS NOT NULL)"
    columns = [f"{values.pop(TOUCHED)} AS {name(lookup + '?touched')}"]
    columns += [f"{sql} AS {name(f'{lookup}.{one}')}" for one, sql in values.items()]
    columns.append(f"{is_known} AS {name(lookup + '?found')}")
    columns.append(f"(NOT {is_known} AND {is_withheld}) AS {name(lookup + '?withheld')}")
    return f"(SELECT r.*, {', '.join(columns)} FROM {relation} r {' '.join(joins)})"  # noqa: S608  quoted


def _alias_sql(source: str, aliases: Mapping[str, str]) -> str:
    cases = " ".join(f"WHEN {quoted(one)} THEN {quoted(other)}" for one, other in aliases.items())
    if cases:
        return f"(chr(0) || CASE {source} {cases} ELSE {source} END)"
    return source


def looked_up_columns(rules: DatasetRules, lookup: str) -> set[str]:
    """The columns that a dataset takes from one of its look-ups."""
    places = (name.partition(".") for name in names_read(rules))
    return {column for head, _, column in places if head == lookup}
