"""The memory a rehearsal is said to take, beside what it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from migrate.app.cutover import rehearse as rehearsing
from migrate.app.cutover.rehearse import rehearse_cutover
from migrate.app.cutover.run import CutoverRequest
from migrate.app.pipeline import run_extract, run_plan
from migrate.app.rehearsal_memory import ROW_EXTRA, Memory, Need, forecast_need, refuse_too_large
from migrate.errors import UsageError, WorkspaceError
from migrate.mapping.files import read_mappings
from migrate.progress import Silence
from migrate.sandbox.declare import declare
from migrate.sandbox.octolis import Dataset
from migrate.sandbox.raw_json import read_values
from migrate.snapshot.reading import open_snapshot
from migrate.source.resources import RESOURCES
from tests.app.night_stage import PROFILES, SALES, Shop
from tests.harness import Project

GIB = 1 << 30


def test_rows_and_their_sizes_are_foreseen(make_project: Callable[..., Project]) -> None:
    """Of each dataset, those of list elements too, within a third of what the sandbox keeps; never far too little."""
    context = Shop(make_project()).context()
    run_extract(context, list(RESOURCES), "first")
    plan = run_plan(context, snapshot="first", offline=True)
    snapshot = open_snapshot(context.workspace, "first", check_files=False)
    specs = {spec.name: spec for spec in declare(context.project.mappings, None).datasets}
    nothing = forecast_need(snapshot, [])
    for name, mapping in read_mappings(context.project.mappings).items():
        if name not in plan.document.datasets:
            continue
        kept = Dataset(specs[name])
        for payload in pl.read_parquet(plan.file(name, "records.parquet"))["payload"].cast(
            pl.Binary
        ):
            kept.upsert(read_values(payload), 1)
        need = forecast_need(snapshot, [mapping])
        sizes = sum(len(row.values) for row in kept.rows.values())
        assert need.rows == pytest.approx(len(kept.rows), rel=0.05), name
        assert 0.9 < (need.size - nothing.size - need.rows * ROW_EXTRA) / sizes < 1.34, name
    assert nothing.rows == 0
    assert nothing.records == sum(resource.rows for resource in snapshot.resources.values())


class Heard(Silence):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keeps one."""
        self.notes.append(text)


@pytest.fixture
def shop(make_project: Callable[..., Project]) -> Shop:
    """A small shop that was migrated weeks ago."""
    shop = Shop(make_project(feeding=False))
    shop.open()
    return shop


def rehearse(shop: Shop, monkeypatch: pytest.MonkeyPatch, memory: Memory | None) -> list[str]:
    """What is said before a rehearsal would begin; it finds its room taken."""
    heard = Heard()
    context = replace(shop.context(), progress=heard)
    monkeypatch.setattr(rehearsing, "read_memory", lambda: memory)
    with (
        context.workspace.lock(context.workspace.root / ".rehearsal.lock", "a rehearsal"),
        pytest.raises(WorkspaceError, match="in use"),
        rehearse_cutover(context, CutoverRequest(), speed=100, show=lambda _cutover, _stage: None),
    ):
        pass
    return heard.notes


@pytest.mark.parametrize(
    ("memory", "has"),
    [
        (Memory(4 * GIB), "; this machine has 4.0 GiB available"),
        (Memory(4 * GIB, is_total=True), "; this machine has 4.0 GiB"),
        (None, ""),
    ],
)
def test_it_is_said_before_it_begins(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, memory: Memory | None, has: str
) -> None:
    """One line: what is kept, what it takes, what there is, as far as the system tells."""
    # contacts and orders were loaded, so the rehearsal makes no rows of other datasets
    kept = f"{PROFILES + SALES} records and about {PROFILES + SALES} rows made of them"
    (line,) = rehearse(shop, monkeypatch, memory)
    assert line == f"the rehearsal keeps {kept} in memory, about 0.7 GiB in all{has}"


def test_too_little_memory_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started or written, with what to do."""
    context = shop.context()
    monkeypatch.setattr(rehearsing, "read_memory", lambda: Memory(GIB // 2))
    with (
        pytest.raises(UsageError, match=r"too little memory.*0\.5 GiB available") as caught,
        rehearse_cutover(context, CutoverRequest(), speed=100, show=lambda _cutover, _stage: None),
    ):
        pass
    assert "more memory" in str(caught.value.hint)
    assert not (context.workspace.root / "rehearsal").exists()
    assert not (context.workspace.root / ".rehearsal.lock").exists()


def test_only_what_is_clearly_too_much_is_refused() -> None:
    """A forecast that is a little beyond what there is goes on."""
    need = Need(1, 1, 10 * GIB)
    refuse_too_large(need, Memory(9 * GIB))
    refuse_too_large(need, None)
    with pytest.raises(UsageError):
        refuse_too_large(need, Memory(7 * GIB))


def test_resources_without_records_or_lists(shop: Shop) -> None:
    """They need nothing, and are no reason to fail."""

    def resource(frame: pl.DataFrame) -> Any:
        return SimpleNamespace(
            rows=frame.height, frames=lambda: iter([frame] if frame.width else [])
        )

    mappings = read_mappings(shop.context().project.mappings).values()
    odd = pl.DataFrame({"_raw": ["{}", "{}"], "items": ["no list", None]})
    for frame in (pl.DataFrame(), odd.clear(), odd, odd.drop("items")):
        snapshot: Any = SimpleNamespace(resources={"sales": resource(frame)})
        assert forecast_need(snapshot, mappings).rows == frame.height
