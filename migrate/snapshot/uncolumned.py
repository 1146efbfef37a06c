"""What of a resource's records has no column of its own; whoever names it still reads it."""

from __future__ import annotations

from migrate.snapshot.columns import MAX_COLUMNS, MAX_DEPTH
from migrate.snapshot.layout import ResourceResult
from migrate.snapshot.traps import Trap

_SHOWN = 5


def find_uncolumned(result: ResourceResult) -> list[Trap]:
    """Objects that stay one column, fields too many for columns, and fields that share a name."""
    found = [_folded(name, keys) for name, keys in result.folded.items()]
    if result.unlisted_fields:
        what = (
            f"at least {result.unlisted_fields:,} fields have no column: there are more than "
            f"{MAX_COLUMNS:,}"
        )
        advice = "a mapping that names one reads it from the record all the same"
        found.append(Trap("no column", None, result.unlisted_fields, what, advice))
    return [*found, *_shared(result.shared_names)]


def describe_uncolumned(result: ResourceResult) -> list[str]:
    """The same, a sentence each."""
    found = find_uncolumned(result)
    return [f"{f'{one.field}: ' if one.field else ''}{one.what}; {one.advice}" for one in found]


def _folded(name: str, keys: int) -> Trap:
    if not keys:
        what = f"nested deeper than {MAX_DEPTH} levels: what is inside has no columns"
        return Trap("nested deep", name, 1, what, f"a mapping may name it, as `{name}.FIELD`")
    what = f"an object with ids for keys, at least {keys:,} different ones: one column of JSON"
    advice = f"take its elements with `each: {name}`, or one of them as `{name}.KEY`"
    return Trap("ids for keys", name, keys, what, advice)


def _shared(names: list[str]) -> list[Trap]:
    if not names:
        return []
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    stand = "name stands" if len(names) == 1 else "names stand"
    what = f"{len(names):,} {stand} for two fields of one record: {shown}{more}"
    advice = "one has a dot in its name, the other is inside an object; the column holds the first"
    return [Trap("two of one name", None, len(names), what, advice)]
