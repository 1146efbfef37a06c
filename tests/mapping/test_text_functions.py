"""Amounts, HTML, addresses, numbers and countries: each with what is right by its standard, on both sides."""

from __future__ import annotations

import string

import phonenumbers
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping.column_text import start_text
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.model import Column
from migrate.mapping.numbers import STYLES, find_style
from migrate.verify.apply import function_of
from migrate.verify.column import Setting, Zones, write_lane
from migrate.verify.language.database import database
from migrate.verify.language.forms import FORMS
from migrate.verify.language.steps import Writer
from migrate.verify.rules import ColumnRule
from migrate.verify.typed import Broken, Unverifiable


def _planned(name: str, text: str, argument: str | int | None = None) -> str | None:
    """What the plan makes of a text: the text, or the rule it breaks after an exclamation mark."""
    step = name if argument is None else {name: argument}
    column = Column.model_validate({"from": "f", "type": "text", "apply": [step]})
    lane = start_text(pl.Series([text]), column)
    rule = lane.rule[0]
    return f"!{rule}" if rule is not None else lane.text[0]


def _verified(name: str, text: str, argument: str | int | None = None) -> str | None:
    """The same of the verifier: of its function, or of what it writes in SQL where it has none."""
    try:
        return function_of(name, argument)(text) or None
    except Broken as broken:
        return f"!{broken.rule}"
    except Unverifiable:
        return _verified_in_sql(ColumnRule("c", "text", calls=((name, argument),)), text)


def _verified_in_sql(rule: ColumnRule, text: str) -> str | None:
    writer = Writer(FORMS, str)
    setting = Setting(Zones("'UTC'", ["UTC"]), "decimals", (), has_nul=False)
    lane = write_lane(writer, setting, rule, "given", breaks=False)
    query = writer.query("(SELECT CAST($1 AS VARCHAR) AS given)", [(lane.value, "value")])
    with database() as connection:
        [(found,)] = connection.execute(query, [text]).fetchall()
    return found


def _both(name: str, text: str, argument: str | int | None = None) -> str | None:
    planned = _planned(name, text, argument)
    assert _verified(name, text, argument) == planned
    return planned


@pytest.mark.parametrize(
    ("style", "text", "wanted"),
    [
        ("nl", "€ 1.234,56", "1234.56"), ("nl", "1.299", "1299"), ("nl", "12,50", "12.50"),
        ("nl", "1.234.567", "1234567"),
        ("nl", "-€ 5,00", "-5.00"), ("nl", "€ -5,00", "-5.00"), ("nl", "5,00-", "-5.00"),
        ("nl", "(1.234,56)", "-1234.56"),
        ("nl", "€ 12,-", "12"), ("nl", "12,--", "12"), ("nl", "€\xa01.234,5", "1234.5"),
        ("nl", "EUR 1.000", "1000"),
        ("nl", "1.000 EUR", "1000"), ("nl", "1000 euro", "1000"), ("nl", "\u22125,00", "-5.00"),
        ("nl", ",50", "0.50"),
        ("nl", "0012,50", "12.50"), ("nl", "-0,00", "0.00"), ("nl", "1 234,56", "1234.56"), ("nl", "7", "7"),
        ("nl", "12.50", "!other_number_style"), ("nl", "1,234.56", "!other_number_style"),
        ("nl", "0.125", "!other_number_style"), ("nl", "abc", "!not_an_amount"), ("nl", "12 %", "!not_an_amount"),
        ("nl", "--5", "!not_an_amount"), ("nl", "(-5)", "!not_an_amount"), ("nl", "1e5", "!not_an_amount"),
        ("nl", "12,", "!not_an_amount"), ("nl", "1.23.456", "!not_an_amount"), ("nl", "€ 5 EUR", "!not_an_amount"),
        ("nl", "5 appels", "!not_an_amount"), ("nl", "1.2345,67", "!not_an_amount"),
        ("fr", "1\u202f234,56\xa0€", "1234.56"), ("fr", "1 234 567,8", "1234567.8"),
        ("fr", "1.234", "!other_number_style"),
        ("fr", "12.50", "!other_number_style"), ("de", "1.234,56 €", "1234.56"),
        ("de-CH", "CHF 1’234.50", "1234.50"),
        ("de-CH", "CHF 5.-", "5"), ("en", "$1,234.56", "1234.56"), ("en", "1,299", "1299"), ("en", "USD 5", "5"),
        ("en", "US$ 1,000", "1000"), ("en", "12,50", "!other_number_style"), (".,", "1.234,5", "1234.5"),
        (" ,", "1 234,5", "1234.5"), (",", "1.234", "!other_number_style"), ("nl", "Kč 5", "5"),
    ],
)  # fmt: skip
def test_amounts_under_a_style(style: str, text: str, wanted: str) -> None:
    """What CLDR and accountants write is read; what another style would write is refused under its own rule."""
    assert _both("amount", text, style) == wanted


