"""Pages as a browser lays them out: nothing beyond the window, legible text, tables that a keyboard reaches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrate.names import Language
from migrate.report.words import words_of
from tests.report.browser import CHROMIUM, Browser, browsing
from tests.report.every_page import gather_pages

LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: of text and what is behind it."""
LANGUAGES: tuple[Language, ...] = ("en", "de")
"""The shortest and the longest."""
NAMES = ("plan", "stale", "comparison", "inspect", "run", "stopped", "done", "cutover")
A4_PIXELS = 718
"""What is left of 210 mm beside margins of 1 cm, at 96 pixels an inch."""
MEASURE = """
(() => {
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
  const isPrint = matchMedia("print").matches;
  const beyond = [...document.querySelectorAll("main *")].filter((element) => {
    const place = element.getBoundingClientRect();
    const mayScroll = element.closest(".scroll") && !element.matches("caption span");
    return place.width && place.right > innerWidth + 1 && (isPrint || !mayScroll);
  });
  const tables = [...document.querySelectorAll("table")];
  return {
    width: innerWidth,
    texts: contrasts.length,
    contrast: Math.min(...contrasts),
    beyond: beyond.map((element) => element.outerHTML.slice(0, 80)),
    scrolls: document.documentElement.scrollWidth - innerWidth,
    tables: tables.length,
    unreachable: tables.filter((table) => !table.closest("[tabindex='0']")).length,
    unnamed: tables.filter((table) => !table.querySelector("caption span")).length,
  };
})()
"""
pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Every page in the shortest and the longest of the languages."""
    folder = tmp_path_factory.mktemp("pages")
    made = gather_pages(folder)
    return {
        (name, language): page
        for language in LANGUAGES
        for name, page in made.make(folder, words_of(language)).items()
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all of them."""
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found


def test_no_page_is_forgotten(pages: dict[tuple[str, str], Path]) -> None:
    """The names below are those of all pages."""
    assert {name for name, _ in pages} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_can_be_read_at_every_width(
    pages: dict[tuple[str, str], Path], browser: Browser, name: str
) -> None:
    """On a phone, a tablet and a desk, light and dark: only cells of tables that scroll stand beyond the window."""
    for language in LANGUAGES if name == "plan" else LANGUAGES[-1:]:
        browser.open(pages[name, language])
        # Colours are the same at every width.
        for width, is_dark in ((390, False), (768, False), (1400, False), (390, True)):
            browser.look(width, is_dark=is_dark)
            found = browser.evaluate(MEASURE)
            where = (name, language, width, is_dark, found)
            assert found["width"] == width, where
            assert found["texts"] > 20, where
            assert found["tables"] >= 1, where
            assert found["beyond"] == [], where
            assert found["scrolls"] <= 0, where
            assert found["unreachable"] == 0, where
            assert found["unnamed"] == 0, where
            assert found["contrast"] >= LEAST_CONTRAST, where


@pytest.mark.parametrize("name", NAMES)
def test_a_page_prints(pages: dict[tuple[str, str], Path], browser: Browser, name: str) -> None:
    """On A4 nothing is cut off, tables included, since paper does not scroll; the PDF has pages."""
    browser.open(pages[name, "de"])
    browser.look(A4_PIXELS, medium="print")
    found = browser.evaluate(MEASURE)
    assert found["beyond"] == [], found
    assert found["contrast"] >= LEAST_CONTRAST, found
    printed = browser.print()
    assert printed.startswith(b"%PDF-")
    assert re.search(rb"/Type\s*/Page\b", printed)
