"""Brings the catalogues of pages up to the texts in the code; with --check, fails where they are not.

A text that is new stands in each catalogue untranslated, to be filled in by hand; one that is gone is taken out.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from migrate.names import LANGUAGES

PACKAGE = Path(__file__).parents[1] / "migrate"
CATALOGUES = PACKAGE / "report" / "catalogues"
Text = str | tuple[str, str]
"""A text, or one with its plural."""
_PLACE = re.compile(r"%\(\w+\)s|{\w*}")
TABLES = (
    "migrate.mapping.rules.LOSSES",
    "migrate.mapping.rules.REASONS",
    "migrate.plan.gates.SHARES",
    "migrate.report.diff_view.OFFLINE",
    "migrate.report.diff_view.OFFLINE_DELTA",
    "migrate.report.extract.NOT_MIGRATED",
    "migrate.report.inspect.ESTIMATED",
    "migrate.report.inspect.MIXED_ZONES",
    "migrate.report.inspect.RANGE_OF",
    "migrate.app.plan_findings.HARMS",
    "migrate.app.plan_findings.LACKING",
    "migrate.app.plan_findings.DIFFERING",
    "migrate.app.verdict.LOAD_LOSSES",
    "migrate.app.verdict.TO_SEND",
    "migrate.load.standing.UNDONE",
    "migrate.snapshot.traps.ID_SHAPES",
    "migrate.snapshot.traps.WORDS",
    "migrate.source.import_files.TROUBLES",
    "migrate.source.verdict.EARLIER",
    "migrate.source.verdict.UNFIT",
    "migrate.totals.table.TITLES",
    "migrate.totals.table.UNITS",
    "migrate.totals.table.WORDS",
)
"""Texts that are said though they stand in no call of `Sentence`."""
_LABELS = "migrate.report.labels"
_CODES = frozenset(
    {"KINDS", "COUNT_COLUMNS", "LOAD_COLUMNS", "EQUATION", "ROW_KINDS", "FIELD_SHARES"}
)
"""Tables of labels whose first column is a key and no text."""


def collect() -> set[Text]:
    """Every text that a page can say."""
    return {*_of_templates(), *_of_code(), *_of_tables(), *_of_rules()}


def _of_templates() -> Iterator[Text]:
    options = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
    for file in sorted((PACKAGE / "report" / "templates").glob("*.j2")):
        with file.open("rb") as source:
            for _line, _function, texts, _comments in babel_extract(
                source, ("gettext", "ngettext", "_"), (), options
            ):
                yield texts if isinstance(texts, str) else (texts[0], texts[1])


def _of_code() -> Iterator[Text]:
    """The templates of sentences, where they are written out in the call."""
    for file in sorted(PACKAGE.rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if "Sentence(" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Sentence":
                texts = [text for argument in node.args for text in _texts(argument)]
                if len(texts) == len(node.args) == 2:
                    yield (texts[0], texts[1])
                else:
                    yield from texts


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return [node.value] if is_text else []


def _of_tables() -> Iterator[Text]:
    for name in TABLES:
        module, _, attribute = name.rpartition(".")
        yield from _within(getattr(importlib.import_module(module), attribute))
    labels = importlib.import_module(_LABELS)
    for name, table in vars(labels).items():
        if name.isupper():
            yield from _within([label for _, label in table] if name in _CODES else table)


def _within(table: Any) -> Iterator[Text]:
    """The texts of a table: values of mappings, pairs of a singular and a plural, and texts in lists."""
    if isinstance(table, str):
        yield table
    elif isinstance(table, dict):
        for value in table.values():
            yield from _within(value)
    elif _is_plural(table):
        yield (table[0], table[1])
    else:
        for value in table:
            yield from _within(value)


def _is_plural(table: Any) -> bool:
    is_pair = isinstance(table, tuple) and len(table) == 2
    return is_pair and all(isinstance(text, str) and "{" in text for text in table)


def _of_rules() -> Iterator[Text]:
    from migrate.mapping.rules import RULES
    from migrate.plan.shipments import text_recipes

    for rule in RULES.values():
        yield from (text for text in (rule.says, rule.hint) if text)
    yield from text_recipes()


def render(language: str, texts: set[Text]) -> bytes:
    """The catalogue of a language with exactly these texts, in their order; translations that it has are kept."""
    file = CATALOGUES / f"{language}.po"
    known = Catalog(locale=language)
    if file.exists():
        with file.open("rb") as source:
            known = read_po(source, locale=language)
    fresh = Catalog(
        locale=language, header_comment="# Texts of pages, lists and workbooks.", fuzzy=False
    )
    for text in sorted(texts, key=str):
        message = known.get(text if isinstance(text, str) else text[0])
        kept = message.string if message is not None and message.id == text else None
        fresh.add(text, kept or ("" if isinstance(text, str) else ("",) * fresh.num_plurals))
    written = BytesIO()
    write_po(written, fresh, omit_header=False, width=0, no_location=True)
    head = b"\n".join(
        line
        for line in written.getvalue().splitlines()
        # Dates would change with every run, and the tool's version with every release.
        if not line.startswith(
            (b'"POT-Creation', b'"PO-Revision', b'"Generated-By', b'"Last-Tr', b'"Report-')
        )
    )
    return head + b"\n"


def faults(catalogue: Catalog) -> list[str]:
    """What a reader of a catalogue would find missing: a form without words, or with other places for values.

    A singular may say its number in words, where it is said of one thing only; in French it is said of none as well.
    """
    found = []
    for message in catalogue:
        if not message.id:
            continue
        is_text = isinstance(message.id, str)
        ids = (message.id,) if is_text else message.id
        forms = (message.string,) if is_text else message.string
        whole = Counter(_PLACE.findall(ids[-1]))
        allowed = [[whole] for _form in forms]
        if len(forms) > 1 and str(catalogue.locale) != "fr":
            allowed[0].append(Counter(_PLACE.findall(ids[0])))
        if message.fuzzy or len(forms) < (1 if is_text else catalogue.num_plurals):
            found.append(f"{ids[0]!r} is not whole")
        for place, (form, known) in enumerate(zip(forms, allowed, strict=True)):
            if not form.strip():
                found.append(f"{ids[0]!r} has nothing in form {place}")
            elif Counter(_PLACE.findall(form)) not in known:
                found.append(f"{form!r} has other places for values than {ids[-1]!r}")
    return found


def main(arguments: list[str]) -> int:
    """Writes the catalogues, or with --check says whether they are up to date and whole."""
    texts, stale = collect(), []
    lacking: list[str] = []
    CATALOGUES.mkdir(exist_ok=True)
    for language in LANGUAGES[1:]:
        file, wanted = CATALOGUES / f"{language}.po", render(language, texts)
        if not file.exists() or file.read_bytes() != wanted:
            stale.append(file.name)
            if "--check" not in arguments:
                file.write_bytes(wanted)
        catalogue = read_po(BytesIO(wanted), locale=language)
        lacking += [f"{file.name}: {fault}" for fault in faults(catalogue)]
    if stale and "--check" in arguments:
        sys.stderr.write(f"not up to date: {', '.join(stale)}; run python docs/catalogues.py\n")
    sys.stderr.write("".join(f"{line}\n" for line in lacking))
    return 1 if "--check" in arguments and (stale or lacking) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
