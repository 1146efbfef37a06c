"""What should be there against what is there: every record that differs, under a name of its own. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from migrate.verify.expected import Bucket, Expected, sends_null
from migrate.verify.fields import ID, SOURCE
from migrate.verify.mapping_query import NULLS, NUMBERS, PART, as_json
from migrate.verify.naming import folded, is_prepared, is_same, name_difference, plain_form
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
OVERTAKEN = "written again by a later plan"
# What was never stored, and what a later plan has to answer for, proves nothing of this load.
_NOT_OURS_TO_JUDGE = ("rejected", "waiting", "unsent", OVERTAKEN)


@dataclass(frozen=True)
class Later:
    """What plans that were loaded after a plan have done in its dataset: a replay of its rejects, the next night.

    `written`: masterids of records that they wrote and no undo gave back; `made`: those that they created; `gone`:
    those that they merged away.
    """

    written: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()


@dataclass(frozen=True)
class KnownRows:
    """What plan and ledger say of some keys, and what the target held of them before.

    **Shape**: `states` has one row per key: `_key`, `state` (`written`, `unchanged`, `rejected` by the target or
    `unsent`) and the `masterid` as the load or the plan knew it. `before`: rows of the target as the plan read them,
    None for an offline plan. `begun`: the target's own time at the first write. `undecided`: `(resource, source, id)`
    of records that a column the verifier cannot work out may have kept out. `protected`: `(key, column)` that the
    target said it did not store. `recipes`: columns that the target's own preparation changes, and how, as the plan
    says it. `coming`:
    None once all that was written counts as prepared; before that, whether the count lacks records that may still
    come. `gone`: masterids that the load merged away. `later`: what plans that were loaded since have done: a record
    that they wrote is theirs to be judged by.
    """

    states: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=STATES))
    before: pl.DataFrame | None = None
    begun: datetime | None = None
    undecided: frozenset[tuple[str | None, ...]] = frozenset()
    protected: frozenset[tuple[str, str]] = frozenset()
    recipes: Mapping[str, str] = field(default_factory=dict)
    coming: bool | None = None
    gone: frozenset[str] = frozenset()
    theirs: frozenset[str] = frozenset()
    later: Later = field(default_factory=Later)


@dataclass(frozen=True)
class Comparison:
    """Everything that differs, and how many rows were compared. `there_before`: rows of others, older
    than the load, or another project's; `made_since`: rows that later plans of this workspace made."""

    findings: pl.DataFrame
    compared: int
    there_before: int
    made_since: int
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
    planned = known.states.get_column(KEY)
    # The export is sorted by when records were modified, so the last one of a key is the newest.
    last = held.drop_nulls(KEY).unique(KEY, keep="last", maintain_order=True)
    rows = bucket.judged(planned).join(known.states, on=KEY, how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("state").fill_null("not_planned"))
    theirs_now = last.filter(_is_among(pl.col(MASTERID), known.later.written))
    is_open = pl.col("state").is_in(_NOT_OURS_TO_JUDGE)
    since = pl.col(KEY).is_in(theirs_now.get_column(KEY).implode())
    since |= _is_among(pl.col("masterid"), known.later.written)
    rows = rows.with_columns(
        pl.when(~is_open & since).then(pl.lit(OVERTAKEN)).otherwise("state").alias("state")
    )
    judged = rows.filter(~is_open)
    pairs = _pairs(expected, judged, last)
    absent = judged.join(last, on=KEY, how="anti")
    missing, undecided = _split_undecided(absent, expected.rules, known)
    extra = held.join(bucket.rows, on=KEY, how="anti")
    made_since = extra.select(_is_among(pl.col(MASTERID), known.later.written)).to_series()
    foreign, there_before = _name_extra(extra.filter(~made_since), known)
    doubled = held.join(rows, on=KEY, how="semi").join(last, on=MASTERID, how="anti")
    doubled = doubled.filter(~_is_among(pl.col(MASTERID), known.later.made))
    # A planner that takes every record for one of the part would else go unseen.
    if expected.is_limited:
        beyond = bucket.beyond(planned)
    else:
        beyond = bucket.rows.clear()
    findings = [
        _name_missing(missing, known, absorbed),
        foreign,
        _of_target(doubled, "doubled", pl.lit("doubled")),
        _of_target(last.join(beyond, on=KEY, how="semi"), "extra", pl.lit("outside")),
        *_differences(expected, bucket, pairs, known),
    ]
    counts = rows.filter(is_open).get_column("state").value_counts().iter_rows()
    unsettled = {**dict(counts), **({"undecided": undecided} if undecided else {})}
    frame = pl.concat(findings).sort("finding", "key", "column", "masterid")
    return Comparison(frame, pairs.height, there_before, int(made_since.sum()), unsettled)


