"""Pages and lists in the reader's language: whole catalogues, numbers as each language writes them."""

from __future__ import annotations

import html
import importlib.util
import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from migrate.app.plan_findings import dataset_findings
from migrate.names import LANGUAGES, Language
from migrate.report.diff_page import open_report, write_page
from migrate.report.labels import LIST_HEADS
from migrate.report.words import SEPARATORS, words_of
from migrate.sentence import Sentence
from tests.plan.conftest import profile
from tests.report.diff_project import make_bench
from tests.report.every_page import gather_pages
from tests.report.test_verdict import dataset

ROOT = Path(__file__).parents[2]
FOREIGN: tuple[Language, ...] = ("nl", "fr", "de")
START = datetime(2026, 1, 5, 20, 0, tzinfo=UTC)
PLACE = re.compile(r"%\(\w+\)s|{\w*}")


def messages(language: Language) -> list[Message]:
    file = ROOT / "migrate" / "report" / "catalogues" / f"{language}.po"
    with file.open("rb") as source:
        return [message for message in read_po(source, locale=language) if message.id]


@pytest.fixture(scope="module")
def catalogues() -> Any:
    """The script that writes the catalogues."""
    spec = importlib.util.spec_from_file_location("catalogues", ROOT / "docs" / "catalogues.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_catalogues_have_exactly_the_texts_of_the_code(catalogues: Any) -> None:
    """None is missing, none is unused, each form of each is translated with the places for values that it needs."""
    assert catalogues.main(["--check"]) == 0


RECORDS = ("{name}: a record", "{name}: {count} records")


@pytest.mark.parametrize(
    ("language", "forms", "is_whole"),
    [
        ("nl", ("{name}: een record", "{name}: {count} records"), True),
        ("nl", ("{name}: {count} record", "{name}: {count} records"), True),
        ("nl", ("{name}: een record", ""), False),
        ("nl", ("", "{name}: {count} records"), False),
        ("nl", ("{name}: een record", "{name}: records"), False),
        ("nl", ("een record", "{name}: {count} records"), False),
        ("nl", ("{naam}: een record", "{name}: {count} records"), False),
        (
            "fr",
            ("{name}: {count} fiche", "{name}: {count} de fiches", "{name}: {count} fiches"),
            True,
        ),
        ("fr", ("{name}: une fiche", "{name}: {count} de fiches", "{name}: {count} fiches"), False),
        ("fr", ("{name}: {count} fiche", "{name}: {count} fiches"), False),
        ("de", ("{name}: ein Satz", "{name}: {count} S\u00e4tze"), True),
        ("de", ("{name}: ein Satz", "{count} S\u00e4tze"), False),
    ],
)
def test_each_form_of_a_plural_needs_its_words_and_places(
    catalogues: Any, language: str, forms: tuple[str, ...], *, is_whole: bool
) -> None:
    """A check that an empty form, or one that drops or renames a place, would pass finds nothing."""
    catalogue = Catalog(locale=language)
    catalogue.add(RECORDS, forms)
    assert bool(catalogues.faults(catalogue)) is not is_whole


def test_an_empty_text_is_named(catalogues: Any) -> None:
    """Of one that has no plural as well."""
    catalogue = Catalog(locale="nl")
    catalogue.add("{count} records", "")
    assert catalogues.faults(catalogue) == ["'{count} records' has nothing in form 0"]


@pytest.mark.parametrize(
    ("language", "number", "money", "share", "day"),
    [
        ("en", "1,234,567", "1,234.50", "3.1%", "5 Jan 2026, 20:00 UTC"),
        ("nl", "1.234.567", "1.234,50", "3,1%", "5 jan 2026, 20:00 UTC"),
        ("fr", "1\u202f234\u202f567", "1\u202f234,50", "3,1\u00a0%", "5 janv. 2026, 20:00 UTC"),
        ("de", "1.234.567", "1.234,50", "3,1\u00a0%", "5 Jan. 2026, 20:00 UTC"),
    ],
)
def test_numbers_are_written_as_the_language_writes_them(
    language: Language, number: str, money: str, share: str, day: str
) -> None:
    """As the Unicode locale data say: marks, spaces, names of months."""
    words = words_of(language)
    assert words.number(1_234_567) == number
    assert words.money(Decimal("1234.5")) == money
    assert words.percent(0.0312).replace("\u202f", "\u00a0") == share
    assert words.moment(START).replace(" um ", ", ") == day


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [
        ("en", "1 record", "1,200 records"),
        ("nl", "1 record", "1.200 records"),
        ("fr", "1 enregistrement", "1\u202f200 enregistrements"),
        ("de", "1 Datensatz", "1.200 Datensätze"),
    ],
)
def test_plurals_are_right(language: Language, one: str, many: str) -> None:
    """One is one, and more are more."""
    text = (
        "{dataset}: {count} record not loaded yet",
        "{dataset}: {count} records not loaded yet",
    )
    words = words_of(language)
    assert one in words.say(Sentence(*text, dataset="contacts", count=1))
    assert many in words.say(Sentence(*text, dataset="contacts", count=1200))


