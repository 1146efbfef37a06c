"""The names that a mapping reads, by which the verifier knows what of a list's elements is looked at."""

from __future__ import annotations

from collections.abc import Iterator

from migrate.language.sql import SqlRefused, parse_sql
from migrate.verify.rules import DatasetRules


def names_read(rules: DatasetRules) -> Iterator[str]:
    """Every name that columns, `where` and look-ups read."""
    for rule in rules.columns.values():
        yield from rule.fields
    for lookup in rules.lookups.values():
        yield from (lookup.source, *lookup.ids)
    for sql in (rules.where, *(rule.sql for rule in rules.columns.values())):
        if sql is None:
            continue
        try:
            yield from parse_sql(sql).fields
        except SqlRefused:
            continue
