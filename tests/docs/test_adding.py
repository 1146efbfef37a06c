"""The examples of docs/adding.md do what the page says."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.config import Project
from migrate.mapping.functions import FUNCTIONS
from migrate.names import RESOURCE_NAMES
from migrate.progress import Silence
from migrate.snapshot.reading import open_snapshot
from migrate.source.import_files import ImportRequest, import_files
from migrate.source.resources import RESOURCES
from migrate.workspace import Workspace

PAGE = Path(__file__).parents[2] / "docs" / "adding.md"
BLOCK = re.compile(r"```python\n# (\w+)\n(.*?)```", re.DOTALL)


def example(name: str) -> Mapping[str, Any]:
    """What the page's block of that name defines."""
    found = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    values: dict[str, Any] = {"__name__": name}
    exec(compile(found[name], f"{PAGE.name}: {name}", "exec"), values)
    return values


def test_the_function_keeps_its_promise() -> None:
    """Built as a mapping builds it, it gives its own example; null stays null."""
    new = example("function")["NEW"]
    given, wanted = new.example
    frame = pl.DataFrame({"t": [given, None]}, schema={"t": pl.String})
    assert frame.select(new.build(pl.col("t"), None)).to_series().to_list() == [wanted, None]
    assert new.refuse("x") is not None
    assert new.name not in FUNCTIONS, (
        "it has become one of the tool's: the page wants another example"
    )


@pytest.mark.parametrize(("at_once", "level"), [(8, "pass"), (64, "warn")])
def test_the_check_finds(at_once: int, level: str) -> None:
    """A good setting passes, another is a warning with a way out."""
    project = Project.model_validate({"datatrics": {"project_id": "1", "concurrency": at_once}})
    found = example("check")["check_concurrency"](project)
    assert found.level == level
    assert (found.hint is None) == (level == "pass")


def test_the_resource_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its row in the table, saved pages of it become a snapshot with its identities."""
    brands = example("resource")["BRANDS"]
    monkeypatch.setitem(RESOURCES, "brands", brands)
    (tmp_path / "saved").mkdir()
    saved = tmp_path / "saved" / "brands.ndjson"
    saved.write_text(
        '{"brandid": 7, "source": "Shop"}\n{"id": "8"}\n', encoding="utf-8", newline="\n"
    )
    workspace = Workspace(tmp_path / "work")
    request = ImportRequest(tmp_path / "saved", (brands,), ("brands",), "s", {"brands": 100}, "1")
    import_files(
        workspace, request, Silence(), threading.Event(), lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )
    frame = next(open_snapshot(workspace, "s").resources["brands"].frames())
    assert frame.select("_source", "_id").rows() == [("Shop", "7"), (None, "8")]


def test_every_list_of_resources_has_the_same_names() -> None:
    """The names that every room may know, and the table of the source's own."""
    assert tuple(RESOURCES) == RESOURCE_NAMES
