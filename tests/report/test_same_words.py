"""Terminal, JSON and page of generated runs say the same: one colour, the same sentences, the same numbers."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from migrate.app.cutover.run import Cutover
from migrate.app.cutover.timetable import Night, Step
from migrate.app.pipeline import Run
from migrate.app.verdict import judge_load, judge_plan, judge_reconciliation
from migrate.load.loader import LoadResult
from migrate.load.totals import Totals
from migrate.report.cutover import render_night, summarise_cutover
from migrate.report.delta import render_delta, summarise_delta
from migrate.report.html import render_run
from migrate.report.labels import COUNT_COLUMNS, EQUATION, LOAD_COLUMNS
from migrate.report.load import render_load, summarise_load
from migrate.report.plan import COUNTS, render_counts
from migrate.report.reconcile import render_reconciliation
from migrate.report.run import judge_run, render_run_text, summarise_run
from migrate.report.terminal import format_duration
from migrate.report.words import words_of
from migrate.snapshot.layout import DeltaCounts
from migrate.source.extract import Extraction
from migrate.source.verdict import Observation
from migrate.verify.reconcile import Reconciliation, SettledCount
from migrate.verify.reconcile import judge as judge_count
from tests.report.every_page import START, books, cutover_of, result
from tests.report.test_verdict import dataset, document

few = st.integers(0, 3)
observations = st.builds(
    Observation, few, few, few, st.booleans(), few, damaged=few, unread=few, vanished=few
)
loads = st.builds(
    Totals, planned=st.just(30), written=few, rejected=few, waiting=few, deferred=few, open=few, merged=few,
    protected=few, altered=few, requests=few, target=st.sampled_from(["dataset", "webhook"]),
)  # fmt: skip
left = st.dictionaries(st.sampled_from(["orders", "products"]), st.integers(1, 2_000), max_size=2)


@st.composite
def reconciliations(draw: st.DrawFn) -> Reconciliation:
    """Counts that agree, differ or still change, datasets that cannot be asked or were not loaded."""
    after = SettledCount(draw(few), rests=draw(st.booleans()))
    found = judge_count(books("contacts", created=draw(few), written=draw(few)), after, {})
    asked = draw(st.dictionaries(st.just("leads"), st.just("a webhook"), max_size=1))
    return Reconciliation("p", {"contacts": found}, asked, draw(left))


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """A run that came to its end, or after the extract to none."""
    extraction = Extraction("snap", Path(), {"profiles": result(draw(observations))})
    if draw(st.booleans()):
        return Run(extraction)
    load = LoadResult("p", {"contacts": draw(loads)})
    return Run(extraction, None, load, draw(reconciliations()))


def box_of(page: str) -> tuple[str, list[str]]:
    """The colour of a page's verdict, and its sentences as they are read."""
    [(colour, inner)] = re.findall(
        r'<div class="verdict (\w+)" role="status">(.*?)</div>', page, re.DOTALL
    )
    sentences = re.findall(r"<(?:strong|li)>(.*?)</(?:strong|li)>", inner, re.DOTALL)
    return colour, [html.unescape(re.sub(r"</?code>", "`", one)) for one in sentences]


@given(runs())
def test_a_run_says_the_same_everywhere(run: Run) -> None:
    """On the terminal, in the JSON object, on the page, and of a cut-over with the same run."""
    verdict = judge_run(run)
    said = [verdict.headline, *verdict.lines]
    summary = summarise_run(run)
    assert summary["verdict"]["colour"] == verdict.colour
    assert [summary["verdict"]["headline"], *summary["verdict"]["lines"]] == said
    assert render_run_text(run).startswith(verdict.render(5, "the report named below has them all"))
    assert box_of(render_run(summary, made_at="now")) == (verdict.colour, said)
    assert summarise_cutover(cutover_of(run))["verdict"] == summary["verdict"]
    german = words_of("de")
    _, in_german = box_of(render_run(summary, made_at="now", words=german))
    assert in_german == [german.say(one) for one in said]


@given(loads, left)
def test_a_load_says_the_same_everywhere(totals: Totals, others: dict[str, int]) -> None:
    """Also of datasets that it was not asked for."""
    loaded = LoadResult("p", {"contacts": totals})
    verdict = judge_load(loaded, others)
    summary: dict[str, Any] = summarise_load(loaded, others)["verdict"]
    assert (summary["colour"], summary["lines"]) == (verdict.colour, list(verdict.lines))
    assert verdict.render() in render_load(loaded, others)


@given(reconciliations())
def test_a_reconciliation_says_the_same_everywhere(found: Reconciliation) -> None:
    """What the verifier calls no match is never green, and what it calls a mismatch is red."""
    verdict = judge_reconciliation(found)
    assert verdict.render() in render_reconciliation(found)
    assert (verdict.colour == "green") <= (found.verdict == "match")
    assert (found.verdict == "mismatch") <= (verdict.colour == "red")


def test_a_second_run_has_nothing_to_do() -> None:
    """The plan, the load and the run of what is there already say so in the same words."""
    plan = document(contacts=dataset(read=6, planned=6, unchanged=6))
    loaded = LoadResult("p", {"contacts": Totals()})
    found = Reconciliation("p", {"contacts": judge_count(books("contacts"), SettledCount(0), {})})
    sound = Extraction("snap", Path(), {"profiles": result(Observation(6, 6, 6, False, 0))})
    run = judge_run(Run(sound, None, loaded, found))
    for verdict in (judge_plan(plan, {}), judge_load(loaded), run):
        assert verdict.colour == "green"
        assert "nothing to do" in verdict.headline


