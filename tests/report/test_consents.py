"""Consents have a section of their own in the report: who says what, and whose answer is lost, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from migrate.report.diff import render_diff, summarise_diff
from migrate.report.diff_page import open_report, write_page
from migrate.report.words import words_of
from tests.plan.conftest import profile
from tests.report.diff_project import make_bench

START = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
CONTACTS = """
version: 1
dataset: contacts
resource: profiles
key: [email]
columns:
  email: {from: email, type: text}
  newsletter:
    from: newsletter
    type: boolean
    consent: true
    values: {"1": true, "0": false}
    unlisted: omit
"""


def test_consents_are_told_by_themselves(tmp_path: Path) -> None:
    """Of eight records three are lost to be seen: two unlisted answers, and a yes of a record that does not win."""
    bench = make_bench(tmp_path)
    for file in bench.project.mappings.iterdir():
        file.unlink()
    bench.set("gates", max_loss={})
    bench.write_mapping("contacts", CONTACTS)
    said = [
        ("yes@x.nl", "1", "2024-01-01"),
        ("no@x.nl", "0", "2024-01-01"),
        ("perhaps@x.nl", "misschien", "2024-01-01"),
        ("later@x.nl", "later", "2024-01-01"),
        ("silent@x.nl", None, "2024-01-01"),
        # the newer record says nothing: the older one's yes is not taken
        ("two@x.nl", "1", "2024-01-01"),
        ("two@x.nl", None, "2024-02-01"),
        # a no wins over a newer yes, which is as it should be and no loss
        ("both@x.nl", "0", "2024-01-01"),
        ("both@x.nl", "1", "2024-02-01"),
    ]
    bench.snapshot.resources["profiles"].records = [
        profile(number, email=email, newsletter=answer, created=f"{created} 10:00:00")
        for number, (email, answer, created) in enumerate(said)
    ]
    bench.plan("plan", datasets=("contacts",))
    plan, view, shown = open_report(bench.workspace, None, show_values=False, start=START)
    [consent] = summarise_diff(view)["datasets"]["contacts"]["consents"]
    assert {name: consent[name] for name in ("column", "yes", "no", "none", "lost_rows")} == {
        "column": "newsletter", "yes": 1, "no": 2, "none": 4, "lost_rows": 3,
    }  # fmt: skip
    assert {loss["loss"]: loss["rows"] for loss in consent["lost"]} == {
        "consent_unlisted": 2,
        "consent_of_another": 1,
    }
    text = " ".join(render_diff(view).split())
    assert "Consents as they would arrive" in text
    assert "contacts newsletter 1 2 4 3" in text
    assert "Consents that are lost" in text
    page = tmp_path / "page.html"
    write_page(plan, view, shown, page, made_at="now", words=words_of("en"))
    html = page.read_text(encoding="utf-8")
    assert '<h2 id="consents">Consents</h2>' in html
    assert 'href="#consents"' in html


def test_a_plan_without_consents_has_no_such_section(tmp_path: Path) -> None:
    """Orders consent to nothing."""
    bench = make_bench(tmp_path)
    bench.plan("plan", datasets=("orders",))
    plan, view, shown = open_report(bench.workspace, None, show_values=False, start=START)
    assert summarise_diff(view)["datasets"]["orders"]["consents"] == []
    assert "Consents" not in render_diff(view)
    write_page(plan, view, shown, tmp_path / "page.html", made_at="now", words=words_of("en"))
    assert 'id="consents"' not in (tmp_path / "page.html").read_text(encoding="utf-8")