# CLDR: decimal and group signs of the locales' numbers
_CLDR = {
    "nl": (",", "."), "nl-BE": (",", "."), "de": (",", "."), "de-AT": (",", "\xa0"), "de-CH": (".", "’"),
    "fr": (",", "\u202f"), "fr-BE": (",", "\u202f"), "fr-CH": (",", "\u202f"), "es": (",", "."), "it": (",", "."),
    "en": (".", ","),
}  # fmt: skip


@given(
    st.sampled_from(sorted(STYLES)),
    st.decimals(-(10**9), 10**9, places=2),
    st.sampled_from(["{}", "€ {}", "{}\xa0€", "EUR {}", "{} EUR", "\u200e{}"]),
)
def test_what_a_locale_writes_is_read_under_it(style: str, number: object, currency: str) -> None:
    """Every number as CLDR's pattern of a locale writes it gives that number, on both sides."""
    decimal, group = _CLDR[style]
    text = f"{number:,.2f}".replace(",", "g").replace(".", decimal).replace("g", group)
    wanted = f"{number:.2f}"
    assert _both("amount", currency.format(text), style) == (
        wanted if wanted != "-0.00" else "0.00"
    )


@given(
    st.text(string.digits[:3] + ".,' -+()€EUR", max_size=10),
    st.sampled_from(["nl", "fr", "en", "de-CH", ",", "' ,"]),
)
def test_both_sides_read_amounts_alike(text: str, style: str) -> None:
    """Whatever a text is, plan and verifier make the same of it."""
    if text and find_style(style):
        _both("amount", text, style)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Size: 42<br>Colour: red", "Size: 42 Colour: red"), ('<a title="a > b">text</a>', "text"), ("&amp;", "&"),
        ("5<x and y>3", "5<x and y>3"), ("a<b and c>d", "a<b and c>d"), ("a < b > c", "a < b > c"),
        ("I <3 you", "I <3 you"),
        ("<p>Fine <b>wool</b></p>", "Fine wool"), ("x<!-- <p> -->y<br/>", "xy"),
        ("<ul><li>one</li><li>two</li></ul>", "one two"),
        ("AT&T &copy; x&copy=2", "AT&T © x&copy=2"), ("<p>a&nbsp;b</p>", "a b"), ("H<sub>2</sub>O", "H2O"),
        ("<style>p{}</style><p>x</p><script>if(a<b){}</script>", "x"),
        ("<table><tr><td>1</td><td>2</td></tr></table>", "1 2"),
        ("  spaced  text ", "  spaced  text "), ("&lt;b&gt;", "<b>"), ("<div>a</div>b", "a b"),
        ("cut <b", "cut <b"),
        ("<p>a<p>b", "a b"), ("<P CLASS=x>Caf&eacute;</P>", "Café"), ("<o:p>word</o:p>", "word"), ("<3", "<3"),
        ("a</td>b", "a b"), ("a<br>b<br/>c<br />d", "a b c d"), ("<img src='x.jpg' alt='y'>text", "text"),
        ("&#8364; 5 &#x20ac;", "€ 5 €"),
        ("x &unknown; y", "x &unknown; y"), ("1 &lt; 2", "1 < 2"), ("a<b>c</b>d", "acd"), ("<p></p>", None),
        ("<!DOCTYPE html><html><body>hi</body></html>", "hi"), ("<h1>Title</h1>Text", "Title Text"),
        ("<p style=\"font-family:'A';\">x</p>", "x"), ("<span>a</span><span>b</span>", "ab"),
        ("price < 5 & > 3", "price < 5 & > 3"),
        ("<a href=https://x.nl/?a=1&b=2>x</a>", "x"), ("one<hr>two", "one two"), ("<td>a</td><td>b</td>", "a b"),
        ("<iframe src=x>no</iframe>yes", "yes"), ("<noscript>n</noscript>", "n"), ("<template>t</template>y", "y"),
        ("<!-- all -->", None), ("<input disabled>a", "a"), ("Tom &amp; Jerry", "Tom & Jerry"),
        ("&amp;lt;", "&lt;"),
        ("soft&shy;hyphen", "soft\xadhyphen"), ("<b>bold</b><i>it</i>", "boldit"),
        ("<font color=red>r</font>", "r"),
        ("line\none", "line\none"), ("<p>line\none</p>", "line one"),
        ("<unknown>x</unknown>", "<unknown>x</unknown>"),
        ("<jan@x.nl>", "<jan@x.nl>"), ("<p>x</p", "x</p"), ("A<br\n>B", "A B"),
        ("<select><option>1<option>2</select>", "1 2"),
    ],
)  # fmt: skip
def test_text_of_html(html: str, text: str | None) -> None:
    """What a reader of the page sees: words apart, entities resolved, nothing hidden, nothing lost."""
    assert _both("strip_html", html) == text


