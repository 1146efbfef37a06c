"""Pages whose rows can be searched, without a server, and the full lists beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from migrate.errors import WorkspaceError
from migrate.report.diff_lists import WrittenList
from migrate.report.labels import LISTS, ROW_KINDS
from migrate.report.page import render_page
from migrate.report.words import Words
from migrate.workspace import write_bytes


def render_searchable(
    template: str,
    words: Words,
    *,
    dataset_names: Sequence[str],
    kinds: Sequence[str],
    **values: Any,
) -> str:
    """The page of a template that extends `searchable.html.j2`; `kinds`: of its rows, which the filter offers.

    **Raises** where a value that the template names is not given.
    """
    return render_page(
        template,
        words,
        dataset_names=dataset_names,
        row_kinds=[(kind, label) for kind, label in ROW_KINDS if kind in kinds],
        list_names=LISTS,
        **values,
    )


def write_with_lists(
    page: Path,
    write: Callable[[Path], list[WrittenList]],
    render: Callable[[list[WrittenList], str], str],
) -> list[WrittenList]:
    """Writes the full lists into a folder beside the page, named after it, and then the page. Raises WorkspaceError."""
    folder = page.with_name(f"{page.stem}-lists")
    try:
        # The lists first: a page never names files that are not there.
        lists = write(folder)
        write_bytes(page, render(lists, folder.name).encode("utf-8", "replace"))
    except OSError as error:
        raise WorkspaceError(
            f"the report {page} cannot be written: {error.strerror or error}",
            hint="choose another --html FILE",
        ) from None
    return lists
