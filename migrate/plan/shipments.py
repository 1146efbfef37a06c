"""What earlier loads have sent: the proof that a difference is the target's own doing, and no change of ours.

A target that shows DELFT where we plan delft has a recipe, or was sent DELFT by us when the mapping said so. What it
shows cannot tell the two apart; what it was sent can. Where nothing proves the recipe, the value is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.plan.recipes import LEAST_ROWS


@dataclass(frozen=True)
class Shipment:
    """The records that one loaded plan sent to a dataset.

    `stored`: columns that stand in the file under another name. `arrived`: whether the target surely took them: loaded
    to the end and not undone since. What may not have arrived can speak against a recipe, and never for it.
    """

    records: Path
    stored: Mapping[str, str]
    arrived: bool


Shipments = Callable[[str], Sequence[Shipment]]
"""By dataset what was sent to it, oldest first; asked for only where there is a recipe to prove."""


def nothing_sent(_dataset: str) -> Sequence[Shipment]:
    """No shipment: nothing was loaded from here."""
    return ()


def was_sent(shipments: Sequence[Shipment], column: str, asked: pl.DataFrame) -> bool:
    """Whether the last that was sent of these rows are the very values: of five at least, and of none another.

    **Shape**: `asked` has `key` and `new`, the value that is planned. Rows that were never sent from here say nothing.
    """
    found = [pl.DataFrame(schema={"key": pl.String, "value": pl.String, "arrived": pl.Boolean})]
    for shipment in shipments:
        records = parquet.scan(shipment.records)
        name = shipment.stored.get(column, column)
        if name in records.collect_schema():
            sent = records.select(
                "key", value=pl.col(name).cast(pl.String), arrived=pl.lit(shipment.arrived)
            )
            found.append(sent.join(asked.lazy().select("key"), on="key", how="semi").collect())
    last = pl.concat(found).unique("key", keep="last", maintain_order=True)
    both = last.join(asked, on="key").select(
        same=pl.col("value").eq_missing(pl.col("new")), arrived="arrived"
    )
    proven = both.filter("same", "arrived").height
    return proven >= LEAST_ROWS and bool(both.get_column("same").all())
