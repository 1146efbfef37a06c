"""The timetable of a cut-over night, for a terminal and as JSON: forecast before it, and what it took after."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from migrate.report.delta import render_delta, summarise_delta
from migrate.report.run import render_run_text, summarise_run
from migrate.report.terminal import Row, format_duration, render_table

if TYPE_CHECKING:
    from migrate.app.cutover.run import Cutover
    from migrate.app.cutover.timetable import Night, Step

_STAGES = ("extract", "plan", "load", "reconcile")


def summarise_cutover(cutover: Cutover, notes: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The command's part of the JSON object; `notes` as of `summarise_run`."""
    night = cutover.night
    if cutover.run:
        run = summarise_run(cutover.run, notes=notes)
    else:
        run = {}
    if cutover.run:
        run["delta"] = summarise_delta(cutover.base, cutover.run.extraction.resources)
    return {
        **run,
        "name": cutover.name,
        "since": cutover.base,
        "doubts": list(cutover.doubts),
        "start": night.start.isoformat(timespec="seconds"),
        "freeze_ends": night.freeze_ends.isoformat(timespec="seconds"),
        "forecast_seconds": round(night.forecast_s, 3),
        "actual_seconds": None if night.actual_s is None else round(night.actual_s, 3),
        "stages": {
            stage: {
                "forecast_seconds": round(_sum(night, stage), 3),
                "actual_seconds": night.stages.get(stage),
            }
            for stage in _STAGES
        },
        "steps": [
            {
                "stage": step.stage,
                "part": step.part,
                "from": begins.isoformat(timespec="seconds"),
                "until": ends.isoformat(timespec="seconds"),
                "forecast_seconds": round(step.forecast_s, 3),
                "actual_seconds": step.actual_s,
                "basis": step.basis,
            }
            for step, begins, ends in zip(night.steps, night.begins(), night.ends(), strict=True)
        ],
    }


def render_night(cutover: Cutover) -> str:
    """The timetable: a line per stage, its parts below it, and when the freeze ends."""
    night = cutover.night
    rows: list[Row] = []
    timed = list(zip(night.steps, night.begins(), strict=True))
    for stage in _STAGES:
        mine = [(step, begins) for step, begins in timed if step.stage == stage]
        if mine:
            rows.append(_stage_row(night, stage, mine))
            # Seven datasets of which nothing is to be sent are seven lines that say nothing.
            rows += [
                _step_row(step, begins)
                for step, begins in mine
                if step.part and (step.forecast_s or step.actual_s)
            ]
    headers = ["from", "stage", "forecast", "took", "based on"]
    lines = [
        f"Cut-over {cutover.name}, since snapshot {cutover.base}",
        "",
        render_table(headers, rows),
        "",
        _end(night),
    ]
    return "\n".join(lines + [f"Note: {doubt}." for doubt in cutover.doubts])


def _stage_row(night: Night, stage: str, steps: list[tuple[Step, datetime]]) -> Row:
    begins = steps[0][1]
    seconds = _sum(night, stage)
    if any(step.part for step, _ in steps):
        basis = ""
    else:
        basis = steps[0][0].basis
    return [_clock(begins), stage, format_duration(seconds), _took(night.stages.get(stage)), basis]


def _step_row(step: Step, begins: datetime) -> Row:
    return [
        _clock(begins),
        f"  {step.part}",
        format_duration(step.forecast_s),
        _took(step.actual_s),
        step.basis,
    ]


def _took(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(seconds)


def _sum(night: Night, stage: str) -> float:
    return sum(step.forecast_s for step in night.steps if step.stage == stage)


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}"


def _end(night: Night) -> str:
    total = format_duration((night.freeze_ends - night.start).total_seconds())
    head = f"Freeze from {night.start:%H:%M}; by the forecast it ends at {night.freeze_ends:%H:%M:%S} ({total})."
    if night.quiet:
        ranges = ", ".join(hours.told for hours in night.quiet)
        head += f"\nThe load rests in the quiet hours {ranges}."
    if night.actual_s is None:
        return head
    ended = night.start + timedelta(seconds=night.actual_s)
    return f"{head}\nIt took {format_duration(night.actual_s)}: from {night.start:%H:%M} on that is {ended:%H:%M:%S}."


def render_cutover(cutover: Cutover) -> str:
    """The timetable, what changed, and what every stage found."""
    parts = [render_night(cutover)]
    if cutover.run:
        extraction = cutover.run.extraction
        parts += [
            render_delta(extraction.snapshot, cutover.base, extraction.resources),
            render_run_text(cutover.run),
        ]
    return "\n\n".join(parts)


def render_made_up(made_up: Mapping[str, tuple[int, int, int]]) -> str:
    """What a rehearsal made up, by resource."""
    rows: list[Row] = [[name, *counts] for name, counts in made_up.items()]
    return "Made up for the rehearsal:\n" + render_table(
        ["resource", "changed", "new", "gone"], rows
    )