_MARKS = [
    "<b>", "</b>", "<p>", "<br>", "a", "&", "&amp;", "<", ">", "<td>", "<x y>", " ", "<!--", "-->", "<script>",
    "</script>", "<a b=c>", "\n", "<select>", "<textarea>",
]  # fmt: skip


@given(st.lists(st.sampled_from(_MARKS), max_size=8).map("".join))
def test_both_sides_see_the_same_text(html: str) -> None:
    """Broken pages, too, give the plan and the verifier one text."""
    if html:
        _both("strip_html", html)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("jan@münchen.de", "jan@münchen.de"), ("jan@xn--mnchen-3ya.de", "jan@xn--mnchen-3ya.de"),
        ('"jan de wit"@x.nl', '"jan de wit"@x.nl'), ("jörg@x.nl", "jörg@x.nl"),
        ("\ufeffjan@x.nl\u200b", "jan@x.nl"),
        ("ja\u200dn@x.nl", "jan@x.nl"), ("jan+a@x.co.uk", "jan+a@x.co.uk"), ("o'neil@x.nl", "o'neil@x.nl"),
        ("jan@x", "!not_an_email"), ("jan@@x.nl", "!not_an_email"), ("jan.@x.nl", "!not_an_email"),
        (".jan@x.nl", "!not_an_email"), ("ja..n@x.nl", "!not_an_email"), ("jan@-x.nl", "!not_an_email"),
        ("jan@x-.nl", "!not_an_email"), ("Jan <jan@x.nl>", "!not_an_email"), ("jan@[10.0.0.1]", "!not_an_email"),
        ("jan@x.123", "!not_an_email"), ("a" * 65 + "@x.nl", "!not_an_email"), ("jan @x.nl", "!not_an_email"),
        ("jan@x..nl", "!not_an_email"), ("jan", "!not_an_email"), ("@x.nl", "!not_an_email"),
        ("jan@x.nl,", "!not_an_email"),
    ],
)  # fmt: skip
def test_addresses(text: str, wanted: str) -> None:
    """RFC 5321, 5322 and 6531, without what shows nothing."""
    assert _both("email", text) == wanted


