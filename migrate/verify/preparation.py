"""Whether a difference may still be the target's preparation: what was acknowledged shows later. Pure.

The target answers a write at once and prepares the record afterwards; counts and lists show what is prepared. So a
difference is not believed while the youngest acknowledged write is younger than a bound and what is missing looks as if
it were on its way.

**Source**: Octolis Data API, "three steps": deduplication is synchronous, preparation is asynchronous. How long it
takes is not said; `[octolis] settle_minutes` bounds it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl


@dataclass(frozen=True)
class Acknowledged:
    """When the target acknowledged what the load wrote, in the time of this machine.

    `youngest`: of all writes. `made`: masterid to when it was made, of records that the load created. `gone`: masterids
    that the load merged away.
    """

    youngest: datetime | None = None
    made: Mapping[str, float] = field(default_factory=dict)
    gone: Collection[str] = ()

    def settles_at(self, bound: timedelta) -> datetime | None:
        """From when on everything counts as prepared; None where nothing was written."""
        if self.youngest is None:
            return None
        return self.youngest + bound


def is_on_its_way(there: Collection[str], acknowledged: Acknowledged) -> bool:
    """Whether all that differs may still come: nothing of it is there, or only what was written before all of it.

    A record that is missing although younger ones are there was not merely late. `there`: the target's masterids.
    """
    masterids = set(there)
    # A record that was merged away and still shows: the preparation has not come so far.
    if masterids.intersection(acknowledged.gone):
        return True
    made = acknowledged.made
    # What the load merged away is not missed: that it is gone is as it should be.
    missing = [made[m] for m in made.keys() - masterids - set(acknowledged.gone)]
    if not missing:
        return False
    shown = [at for masterid, at in made.items() if masterid in masterids]
    return not shown or min(missing) > max(shown)


def hold_back(findings: pl.DataFrame, begun: datetime | None, *, coming: bool) -> pl.Series:
    """Which findings wait for the preparation: values of before the load, and lost records where some are `coming`.

    **Shape**: `findings` as `compare.SCHEMA`. `begun`: the target's own time at the first write.
    """
    lost = (pl.col("finding") == "missing") & pl.col("name").is_in(["lost", "merged_away"])
    waits = lost if coming else pl.lit(value=False)
    if begun is not None:
        modified = pl.col("modified_at").str.to_datetime(strict=False, time_zone="UTC")
        changed = pl.col("finding").is_in(["different", "recipe_changed"])
        waits |= changed & (modified < pl.lit(begun)).fill_null(value=False)
    return findings.select(waits.alias("waits")).to_series()
