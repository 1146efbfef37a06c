"""What should be there against what is there: every record that differs, under a name of its own. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from migrate.verify.expected import Bucket, Expected, sends_null
from migrate.verify.fields import ID, SOURCE
from migrate.verify.mapping_query import PART, key_text
from migrate.verify.naming import is_same, name_difference
from migrate.verify.readback import ALL_MASTERIDS, CREATED_AT, MASTERID, MODIFIED_AT
from migrate.verify.rules import DatasetRules
from migrate.verify.spill import KEY

SCHEMA = {
    "finding": pl.String,
    "name": pl.String,
    "key": pl.String,
    "masterid": pl.String,
    "column": pl.String,
    "expected": pl.String,
    "found": pl.String,
    "source": pl.String,
    "id": pl.String,
    "modified_at": pl.String,
}
"""`finding`: missing, extra, doubled, different, recipe_changed. `name`: what kind of it, see `naming` and below."""

IDENTITY = ("finding", "key", "masterid", "column", "found")
STATES: dict[str, pl.DataType | type[pl.DataType]] = {
    KEY: pl.String,
    "state": pl.String,
    "masterid": pl.String,
}
_NOT_OURS_TO_JUDGE = ("rejected", "waiting", "unsent")
Finding = tuple[str | None, ...]


@dataclass(frozen=True)
class KnownRows:
    """What plan and ledger say of some keys, and what the target held of them before.

    **Shape**: `states` has one row per key: `_key`, `state` (`written`, `unchanged`, `rejected` by the target or
    `unsent`) and the `masterid` as the load or the plan knew it. `before`: rows of the target as the plan read them,
    None for an offline plan. `begun`: the target's own time at the first write. `undecided`: `(resource, source, id)`
    of records that a column the verifier cannot work out may have kept out. `protected`: `(key, column)` that the
    target said it did not store. `recipes`: columns that the plan saw the target's own preparation change. `coming`:
    None once all that was written counts as prepared; before that, whether the count lacks records that may still
    come. `gone`: masterids that the load merged away. `fused`: masterids that several planned keys were written to: the
    target takes these keys for one.
    """

    states: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=STATES))
    before: pl.DataFrame | None = None
    begun: datetime | None = None
    undecided: frozenset[tuple[str | None, ...]] = frozenset()
    protected: frozenset[tuple[str, str]] = frozenset()
    recipes: frozenset[str] = frozenset()
    coming: bool | None = None
    gone: frozenset[str] = frozenset()
    fused: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Comparison:
    """Everything that differs, and how many rows were compared. `there_before`: rows of others, older than the load."""

    findings: pl.DataFrame
    compared: int
    there_before: int
    unsettled: Mapping[str, int]


def compare_bucket(
    expected: Expected,
    bucket: Bucket,
    held: pl.DataFrame,
    known: KnownRows,
    absorbed: Collection[str] = (),
) -> Comparison:
    """Every record of some keys on one side against the other, by key and by value.

    Only values that were to be sent are compared: a column that a record leaves out may hold anything. Records that
    the ledger says were refused or not sent yet are counted, and no finding; so are keys that nothing may have changed
    since the last plan and that this one left alone.

    **Shape**: `held` has the column `_key`, see `held_keys`. `absorbed`: masterids that live on in
    another record.
    """
    last = held.drop_nulls(KEY).unique(KEY, keep="last", maintain_order=True)
    judged_rows = bucket.judged(known.states.get_column(KEY))
    rows = judged_rows.join(known.states, on=KEY, how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("state").fill_null("not_planned"))
    unsettled = {name: rows.filter(pl.col("state") == name).height for name in _NOT_OURS_TO_JUDGE}
    judged = rows.filter(~pl.col("state").is_in(_NOT_OURS_TO_JUDGE))
    pairs = judged.join(
        last.select(pl.all().name.prefix("t:")), left_on=KEY, right_on=f"t:{KEY}", how="inner"
    )
    absent = judged.join(last, on=KEY, how="anti")
    missing, undecided = _split_undecided(absent, expected.rules, known)
    unsettled["undecided"] = undecided
    extra = held.join(bucket.rows, on=KEY, how="anti")
    doubled = held.join(rows, on=KEY, how="semi").join(last, on=MASTERID, how="anti")
    foreign, there_before = _name_extra(extra, known)
    beyond = bucket.rows.clear()
    if expected.is_limited:
        beyond = bucket.beyond(known.states.get_column(KEY))
    sent_outside = last.join(beyond, on=KEY, how="semi")
    findings = [
        *_name_missing(missing, known, absorbed),
        *foreign,
        *(_of_target("doubled", "doubled", row) for row in doubled.iter_rows(named=True)),
        *(_of_target("extra", "outside", row) for row in sent_outside.iter_rows(named=True)),
        *_differences(expected, bucket, pairs, known),
    ]
    frame = pl.DataFrame(findings, schema=SCHEMA, orient="row").sort(
        "finding", "key", "column", "masterid"
    )
    return Comparison(frame, pairs.height, there_before, {n: c for n, c in unsettled.items() if c})


def held_keys(rules: DatasetRules, held: pl.DataFrame) -> pl.Series:
    """The key of each record of the target as one text, null where it has none."""
    names = [name for name in rules.key if name in held.columns]
    if len(names) < len(rules.key):
        return pl.Series(KEY, [None] * held.height, dtype=pl.String)
    types = [rules.columns[name].type for name in names]
    if types == ["text"]:
        only = held.get_column(names[0])
        return only.set(only == "", None).alias(KEY)
    texts = [
        None if None in row or "" in row else key_text(row, types)
        for row in held.select(names).iter_rows()
    ]
    return pl.Series(KEY, texts, dtype=pl.String)


def _name_missing(
    missing: pl.DataFrame, known: KnownRows, absorbed: Collection[str]
) -> list[Finding]:
    found: list[Finding] = []
    columns = missing.select(KEY, "state", "masterid", SOURCE, ID)
    for key, state, masterid, source, id_ in columns.iter_rows():
        if masterid in known.gone:
            # The load itself was told so, and the count equation has it: nothing is missing.
            finding, name = "merged_away", "merged_away"
        else:
            finding, name = "missing", _why_missing(state, masterid, known, absorbed)
        found.append((finding, name, key, masterid, None, None, None, source, id_, None))
    return found


def _split_undecided(
    absent: pl.DataFrame, rules: DatasetRules, known: KnownRows
) -> tuple[pl.DataFrame, int]:
    """The rows that are missing, and how many of `absent` may be right not to be there.

    Those were not planned, and a column that cannot be worked out may have decided so.
    """
    resources = [part.resource for part in rules.parts]
    identities = absent.select("state", PART, SOURCE, ID).iter_rows()
    is_undecided = [
        state == "not_planned" and (resources[part], source, id_) in known.undecided
        for state, part, source, id_ in identities
    ]
    missing = absent.filter(~pl.Series(is_undecided, dtype=pl.Boolean))
    return missing, sum(is_undecided)


def _why_missing(
    state: str, masterid: str | None, known: KnownRows, absorbed: Collection[str]
) -> str:
    if state == "not_planned":
        return "not_planned"
    if masterid in absorbed:
        return "merged_away"
    return "fused" if masterid in known.fused else "lost"


def absorbed_masterids(held: pl.DataFrame) -> set[str]:
    """The masterids that live on in another record."""
    if ALL_MASTERIDS not in held.columns:
        return set()
    found: set[str] = set()
    for own, every in held.select(MASTERID, ALL_MASTERIDS).iter_rows():
        # JSON, or a database's array, with or without the record's own id: ["a","b"], {a,b}
        if every and every.strip('[]{}" ') != own:
            found.update(other for other in re.findall(r"[0-9A-Za-z_-]+", every) if other != own)
    return found


def _name_extra(extra: pl.DataFrame, known: KnownRows) -> tuple[list[Finding], int]:
    old = set(known.before.get_column(MASTERID)) if known.before is not None else set()
    ours = set(known.states.get_column(KEY))
    found: list[Finding] = []
    there_before = 0
    for row in extra.iter_rows(named=True):
        planned = row[KEY] is not None and row[KEY] in ours
        if not planned and (row[MASTERID] in old or is_older(row.get(CREATED_AT), known.begun)):
            there_before += 1
        else:
            found.append(_of_target("extra", "unexpected" if planned else "foreign", row))
    return found, there_before


def is_older(created_at: str | None, begun: datetime | None) -> bool:
    """True when a record of the target was made before the load's first write; false where that cannot be told."""
    if not created_at or begun is None:
        return False
    try:
        return datetime.fromisoformat(created_at) < begun
    except (ValueError, TypeError):
        return False


