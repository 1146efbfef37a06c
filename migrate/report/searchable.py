"""Pages whose rows can be searched, without a server: one style sheet, one script, full lists beside the page.

Nothing in a page comes from outside, and its policy lets nothing in: the one style sheet and the one script are named
by their hashes, inline styles are not allowed at all (bars are SVG), and every value is escaped and inert.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from migrate.errors import WorkspaceError
from migrate.report.diff_lists import WrittenList
from migrate.report.page import page_template
from migrate.workspace import write_bytes

ROW_KINDS = (("change", "changes"), ("reject", "rejected"), ("merge", "merges"), ("loss", "losses"))


def render_searchable(
    template: str, *, dataset_names: Sequence[str], kinds: Sequence[str], **values: Any
) -> str:
    """The page of a template that extends `searchable.html.j2`; `kinds`: of its rows, which the filter offers.

    **Raises** where a value that the template names is not given.
    """
    style, script = _asset("diff.css"), _asset("diff.js")
    return _template(template).render(
        dataset_names=dataset_names,
        row_kinds=[(kind, label) for kind, label in ROW_KINDS if kind in kinds],
        style=Markup(style),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        style_hash=_hash(style),
        script_hash=_hash(script),
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
        lists = write(folder)
        write_bytes(page, render(lists, folder.name).encode("utf-8", "replace"))
    except OSError as error:
        raise WorkspaceError(
            f"the report {page} cannot be written: {error.strerror or error}",
            hint="choose another --html FILE",
        ) from None
    return lists


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return files("migrate.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _template(name: str) -> Template:
    return page_template(name, pct=_percent)


def _percent(share: float) -> str:
    return "< 0.1 %" if 0 < share < 0.001 else f"{share:.1%}"
