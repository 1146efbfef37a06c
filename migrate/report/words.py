"""A reader's language: sentences, numbers, amounts, shares and moments as that reader writes them.

The language is a value that a page is given; the process has none. Terminal, logs and JSON stay English.
"""

from __future__ import annotations

import gettext
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

from babel import Locale
from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

from migrate.names import Language
from migrate.report.cells import inert
from migrate.sentence import Sentence, Value

NOTHING = "–"
SEPARATORS: Final[dict[Language, str]] = {"en": ",", "nl": ";", "fr": ";", "de": ";"}
"""What parts the cells of a CSV file where that language's spreadsheet program opens it."""
# Cents always, and up to the six places that amounts are kept with.
_MONEY = "#,##0.00####"


@dataclass(frozen=True)
class Words:
    """The words of one language. What comes back is inert, but not escaped for HTML."""

    language: Language
    locale: Locale
    texts: gettext.NullTranslations

    def say(self, text: str) -> str:
        """A sentence, or a word of a page, in this language; another text as it is."""
        if not isinstance(text, Sentence):
            return self._word(text)
        if not text.values:
            return self._word(text.template)
        values = {name: self.value(value) for name, value in text.values.items()}
        return self._template(text).format(**values)

    def _word(self, text: str) -> str:
        translated = self.texts.gettext(text) if text else text
        # What has a translation is ours; anything else may have come out of the data.
        return inert(text) if translated == text else translated

    def _template(self, text: Sentence) -> str:
        if text.plural is None:
            return self.texts.gettext(text.template)
        count = text.values["count"]
        return self.texts.ngettext(
            # gettext takes whole numbers only; of anything else there is never just one.
            text.template,
            text.plural,
            count if isinstance(count, int) else 2,
        )

    def value(self, value: Value) -> str:
        """A value of a sentence."""
        if isinstance(value, Sentence):
            return self.say(value)
        if isinstance(value, str):
            return inert(value)
        if isinstance(value, tuple):
            return ", ".join(self.value(one) for one in value)
        if isinstance(value, Decimal):
            return self.money(value)
        return self.number(float(f"{value:.3g}") if isinstance(value, float) else value)

    def number(self, value: float | None) -> str:
        """A grouped number, a dash for None."""
        if value is None:
            return NOTHING
        return format_decimal(value, locale=self.locale)

    def money(self, value: Decimal | str | None) -> str:
        """An amount with two places, more where it has more; a dash for None."""
        if value is None:
            return NOTHING
        return format_decimal(Decimal(value), _MONEY, self.locale)

    def percent(self, share: float) -> str:
        """A share, from 0 to 1, with one place; what is not nothing is never shown as nothing."""
        pattern = self.locale.percent_formats[None].pattern.replace("0", "0.0", 1)
        if 0 < share < 0.001:
            return "< " + format_percent(0.001, pattern, self.locale)
        return format_percent(share, pattern, self.locale)

    def moment(self, moment: datetime) -> str:
        """A day and a time of the day, with the name of its zone."""
        text = format_datetime(moment, "d MMM y, HH:mm", tzinfo=moment.tzinfo, locale=self.locale)
        return f"{text} {moment.strftime('%Z')}".strip()


@cache
def words_of(language: Language) -> Words:
    """The words of a language; English needs no catalogue."""
    if language == "en":
        return Words(language, Locale(language), gettext.NullTranslations())
    file = files("migrate.report").joinpath("catalogues", f"{language}.po")
    compiled = BytesIO()
    # Compiled here: a compiled catalogue in the repository could disagree with its text.
    with file.open("rb") as text:
        write_mo(compiled, read_po(text, locale=language))
    compiled.seek(0)
    return Words(language, Locale(language), gettext.GNUTranslations(compiled))
