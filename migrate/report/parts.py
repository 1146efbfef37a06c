"""Which parts of a whole are in the target and which are missing, for a terminal and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrate.report.terminal import Row, inert, render_table

if TYPE_CHECKING:
    from migrate.app.parts import Parts

_GAPS = 8


def summarise_parts(parts: Parts) -> dict[str, Any]:
    """The parts of one snapshot as a JSON object."""
    return {
        "snapshot": parts.snapshot,
        "target": parts.target,
        "delta": parts.is_of_delta,
        "complete": parts.are_all,
        "in_target": dict(parts.said),
        "counted_apart": list(parts.apart),
        "datasets": {
            name: {
                "records": covered.records,
                "in_target": covered.inside,
                "missing": covered.records - covered.inside,
                "missing_parts": [
                    {
                        "source": gap.source,
                        "from": str(gap.first_day) if gap.first_day else None,
                        "until": str(gap.last_day) if gap.last_day else None,
                        "records": gap.records,
                    }
                    for gap in covered.gaps
                ],
            }
            for name, covered in parts.datasets.items()
        },
    }


def render_parts(parts: Parts) -> str:
    """A table of the datasets, what is there, and what is missing."""
    if parts.target:
        where = f" in target {parts.target}"
    else:
        where = " in the target"
    lines = [f"  {plan}: {inert(said)}" for plan, said in parts.said.items()]
    lines += [
        f"  {plan}: its days are of another field; it is not added up with the others"
        for plan in parts.apart
    ]
    head = f"Parts of snapshot {parts.snapshot} that are{where}:"
    if parts.is_of_delta:
        head = (
            f"Parts of snapshot {parts.snapshot}, a delta, that are{where}; what loads of its base brought there "
            "is not counted:"
        )
    rows: list[Row] = [
        [name, covered.records, covered.inside, covered.records - covered.inside]
        for name, covered in parts.datasets.items()
    ]
    table = render_table(["dataset", "records", "in parts there", "missing"], rows)
    gaps: list[str] = []
    for name, covered in parts.datasets.items():
        gaps.extend(f"  {name}: missing: {inert(gap.told)}" for gap in covered.gaps[:_GAPS])
    gaps += [
        f"  {name}: and {len(covered.gaps) - _GAPS} more"
        for name, covered in parts.datasets.items()
        if len(covered.gaps) > _GAPS
    ]
    return "\n".join([head, *(lines or ["  none yet"]), "", table, *gaps])
