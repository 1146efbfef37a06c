"""What an inspection found, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from migrate.report.cells import format_share
from migrate.report.extract import NOT_MIGRATED
from migrate.report.shown import Shown
from migrate.report.terminal import inert, render_table, say_count
from migrate.sentence import Sentence

if TYPE_CHECKING:
    from migrate.snapshot.inspection import (
        FieldCounts,
        FieldInspection,
        Inspection,
        ResourceInspection,
    )

_BIRTHDAYS = ("birth", "dob", "geboorte", "naissance", "geburt")
_PHONE_DIGITS = 9
_EXAMPLE_WIDTH = 44
_LONGEST_EXTREME = 40
_RANGES_SHOWN = 8


def summarise_inspection(inspection: Inspection, shown: Shown) -> dict[str, Any]:
    """The inspection's part of the JSON object; its examples are what is `shown`."""
    return {
        "snapshot": inspection.snapshot,
        "resources": {
            resource.name: _resource(resource, shown) for resource in inspection.resources
        },
        "traps": [
            *({"resource": None, **asdict(trap)} for trap in inspection.traps),
            *(
                {"resource": r.name, **asdict(trap)}
                for r in inspection.resources
                for trap in r.traps
            ),
        ],
        "not_migrated": NOT_MIGRATED,
    }


def _resource(resource: ResourceInspection, shown: Shown) -> dict[str, Any]:
    of_resource = shown.of([resource.name])
    return {
        "rows": resource.rows,
        "sources": dict(resource.sources),
        "fields": {field.name: _field(field, of_resource) for field in resource.fields},
    }


def _field(field: FieldInspection, shown: Shown) -> dict[str, Any]:
    def show(value: str) -> str:
        return shown.text(value, field.name) or ""

    return {
        **_counts(field.counts),
        "distinct": field.distinct.values,
        "distinct_is_exact": field.distinct.is_exact,
        "distinct_within": field.distinct.within,
        **_range(field, show),
        "longest": field.longest,
        "examples": [show(value) for value in field.examples],
        # Bars of births would show single people.
        "months": {} if _is_birthday(field.name) else dict(field.months),
        "by_source": {source: _counts(counts) for source, counts in field.by_source.items()},
    }


def _range(field: FieldInspection, show: Callable[[str], str]) -> dict[str, Any]:
    extremes = field.extremes
    if extremes is None:
        return {"min": None, "max": None, "range_of": None, "range_values": 0, "zones_mixed": False}
    return {
        "min": _extreme(field.name, extremes.least, show),
        "max": _extreme(field.name, extremes.most, show),
        "range_of": extremes.of,
        "range_values": extremes.values,
        "zones_mixed": extremes.zones_mixed,
    }


def _extreme(name: str, value: str, show: Callable[[str], str]) -> str:
    """The first or last value; masked where it may say something of one person: a birthday, a telephone number."""
    is_long = value.isdigit() and len(value) >= _PHONE_DIGITS
    written = show(value) if is_long or _is_birthday(name) else value
    if len(written) <= _LONGEST_EXTREME:
        return written
    return f"{written[: _LONGEST_EXTREME - 1]}…"


def _is_birthday(name: str) -> bool:
    return any(word in name.rpartition(".")[2].lower() for word in _BIRTHDAYS)


def _counts(counts: FieldCounts) -> dict[str, Any]:
    return {
        "rows": counts.rows,
        "filled": counts.filled,
        "empty": counts.empty,
        "null": counts.null,
        "absent": counts.absent,
        "types": dict(counts.types),
    }


def render_inspection(summary: Mapping[str, Any]) -> str:
    """A table of fields for each resource, then the traps."""
    lines = [f"Snapshot {summary['snapshot']}"]
    for name, resource in summary["resources"].items():
        sources = ", ".join(
            f"{source or '(none)'} {rows:,}" for source, rows in resource["sources"].items()
        )
        lines += [
            "",
            f"{name}: {say_count(resource['rows'], 'record')}; sources: {inert(sources) or 'none'}",
        ]
        if resource["fields"]:
            lines += ["", _fields_table(resource), *_range_lines(resource["fields"])]
    lines += ["", *_trap_lines(summary["traps"])]
    lines += [
        "",
        f"Not migrated, since the documented lists do not hold it: {summary['not_migrated']}.",
    ]
    return "\n".join(lines)


def _fields_table(resource: Mapping[str, Any]) -> str:
    headers = [
        "field",
        "types",
        "filled",
        "''",
        "null",
        "absent",
        "distinct",
        "min",
        "max",
        "examples",
    ]
    rows = [
        [
            name,
            "/".join(field["types"]) or "-",
            _percent(field["filled"], field["rows"]),
            _percent(field["empty"], field["rows"]),
            _percent(field["null"], field["rows"]),
            _percent(field["absent"], field["rows"]),
            f"{'' if field['distinct_is_exact'] else '~'}{field['distinct']:,}",
            field["min"],
            field["max"],
            _shortened(", ".join(field["examples"])),
        ]
        for name, field in resource["fields"].items()
    ]
    return render_table(headers, rows)


def _range_lines(fields: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How far off numbers of the table may be, where they are not exact or not of all values."""
    notes: list[str] = []
    for name, field in fields.items():
        notes.extend(f"{inert(name)}: {note}" for note in doubts_of(field))
    if len(notes) > _RANGES_SHOWN:
        hidden = len(notes) - _RANGES_SHOWN
        notes = [*notes[:_RANGES_SHOWN], f"… {hidden} more; --json has all of them"]
    return ["", *notes] if notes else []


def doubts_of(field: Mapping[str, Any]) -> list[str]:
    """What to know of a field's numbers: which values they are not of, and how far off they may be."""
    notes: list[str] = []
    values = field["range_values"]
    filled = field["filled"]
    if field["range_of"] and values < filled:
        template = RANGE_OF[field["range_of"]]
        notes.append(Sentence(template, values=values, filled=filled))
    if field["zones_mixed"]:
        notes.append(Sentence(MIXED_ZONES))
    if not field["distinct_is_exact"]:
        within = 100 * field["distinct_within"]
        notes.append(Sentence(ESTIMATED, percent=within))
    return notes


RANGE_OF = {
    "numbers": "least and most are of {values} of {filled} values; the others are no numbers",
    "times": "least and most are of {values} of {filled} values; the others are no dates",
}
MIXED_ZONES = (
    "some times name a zone and others do not, so least and most may be up to 14 hours off"
)
ESTIMATED = "the number of distinct values is an estimate, right within {percent} %"


def _percent(part: int, whole: int) -> str:
    if not part or not whole:
        return "-"
    return format_share(part / whole)


def _shortened(text: str) -> str:
    if len(text) <= _EXAMPLE_WIDTH:
        return text
    return f"{text[: _EXAMPLE_WIDTH - 1]}…"


def _trap_lines(traps: list[Mapping[str, Any]]) -> list[str]:
    if not traps:
        return ["No traps recognised."]
    lines = ["Traps recognised:"]
    for trap in traps:
        where = ".".join(part for part in (trap["resource"], trap["field"]) if part) or "sources"
        lines.append(f"  {inert(where)}: {inert(trap['what'])} ({trap['count']:,})")
        lines.append(f"    -> {inert(trap['advice'])}")
    return lines
