"""Small makers of mappings and rows for the tests of the mapping language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.mapping.files import read_mapping
from migrate.mapping.model import Mapping
from migrate.mapping.transform import Mapped, Settings, map_rows

Rows = Callable[..., pl.DataFrame]


@pytest.fixture
def rows() -> Rows:
    """Snapshot rows from columns of text; ids 0, 1, 2 … of one shop unless given."""

    def make(
        ids: list[str | None] | None = None,
        sources: list[str | None] | None = None,
        **columns: list[str | None],
    ) -> pl.DataFrame:
        count = len(ids or sources or next(iter(columns.values())))
        frame = {
            "_source": sources or ["shop"] * count,
            "_id": ids if ids is not None else [str(i) for i in range(count)],
            "_page": [1] * count,
            "_raw": ["{}"] * count,
            "_position": list(range(count)),
            **{name.replace("__", "."): values for name, values in columns.items()},
        }
        types = {name: pl.Int64 if name in {"_page", "_position"} else pl.String for name in frame}
        return pl.DataFrame(frame, schema=types)

    return make


@pytest.fixture
def mapping(tmp_path: Path) -> Callable[..., Mapping]:
    """A mapping with the given columns as YAML lines; `key` is the record's id."""

    def make(columns: str = "", top: str = "", file: str = "test.yaml") -> Mapping:
        lines = "\n".join(f"  {line}" for line in columns.strip().splitlines())
        path = tmp_path / file
        path.write_text(
            f"version: 1\ndataset: things\nresource: profiles\nkey: [key]\n{top}\n"
            f"columns:\n  key: {{from: id, type: text}}\n{lines}\n",
            encoding="utf-8",
        )
        return read_mapping(path)

    return make


@pytest.fixture
def run(mapping: Callable[..., Mapping], rows: Rows) -> Callable[..., Mapped]:
    """One column `x` from field `f`, under the settings given after it, for the texts given."""

    def make(
        settings: str, texts: list[str | None], project: Settings | None = None, **more: Any
    ) -> Mapped:
        return map_rows(
            mapping(f"x: {{from: f, {settings}}}"), rows(f=texts, **more), {}, project or Settings()
        )

    return make