@pytest.mark.parametrize(
    ("text", "region", "wanted"),
    [
        ("06 1234 5678", "NL", "+31612345678"), ("31612345678", "NL", "+31612345678"),
        ("0031612345678", "US", "+31612345678"),
        ("(+31) 6 12345678", "NL", "+31612345678"), ("020 Kantoor", "NL", "!not_a_phone_number"),
        ("12", "NL", "!not_a_phone_number"),
    ],
)  # fmt: skip
def test_numbers_of_telephones(text: str, region: str, wanted: str) -> None:
    """With +, without, with 00: one number or none."""
    assert _both("phone", text, region) == wanted


_KINDS = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
_EXAMPLES = [
    (region, phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in _KINDS
    if (example := phonenumbers.example_number_for_type(region, kind)) is not None
]


def test_a_number_that_begins_with_its_own_country_code_in_every_country() -> None:
    """Each country's numbers without the + are read as that number or refused as ambiguous, never as another."""
    assert len(_EXAMPLES) > 400
    for region, whole in _EXAMPLES:
        assert _planned("phone", whole, region) == whole
        assert _planned("phone", whole[1:], region) in {whole, "!ambiguous_phone_number"}, (
            region,
            whole,
        )


def test_german_mobiles_without_plus_are_never_read_as_others() -> None:
    """49 and a mobile number is that number, or refused, for every number of the range."""
    for last in range(0, 10**8, 1_666_667):
        text = f"49176{last:08}"
        assert _both("phone", text, "DE") in {f"+{text}", "!ambiguous_phone_number"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Tanzania, United Republic of", "TZ"), ("Holy See (Vatican City State)", "VA"), ("Kosovo", "XK"),
        ("XK", "XK"),
        ("Wit-Rusland", "BY"), ("Russische Föderation", "RU"), ("Koninkrijk der Nederlanden", "NL"),
        ("Niederlande", "NL"),
        ("Pays-Bas", "NL"), ("Paesi Bassi", "NL"), ("Países Bajos", "NL"), ("Königreich Belgien", "BE"),
        ("République française", "FR"), ("Vereinigtes Königreich", "GB"), ("Bundesrepublik Deutschland", "DE"),
        ("DEU", "DE"),
        ("YUG", "!withdrawn_country"), ("SUN", "!withdrawn_country"), ("ANT", "!withdrawn_country"),
        ("DDR", "!withdrawn_country"),
        ("Nederlandse Antillen", "!withdrawn_country"), ("ROM", "!withdrawn_country"),
        ("Atlantis", "!not_a_country"),
    ],
)  # fmt: skip
def test_names_of_countries(name: str, wanted: str) -> None:
    """Names and official long forms in six languages; what ISO has withdrawn is told, not mapped."""
    assert _both("country", name) == wanted


@pytest.mark.parametrize(
    ("text", "length", "wanted"),
    [
        ("cafe\u0301s", 4, "cafe\u0301"), ("👨\u200d👩\u200d👧x", 1, "👨\u200d👩\u200d👧"), ("🇳🇱🇧🇪", 1, "🇳🇱"),
        ("Hello", 3, "Hel"),
        ("a\r\nb", 2, "a\r\n"), ("👍🏽👍", 1, "👍🏽"), ("é", 5, "é"),
    ],
)  # fmt: skip
def test_text_is_cut_between_letters(text: str, length: int, wanted: str) -> None:
    """No letter loses its accent, no family a member."""
    assert _both("truncate", text, length) == wanted


def test_every_function_is_known_to_the_verifier() -> None:
    """What the plan applies the verifier applies as well, to the function's own example."""
    for name, function in FUNCTIONS.items():
        given_, wanted = function.example
        assert _both(name, given_, function.example_argument) == wanted