def _pairs(expected: Expected, judged: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """Each record beside the target's (`t:NAME`), with the mapped columns that any of them sends."""
    # Most mapped columns are of fields that a shop does not send: they need not be joined.
    sent = [
        name
        for place, name in enumerate(expected.columns)
        if judged.get_column(f"c:{name}").null_count() < judged.height
        or judged.select(sends_null(place).any()).item()
    ]
    named = [name for name in (MASTERID, MODIFIED_AT, *sent) if name in last.columns]
    theirs = last.select(pl.col(KEY), *(pl.col(name).alias(f"t:{name}") for name in named))
    ours = judged.select(KEY, SOURCE, ID, NULLS, *(f"c:{name}" for name in sent))
    return ours.join(theirs, on=KEY, how="inner")


def held_keys(rules: DatasetRules, target_rows: pl.DataFrame) -> pl.Series:
    """The key of each record of the target as one text, null where it has none."""
    names = [name for name in rules.key if name in target_rows.columns]
    if len(names) < len(rules.key):
        return pl.Series(KEY, [None] * target_rows.height, dtype=pl.String)
    filled: list[pl.Expr] = [pl.when(pl.col(name) != "").then(name) for name in names]
    if len(names) > 1:
        kinds = [rules.columns[name].type for name in names]
        filled = [_as_member(*pair) for pair in zip(filled, kinds, strict=True)]
        whole = pl.concat_str(filled, separator=",")
        filled = [pl.concat_str([pl.lit("["), whole, pl.lit("]")])]
    return target_rows.select(filled[0].alias(KEY)).to_series()


def _as_member(text: pl.Expr, kind: str) -> pl.Expr:
    """A part of a key as it stands in the JSON array that several make."""
    if kind in NUMBERS:
        return text
    odd = text.str.contains(r'["\\\x00-\x1f]')
    quoted = pl.concat_str([pl.lit('"'), text, pl.lit('"')])
    # Python is asked for what is odd only
    escaped = pl.when(odd).then(text).map_elements(as_json, return_dtype=pl.String)
    return pl.when(odd).then(escaped).otherwise(quoted)


def _findings(rows: pl.DataFrame, finding: str, **columns: pl.Expr) -> pl.DataFrame:
    """Rows as findings; a column that is not given is null."""
    given = {"finding": pl.lit(finding), "key": pl.col(KEY), **columns}
    return rows.select(given.get(name, pl.lit(None)).cast(pl.String).alias(name) for name in SCHEMA)


def _of_target(rows: pl.DataFrame, finding: str, name: pl.Expr) -> pl.DataFrame:
    """Records of the target as findings."""
    columns = {"name": name, "masterid": pl.col(MASTERID), "modified_at": _there(rows, MODIFIED_AT)}
    return _findings(rows, finding, **columns)


def _there(rows: pl.DataFrame, name: str) -> pl.Expr:
    if name in rows.columns:
        return pl.col(name)
    return pl.lit(None, pl.String)


def _is_among(masterid: pl.Expr, others: Collection[str]) -> pl.Expr:
    return masterid.is_in(list(others)).fill_null(value=False)


def _name_missing(
    missing: pl.DataFrame, known: KnownRows, absorbed: Collection[str]
) -> pl.DataFrame:
    masterid = pl.col("masterid")
    name = (
        pl.when(pl.col("state") == "not_planned").then(pl.lit("not_planned"))
        .when(_is_among(masterid, absorbed)).then(pl.lit("merged_away"))
        .otherwise(pl.lit("lost"))
    )  # fmt: skip
    # Of those the load itself was told so, and the count equation has them: nothing is missing.
    is_gone = missing.select(_is_among(masterid, known.gone).alias("told")).to_series()
    who = {"masterid": masterid, "source": pl.col(SOURCE), "id": pl.col(ID)}
    return pl.concat(
        [
            _findings(missing.filter(is_gone), "merged_away", name=pl.lit("merged_away"), **who),
            _findings(missing.filter(~is_gone), "missing", name=name, **who),
        ]
    )


def names_of_rekeyed(
    lost: Mapping[str, str], holders: Mapping[str, str | None], planned: Collection[str]
) -> dict[str, str]:
    """By masterid the true names of records that are missing under their keys and there under others.

    Another planned row has taken such a record over (`fused`), the target spells its key otherwise (`spelling`), or
    somebody has given it another one (`rekeyed`). `lost`: the keys they should have, by masterid; `holders`: those that
    the target shows; `planned`: which of these are the plan's.
    """
    names = {}
    for masterid in lost.keys() & holders.keys():
        shown = holders[masterid]
        is_respelt = shown is not None and folded(shown) == folded(lost[masterid])
        elsewhere = "spelling" if is_respelt else "rekeyed"
        names[masterid] = "fused" if shown in planned else elsewhere
    return names


def rename(findings: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """The findings with `names` for what was taken for a lost record, and for one that others have made."""
    lost = (pl.col("finding") == "missing") & (pl.col("name") == "lost")
    here = lost | ((pl.col("finding") == "extra") & (pl.col("name") == "foreign"))
    renamed = pl.col("masterid").replace_strict(names, default=None, return_dtype=pl.String)
    name = pl.when(here).then(pl.coalesce(renamed, "name")).otherwise("name")
    return findings.with_columns(name.alias("name"))


def _split_undecided(
    absent: pl.DataFrame, rules: DatasetRules, known: KnownRows
) -> tuple[pl.DataFrame, int]:
    """The rows that are missing, and how many of `absent` may be right not to be there.

    Those were not planned, and a column that cannot be worked out may have decided so.
    """
    if not known.undecided:
        return absent, 0
    parts = {part.resource: number for number, part in enumerate(rules.parts)}
    may_be = [(parts[resource], *who) for resource, *who in known.undecided if resource in parts]
    schema = {PART: pl.Int64, SOURCE: pl.String, ID: pl.String}
    undecided = pl.DataFrame(may_be, schema=schema, orient="row").unique()
    is_undecided = absent.filter(pl.col("state") == "not_planned").join(
        undecided, on=list(schema), how="semi", nulls_equal=True
    )
    return absent.join(is_undecided.select(KEY), on=KEY, how="anti"), is_undecided.height


def absorbed_masterids(target_rows: pl.DataFrame) -> set[str]:
    """The masterids that live on in another record."""
    if ALL_MASTERIDS not in target_rows.columns:
        return set()
    # JSON, or a database's array, with or without the record's own id: ["a","b"], {a,b}
    every = pl.col(ALL_MASTERIDS)
    own = pl.col(MASTERID)
    merged = target_rows.filter(every.str.strip_chars('[]{}" ').fill_null("") != own, every != "")
    others = merged.select(own, every.str.extract_all("[0-9A-Za-z_-]+").alias("other"))
    absorbed = others.explode("other").filter(pl.col("other") != own).get_column("other")
    return set(absorbed.drop_nulls())


def _name_extra(extra: pl.DataFrame, known: KnownRows) -> tuple[pl.DataFrame, int]:
    """Records that no row stands for, as findings; and how many of them are others': older than the load, or known."""
    planned = pl.col(KEY).is_in(known.states.get_column(KEY).implode()).fill_null(value=False)
    old = pl.col(MASTERID).is_in(list(known.theirs))
    if known.before is not None:
        old |= pl.col(MASTERID).is_in(known.before.get_column(MASTERID).implode())
    if known.begun is not None:
        created = _there(extra, CREATED_AT)
        # Without a zone it may be hours off, and in doubt a record is a finding.
        has_zone = created.str.contains(r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$")
        moment = created.str.to_datetime(strict=False, time_zone="UTC")
        old |= has_zone & (moment < pl.lit(known.begun))
    marked = extra.with_columns((~planned & old.fill_null(value=False)).alias("_there_before"))
    others = marked.filter(~pl.col("_there_before"))
    name = pl.when(planned).then(pl.lit("unexpected")).otherwise(pl.lit("foreign"))
    return _of_target(others, "extra", name), marked.height - others.height


def is_older(created_at: str | None, begun: datetime | None) -> bool:
    """True when a record of the target was made before the load's first write; false where that cannot be told."""
    if not created_at or begun is None:
        return False
    try:
        return datetime.fromisoformat(created_at) < begun
    except (ValueError, TypeError):
        return False


def _differences(
    expected: Expected, bucket: Bucket, pairs: pl.DataFrame, known: KnownRows
) -> Iterator[pl.DataFrame]:
    compared = {
        name: place
        for place, name in enumerate(expected.columns)
        if name not in expected.unverifiable and f"c:{name}" in pairs.columns
    }
    others = (_is_other(pairs, name, place).any().alias(name) for name, place in compared.items())
    # One look at all columns: most are equal in every row, and only the others are read closely.
    differs = pairs.select(others)
    for name in (column.name for column in differs if column.item()):
        rule = expected.rules.columns[name]
        differing = _differing(pairs, name, compared[name], rule.type)
        if differing.is_empty():
            continue
        # What the mapping declares may do anything to a value; what the plan has recognised does one thing.
        recipe = None if rule.recipe else known.recipes.get(name)
        if rule.recipe or recipe is not None:
            is_made = _is_made(differing, recipe)
            yield _as_findings(differing.filter(is_made), "recipe_changed", name, "recipe_changed")
            differing = differing.filter(~is_made)
        if differing.height:
            names = _names(differing, name, rule.type, bucket, known)
            yield _as_findings(differing, "different", name, names)


def _is_made(differing: pl.DataFrame, recipe: str | None) -> pl.Series:
    """Which differences are what a recipe makes of the value; all of them, where nobody knows what it does."""
    if recipe is None:
        return pl.Series([True]).new_from_index(0, differing.height)
    pairs = differing.select(pl.col("^c:.*$"), "found").iter_rows()
    return pl.Series([is_prepared(recipe, *pair) for pair in pairs], dtype=pl.Boolean)


def _as_findings(
    differing: pl.DataFrame, finding: str, column: str, names: str | pl.Series
) -> pl.DataFrame:
    """Rows of one column's differences as findings."""
    return _findings(
        differing.with_columns(pl.lit(names).alias("name")),
        finding,
        name=pl.col("name"), masterid=pl.col(f"t:{MASTERID}"), column=pl.lit(column),
        expected=pl.col(f"c:{column}"), found=pl.col("found"), source=pl.col(SOURCE), id=pl.col(ID),
        modified_at=_there(differing, f"t:{MODIFIED_AT}"),
    )  # fmt: skip


def _is_other(pairs: pl.DataFrame, name: str, place: int) -> pl.Expr:
    """Whether a column was sent and does not hold the very same text."""
    wanted = pl.col(f"c:{name}")
    sent = wanted.is_not_null() | sends_null(place)
    return sent & wanted.ne_missing(_there(pairs, f"t:{name}"))


def _differing(pairs: pl.DataFrame, name: str, place: int, kind: str) -> pl.DataFrame:
    """The rows whose column was sent and does not hold the value, with what it holds as `found`."""
    wanted = pl.col(f"c:{name}")
    stored = pl.col("found")
    own = [KEY, SOURCE, ID, f"c:{name}", f"t:{MASTERID}"]
    own += [f"t:{MODIFIED_AT}"] if f"t:{MODIFIED_AT}" in pairs.columns else []
    rows = pairs.filter(_is_other(pairs, name, place)).select(
        *own, _there(pairs, f"t:{name}").alias("found")
    )
    # most of what is spelt otherwise is the same at a glance; only what is left is read value by value
    suspects = rows.filter(plain_form(kind, wanted).ne_missing(plain_form(kind, stored)))
    values = suspects.select(wanted, stored).iter_rows()
    return suspects.filter(
        pl.Series([not is_same(kind, *pair) for pair in values], dtype=pl.Boolean)
    )


def _names(
    differing: pl.DataFrame, name: str, kind: str, bucket: Bucket, known: KnownRows
) -> pl.Series:
    """What kind of difference each is, by what the record held before and what went into it."""
    differing_values = differing.select(
        KEY, pl.col(f"t:{MASTERID}").alias(MASTERID), f"c:{name}", "found"
    )
    differing_values = differing_values.with_columns(pl.lit(None, pl.String).alias("before"))
    if known.before is not None and name in known.before.columns:
        before = known.before.unique(MASTERID, keep="last").select(
            MASTERID, pl.col(name).alias("before")
        )
        differing_values = differing_values.drop("before").join(
            before, on=MASTERID, how="left", maintain_order="left"
        )
    losers = bucket.losers.group_by(KEY).agg(pl.col(f"c:{name}").drop_nulls().alias("lost"))
    differing_values = differing_values.join(losers, on=KEY, how="left", maintain_order="left")
    names = [
        "protected" if (key, name) in known.protected
        else name_difference(kind, wanted, found, [one for one in (before, *(lost or ())) if one])
        for key, wanted, found, before, lost in differing_values.select(
            KEY, f"c:{name}", "found", "before", "lost"
        ).iter_rows()
    ]  # fmt: skip
    return pl.Series("name", names, dtype=pl.String)