@given(amount=st.decimals(-(10**9), 10**9, places=2), language=st.sampled_from(LANGUAGES))
def test_an_amount_keeps_its_value_in_every_language(amount: Decimal, language: Language) -> None:
    """The digits of an amount are the same in each of them, down to the cent."""
    shown = words_of(language).money(amount)
    assert re.sub(r"\D", "", shown) == re.sub(r"\D", "", f"{abs(amount):.2f}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_and_its_lists_are_in_the_language(tmp_path: Path, language: Language) -> None:
    """No text of the catalogue is left in English, and a list opens in that language's spreadsheet program."""
    bench = make_bench(tmp_path)
    bench.snapshot.resources["profiles"].records = [
        profile(1, email="ann@x.nl"),
        profile(2, email="ann@x.nl"),
        profile(3, email="no address"),
    ]
    bench.plan("p1")
    words = words_of(language)
    plan, view, shown = open_report(bench.workspace, None, show_values=False, start=START)
    lists = write_page(plan, view, shown, tmp_path / "page.html", made_at="now", words=words)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f'<html lang="{language}"' in page
    texts = set(map(html.unescape, re.findall(r">\s*([^<>]+?)\s*<", page)))
    assert words.say("What this migration would do") in texts
    if language != "en":
        english = {
            message.id: message.string
            for message in messages(language)
            if isinstance(message.id, str) and not PLACE.search(message.id)
        }
        # a dataset and an event of the data have names that are words of a page, too
        data = {"orders", "open"}
        assert not {text for text in texts - data if english.get(text, text) != text}
    [planned] = [entry for entry in lists if entry.what == "rows" and entry.dataset == "contacts"]
    written = planned.csv.read_bytes()
    head, *rows = written.decode("utf-8-sig").splitlines()
    assert written.startswith(b"\xef\xbb\xbf")
    assert len(rows) == planned.rows > 0
    key = "key" if language == "en" else words.say(LIST_HEADS["key"])
    assert f'"{key}"' in head.split(SEPARATORS[language])


ENGLISH = re.compile(
    r"\b(the|which|would|and|are|have|were|does|from|that|with|not|this|when|while|been|its)\b"
)
"""Words that stand in nearly every English sentence, and in none of the other languages."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Every page, in each language."""
    folder = tmp_path_factory.mktemp("pages")
    made = gather_pages(folder)
    return {language: made.make(folder, words_of(language)) for language in FOREIGN}


@pytest.mark.parametrize("language", FOREIGN)
def test_no_page_has_english_left(pages: dict[str, dict[str, Path]], language: Language) -> None:
    """Neither a text of the catalogue nor a sentence that the catalogue lacks, in whatever state a page is."""
    english = {
        message.id: message.string
        for message in messages(language)
        if isinstance(message.id, str) and not PLACE.search(message.id)
    }
    names = {"orders", "open", "status", "profiles", "interactions", "sales"}
    for name, page in pages[language].items():
        text = page.read_text(encoding="utf-8")
        shown = re.sub(r"<(script|style|code)\b.*?</\1>", "", text, flags=re.DOTALL)
        attributes = re.findall(r'(?:aria-label|data-l|title|placeholder)="([^"]+)"', shown)
        texts = {*map(html.unescape, re.findall(r">\s*([^<>]+?)\s*<", shown) + attributes)}
        left = {one for one in texts - names if english.get(one, one) != one}
        left |= {one for one in texts if ENGLISH.search(one)}
        assert not left, (name, left)


def test_the_page_of_a_plan_whose_load_was_begun_is_no_dry_run(tmp_path: Path) -> None:
    """It says so only while nothing was written."""
    bench = make_bench(tmp_path)
    bench.plan("plan")
    plan, view, shown = open_report(bench.workspace, None, show_values=False, start=START)
    pages = []
    for is_begun in (False, True):
        page = tmp_path / f"{is_begun}.html"
        seen = replace(view, is_begun=is_begun)
        write_page(plan, seen, shown, page, made_at="now", words=words_of("en"))
        pages.append("nothing has been written" in page.read_text(encoding="utf-8"))
    assert pages == [True, False]


@pytest.mark.parametrize(("language", "one", "many"), [
    ("nl", "komt niet aan", "komen niet aan"),
    ("fr", "n’arrivera pas", "n’arriveront pas"),
    ("de", "kommt nicht an", "kommen nicht an"),
])  # fmt: skip
def test_a_single_loss_is_in_the_singular(language: Language, one: str, many: str) -> None:
    """Also where English says the same of one and of many."""
    words = words_of(language)
    for rows, wanted in ((1, one), (2, many)):
        counts = dataset(read=9, rejected=rows, planned=9 - rows, create=9 - rows)
        [finding] = dataset_findings("orders", counts)
        assert wanted in words.say(finding.text)
