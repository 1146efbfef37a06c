"""Traps in the records themselves: things that make a naive mapping lose or bend data, recognised by their values.

What has no column of its own is told among them: whoever names it still reads it.

**Source**: what the shop plug-ins and the documents are known to send; each trap says what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from migrate.language.number_style import EVIDENCE, advise_style
from migrate.sentence import Sentence
from migrate.snapshot.json_text import MAX_COLUMNS, MAX_DEPTH
from migrate.snapshot.layout import ResourceResult

HEXADECIMAL = "hexadecimal texts"
LEADING_ZEROS, PLAIN_NUMBERS, TEXTS = "numbers with leading zeros", "plain numbers", "texts"
ID_SHAPES = (LEADING_ZEROS, PLAIN_NUMBERS, HEXADECIMAL, TEXTS)
"""How ids may look."""
INT32_MAX = 2_147_483_647
# What Magento's plug-in writes into its own tables, and sends with the rest of the row.
_SYNC_STATES = ("Queued for Update", "Synced", "Error", "Failed")
_VALUE, _LITERAL = pl.col("value"), pl.col("literal")
# Eighteen digits fit an Int64; what is longer is beyond int32 by its length.
_DIGITS = _VALUE.str.contains(r"^[1-9]\d{0,17}$")
TRAP_COUNTS: Mapping[str, pl.Expr] = {
    # Datatrics' tracker is built like Matomo, where goal -1 is the abandoned cart.
    "cart": (_VALUE == "-1").sum(),
    "zero date": _VALUE.str.starts_with("0000-00-00").sum(),
    "sync state": _VALUE.is_in(_SYNC_STATES).sum(),
    "beyond int32": (
        (pl.when(_DIGITS).then(_VALUE).cast(pl.Int64, strict=False) > INT32_MAX).fill_null(False)
        | _VALUE.str.contains(r"^[1-9]\d{18,}$")
    ).sum(),
    **{f"style {name}": _VALUE.str.contains(sign).sum() for name, sign in EVIDENCE.items()},
    # The target's floats have six digits.
    "long fraction": _LITERAL.str.contains(r"^-?\d+\.\d{7,}").sum(),
}
"""How often each sign of a trap stands in a field, as expressions over `literal` and `value`."""

WORDS = {
    "cart": (
        "goal -1 marks a cart, not an order",
        "leave carts out with `where`, or revenue is inflated",
    ),
    "zero date": ("0000-00-00 for no date", "choose `on_invalid: omit`, or the rows are rejected"),
    "sync state": (
        "the state of a shop plug-in's synchronisation",
        "put it under `ignore`: it is no customer's status",
    ),
    "beyond int32": (
        "whole numbers beyond 2,147,483,647",
        "map it as text: an integer column refuses them",
    ),
    "long fraction": (
        "fractions of more than six digits",
        "map it as text, or accept that a float column rounds them",
    ),
}
"""What each trap of a field is, and what to do about it."""
_SHOWN = 5


@dataclass(frozen=True)
class Trap:
    """Something to decide before mapping. `field` is None where it concerns the whole resource."""

    name: str
    field: str | None
    count: int
    what: str
    advice: str


def find_traps(
    resource: str,
    tally: pl.DataFrame | None,
    id_shapes: Mapping[tuple[str, str], int],
    rows: int,
) -> list[Trap]:
    """The traps of a resource, from how often their signs were seen."""
    traps = _id_schemes(id_shapes)
    if tally is None:
        return traps
    by_field = tally.group_by("field", maintain_order=True).agg(pl.exclude(pl.String).sum())
    for row in by_field.iter_rows(named=True):
        of_field = (_of_field(resource, name, row) for name in TRAP_COUNTS)
        traps += filter(None, of_field)
        traps += _number_style(row)
        traps += _mixed(row)
    return traps + _foreign_keys(resource, by_field, rows)


def _of_field(resource: str, name: str, row: Mapping[str, int]) -> Trap | None:
    count, field = row[name], str(row["field"])
    leaf = field.rpartition(".")[2].lower()
    applies = {
        "cart": resource == "sales" and leaf == "goalid",
        "sync state": leaf == "status",
    }.get(name, True)
    if not count or not applies or name not in WORDS:
        return None
    what, advice = WORDS[name]
    return Trap(name, field, count, Sentence(what), Sentence(advice))


def _number_style(row: Mapping[str, int]) -> list[Trap]:
    """How a field's numbers are written, where they are not plain: the same advice as a proposal gives."""
    counts = {name: row[f"style {name}"] for name in EVIDENCE}
    filled = row["present"] - row["null"] - row["empty"]
    advice = advise_style(counts, filled)
    if advice is None or (advice.call is None and not advice.unsure):
        return []
    if counts["comma_decimals"] + counts["point_thousands"]:
        name = "decimal comma"
    else:
        name = "number style"
    count = filled - counts["plain_number"] or filled
    if advice.call:
        say = Sentence("add `apply: [trim, {call}]` to its column", call=advice.call)
    else:
        say = Sentence("decide with who sends it, then `amount`")
    return [Trap(name, str(row["field"]), count, advice.reason, say)]