def _of_target(finding: str, name: str, row: Mapping[str, str | None]) -> Finding:
    return (
        finding,
        name,
        row[KEY],
        row[MASTERID],
        None,
        None,
        None,
        None,
        None,
        row.get(MODIFIED_AT),
    )


def _differences(
    expected: Expected, bucket: Bucket, pairs: pl.DataFrame, known: KnownRows
) -> list[Finding]:
    found: list[Finding] = []
    earlier = _Earlier(bucket, known)
    for place, name in enumerate(expected.columns):
        if name in expected.unverifiable:
            continue
        rule = expected.rules.columns[name]
        for row in _suspects(pairs, name, place).iter_rows():
            key, source, id_, masterid, modified, wanted, value = row
            if is_same(rule.type, wanted, value):
                continue
            if rule.recipe or name in known.recipes:
                finding, called = "recipe_changed", "recipe_changed"
            elif (key, name) in known.protected:
                finding, called = "different", "protected"
            else:
                was = earlier.of(key, masterid, name)
                finding, called = "different", name_difference(rule.type, wanted, value, was)
            found.append(
                (finding, called, key, masterid, name, wanted, value, source, id_, modified)
            )
    return found


def _suspects(pairs: pl.DataFrame, name: str, place: int) -> pl.DataFrame:
    """The rows whose column was sent and does not hold the very same text."""
    stored = pl.col(f"t:{name}") if f"t:{name}" in pairs.columns else pl.lit(None, pl.String)
    wanted = pl.col(f"c:{name}")
    sent = wanted.is_not_null() | sends_null(place)
    return pairs.filter(sent & wanted.ne_missing(stored)).select(
        KEY, SOURCE, ID, f"t:{MASTERID}", _modified(pairs), wanted, stored.alias("found")
    )


def _modified(pairs: pl.DataFrame) -> pl.Expr:
    name = f"t:{MODIFIED_AT}"
    return pl.col(name) if name in pairs.columns else pl.lit(None, pl.String).alias(name)


class _Earlier:
    """Values that records had before: looked up only for what differs."""

    def __init__(self, bucket: Bucket, known: KnownRows) -> None:
        self._before = known.before
        self._losers = bucket.losers
        self._of_target: dict[str, dict[str, str | None]] | None = None
        self._of_losers: dict[str, list[dict[str, str | None]]] | None = None

    def of(self, key: str, masterid: str, column: str) -> list[str | None]:
        """The values of one column."""
        if self._of_target is None or self._of_losers is None:
            rows = [] if self._before is None else self._before.to_dicts()
            self._of_target = {str(row[MASTERID]): row for row in rows}
            self._of_losers = {}
            for row in self._losers.to_dicts():
                self._of_losers.setdefault(row[KEY], []).append(row)
        held = self._of_target.get(masterid)
        found = [held[column]] if held is not None and held.get(column) else []
        return found + [
            row[f"c:{column}"] for row in self._of_losers.get(key, []) if row[f"c:{column}"]
        ]
