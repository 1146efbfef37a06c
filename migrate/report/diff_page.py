"""Opening a plan for its report, and writing the page with its lists beside it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from migrate.plan.open_plan import Plan, open_plan
from migrate.privacy.mask import workspace_masker
from migrate.report.diff_html import render_page
from migrate.report.diff_lists import WrittenList, write_lists
from migrate.report.diff_view import DiffView, view_plan
from migrate.report.searchable import write_with_lists
from migrate.report.shown import Shown
from migrate.report.words import Words
from migrate.workspace import Workspace


def open_shown(workspace: Workspace, *, show_values: bool) -> Shown:
    """How values are shown: with the workspace's masks, unless they are asked for."""
    return Shown(None if show_values else workspace_masker(workspace.root))


def open_report(
    workspace: Workspace, name: str | None, *, show_values: bool, start: datetime
) -> tuple[Plan, DiffView, Shown]:
    """The plan of that name (None: the newest), its report, and how values are shown.

    **Raises** WorkspaceError and its kin where the plan cannot be used.
    """
    plan = open_plan(workspace, name)
    shown = open_shown(workspace, show_values=show_values)
    return plan, view_plan(plan, shown, start), shown


def write_page(
    plan: Plan,
    view: DiffView,
    shown: Shown,
    page: Path,
    *,
    made_at: str,
    words: Words,
) -> list[WrittenList]:
    """Writes the page and, in a folder of its name beside it, the full lists. Raises WorkspaceError."""
    return write_with_lists(
        page,
        lambda folder: write_lists(plan, folder, shown, words),
        lambda lists, folder: render_page(view, lists, made_at=made_at, folder=folder, words=words),
    )
