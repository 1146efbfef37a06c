"""The diff report: what it says, what it never shows, and that it asks nothing of anybody."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from migrate.plan.open_plan import Plan
from migrate.report.diff import render_diff, summarise_diff
from migrate.report.diff_page import open_report, write_page
from migrate.report.plan import summarise_plan
from migrate.report.words import words_of
from migrate.spreadsheet import defuse
from migrate.workspace import Workspace
from tests.report.diff_project import make_bench

START = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
PERSONAL = ("example.test", "Jansen", "Utrecht", "Name 20", "Old name", "info@shop", "1980-05-06")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Plan]:
    """The plan with something of everything."""
    bench = make_bench(tmp_path_factory.mktemp("diff"))
    return bench.workspace, bench.plan("plan")


@pytest.fixture(scope="module")
def page(made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page, with the lists beside it."""
    return write(made, tmp_path_factory.mktemp("page") / "report.html", show_values=False)


def write(made, file: Path, *, show_values: bool) -> Path:
    """Writes the page of the plan."""
    plan, view, shown = open_report(made[0], None, show_values=show_values, start=START)
    write_page(plan, view, shown, file, made_at="2026-11-21 22:00 UTC", words=words_of("en"))
    return file


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags_of(page: Path) -> list[tuple[str, dict[str, str | None]]]:
    """The tags of a page."""
    parser = Tags()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.found


def test_the_terminal_says_it_all(made) -> None:
    """Verdict, counts, columns by size, samples, rules, losses, merges, odd keys, revenue and when it would end."""
    _, view, _ = open_report(made[0], "plan", show_values=True, start=START)
    text = render_diff(view)
    assert text.splitlines()[1] == "Do not load yet: 565 new, 3 changed, 37 already the same"
    for part in (
        "confirm-merges 4",
        "out_of_int32",
        "Written in another way, nothing is lost:",
        "uppercases",
        "Old name",
        "placeholder",
    ):
        assert part in text, part
    columns = re.findall(r"^ +contacts +(\w+) +\d+ +[\d.]+%", text, re.MULTILINE)
    assert columns == ["name", "created_at", "optin", "spent", "city"]
    # the orders of the two rejected contacts wait for them
    assert "Revenue per month and currency, orders: 10 of 12 are equal, 2 differ" in text
    assert re.search(r"- left out by `where` +604\.95 +5\n", text)
    assert re.search(r"MISSING: waiting for their parent +763\.92 +8\n", text)
    assert "Begun at 2026-11-21 22:00 UTC with 1 key" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_an_offline_report_says_what_it_cannot_know(tmp_path: Path) -> None:
    """Every change is unknown, and the report lists what was not checked."""
    bench = make_bench(tmp_path)
    bench.plan("plan", offline=True)
    _, view, _ = open_report(bench.workspace, None, show_values=False, start=START)
    assert "Cannot be checked offline:" in render_diff(view)
    assert "new or changed" in view.verdict.headline


def test_personal_values_are_masked_everywhere(made, page: Path) -> None:
    """Page, lists, terminal and JSON hold no value of a person; with --show-values they do."""
    plan, view, _ = open_report(made[0], None, show_values=False, start=START)
    texts = [
        page.read_text(encoding="utf-8"),
        render_diff(view),
        json.dumps(summarise_diff(view), default=str),
    ]
    texts.append(json.dumps(summarise_plan(plan)))
    lists = sorted((page.parent / "report-lists").glob("*.csv"))
    assert {file.stem for file in lists} >= {
        "contacts-rows",
        "contacts-changes",
        "contacts-rejects",
        "contacts-merges",
    }
    texts += [file.read_text(encoding="utf-8") for file in lists]
    for value in PERSONAL:
        assert not [text for text in texts if value in text], value
    shown = write(made, page.parent / "open.html", show_values=True)
    assert all(
        value in shown.read_text(encoding="utf-8") for value in ("Old name", "Name 20", "Jansen")
    )


def test_the_page_asks_for_nothing_and_allows_nothing(page: Path) -> None:
    """One style and one script, named by their hashes; no inline style or handler, no address outside."""
    tags = tags_of(page)
    policy = next(
        a["content"] for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert [tag for tag, _ in tags].count("script") == [tag for tag, _ in tags].count("style") == 1
    for tag, attributes in tags:
        assert not any(
            name == "style" or name.startswith("on") or name == "src" for name in attributes
        ), tag
        if "href" in attributes:
            assert attributes["href"].startswith(("#", "report-lists/")), attributes
    assert "://" not in page.read_text(encoding="utf-8")


def test_the_page_can_be_read_without_eyes_or_mouse(page: Path) -> None:
    """Every bar has words, every anchor a place, every table its heads; the page starts with a skip link."""
    tags = tags_of(page)
    ids = {a["id"] for _, a in tags if "id" in a}
    anchors = [a["href"][1:] for tag, a in tags if tag == "a" and a["href"].startswith("#")]
    assert set(anchors) <= ids
    assert anchors[0] == "main"
    assert all("aria-label" in a for tag, a in tags if tag == "svg" and a.get("role") == "img")
    assert all(a.get("scope") in ("col", "row") for tag, a in tags if tag == "th")
    assert [a["lang"] for tag, a in tags if tag == "html"] == ["en"]


def test_hostile_values_are_inert(made, tmp_path: Path) -> None:
    """Markup, control and bidirectional characters are shown, not obeyed, even where values are shown."""
    text = write(made, tmp_path / "open.html", show_values=True).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202egpj.exe\\u001b" in text
    assert not [char for char in ("\u202e", "\x1b", "\x00") if char in text]


def test_lists_hold_every_row(made, page: Path) -> None:
    """The rows of the plan and each value that changes, as Parquet and as CSV alike."""
    folder = page.parent / "report-lists"
    counts = made[1].document.datasets["contacts"]
    rows = pl.read_parquet(folder / "contacts-rows.parquet")
    assert rows.height == counts.planned == pl.read_csv(folder / "contacts-rows.csv").height
    changes = pl.read_parquet(folder / "contacts-changes.parquet")
    assert dict(changes.group_by("column").len().iter_rows()) == counts.change_counts
    assert changes.filter(column="spent").select("old", "new").row(0) == ("1.00", "21.5")


def test_what_recipes_keep_different_is_listed(made, page: Path) -> None:
    """Values that differ because of the target's own recipes have a list of their own, as many rows as are counted."""
    recipes = pl.read_parquet(page.parent / "report-lists" / "contacts-recipes.parquet")
    counts = made[1].document.datasets["contacts"].recipe_counts
    assert counts
    assert dict(recipes.group_by("column").len().iter_rows()) == counts


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+31612345678", "'+31612345678"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'\t=1+1"),
        ("＝1+1", "'＝1+1"),
        ("\u202e=1", "'�=1"),
        ("-5.20", "-5.20"),
        ("plain", "plain"),
        (None, None),
    ],
)
def test_no_cell_is_a_formula(text: str | None, safe: str | None) -> None:
    """What a spreadsheet would work out gets an apostrophe; numbers stay numbers."""
    frame = pl.DataFrame(
        {"value": [text], "many": [[text or "a", "b"]]}, schema_overrides={"value": pl.String}
    )
    assert defuse(frame).get_column("value").to_list() == [safe]


def test_masks_join_across_the_lists(page: Path) -> None:
    """The same key has the same mask in every list."""
    folder = page.parent / "report-lists"
    rows, changes = (
        pl.read_parquet(folder / f"contacts-{name}.parquet") for name in ("rows", "changes")
    )
    assert changes.join(rows, on="key").height >= changes.height
