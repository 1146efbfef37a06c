"""Pages as a browser lays them out: nothing beyond the window, legible text, tables that a keyboard reaches."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from migrate.names import Language
from migrate.report.diff_page import open_report, write_page
from migrate.report.words import words_of
from tests.harness import PATIENCE_S
from tests.report.diff_project import make_bench

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: of text and what is behind it."""
MEASURE = """
<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach((part) => { part.open = true; });
  const light = (colour) => {
    const part = (value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const [red, green, blue] = colour.slice(0, 3).map((value) => part(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const speaks = (element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const contrasts = [...document.querySelectorAll("main *")].filter(speaks).map((element) => {
    const [one, two] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  });
  const beyond = [...document.querySelectorAll("main *")].filter((element) => {
    const place = element.getBoundingClientRect();
    return place.width && place.right > innerWidth + 1 && !element.closest(".scroll");
  });
  const tables = [...document.querySelectorAll("table")];
  document.title = "MEASURED" + JSON.stringify({
    texts: contrasts.length,
    contrast: Math.min(...contrasts),
    beyond: beyond.map((element) => element.outerHTML.slice(0, 80)),
    scrolls: document.documentElement.scrollWidth - innerWidth,
    tables: tables.length,
    unreachable: tables.filter((table) => !table.closest("[tabindex='0']") || !table.caption).length,
  });
});
</script>
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of a plan with something of everything, in the shortest and the longest of the languages."""
    folder = tmp_path_factory.mktemp("pages")
    bench = make_bench(folder)
    bench.plan("plan")
    start = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
    plan, view, shown = open_report(bench.workspace, None, show_values=False, start=start)
    languages: tuple[Language, ...] = ("en", "de")
    for language in languages:
        page = folder / f"{language}.html"
        write_page(plan, view, shown, page, made_at="now", words=words_of(language))
        text = page.read_text(encoding="utf-8")
        # The page's own policy lets no other script run, so the copy that is measured has none.
        open_text = re.sub(r"<meta http-equiv=[^>]*>", "", text)
        page.write_text(open_text.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    return {language: folder / f"{language}.html" for language in languages}


def measure(page: Path, profile: Path, width: int, is_dark: bool) -> dict[str, Any]:
    """What a browser of that width makes of the page."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}",
        f"--window-size={width},1200", "--virtual-time-budget=3000", "--dump-dom",
        *(["--blink-settings=preferredColorScheme=0"] if is_dark else []), f"file://{page}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    measured = re.search(r"<title>MEASURED(.*?)</title>", done.stdout)
    assert measured, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(unescape(measured[1]))
    return found


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("language", "width"), [("en", 390), ("de", 390), ("en", 768), ("de", 1400)]
)
def test_a_page_can_be_read_at_every_width(
    pages: dict[str, Path], tmp_path: Path, language: str, width: int, is_dark: bool
) -> None:
    """Nothing stands beyond the window but inside tables that scroll; a keyboard reaches each of these."""
    found = measure(pages[language], tmp_path / "profile", width, is_dark=is_dark)
    assert found["texts"] > 100
    assert found["tables"] > 10
    assert found["beyond"] == []
    assert found["scrolls"] <= 0
    assert found["unreachable"] == 0
    assert found["contrast"] >= LEAST_CONTRAST


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_page_prints(pages: dict[str, Path], tmp_path: Path) -> None:
    """The browser makes a PDF of several pages of it."""
    target = tmp_path / "page.pdf"
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={target}", f"file://{pages['en']}",
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    printed = target.read_bytes()
    assert printed.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 2
