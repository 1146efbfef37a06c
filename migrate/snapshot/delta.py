"""What is new, changed, unchanged and gone since an earlier snapshot: by identity and hash of the record as sent."""

from __future__ import annotations

import io
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.snapshot.layout import DeltaCounts, disk_errors
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.spool import PageEntry, Spool
from migrate.workspace import FileEntry, entry_of, write_bytes

DELTA_FILE = "delta.parquet"
WHOLE_LIST = "the whole list, compared by hash"
NEWEST_FIRST = "newest first, until the watermark was passed"
# Of a digest of 128 bits the first half is looked for, and both have to be the same.
_DIGESTS = ("key", "key_too", "content", "content_too")
_BASE = dict.fromkeys(_DIGESTS, pl.UInt64)
_DIGEST_BYTES = 16
# A digest that nobody outside of this process can know, so that nobody can make two records share it.
_SECRET = secrets.token_bytes(_DIGEST_BYTES)
_STATES = {"_source": pl.String, "_id": pl.String, "state": pl.String}


@dataclass(frozen=True)
class DeltaComparison:
    """The states of the records read, and which of their rows to leave out of the parts because they are unchanged.

    **Shape**: `states` has one row per record that is new, changed or gone: `_source`, `_id`, `state`.
    """

    counts: DeltaCounts
    states: pl.DataFrame
    left_out: Mapping[int, list[int]]


def compare(
    spool: Spool, left_out: Mapping[int, list[int]], base: SnapshotResource, how: str
) -> DeltaComparison:
    """The records in the spool, but for the rows `left_out`, beside those of an earlier snapshot.

    What is gone can be told only where the whole list was read.

    **Guarantees**: one page at a time; of all records only digests stay in memory, some 80 bytes a record, and of those
    that are new, changed or gone the identities.
    """
    before = _last_of_each(pl.concat([pl.DataFrame(schema=_BASE), *_base_keys(base)]))
    unchanged_too = {page: list(rows) for page, rows in left_out.items()}
    places_seen = [pl.Series("place", [], dtype=pl.UInt32)]
    states = [pl.DataFrame(schema=_STATES)]
    counts = Counter[str]()
    for entry in spool.stored():
        judged = _judged(spool, entry, left_out.get(entry.number, []), before)
        is_unchanged = pl.col("state") == "unchanged"
        counts.update(dict(judged.group_by("state").len().iter_rows()))
        states.append(judged.filter(~is_unchanged).select(*_STATES))
        places_seen.append(judged["place"].drop_nulls())
        rows = judged.filter(is_unchanged)["row"].to_list()
        if rows:
            unchanged_too.setdefault(entry.number, []).extend(rows)
    # Of a list that was read in part what did not come may as well be behind its end.
    gone = before["key"].clear()
    if how == WHOLE_LIST:
        gone = _without(before["key"], pl.concat(places_seen))
    delta = DeltaCounts(
        new=counts["new"],
        changed=counts["changed"],
        unchanged=before.height - counts["changed"] - len(gone),
        gone=len(gone),
        how=how,
    )
    states += _named(base, gone)
    return DeltaComparison(delta, pl.concat(states), unchanged_too)


def _last_of_each(keys: pl.DataFrame) -> pl.DataFrame:
    """Sorted by `key`, and of equal ones only the last; a table of hashes would cost more than all else here."""
    ordered = keys.sort("key", "key_too", maintain_order=True)
    key, key_too = pl.col("key"), pl.col("key_too")
    is_same_as_next = (key == key.shift(-1)) & (key_too == key_too.shift(-1))
    return ordered.filter(~is_same_as_next.fill_null(value=False))


def _judged(
    spool: Spool, entry: PageEntry, left_out: Sequence[int], before: pl.DataFrame
) -> pl.DataFrame:
    """A page's records: `row`, `_source`, `_id`, `state`, and `place`, that of the same one in `before`, null if new.

    `before` is sorted by `key`: a join would build its table of all keys anew for every page.
    """
    records = spool.read(entry).frame().with_row_index("row")
    records = records.filter(~pl.col("row").is_in(left_out))
    page = records.select("row", "_source", "_id").hstack(_digests(records))
    if before.is_empty():
        return page.with_columns(state=pl.lit("new"), place=pl.lit(None, pl.UInt32))
    places = before["key"].search_sorted(page["key"]).clip(0, before.height - 1).cast(pl.UInt32)
    candidates = before[places].rename({name: f"base {name}" for name in _DIGESTS})
    is_known = _same("key") & _same("key_too")
    is_same = _same("content") & _same("content_too")
    state = (
        pl.when(~is_known)
        .then(pl.lit("new"))
        .when(is_same)
        .then(pl.lit("unchanged"))
        .otherwise(pl.lit("changed"))
    )
    place = pl.when(is_known).then(places)
    return page.hstack(candidates).select(
        "row", "_source", "_id", state.alias("state"), place.alias("place")
    )


def _same(name: str) -> pl.Expr:
    return pl.col(name) == pl.col(f"base {name}")


def _without(keys: pl.Series, places: pl.Series) -> pl.Series:
    """The keys that are in none of the places."""
    numbered = keys.to_frame().with_row_index("place").cast({"place": pl.UInt32})
    return numbered.join(places.to_frame("place"), on="place", how="anti")["key"]


def write_states(states: pl.DataFrame, folder: Path, root: Path) -> FileEntry:
    """The file with the states, for the manifest in `root`."""
    buffer = io.BytesIO()
    parquet.write(states, buffer, compression="zstd", statistics=False)
    path = folder / DELTA_FILE
    with disk_errors(path, buffer.getbuffer().nbytes):
        write_bytes(path, buffer.getvalue())
    return entry_of(path, root, states.height)


def _digests(frame: pl.DataFrame) -> pl.DataFrame:
    """The digests of each record's identity and content; of one without an id, of its content alone.

    These decide what is unchanged and so left out. At 128 bits no two of as many records as there can
    be share one by chance, so the same digest is the same content.
    """
    content = frame["_raw"].fill_null("")
    source = pl.col("_source")
    # The length stands before the source, so that no two pairs of source and id make the same text.
    named = pl.concat_str(
        pl.when(source.is_null()).then(pl.lit("n")).otherwise(pl.lit("s")),
        source.fill_null("").str.len_bytes().cast(pl.String),
        pl.lit(":"),
        source.fill_null(""),
        pl.col("_id"),
    )
    nameless = pl.lit("r") + content
    identity = pl.when(pl.col("_id").is_null()).then(nameless).otherwise(named)
    identities = frame.select(identity).to_series()
    halves = (*_halves(identities), *_halves(content))
    return pl.DataFrame(dict(zip(_DIGESTS, halves, strict=True)), schema=_BASE)


def _halves(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Each text's digest as two columns of 64 bits, which polars can sort and compare."""
    digests = b"".join(
        blake2b(text.encode(), digest_size=_DIGEST_BYTES, key=_SECRET).digest() for text in texts
    )
    numbers = pl.Series(memoryview(digests).cast("Q"), dtype=pl.UInt64)
    return numbers.gather_every(2), numbers.gather_every(2, 1)


def _base_keys(base: SnapshotResource) -> Iterator[pl.DataFrame]:
    for frame in base.frames([]):
        yield _digests(frame)


def _named(base: SnapshotResource, keys: pl.Series) -> Iterator[pl.DataFrame]:
    for frame in base.frames([]) if len(keys) else ():
        is_gone = _digests(frame)["key"].is_in(keys.implode())
        yield frame.filter(is_gone).select("_source", "_id", state=pl.lit("gone"))
