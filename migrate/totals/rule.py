"""What is totalled of a dataset: which of its columns say worth, time and currency. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from migrate.sentence import Sentence
from migrate.totals.declared import Kind, SourceFields, fields_of

_AMOUNTS = (
    "total", "grand_total", "total_amount", "order_total", "total_price", "total_paid", "amount",
    "revenue",
)  # fmt: skip
_TIMES = (
    "created_at", "ordered_at", "order_date", "occurred_at", "datetime", "date", "created",
    "purchased_at",
)  # fmt: skip
_LABELS: Mapping[Kind, tuple[str, ...]] = {
    "revenue": ("currency", "currency_code"),
    "events": ("event", "event_type", "type"),
    "lines": (),
}
_NUMBERS = ("float", "integer", "text")
# The target's floats have six digits, so amounts may be kept there in hundredths, as integers.
_IN_CENTS = ("_cents", "_minor")
_ORDERS = ("order", "sale", "transaction")
_LINES = ("item", "line")


@dataclass(frozen=True)
class ColumnFacts:
    """What of a mapped column matters here: its type, and the fields that its value comes from."""

    type: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetFacts:
    """What of a mapping matters here. `is_row_each`: a record's own id is in the key, so that each makes a row."""

    dataset: str
    resource: str
    each: str | None
    columns: Mapping[str, ColumnFacts]
    is_row_each: bool = False


@dataclass(frozen=True)
class Rule:
    """How a dataset is totalled. `amount`, `time`, `label`: its columns, None where it has none.

    `resource`: whose rows are totalled, where several resources make the dataset; '' where all are. `cents`: the amount
    column holds hundredths.
    """

    dataset: str
    kind: Kind
    fields: SourceFields
    amount: str | None = None
    time: str | None = None
    label: str | None = None
    cents: bool = False
    as_days: bool = False
    spelling: str | None = None
    resource: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, each once."""
        named = (self.amount, self.time, self.label)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def by(self) -> tuple[str, ...]:
        """What its groups are told apart by."""
        period = {"revenue": "month", "lines": "month", "events": "day"}[self.kind]
        label = "type" if self.kind == "events" else "currency"
        return (*([period] if self.time else []), *([label] if self.label else []))

    @property
    def doubts(self) -> tuple[str, ...]:
        """What these totals cannot tell, as sentences."""
        reasons = []
        if self.kind == "revenue" and self.amount is None:
            reasons.append(
                Sentence(
                    "no column of {dataset} is known to hold what an order is worth, so only their number is "
                    "compared; name it under [octolis.totals.{dataset}] amount",
                    dataset=self.dataset,
                )
            )
        return tuple(reasons)


def rule_of(
    facts: DatasetFacts,
    source_names: Mapping[str, Sequence[str]] | None = None,
    column_names: Mapping[str, str] | None = None,
    spelling: str | None = None,
) -> Rule | None:
    """How a dataset is totalled, None where it holds nothing that is.

    `source_names`: fields of its resource, and `column_names`: columns, that the project names; `spelling`: how it
    says that the source's times are spelt.
    """
    fields = fields_of(facts.resource, source_names)
    kind = _kind_of(facts, fields, column_names or {})
    if kind is None or fields is None:
        return None
    asked = column_names or {}
    amount = None
    # Lines are counted and never added up: plug-ins send parents beside their parts, or a line's total as its price.
    if kind == "revenue":
        amount = _named(facts, asked.get("amount"), _AMOUNTS, fields.amount, _NUMBERS)
    times = fields.time
    time = _named(facts, asked.get("time"), _TIMES, times, ("datetime", "date"))
    label = None
    if kind != "lines":
        wanted = asked.get("currency", asked.get("event"))
        label = _named(facts, wanted, _LABELS[kind], fields.label, ("text",))
    return Rule(
        facts.dataset, kind, fields, amount, time, label,
        cents=amount is not None and amount.endswith(_IN_CENTS),
        # A day without a time has no zone, and a shift would make it another day.
        as_days=time is not None and facts.columns[time].type == "date",
        spelling=spelling,
        resource=facts.resource,
    )  # fmt: skip


def _kind_of(
    facts: DatasetFacts, fields: SourceFields | None, asked: Mapping[str, str]
) -> Kind | None:
    if fields is None or asked.get("amount") == "":
        return None
    if facts.resource == "interactions":
        return None if facts.each else "events"
    if facts.each is not None:
        is_lines = facts.each in fields.lines or _is_named(facts.dataset, _LINES)
        return "lines" if is_lines else None
    # Sales may make people as well: a dataset of orders has a row for each sale, whatever it is called, or says
    # so, by name or by setting.
    is_said = _is_named(facts.dataset, _ORDERS) or bool(asked.get("amount"))
    return "revenue" if facts.is_row_each or is_said else None


def _is_named(dataset: str, words: Sequence[str]) -> bool:
    return any(word in dataset.lower() for word in words)


def _named(
    facts: DatasetFacts,
    asked: str | None,
    names: Sequence[str],
    fields: Sequence[str],
    types: Sequence[str],
) -> str | None:
    """The column that the project names, else one of a usual name, else one made of such a field."""
    if asked is not None and asked in facts.columns:
        return asked
    fitting = {name: column for name, column in facts.columns.items() if column.type in types}
    in_cents = map("".join, product(names, _IN_CENTS))
    by_name = [*names, *in_cents]
    usual = next((name for name in by_name if name in fitting), None)
    if usual is not None:
        return usual
    known = set(fields)
    return next((n for n, column in fitting.items() if known.intersection(column.fields)), None)
