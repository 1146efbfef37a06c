"""Who else writes to a dataset: the records that were modified since a moment, newest first, held against the plan.

A plan's updates go back to what the target held when it was read. What somebody has changed since would be overwritten
without a value to go back to, and a count does not show it. The export of records is in the order of modification, so
what is new stands first: a page or two tell.

**Source**: Octolis Data API, "Get prepared records": `order=desc` on the system column `__modified_at__` only.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import msgspec
import polars as pl

from migrate import parquet
from migrate.load.planned import DatasetToLoad
from migrate.names import MASTERID
from migrate.plan.files import stored_columns
from migrate.target.results import RawRecord, modified_at

MODIFIED_AT = "__modified_at__"
_PAGE_ROWS = 5_000
_MOST_PAGES = 20
_LAG = timedelta(minutes=1)
_BETWEEN = "\x1f"
_OWN_S = 30.0
"""So long after a write of ours was settled a modification of its record may still be that write."""
_UNNAMED = "a planned record"


class SelectionReader(Protocol):
    """The read that is needed."""

    def list_records(
        self,
        dataset_id: str,
        page: int,
        page_size: int,
        any_of: tuple[str, Sequence[str]] | None = None,
        selection: Sequence[str] = (),
    ) -> list[RawRecord]:
        """One page of records, most recently modified first."""


class OtherProjects(Protocol):
    """What other projects of the same owner have written to a dataset: their records are nobody's foreign writes."""

    def every(self, dataset_id: str) -> frozenset[str]:
        """The masterids of all of it."""

    def among(self, dataset_id: str, masterids: Collection[str]) -> frozenset[str]:
        """Those of some masterids that are of it."""


@dataclass(frozen=True, slots=True)
class Modified:
    """A record that was modified since: its masterid, when, and the texts of its key columns that have a value.

    No more of it: a look may read a hundred thousand of them.
    """

    masterid: str
    at: datetime
    keys: Mapping[str, str]


@dataclass(frozen=True)
class KnownState:
    """What the plan has read last: the latest modification, and those up to a minute before it.

    A record that the target was still preparing when it was read shows later, with an earlier time: hence the minute.

    **Shape**: `recent` has `masterid` and `at`; as a frame, since a minute may hold a hundred thousand records.
    """

    latest: datetime
    recent: pl.DataFrame = field(repr=False)

    def unknown(self, modified: Iterable[Modified]) -> Iterator[Modified]:
        """Those in a state that the plan has not read; in their order, some thousand in memory at a time."""
        records = iter(modified)
        while some := list(islice(records, _PAGE_ROWS)):
            states = pl.DataFrame(
                {"masterid": [one.masterid for one in some], "at": [one.at for one in some]},
                schema=self.recent.schema,
            )
            rows = states.with_row_index("row").join(self.recent, on=["masterid", "at"], how="anti")
            yield from (some[row] for row in sorted(rows.get_column("row")))

    def unseen(self, modified: Iterable[Modified]) -> Iterator[Modified]:
        """The same without what is older than anything that could have escaped the reading."""
        return self.unknown(one for one in modified if one.at >= self.latest - _LAG)


def known_state(before: Sequence[Path]) -> KnownState | None:
    """What the files of the target's rows tell of the last modifications.

    None without a row, or without their times.
    """
    parts = [pl.DataFrame(schema={"masterid": pl.String, "at": pl.Datetime("ms", "UTC")})]
    for file in before:
        rows = parquet.scan(file)
        if not {MODIFIED_AT, MASTERID} <= set(rows.collect_schema().names()):
            return None
        times = rows.select(pl.col(MASTERID).alias("masterid"), at=_time(pl.col(MODIFIED_AT)))
        parts.append(times.filter(pl.col("at") >= pl.col("at").max() - _LAG).collect())
    states = pl.concat(parts)
    latest = states.get_column("at").max()
    if not isinstance(latest, datetime):
        return None
    recent = states.filter(pl.col("at") >= latest - _LAG)
    return KnownState(latest, recent)


