"""One page of the target's CSV export as a frame of texts."""

from __future__ import annotations

import polars as pl

from migrate.errors import RemoteError
from migrate.names import MASTERID


def parse_page(body: bytes, dataset: str) -> pl.DataFrame:
    """One page as texts: an empty field without quotes is null, with quotes ''.

    **Raises** RemoteError where the body is no CSV with a `__masterid__` column.
    """
    if not body.strip():
        return pl.DataFrame()
    try:
        page = pl.read_csv(body, infer_schema=False)
    except pl.exceptions.PolarsError:
        page = pl.DataFrame()
    if MASTERID not in page.columns:
        raise RemoteError(
            f"the export of dataset {dataset!r} is not a CSV with a {MASTERID} column",
            hint="check octolis.base_url and the dataset's id in migrate.toml, or plan with --offline",
        )
    return page


def same_header(header: tuple[str, ...], page: pl.DataFrame, dataset: str) -> tuple[str, ...]:
    """The header of all pages. Raises RemoteError where one has other columns: the dataset's structure was changed."""
    if header and page.height and set(page.columns) != set(header):
        raise RemoteError(
            f"the columns of dataset {dataset!r} changed while it was read",
            hint="run `migrate plan` again",
        )
    return header or tuple(page.columns)
