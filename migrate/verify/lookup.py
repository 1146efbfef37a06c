"""Where the records of a dataset ended, for the datasets that look them up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from migrate.language.sql import SqlRefused, parse_sql
from migrate.verify.rules import DatasetRules

Pair = tuple[str, str]
LookedUp = tuple[str | None, ...]
"""The values of the columns that are looked up."""
SOURCE, ID, TOUCHED = "_source", "_id", "_touched"
_ALIAS = "\0"


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

    def among(self, pairs: Collection[Pair]) -> Answers:
        """What the table answers to these questions, quick to ask."""
        wanted = set(pairs)
        if self.aliases:
            wanted |= {(self._alias_of(source), id_) for source, id_ in pairs}
        withheld = self.withheld & wanted
        if not wanted or not (self.rows.height or withheld):
            return Answers({}, {}, self.names)
        asked = pl.DataFrame(list(wanted), schema={SOURCE: pl.String, ID: pl.String}, orient="row")
        found = self.rows.join(asked, on=[SOURCE, ID], how="semi")
        answers = {
            (source, id_): (touched, values) for source, id_, touched, *values in found.iter_rows()
        }
        aliases = {source: self._alias_of(source) for source, _ in pairs} if self.aliases else {}
        return Answers(answers, aliases, self.names, withheld)

    def _alias_of(self, source: str) -> str:
        return _ALIAS + self.aliases.get(source, source)


@dataclass(frozen=True)
class Answers:
    """Looked-up rows by source and id: whether the row may have changed, and its values."""

    rows: Mapping[Pair, tuple[bool, list[str | None]]]
    aliases: Mapping[str, str]
    names: tuple[str, ...]
    withheld: frozenset[Pair] = frozenset()

    def find(self, source: str | None, id_: str | None) -> tuple[bool, list[str | None]] | None:
        """The row of a record; one of the very source first, then one of its alias."""
        if source is None or id_ is None:
            return None
        found = self.rows.get((source, id_))
        if found is not None:
            return found
        is_withheld = (source, id_) in self.withheld
        if is_withheld or source not in self.aliases:
            return None
        return self.rows.get((self.aliases[source], id_))

    def withholds(self, source: str | None, id_: str | None) -> bool:
        """Whether a record that has no row gave none for a reason that may pass."""
        if source is None or id_ is None:
            return False
        other = self.aliases.get(source)
        return (source, id_) in self.withheld or (
            other is not None and (other, id_) in self.withheld
        )


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
    lost = set(withheld)
    if aliases:
        lost |= {(_ALIAS + aliases.get(source, source), id_) for source, id_ in withheld}
    table = pl.concat(rows).select(SOURCE, ID, TOUCHED, *names)
    return LookupTable(names, table, dict(aliases), frozenset(lost))


def looked_up_columns(rules: DatasetRules, lookup: str) -> set[str]:
    """The columns that a dataset takes from one of its look-ups."""
    names = {name for rule in rules.columns.values() for name in rule.fields}
    for sql in [rules.where, *(rule.sql for rule in rules.columns.values())]:
        try:
            names |= set(parse_sql(sql).fields) if sql else set()
        except SqlRefused:
            continue  # the column is named as not verifiable, and its neighbours need not wait for it
    names |= {
        name for other in rules.lookups.values() for name in (other.source, *other.ids)
    } | set(rules.order_by)
    return {name.partition(".")[2] for name in names if name.partition(".")[0] == lookup}
