"""The recording in the README is one file that needs nothing from outside, and shows a real run."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "docs" / "img" / "terminal.svg"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def record() -> ModuleType:
    """The script that made it."""
    spec = importlib.util.spec_from_file_location("record", ROOT / "docs" / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["record"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_recording_asks_for_nothing() -> None:
    """No script, no style sheet, no font, no picture, no address but the format's own name."""
    text = RECORDING.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"')\s]*", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<script|<image|<foreignObject|@import|@font-face|url\(|\son\w+=", text)
    ElementTree.fromstring(text)


def test_the_recording_shows_the_four_stages() -> None:
    """Each command, and the verdicts of the last; no failure, and no folder of who recorded it."""
    tree = ElementTree.parse(RECORDING)
    texts = [element.text or "" for element in tree.iter(f"{SVG}text")]
    for command in ("extract", "plan", "load", "reconcile"):
        assert any(f"$ migrate {command}" in text for text in texts), command
    assert texts.count("match") >= 6
    assert not [text for text in texts if re.search(r"/(work|root|home)/|Traceback|error:", text)]


def test_a_line_keeps_its_columns_and_colours(record: ModuleType) -> None:
    """Each word stands on the grid by its column, bold and coloured as the terminal had it."""
    drawn = record.draw("ab  \x1b[1;31mred & bold\x1b[0m  7")
    found = ElementTree.fromstring(f"<g>{drawn}</g>")
    places = [
        (e.get("x"), e.get("textLength"), e.text, e.get("fill"), e.get("font-weight"))
        for e in found
    ]
    width = record.CHAR
    assert places == [
        ("0", f"{2 * width:g}", "ab", None, None),
        (f"{4 * width:g}", f"{10 * width:g}", "red & bold", record.COLOURS["31"], "bold"),
        (f"{16 * width:g}", f"{1 * width:g}", "7", None, None),
    ]
    assert html.unescape(drawn).count("red & bold") == 1


def test_pictures_follow_one_another(record: ModuleType) -> None:
    """Each is shown from its second until the next one's, long waits are cut, and the last stands without motion."""
    frames = [(0.0, ("one",)), (1.0, ("one", "two")), (100.0, ("three",))]
    text = record.render(frames)
    total = 1.0 + record.LONGEST_PAUSE_S + record.LAST_S
    assert text.count('<g id="f') == 3
    assert text.count(">one<") == 1, "a line that stays is drawn once"
    assert f"k2 {total:.1f}s" in text
    assert f"{1 / total * 100:.3f}%" in text
    assert "prefers-reduced-motion" in text
    assert "#f2{visibility:visible}" in text
