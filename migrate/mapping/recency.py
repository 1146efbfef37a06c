"""Which of several records of one key is the latest: the time that each row ranks by.

A column reads one spelling, the stated one. Where no column says how a time is spelt, records have to be
ranked all the same, and a reading that is right in nearly all shops is better than the order in which
records came. So here every known spelling is tried, always in the same order: what a text means never
depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import polars as pl

from migrate.mapping.columns import FIELD, Computed, first_value, read_times
from migrate.mapping.dates import read_datetimes
from migrate.mapping.formats import compile_format
from migrate.mapping.model import Mapping
from migrate.mapping.series import coalesce, is_full, keep_where, without_empty
from migrate.mapping.spellings import ZERO

ORDER_BY = "collapse.order_by"
"""Under this name, beside the columns, the times are counted that no reading took and that rank nothing."""

# day before month, as in all of Europe; month first only where the text allows nothing else
_DAYS = (
    "%d-%m-%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y",
    "%b %d %Y", "%m/%d/%Y", "%m-%d-%Y", "%d-%m-%y", "%d/%m/%y", "%d.%m.%y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M:%S", ", %H:%M")  # fmt: skip
KNOWN_FORMATS = (*map("".join, product(_DAYS, _CLOCKS)), "%Y%m%d", "%Y%m%d%H%M%S")
"""Formats that a text without a stated one may have, the likelier first."""
# by how many digits an epoch of our time has; compact dates have eight or fourteen
EPOCHS = {
    "epoch_s": r"^[0-9]{9,11}(\.[0-9]+)?$",
    "epoch_ms": "^[0-9]{12,13}$",
    "epoch_us": "^[0-9]{15,16}$",
}


@dataclass(frozen=True)
class Ranking:
    """The time that ranks each row, null where none is known; `unread` where a text is there that is no time."""

    times: pl.Series
    unread: pl.Series
    texts: pl.Series

    def as_column(self) -> Computed:
        """The ranking as a column's losses are counted: what cannot be read is told like what gets lost."""
        nothing = pl.Series([None], dtype=pl.String).new_from_index(0, len(self.times))
        losses = {"unranked": self.unread} if self.unread.any() else {}
        return Computed(self.times, nothing, nothing, None, losses, self.texts)


def rank_rows(
    mapping: Mapping, rows: pl.DataFrame, computed: dict[str, Computed], zones: pl.Series
) -> Ranking:
    """The first time field that can be read, of each row; `zones` names the zone of each row's naive times.

    A field is read as the column reads it that takes it; what no column reads, in every known spelling.
    """
    times = pl.Series("_recency", [None], dtype=pl.Datetime("us")).new_from_index(0, rows.height)
    said: list[pl.Series] = []
    for name in mapping.collapse.order_by:
        text = without_empty(rows[FIELD + name])
        if text.null_count() == rows.height:
            continue
        said.append(text)
        if times.null_count():
            times = coalesce(times, _times(mapping, name, text, computed, zones))
    if not said or not times.null_count():
        # nearly always every row has a time, and then there is nothing to look for
        nothing = pl.Series([False]).new_from_index(0, rows.height)
        return Ranking(
            times.rename("_recency"), nothing, rows[FIELD + mapping.collapse.order_by[0]]
        )
    texts = first_value(said)
    # a zero date is a database's way to say that there is no time: nothing to be told of
    says = texts.is_not_null() & ~texts.str.contains(ZERO).fill_null(value=False)
    unread = times.is_null() & says
    return Ranking(times.rename("_recency"), unread, texts)


def _times(
    mapping: Mapping, name: str, text: pl.Series, computed: dict[str, Computed], zones: pl.Series
) -> pl.Series:
    reader = _column_of_times(mapping, name)
    if reader is None:
        return rank_times(text, zones)
    column = mapping.columns[reader]
    is_same = column.fields[0] == name and column.type == "datetime" and is_full(text)
    if is_same:
        own = computed[reader].value
    else:
        own = read_times(text, column, zones)
    if own.null_count() == text.null_count():
        return own
    if column.timezone is not None:
        zones = pl.Series([column.timezone]).new_from_index(0, len(text))
    return coalesce(own, rank_times(keep_where(text, own.is_null()), zones))


def _column_of_times(mapping: Mapping, name: str) -> str | None:
    """The column that takes the times of a field: a datetime before a date, which has only the day."""
    for kind in ("datetime", "date"):
        for column, rule in mapping.columns.items():
            if rule.type == kind and name in rule.fields:
                return column
    return None


def rank_times(texts: pl.Series, zones: pl.Series) -> pl.Series:
    """The time of each text in UTC, null where it is none in any known spelling.

    **Shape.** One entry per text, Datetime("us"); `zones` names the zone of each row's naive times.
    **Guarantees.** Row by row: neither order nor neighbours matter. Spaces around a text do not either.
    """
    # A column refuses a time with spaces around it; a ranking has nothing to gain from that.
    bare = texts.str.strip_chars()
    times = read_datetimes(bare, zones)["value"]
    return read_spelt(times, bare, zones, (*EPOCHS, *KNOWN_FORMATS)).rename("_recency")


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
