"""Which fields of a source record say what it is worth, when it was, in which currency, with how many lines.

Declared once for the source, whatever the mappings read: a mapping that names a field wrongly
must not also move what it is measured by. Shops differ, so each has several names; the first
that has a value counts. `[datatrics.totals.RESOURCE]` in migrate.toml puts others before them.

**Source**: docs/apis.md, "What a record is worth": the names that shops' plug-ins send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

Kind = Literal["revenue", "events", "lines"]


@dataclass(frozen=True)
class SourceFields:
    """Dotted names of fields, the first with a value counts; `lines` hold lists."""

    amount: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((*self.amount, *self.time, *self.label, *self.lines)))

    def after(self, asked: Mapping[str, Sequence[str]]) -> SourceFields:
        """These fields behind those that the project file names."""

        def joined(part: str, known: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(dict.fromkeys((*asked.get(part, ()), *known)))

        return SourceFields(
            joined("amount", self.amount),
            joined("time", self.time),
            joined("label", joined("currency", joined("event", self.label))),
            joined("lines", self.lines),
        )


def _placed(names: Iterable[str], *, nests: Sequence[str]) -> tuple[str, ...]:
    """Each name flat and below each object that a service puts it in, the flat ones first."""
    fields = list(names)
    return tuple(map("".join, product(nests, fields)))


# A sale is written below `conversion`, and read flat or below `metadata`.
_SALES_NESTS = ("", "metadata.", "conversion.")
# An event is written below `interaction`, and read below `metadata`.
_EVENT_NESTS = ("metadata.", "", "interaction.")

_SALES = SourceFields(
    # Never `subtotal` or the lines' prices: they mean different things in different shops.
    amount=(
        *_placed(["total"], nests=_SALES_NESTS),
        *_placed(
            [
                "grand_total", "total_amount", "order_total", "total_price", "total_paid",
                "total_incl_tax", "amount", "revenue",
            ],
            nests=_SALES_NESTS,
        ),
    ),
    # Never `updated_at`: in Magento that is when the plug-in last touched its own row.
    time=(
        *_placed(["created", "created_at"], nests=_SALES_NESTS),
        *_placed(
            ["datetime", "date", "order_date", "ordered_at", "date_add", "timestamp"],
            nests=_SALES_NESTS,
        ),
    ),
    label=_placed(
        ["currency", "currency_code", "order_currency_code", "currency_iso"], nests=_SALES_NESTS
    ),
    lines=_placed(["items", "lines", "order_items", "line_items", "products"], nests=_SALES_NESTS),
)  # fmt: skip
_INTERACTIONS = SourceFields(
    time=_placed(
        ["datetime", "occurred_at", "timestamp", "date", "created", "created_at"],
        nests=_EVENT_NESTS,
    ),
    label=_placed(["event", "event_type", "type", "action"], nests=_EVENT_NESTS),
)
_KNOWN = {"sales": _SALES, "interactions": _INTERACTIONS}


def fields_of(
    resource: str, asked: Mapping[str, Sequence[str]] | None = None
) -> SourceFields | None:
    """The fields of a resource, `asked` before the known ones; None for one without totals."""
    known = _KNOWN.get(resource)
    return None if known is None else known.after(asked or {})
