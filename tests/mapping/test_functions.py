"""The functions of `apply`."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping.countries import find_country
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.rules import LOSSES, RULES, explain
from migrate.mapping.transform import Mapped

Run = Callable[..., Mapped]


def _apply(name: str, text: str | None, argument: str | int | None = None) -> str | None:
    found: str | None = (
        pl.DataFrame({"t": [text]}).select(FUNCTIONS[name].build(pl.col("t"), argument)).item()
    )
    return found


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_do_what_their_example_says(name: str) -> None:
    """Each function turns its example's input into its output, and its rule and loss are documented."""
    function = FUNCTIONS[name]
    given_, wanted = function.example
    assert _apply(name, given_, function.example_argument) == wanted
    assert function.rule is None or function.rule in RULES
    assert function.loss is None or function.loss in LOSSES
    assert function.refuse(function.example_argument) is None


@pytest.mark.parametrize(
    ("call", "text", "wanted"),
    [
        ("decimal_comma", "24,99", "24.99"),
        ("decimal_comma", "31.22", "31.22"),
        ("decimal_comma", "1.234,56", "1234.56"),
        ("decimal_comma", "-1.234.567,8", "-1234567.8"),
        ("decimal_comma", "1234,567", "1234.567"),
        ("decimal_comma", "0,125", "0.125"),
        ("decimal_comma", "10.500000", "10.500000"),
        ("decimal_comma", "1,234", None),
        ("decimal_comma", "-12,345", None),
        ("decimal_comma", "1.234", None),
        ("decimal_comma: or_point", "1.234", "1.234"),
        ("decimal_comma: or_point", "1,234", None),
        ("decimal_comma", "1.23,5", "1.23,5"),
        ("decimal_comma", "1,234.5", "1,234.5"),
        ("strip_html", "a < b > c", "a < b > c"),
        ("strip_html", "x<!-- <p> -->y<br/>", "xy"),
        ("trim", "\u00a0x\u3000", "x"),
        ("truncate: 3", "éè😀x", "éè😀"),
        ("phone: NL", "0031 (0)20-123 4567", "+31201234567"),
        ("phone: NL", "+32 470 12 34 56", "+32470123456"),
        ("phone: BE", "0470 12 34 56", "+32470123456"),
        ("phone: NL", "12", None),
        ("phone: NL", "0612345678 ext. 5", None),
        ("phone: NL", "none", None),
        ("country", "Allemagne", "DE"),
        ("country", "ESPAÑA", "ES"),
        ("country", "Países Bajos", "NL"),
        ("country", "Germania", "DE"),
        ("country", "Vereinigtes Königreich", "GB"),
        ("country", "nl", "NL"),
        ("country", "BEL", "BE"),
        ("country", "Holland", "NL"),
        ("country", "Atlantis", None),
        ("country", "zz", None),
        ("fix_text", "â‚¬ 5", "€ 5"),
        ("fix_text", "Zoë “quoted” ﬁne", "Zoë “quoted” ﬁne"),
        ("fix_text", "ÃÃÃ", "ÃÃÃ"),
    ],
)
def test_functions_at_their_edges(call: str, text: str, wanted: str | None) -> None:
    """Functions change what they say, refuse what they cannot know (None), and leave alone what only looks like it."""
    name, _, argument = call.partition(": ")
    assert _apply(name, text, int(argument) if argument.isdigit() else argument or None) == wanted


@pytest.mark.parametrize(
    ("name", "argument", "what"),
    [
        ("phone", None, "wants a text, as in `phone: NL`"),
        ("phone", "XX", "two capital letters"),
        ("phone", 31, "wants a text"),
        ("truncate", 0, "from 1 on"),
        ("truncate", "3", "wants a number"),
        ("trim", 1, "takes no argument"),
        ("decimal_comma", "point", "takes no argument or or_point"),
    ],
)
def test_arguments_are_checked(name: str, argument: str | int | None, what: str) -> None:
    """An argument that a function cannot use is refused in words."""
    assert what in str(FUNCTIONS[name].refuse(argument))


@given(
    st.lists(
        st.none() | st.text(max_size=6) | st.sampled_from(["nl", "06 12345678", "1,5", "Ã©"]),
        max_size=9,
    )
)
def test_functions_are_row_by_row(texts: list[str | None]) -> None:
    """No function looks at another row, changes the number of rows or makes a text out of none."""
    for name, function in FUNCTIONS.items():
        together = pl.DataFrame({"t": texts}, schema={"t": pl.String})
        found = (
            together.select(function.build(pl.col("t"), function.example_argument))
            .to_series()
            .to_list()
        )
        assert found == [
            None if text is None else _apply(name, text, function.example_argument)
            for text in texts
        ]


def test_what_a_function_refuses_breaks_its_rule(run: Run) -> None:
    """The row is rejected by the function's rule with the text as sent; on_invalid softens it as it does a type."""
    found = run("type: float, apply: [trim, decimal_comma]", [" 1,234 ", "24,99"])
    assert found.rejected.select("rule", "value").rows() == [("ambiguous_number", " 1,234 ")]
    softened = run("type: text, apply: ['phone': NL], on_invalid: omit", ["12", "06 1234 5678"])
    assert softened.accepted["x"].to_list() == [None, "+31612345678"]
    assert softened.losses == {"x": {"omitted_not_a_phone_number": 1, "phone_formatted": 1}}


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("jan", "there is no @"),
        ("a@b@c.nl", "more than one @"),
        ("a b@c.nl", "a space"),
        ("a" * 65 + "@b.nl", "too long"),
        ("@b.nl", "nothing stands before"),
        ("a..b@c.nl", "a dot stands"),
        ("a@b", "no dot behind"),
        ("a@-b.nl", "its domain"),
    ],
)
def test_why_an_address_is_none(run: Run, address: str, reason: str) -> None:
    """A refused address says what is wrong with it."""
    assert run("type: text, apply: [email]", [address]).rejected["rule"].to_list() == [
        "not_an_email"
    ]
    assert reason in explain("not_an_email", address)


def test_countries_in_six_languages() -> None:
    """Each country that shops in the six languages sell to is found in all of them."""
    names = {
        "NL": "Netherlands, Pays-Bas, Nederland, Niederlande, Países Bajos, Paesi Bassi",
        "DE": "Germany, Allemagne, Duitsland, Deutschland, Alemania, Germania",
        "GB": "United Kingdom, Royaume-Uni, Verenigd Koninkrijk, Vereinigtes Königreich, Reino Unido, Regno Unito",
        "CH": "Switzerland, Suisse, Zwitserland, Schweiz, Suiza, Svizzera",
    }
    for code, spellings in names.items():
        assert {find_country(name) for name in spellings.split(", ")} == {code}