def _time(text: pl.Expr) -> pl.Expr:
    return text.str.to_datetime(time_unit="ms", time_zone="UTC", strict=False)


def modified_since(
    reader: SelectionReader,
    dataset_id: str,
    since: datetime,
    keys: Collection[str],
    selection: Sequence[str] = (),
    size: int = _PAGE_ROWS,
) -> Iterator[Modified]:
    """The records modified at `since` or later, newest first; pages are asked for until an earlier one comes.

    `keys`: the columns that are kept of each.
    """
    for page in range(1, _MOST_PAGES + 1):
        records = reader.list_records(dataset_id, page, size, selection=selection)
        for record in records:
            at = modified_at(record)
            masterid = _text(record.get(MASTERID))
            if at is None or masterid is None:
                continue
            if at < since:
                return
            # The plan's times are read to the millisecond: a finer one would look like another state.
            texts = {name: text for name in keys if (text := _text(record.get(name))) is not None}
            yield Modified(masterid, at.replace(microsecond=at.microsecond // 1000 * 1000), texts)
        if len(records) < size:
            return


def planned_among(
    dataset: DatasetToLoad, modified: Sequence[Modified], sent: Collection[int] = ()
) -> dict[str, str]:
    """By masterid the source record of each planned row that one of the modified records is, or shares a key with.

    `sent`: batches of which something may have been written already: a record of theirs may be our own doing.
    """
    if not modified or not dataset.rows:
        return {}
    rows = parquet.scan(dataset.records).filter(~pl.col("batch").is_in(list(sent)))
    names = rows.collect_schema().names()
    if "sources" in names:
        source = pl.col("sources").list.first()
    else:
        source = pl.lit(None)
    hits: dict[str, str] = {}
    if "masterid" in names:
        ids = [record.masterid for record in modified]
        mine = (
            rows.filter(pl.col("masterid").is_in(ids))
            .select("masterid", source.alias("source"))
            .collect()
        )
        hits |= {masterid: _named(first) for masterid, first in mine.iter_rows()}
    for key in dataset.all_keys:
        keyed = ((_key_of(record.keys, key), record.masterid) for record in modified)
        by_key = {text: masterid for text, masterid in keyed if text is not None}
        columns = list(stored_columns(key).values())
        if not by_key or not set(columns) <= set(names):
            continue
        text = pl.concat_str([pl.col(name).cast(pl.String) for name in columns], separator=_BETWEEN)
        texts = rows.select(text.alias("text"), source.alias("source"))
        shared = texts.filter(pl.col("text").is_in(list(by_key))).collect()
        hits |= {by_key[value]: _named(first) for value, first in shared.iter_rows()}
    return hits


def named_by_masterid(dataset: DatasetToLoad, masterids: Sequence[str]) -> dict[str, str]:
    """By masterid the source record of each planned row; of one that the plan does not know by it, no name."""
    known = [Modified(masterid, datetime.min, {}) for masterid in masterids]
    return {**dict.fromkeys(masterids, _UNNAMED), **planned_among(dataset, known)}


def key_columns(dataset: DatasetToLoad) -> tuple[str, ...]:
    """The columns of all keys of a dataset, each once."""
    return tuple(dict.fromkeys(chain.from_iterable(dataset.all_keys)))


def _key_of(texts: Mapping[str, str], key: Sequence[str]) -> str | None:
    if not all(name in texts for name in key):
        return None
    return _BETWEEN.join(texts[name] for name in key)


def _named(source: Mapping[str, object] | None) -> str:
    if not source:
        return _UNNAMED
    # An id may be an address; the masterid beside it tells which record it is.
    name = str(source["id"])
    return f"{source['resource']} {'…' if '@' in name else name} of {source['source']}"


def _text(raw: msgspec.Raw | None) -> str | None:
    """A JSON value as the plan's key columns have it; None for null and for what is not there."""
    if raw is None or bytes(raw) == b"null":
        return None
    text = bytes(raw).decode("utf-8", "replace").strip()
    if text.startswith('"'):
        return str(msgspec.json.decode(raw))
    return text


_NAMED = 10


@dataclass(frozen=True)
class ForeignWrites:
    """What others have modified: `planned` names the source record of each that the plan is yet to send, by masterid.

    `written`: the same of records that this load had written before they were modified. `others`: masterids of
    records that the plan does not send. `newest`: the latest
    modification that is known, theirs or the plan's. `is_told`: False where the target shows no times of modification,
    so that nobody can know.
    """

    planned: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    is_told: bool = True
    newest: datetime | None = None
    written: Mapping[str, str] = field(default_factory=dict)


def came_since(dataset: DatasetToLoad, others: OtherProjects) -> int:
    """How many records other projects have made in a dataset since the plan has read it."""
    known = [
        parquet.scan(file).select(MASTERID).collect().get_column(MASTERID)
        for file in dataset.before
    ]
    theirs = pl.Series(list(others.every(dataset.dataset_id)), dtype=pl.String)
    read = pl.concat([pl.Series([], dtype=pl.String), *known])
    return int((~theirs.is_in(read.implode())).sum())


def without_others(
    writes: ForeignWrites, dataset: DatasetToLoad, others: OtherProjects | None
) -> ForeignWrites:
    """The same without the records beside the plan that other projects have made.

    A planned record stays, whoever has changed it: its values would be overwritten all the same.
    """
    if others is None or not writes.others:
        return writes
    theirs = others.among(dataset.dataset_id, writes.others)
    return replace(writes, others=tuple(one for one in writes.others if one not in theirs))


def say_records(names: Mapping[str, str]) -> str:
    """Source records in words, with their masterids; some of many."""
    some = [f"{name} (masterid {masterid})" for masterid, name in names.items()]
    more = len(some) - _NAMED
    return ", ".join(some[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def writes_since_reading(reader: SelectionReader, dataset: DatasetToLoad) -> ForeignWrites:
    """What was modified since the plan read the dataset: nothing of it is ours, since nothing was sent yet."""
    known = known_state(dataset.before)
    if known is None:
        return ForeignWrites(is_told=False)
    # A minute back: what the target was still preparing shows later, with an earlier time.
    every = modified_since(reader, dataset.dataset_id, known.latest - _LAG, key_columns(dataset))
    # By time and id: an edit leaves the number of records as it was, and the count cannot show it.
    foreign = list(known.unknown(every))
    planned = planned_among(dataset, foreign)
    others = (record.masterid for record in foreign if record.masterid not in planned)
    newest = max([known.latest, *(record.at for record in foreign)])
    return ForeignWrites(planned, tuple(dict.fromkeys(others)), newest=newest)


def not_our_own(
    modified: Sequence[Modified], settled_at: Mapping[str, float], ahead_s: float
) -> list[Modified]:
    """The modifications that are none of our writes: of records that we never wrote, or later than our write of them.

    **Units**: `settled_at` in seconds since 1970 by this machine's clock, by masterid; `ahead_s`: by how much the
    service's clock is ahead of it.
    """
    late_s = ahead_s + _OWN_S
    return [
        record
        for record in modified
        if record.at.timestamp() > settled_at.get(record.masterid, -math.inf) + late_s
    ]


def writes_beside_ours(
    dataset: DatasetToLoad,
    modified: Sequence[Modified],
    begun: Collection[int],
    written: Collection[str],
) -> ForeignWrites:
    """The same while the load runs, of modifications that are not its own.

    `begun`: batches that are on their way; `written`: masterids that this load has written. A record of such a batch
    whose masterid nobody knows yet is taken for our own doing.
    """
    unwritten = [record for record in modified if record.masterid not in written]
    planned = planned_among(dataset, unwritten, begun)
    names = planned_among(dataset, modified)
    again = {
        record.masterid: names.get(record.masterid, _UNNAMED)
        for record in modified
        if record.masterid in written
    }
    in_the_plan = names.keys() | again.keys()
    others = (record.masterid for record in modified if record.masterid not in in_the_plan)
    return ForeignWrites(planned, tuple(dict.fromkeys(others)), written=again)