def _mixed(row: Mapping[str, int]) -> list[Trap]:
    kinds = [
        kind for kind in ("text", "integer", "decimal", "boolean", "object", "list") if row[kind]
    ]
    numbers = {"integer", "decimal"}
    # JSON writes 20.0 as 20: whole numbers among decimals are no second kind.
    if len(kinds) < 2 or set(kinds) <= numbers:
        return []
    counts = tuple(
        Sentence("{count} {kind}", count=row[kind], kind=Sentence(kind)) for kind in kinds
    )
    what = Sentence("values of several kinds: {counts}", counts=counts)
    return [
        Trap(
            "mixed types",
            str(row["field"]),
            min(row[k] for k in kinds),
            what,
            Sentence("check what its column makes of each"),
        )
    ]


def _id_schemes(shapes: Mapping[tuple[str, str], int]) -> list[Trap]:
    traps = []
    for source in dict.fromkeys(source for source, _ in shapes):
        of_source = {shape: count for (name, shape), count in shapes.items() if name == source}
        if max(of_source, key=of_source.__getitem__) == HEXADECIMAL:
            continue  # some of these have no letter in them by chance
        if len(of_source) > 1:
            counts = tuple(
                Sentence("{count} {kind}", count=count, kind=Sentence(shape))
                for shape, count in of_source.items()
            )
            what = Sentence(
                "source {source} has ids of {schemes} schemes: {counts}",
                source=repr(source),
                schemes=len(of_source),
                counts=counts,
            )
            advice = Sentence(
                "the same thing may be there under two ids; look at the dates of each scheme"
            )
            traps.append(Trap("two id schemes", None, min(of_source.values()), what, advice))
    return traps


def find_spellings(sources: Sequence[str]) -> list[Trap]:
    """Sources whose names differ in case, spaces and signs only."""
    folded: dict[str, list[str]] = {}
    for source in sources:
        if source:
            folded.setdefault(re.sub(r"[^a-z0-9]", "", source.casefold()), []).append(source)
    advice = Sentence(
        "join them under [datatrics.source_aliases] in migrate.toml, or look-ups miss"
    )
    return [
        Trap(
            "two spellings",
            None,
            len(names),
            Sentence(
                "one source under {names} names: {spellings}",
                names=len(names),
                spellings=tuple(names),
            ),
            advice,
        )
        for names in folded.values()
        if len(names) > 1
    ]


def _foreign_keys(resource: str, by_field: pl.DataFrame, rows: int) -> list[Trap]:
    if resource not in ("sales", "interactions"):
        return []
    filled = dict(
        by_field.select("field", pl.col("present") - pl.col("null") - pl.col("empty")).iter_rows()
    )
    usual = max(
        (
            filled.get(name, 0)
            for name in ("profileid", "metadata.profileid", "conversion.profileid")
        ),
        default=0,
    )
    other = filled.get("profile_id", 0)
    # Where every record has the usual field, the other one is bookkeeping.
    if not other or usual >= rows:
        return []
    what = Sentence(
        "the customer is in `profile_id` here, and in `profileid` in {usual} of {rows} records",
        usual=usual,
        rows=rows,
    )
    return [
        Trap(
            "other name",
            "profile_id",
            other,
            what,
            Sentence("take it from both: `from: [profileid, profile_id]`"),
        )
    ]


def find_uncolumned(result: ResourceResult) -> list[Trap]:
    """Objects that stay one column, fields too many for columns, and fields that share a name."""
    uncolumned = [_folded(name, keys) for name, keys in result.folded.items()]
    if result.unlisted_fields:
        what = Sentence(
            "at least {fields} fields have no column: there are more than {most}",
            fields=result.unlisted_fields,
            most=MAX_COLUMNS,
        )
        advice = Sentence("a mapping that names one reads it from the record all the same")
        uncolumned.append(Trap("no column", None, result.unlisted_fields, what, advice))
    return [*uncolumned, *_shared(result.shared_names)]


def describe_uncolumned(result: ResourceResult) -> list[str]:
    """The same, a sentence each."""
    uncolumned = find_uncolumned(result)
    return [
        f"{f'{one.field}: ' if one.field else ''}{one.what}; {one.advice}" for one in uncolumned
    ]


def _folded(name: str, keys: int) -> Trap:
    if not keys:
        what = Sentence(
            "nested deeper than {levels} levels: what is inside has no columns", levels=MAX_DEPTH
        )
        advice = Sentence("a mapping may name it, as `{name}.FIELD`", name=name)
        return Trap("nested deep", name, 1, what, advice)
    what = Sentence(
        "an object with ids for keys, at least {keys} different ones: one column of JSON", keys=keys
    )
    advice = Sentence(
        "take its elements with `each: {name}`, or one of them as `{name}.KEY`", name=name
    )
    return Trap("ids for keys", name, keys, what, advice)


def _shared(names: list[str]) -> list[Trap]:
    if not names:
        return []
    shown = ", ".join(names[:_SHOWN])
    if len(names) > _SHOWN:
        shown = Sentence("{names} and {count} more", names=shown, count=len(names) - _SHOWN)
    what = Sentence(
        "{count} name stands for two fields of one record: {names}",
        "{count} names stand for two fields of one record: {names}",
        count=len(names),
        names=shown,
    )
    advice = Sentence(
        "one has a dot in its name, the other is inside an object; the column holds the first"
    )
    return [Trap("two of one name", None, len(names), what, advice)]