def numbers_of(text: str, dataset: str) -> list[int]:
    """The whole numbers in a terminal's lines of a dataset, however often its table goes on below itself."""
    lines = [line for line in text.splitlines() if line.startswith(f"  {dataset} ")]
    cells = " ".join(line.removeprefix(f"  {dataset} ") for line in lines).split("  ")
    return [
        int(one.replace(",", "")) for one in map(str.strip, cells) if re.fullmatch(r"-?[\d,]+", one)
    ]


def cells_of(page: str, section: str, dataset: str) -> list[int]:
    """The whole numbers in a page's row of a dataset."""
    part = page[page.index(f'id="{section}"') :].split("</section>", maxsplit=1)[0]
    row = re.search(rf'<th scope="row">{dataset}</th>(.*?)</tr>', part, re.DOTALL)
    found = re.findall(r'<td class="n"[^>]*>([-\u2212]?[\d,]+)</td>', row.group(1)) if row else []
    return [int(one.replace(",", "").replace("\u2212", "-")) for one in found]


few_rows = st.integers(0, 2_000)
plan_counts = st.fixed_dictionaries(
    {"read": st.integers(1, 9_000)}
    | dict.fromkeys([name for name, _label in COUNT_COLUMNS if name != "read"], few_rows)
)


@given(plan_counts)
def test_the_numbers_of_a_plan_are_the_same_everywhere(counts: dict[str, int]) -> None:
    """What becomes of the rows that were read: as the JSON object has it, column by column, but for those of zeros."""
    planned = dataset(**counts)
    summary = summarise_run(Run(Extraction("snap", Path(), {})))
    summary["plan_datasets"] = {"contacts": planned.model_dump()}
    shown = [counts[name] for name, _label in COUNT_COLUMNS if counts[name]]
    page = render_run(summary, made_at="now")
    assert cells_of(page, "rows", "contacts") == shown
    terminal = numbers_of(render_counts({"contacts": planned}, COUNTS), "contacts")
    assert sorted(terminal) == sorted(shown)


steps = st.builds(
    Step, st.just("extract"), st.sampled_from(["profiles", "sales", "interactions"]),
    st.just(0.0) | st.floats(0.1, 90_000), st.just("as then"), st.none() | st.floats(0.1, 90_000),
)  # fmt: skip


@given(st.lists(steps, min_size=1, max_size=3, unique_by=lambda step: step.part))
def test_the_times_of_a_cut_over_are_the_same_everywhere(parts: list[Step]) -> None:
    """A line of the timetable begins and lasts as its entry of the JSON object says; a stage lasts as its parts do."""
    night = Night(START, tuple(parts), {"extract": 60.0})
    cutover = Cutover("tonight", "first", ("profiles",), ("contacts",), night)
    summary = summarise_cutover(cutover)
    lines = render_night(cutover).splitlines()
    for step in summary["steps"]:
        shown = [line for line in lines if f" {step['part']} " in line]
        if not step["forecast_seconds"] and not step["actual_seconds"]:
            continue
        [line] = shown
        times = re.split(r" {2,}", line.strip())
        took = step["actual_seconds"]
        wanted = [step["from"][11:19], step["part"], format_duration(step["forecast_seconds"])]
        assert times[:3] == wanted
        assert took is None or times[3] == format_duration(took)
    stage = summary["stages"]["extract"]
    [line] = [line for line in lines if " extract " in line]
    wanted = [format_duration(stage["forecast_seconds"]), format_duration(stage["actual_seconds"])]
    assert re.split(r" {2,}", line.strip())[2:4] == wanted
    total = (night.freeze_ends - night.start).total_seconds()
    assert any(f"({format_duration(total)})" in line for line in lines)


@given(few_rows, few_rows, few_rows, few_rows)
def test_what_a_cut_over_brings_is_the_same_everywhere(
    new: int, changed: int, unchanged: int, gone: int
) -> None:
    """The sentence on the delta has the numbers of the JSON object, and their sums."""
    delta = DeltaCounts(new, changed, unchanged, gone, "by their bytes")
    results = {"profiles": replace(result(Observation(5, 5, 5, False, 0)), delta=delta)}
    counts = summarise_delta("first", results)
    said = render_delta("second", "first", results)
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", said)]
    rows = counts["new"] + counts["changed"]
    assert numbers == [
        rows,
        rows + counts["unchanged"],
        counts["new"],
        counts["changed"],
        counts["gone"],
    ]


@given(runs().filter(lambda run: run.loaded is not None))
def test_the_numbers_are_the_same_everywhere(run: Run) -> None:
    """Of what was written and of the counts: as the JSON object has them, column by column, but for those of zeros."""
    assert run.loaded
    assert run.reconciliation
    summary = summarise_run(run)
    page = render_run(summary, made_at="now")
    wrote = summary["load"]["datasets"]["contacts"]
    columns = (
        "planned",
        "written",
        "created",
        "updated",
        "merged",
        "rejected",
        "deferred",
        "altered",
        "requests",
    )
    assert numbers_of(render_load(run.loaded), "contacts") == [
        wrote[name] for name in columns if wrote[name]
    ]
    if wrote["written"]:
        shown = [wrote[name] for name, _label in LOAD_COLUMNS if wrote[name]]
        assert cells_of(page, "load", "contacts") == shown
    counted = summary["reconcile"]["datasets"]["contacts"]
    equation = [counted[name] for name, _label in EQUATION]
    assert cells_of(page, "counts", "contacts") == [one for one in equation if one is not None]
    terminal = numbers_of(render_reconciliation(run.reconciliation).split("\n\n")[1], "contacts")
    assert [one for one in terminal if one] == [one for one in equation if one]
