"""Which records wait: the target has refused one that they refer to, or that one waits itself.

Sent all the same they would be orphans, lines of an order that does not exist. They are settled as waiting, and a plan
that brings their parent in brings them along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import polars as pl

from migrate import parquet
from migrate.errors import Damaged
from migrate.load.ledger import Ledger, OpenBatch
from migrate.load.planned import DatasetToLoad, ParentLink, PlannedRecord, PlannedRecords
from migrate.progress import Progress
from migrate.target.results import RawRecord, SentRecord

_Key = tuple[str, ...]
_Refused = tuple[int, frozenset[_Key]]


@dataclass
class RefusedParents:
    """What was refused so far of the datasets of one plan in `folder`, asked of the ledger when it has changed."""

    ledger: Ledger
    folder: Path
    progress: Progress
    _refused: dict[tuple[str, _Key], _Refused] = field(default_factory=dict)

    def settle_waiting(
        self, dataset: DatasetToLoad, entry: OpenBatch, records: Sequence[PlannedRecord]
    ) -> Sequence[PlannedRecord]:
        """What may be sent of a batch; the rest is settled as waiting. Raises Damaged.

        Of a batch that may have been sent before it is all of them: they may be in the target already.
        """
        # A batch that may be in the target already is not left out: its records would be there and count as waiting.
        if entry.state == "planned":
            waiting = self._waiting(dataset, records)
        else:
            waiting = {}
        if not waiting:
            return records
        self.ledger.settle_waiting(dataset.name, entry.batch, waiting)
        self.progress.advance(dataset.name, len(waiting))
        return [record for record in records if record.sent not in waiting]

    def settle_all_waiting(self, dataset: DatasetToLoad, planned: PlannedRecords) -> None:
        """The same of all batches that are left of a dataset, for who sends them otherwise than batch by batch."""
        if not any(self._of(link) for link in dataset.parents):
            return
        for entry in self.ledger.open_batches(dataset.name):
            settled = self.ledger.settled_positions(dataset.name, entry.batch)
            records = planned.batch(entry.batch)
            left = [record for record in records if record.sent.position not in settled]
            self.settle_waiting(dataset, entry, left)

    def _waiting(
        self, dataset: DatasetToLoad, records: Iterable[PlannedRecord]
    ) -> dict[SentRecord, str]:
        """Those of the records that have to wait, each with the reason, which holds no value of them."""
        refused = {link.dataset: self._of(link) for link in dataset.parents}
        links = [link for link in dataset.parents if refused[link.dataset]]
        waiting: dict[SentRecord, str] = {}
        for record in records if links else ():
            values = record.sent.values()
            for link in links:
                if _key_of(values, list(link.columns)) in refused[link.dataset]:
                    waiting.setdefault(record.sent, f"waits for its record of {link.dataset}")
        return waiting

    def _of(self, link: ParentLink) -> frozenset[_Key]:
        """The keys of what was refused, in the order of the link's columns."""
        columns = tuple(link.columns.values())
        count = self.ledger.lessons.count_left_out(link.dataset)
        known, keys = self._refused.get((link.dataset, columns), (0, frozenset()))
        # The files are read only when something more was refused: this is asked for every batch.
        if count != known:
            keys = self._read(link.dataset, columns)
            self._refused[link.dataset, columns] = count, keys
        return keys

    def _read(self, dataset: str, columns: Sequence[str]) -> frozenset[_Key]:
        file = self.folder / dataset / "records.parquet"
        schema = {"batch": pl.Int32, "position": pl.Int32}
        places = pl.LazyFrame(self.ledger.lessons.left_out(dataset), schema=schema, orient="row")
        try:
            payloads = parquet.scan(file).join(places, on=list(schema), how="semi")
            texts = payloads.select("payload").collect().to_series()
        except (pl.exceptions.PolarsError, OSError) as error:
            why = f"{file} cannot be read: {error!s:.300}"
            raise Damaged(why, hint="make a new plan with `migrate plan`") from None
        values = (msgspec.json.decode(text, type=RawRecord) for text in texts)
        keys = (_key_of(one, columns) for one in values)
        return frozenset(key for key in keys if key is not None)


def _key_of(values: Mapping[str, msgspec.Raw], columns: Sequence[str]) -> _Key | None:
    """The values of some columns as texts; None where one of them is not there."""
    literals = [bytes(values.get(name, b"null")).decode().strip() for name in columns]
    if "null" in literals:
        return None
    texts = (msgspec.json.decode(text) if text.startswith('"') else text for text in literals)
    return tuple(str(text) for text in texts)
