"""Times read for ranking alone: which of two records is the later, whatever way its time is spelt.

A column reads one spelling, the stated one. Where no column says how a time is spelt, records have to be
ranked all the same, and a reading that is right in nearly all shops is better than the order in which
records came. So here every known spelling is tried, always in the same order: what a text means never
depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from migrate.mapping.dates import read_datetimes
from migrate.mapping.formats import compile_format

# day before month, as in all of Europe; month first only where the text allows nothing else
_DAYS = (
    "%d-%m-%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y",
    "%b %d %Y", "%m/%d/%Y", "%m-%d-%Y", "%d-%m-%y", "%d/%m/%y", "%d.%m.%y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M:%S", ", %H:%M")  # fmt: skip
KNOWN_FORMATS = (*(day + clock for day in _DAYS for clock in _CLOCKS), "%Y%m%d", "%Y%m%d%H%M%S")
"""Formats that a text without a stated one may have, the likelier first."""
# by how many digits an epoch of our time has; compact dates have eight or fourteen
EPOCHS = {
    "epoch_s": r"^[0-9]{9,11}(\.[0-9]+)?$",
    "epoch_ms": "^[0-9]{12,13}$",
    "epoch_us": "^[0-9]{15,16}$",
}


def rank_times(texts: pl.Series, zones: pl.Series) -> pl.Series:
    """The time of each text in UTC, null where it is none in any known spelling.

    **Shape.** One entry per text, Datetime("us"); `zones` names the zone of each row's naive times.
    **Guarantees.** Row by row: neither order nor neighbours matter. Spaces around a text do not either.
    """
    bare = texts.str.strip_chars()
    found = read_datetimes(bare, zones)["value"]
    return read_spelt(found, bare, zones, (*EPOCHS, *KNOWN_FORMATS)).rename("_recency")


def read_spelt(
    found: pl.Series, texts: pl.Series, zones: pl.Series, spellings: Iterable[str]
) -> pl.Series:
    """The times `found`, and where there is none that of the text in the first of some spellings that fits it.

    **Shape.** One entry per text; `texts` without spaces around them.
    """
    found = found.clone()  # `scatter` writes into the series itself
    frame = pl.DataFrame({"t": texts, "z": zones}).with_row_index("n")
    # Every known spelling has a figure in it.
    left = frame.filter(found.is_null() & pl.col("t").str.contains(r"[0-9]"))
    for spelling in spellings:
        if left.is_empty():
            break
        pattern = EPOCHS.get(spelling) or compile_format(spelling).pattern
        fitting = left.filter(pl.col("t").str.contains(pattern))
        if fitting.is_empty():
            continue
        times = read_datetimes(fitting["t"], fitting["z"], spelling)["value"]
        read = times.is_not_null()
        found = found.scatter(fitting["n"].filter(read), times.filter(read))
        left = left.join(
            fitting.filter(read).select("n"), on="n", how="anti", maintain_order="left"
        )
    return found
