"""The verifier's functions of `apply` beside the mapping's: written apart, and of one mind about every text."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping.functions import FUNCTIONS
from migrate.verify.apply import function_of
from migrate.verify.typed import Broken

# what folds to plain letters or digits by way of case or compatibility, beside what does not
_ODD = "ß™ªºſKÅİıŉﬁﬀ①²½\u0301\u0345\u02bc\u200b\ufe0f\ufeff ．，＋Ｎｌ١３Ⓝℂ㎏ёΝ中🇳\x1c\x85\u2003"
_PLAIN = "NLnlPeru&.,-+ 0126;'"
_WORDS = [
    "Nederland",
    "Peru",
    "Côte d'Ivoire",
    "u.s.a.",
    "Isole Fær Øer",
    "NLD",
    "uk",
    "020 1234567",
    "+31 6",
    " ext",
]
_texts = st.lists(
    st.one_of(
        st.sampled_from(_WORDS), st.sampled_from(_ODD + _PLAIN), st.characters(codec="utf-8")
    ),
    max_size=6,
).map("".join)


def _mapped(name: str, text: str, argument: str | None) -> str | None:
    found: str | None = (
        pl.DataFrame({"t": [text]}).select(FUNCTIONS[name].build(pl.col("t"), argument)).item()
    )
    return found


def _verified(name: str, text: str, argument: str | None) -> str | None:
    try:
        return function_of(name, argument)(text)
    except Broken as broken:
        assert broken.rule == FUNCTIONS[name].rule
        return None


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("country", None),
        ("phone", "NL"),
        ("phone", "DE"),
        ("decimal_comma", None),
        ("decimal_comma", "or_point"),
    ],
)
@given(text=_texts)
def test_both_read_odd_letters_alike(name: str, argument: str | None, text: str) -> None:
    """Letters and digits of other scripts, widths and sizes: the same result, or the same rule broken."""
    assert _mapped(name, text, argument) == _verified(name, text, argument)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("country", "ß™"),
        ("country", "ｎｌ"),
        ("country", "ñl"),
        ("country", "Ⓝⓛ"),
        ("country", "Ü.Ś.A."),
        ("country", "Peru™"),
        ("country", "Niger ия"),
        ("phone: NL", "020 Kantoor"),
        ("phone: NL", "tel. 020 Kantoor"),
        ("phone: DE", "030 123456 Jan"),
        ("decimal_comma", "1,٢٣٤"),
    ],
)
def test_nothing_is_made_of_odd_letters(call: str, text: str) -> None:
    """Neither makes a code, a number that nobody gave, or thousands of them: refused, or left as it is."""
    name, _, argument = call.partition(": ")
    wanted = text if name == "decimal_comma" else None
    assert (
        _mapped(name, text, argument or None) == _verified(name, text, argument or None) == wanted
    )


@pytest.mark.parametrize(
    ("call", "text", "wanted"),
    [
        ("country", " nl\u2003", "NL"),
        ("country", "U.S.A.", "US"),
        ("country", "Côte dʼIvoire", "CI"),
        ("country", "Isole Fær Øer", "FO"),
        ("country", "🇳🇱 Nederland", "NL"),
        ("country", "Ｆｒａｎｃｅ", "FR"),
        ("phone: NL", "Tel. thuis: 020-123 45 67", "+31201234567"),
        ("phone: NL", "06 12345678 nl", "+31612345678"),
        ("phone: NL", "tel:0612345678;phone-context=+31", "+31612345678"),
    ],
)
def test_what_is_plain_enough_is_read(call: str, text: str, wanted: str) -> None:
    """Names however they are written, and numbers with words before them."""
    name, _, argument = call.partition(": ")
    assert (
        _mapped(name, text, argument or None) == _verified(name, text, argument or None) == wanted
    )
