"""One way to make a page: in its reader's language, every value escaped, and inert for browsers and readers.

Nothing in a page comes from outside, and its policy lets nothing in: the one style sheet and the one script are named
by their hashes, and inline styles are not allowed at all (bars are SVG).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from migrate.names import Language
from migrate.report.cells import inert
from migrate.report.inert import inert_text
from migrate.report.labels import GLOSSARY
from migrate.report.words import Words, words_of
from migrate.sentence import Sentence


def render_page(template: str, words: Words, **values: Any) -> str:
    """The page of a template that extends `page.html.j2`.

    **Guarantees**: a name that the template uses and nobody gave is an error, never an empty place.
    """
    style = _asset("page.css")
    script = _asset("page.js")
    page = page_template(template, words.language).render(
        words=words,
        glossary=GLOSSARY,
        style=Markup(style),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        style_hash=_hash(style),
        script_hash=_hash(script),
        **values,
    )
    # What the language's own way to put values into its sentences lets through.
    return inert_text(page)


@cache
def page_template(name: str, language: Language) -> jinja2.Template:
    """The template of that name with the filters of a language.

    `say`: a sentence or word; `n`: a grouped number; `money`: two decimals; `pct`: a share.
    """
    words = words_of(language)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("migrate.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: inert(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(words.texts, newstyle=True)  # type: ignore[attr-defined]  # the extension's
    environment.filters.update(
        say=lambda text: _codes(words.say(text)),
        n=_marked(words.number),
        money=_marked(words.money),
        pct=_marked(words.percent),
    )
    environment.globals.update(telling=telling_columns, sentence=Sentence)
    return environment.get_template(name)


def _marked(write: Callable[..., str]) -> Callable[..., Markup]:
    """A filter whose text is ours, so that its narrow blanks stay."""
    return lambda value: escape(write(value))


def _codes(text: str) -> Markup:
    """An inert sentence with what stands between backticks as code; everything else escaped."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        # an odd mark has no partner, so it is shown as it is
        pieces[-2:] = [f"{pieces[-2]}`{pieces[-1]}"]
    shown = [
        Markup("<code>{}</code>").format(piece) if at % 2 else escape(piece)
        for at, piece in enumerate(pieces)
    ]
    return Markup("").join(shown)


def telling_columns(
    rows: Iterable[Mapping[str, Any] | object], columns: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Those of the columns, (key, label), that say something in any of the rows: not only zeros and gaps."""
    every = list(rows)

    def is_filled(key: str) -> bool:
        return any(_value(row, key) for row in every)

    return [(key, label) for key, label in columns if is_filled(key)]


def _value(row: Mapping[str, Any] | object, key: str) -> Any:
    if isinstance(row, Mapping):
        return row.get(key)
    return getattr(row, key, None)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return files("migrate.report").joinpath("templates", name).read_text(encoding="utf-8")
