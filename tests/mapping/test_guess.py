"""What is proposed of a field, from its name and all its values."""

from __future__ import annotations

import polars as pl
import pytest

from migrate.language.number_style import EVIDENCE, advise_style
from migrate.mapping.survey import guess_settings, survey_records
from migrate.snapshot.traps import TRAP_COUNTS


def _propose(name: str, texts: list[str]) -> tuple[str, str]:
    frame = pl.DataFrame(
        {"_source": ["s"] * len(texts), "_id": [str(at) for at in range(len(texts))], name: texts}
    )
    return guess_settings(survey_records([frame], [name]).fields[name])


@pytest.mark.parametrize(
    ("name", "texts", "wanted"),
    [
        ("newsletter_opted_out", ["1", "0"], "type: text"),
        ("marketing_declined", ["yes", "no"], "type: text"),
        ("geen_mailing", ["1", "0"], "type: text"),
        ("consent_withdrawn", ["true", "false"], "type: text"),
        ("mailing_country", ["NL", "BE", "NO"], "type: text"),
        ("subscription_plan", ["gold", "no"], "type: text"),
        ("newsletter", ["ja", "nee", "misschien"], "type: boolean, consent: true"),
        ("nieuwsbrief", ["j", "n"], "type: boolean, consent: true"),
        ("optin", ["1", "0"], "type: boolean, consent: true"),
        ("newsletter", ["weekly", "daily"], "type: text"),
        ("newsletter_status", ["1", "3"], "type: boolean, consent: true, apply: [trim], values: $magento_status"),
        ("newsletter_status", ["subscribed", "pending"], "type: boolean, consent: true, apply: [trim, lowercase]"),
        ("price", ["1.234,56", "1.299", "12,50", "2.499,00"], "type: float, apply: [trim, {amount: nl}]"),
        ("price", ["1,234.56", "12.50"], "type: float, apply: [trim, {amount: en}]"),
        ("price", ["12,50", "7.25"], "type: float, apply: [trim, {decimal_comma: or_point}]"),
        ("price", ["1.299", "2.499"], "type: text"),
        ("price", ["0.500", "1.299"], "type: float"),
        ("price", ["12.5", "1.299"], "type: float"),
        ("price", ["1.234,56", "1,234.56"], "type: text"),
        ("price", ["€ 1.234,56", "€ 5,-"], "type: float, apply: [trim, {amount: nl}]"),
        ("price", ["1\u202f234,56", "5,00"], "type: float, apply: [trim, {amount: nl}]"),
        ("price", ["1,299", "2,499"], "type: text"),
        ("dateofbirth", ["1950-05-01 00:00:00", "1960-01-02 00:00:00"], "type: date"),
        ("dateofbirth", ["1950-04-30 22:00:00", "0000-00-00 00:00:00"], "type: date, on_invalid: omit"),
        ("geboortedatum", ["13/04/1977", "01/02/1980"], "type: date, format: '%d/%m/%Y'"),
        ("ordered", ["2020-01-01 00:00:00"] * 2, "type: date"),
        ("ordered", ["2020-01-01 10:00:00"], "type: datetime"),
        ("ordered", ["04/28/2020 10:00", "01/02/2020 11:00"], "type: datetime, format: '%m/%d/%Y %H:%M'"),
        ("ordered", ["28-04-2020", "00-00-0000"], "type: date, format: '%d-%m-%Y', on_invalid: omit"),
        ("updated_at", ["1588082925", "1588082926"], "type: datetime, format: epoch_s"),
        ("quantity", ["1588082925"], "type: integer"),
        ("stock", ["007", "12"], "type: text"),
        ("code", ["12", "13"], "type: text"),
        ("plaats", ["1011 AB", "9711 LM"], "type: text"),
        ("gsm", ["+31 6 12345678"], "type: text"),
    ],
)  # fmt: skip
def test_what_is_proposed(name: str, texts: list[str], wanted: str) -> None:
    """Consents only where a name gives one, a style of numbers that all values allow, days where nothing has a time."""
    settings, reason = _propose(name, texts)
    assert settings.startswith(wanted), (settings, reason)


def test_a_consent_in_doubt_says_so() -> None:
    """A field that speaks of a consent and does not give one is left for a person to decide."""
    assert "decide what it says" in _propose("newsletter_refused", ["yes", "no"])[1]


def test_an_inspection_counts_what_a_proposal_counts() -> None:
    """Both look at the same signs of a style, over all values."""
    assert {f"style {name}" for name in EVIDENCE} <= TRAP_COUNTS.keys()
    counts = dict.fromkeys(EVIDENCE, 0) | {"numeric": 4, "comma_decimals": 2, "point_thousands": 1}
    advice = advise_style(counts, 4)
    assert advice is not None
    assert advice.call == "{amount: nl}"


def test_a_thousand_among_decimals_is_pointed_out() -> None:
    """1.299 beside 99.95 goes out as a little more than one: whoever signs is told how many such values there are."""
    settings, reason = _propose("van_prijs", ["99.95", "1299.00", "1.299"])
    assert settings.startswith("type: float")
    assert (
        "1 as 1.299 are read as a little more than one, since 2 others have a decimal point"
        in reason
    )
