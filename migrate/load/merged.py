"""Which records a write has merged away, whatever the target says of merges long ago.

An answer may list all ids that a record ever went by, also of merges before this load, and a list
may show none of them. So an id counts as merged away by this load only where the target had it when
the plan read it, or this load made it.

**Source**: Octolis Data API, "Upsert a record": the masterids of merged records are in `__all_masterids__`. In its
samples the record's own id is not among them, so a merge may keep one of the old ids or give a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.load.planned import DatasetToLoad
from migrate.names import MASTERID
from migrate.target.results import Rejected, Written


@dataclass
class HeldBefore:
    """The masterids that the target had when the plan read it; of a plan that did not read it, nothing is known.

    Kept as sorted hashes: eight bytes a record, read once something has been merged at all.
    """

    files: Sequence[Path]
    is_known: bool

    @cached_property
    def _hashes(self) -> pl.Series:
        hashes = [parquet.read(file, [MASTERID]).get_column(MASTERID).hash() for file in self.files]
        return pl.concat([pl.Series(dtype=pl.UInt64), *hashes]).sort()

    def among(self, masterids: Iterable[str]) -> set[str]:
        """Those that the target had."""
        asked = list(masterids)
        if not asked or not len(self._hashes):
            return set()
        wanted = pl.Series(asked, dtype=pl.String).hash()
        places = self._hashes.search_sorted(wanted)
        last = len(self._hashes) - 1
        is_held = self._hashes.gather(places.clip(upper_bound=last)) == wanted
        return {masterid for masterid, there in zip(asked, is_held, strict=True) if there}


@dataclass(frozen=True)
class Merging:
    """What is known of the ids that some answers name.

    `there`: the target had them, or this load made them. `gone`: this load has merged them away before.
    """

    there: Collection[str] = ()
    gone: Collection[str] = ()


def count_merges(written: Sequence[Written], known: Merging) -> list[Written]:
    """The records with only those ids in `merged_from` that their write took away, in the order of the answer.

    Where the survivor has an id that nobody knew, it goes on under a new one: `continues` names the id it had, which is
    gone without a record less.
    """
    there = set(known.there)
    gone = set(known.gone)
    counted = []
    for one in written:
        taken = [other for other in one.merged_from if other in there and other not in gone]
        is_new = bool(taken) and one.masterid not in there
        continues = taken[0] if is_new else None
        counted.append(replace(one, merged_from=tuple(taken), continues=continues))
        gone.update(taken)
        there.add(one.masterid)
    return counted


class Merges:
    """Tells of every answer what it has merged away; `seen` asks the ledger, see `Lessons.seen`."""

    def __init__(self, seen: Callable[[str, Collection[str]], tuple[set[str], set[str]]]) -> None:
        self._seen = seen
        self._held: dict[str, HeldBefore] = {}

    def had(self, dataset: DatasetToLoad, masterid: str) -> bool:
        """Whether the target had a record when the plan read it; False where it did not read it."""
        return bool(self._before(dataset).among([masterid]))

    def count(
        self, dataset: DatasetToLoad, verdicts: Sequence[Written | Rejected]
    ) -> list[Written | Rejected]:
        """The verdicts, of each written record only the ids that its write took away."""
        written = [verdict for verdict in verdicts if isinstance(verdict, Written)]
        named = set(chain.from_iterable(one.merged_from for one in written))
        # Most answers name no other id, and then the file of what was there is never read.
        if not named:
            return list(verdicts)
        asked = named | {one.masterid for one in written}
        ours, gone = self._seen(dataset.name, asked)
        before = self._before(dataset)
        # A plan that read nothing cannot tell an old merge from a new one: it counts as new.
        if before.is_known:
            there = ours | before.among(asked)
        else:
            there = asked
        counted = iter(count_merges(written, Merging(there, gone)))
        return [next(counted) if isinstance(v, Written) else v for v in verdicts]

    def _before(self, dataset: DatasetToLoad) -> HeldBefore:
        if dataset.name not in self._held:
            is_known = bool(dataset.before) or dataset.counted is not None
            self._held[dataset.name] = HeldBefore(dataset.before, is_known)
        return self._held[dataset.name]
