"""Names that give consent, and all the others; words of answers; what files share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from migrate.errors import MappingError
from migrate.language.answers import words_of
from migrate.language.shared import read_shared
from migrate.language.yaml_text import read_yaml
from migrate.mapping.files import read_mapping
from migrate.mapping.known_fields import gives_consent
from migrate.mapping.model import Mapping
from migrate.mapping.survey import Field, guess_settings
from migrate.mapping.transform import Settings, map_rows
from migrate.mapping.trial import find_contradictions

FOLDER = Path(__file__).parents[2] / "mappings"
GIVING = str.split(
    "newsletter optin opt_in optIn metadata.newsletter newsletter_optin newsletterOptin "
    "newsletter_subscribed is_subscribed isSubscribed accepts_marketing acceptsMarketing "
    "buyer_accepts_marketing email_marketing_consent sms_consent gdpr_consent marketing_permission "
    "marketing_consent consent nieuwsbrief nieuwsbrief_aangemeld aangemeld_nieuwsbrief toestemming "
    "toestemming_email avg_toestemming einwilligung newsletter_einwilligung werbeeinwilligung "
    "newsletter_angemeldet consentement consentement_email inscrit_newsletter newsletter_abonné "
    "infolettre optin_email email_optin newsletteroptin Opt-In wants_newsletter receive_newsletter "
    "marketing_optin nieuwsbrief_akkoord opted_in mailing_akkoord newsletter_status mag_mailen "
    "accord_marketing customer.newsletter "
)
NOT_GIVING = str.split(
    "newsletter_opted_out marketing_declined geen_mailing consent_withdrawn no_newsletter unsubscribed "
    "newsletter_unsubscribed opt_out optout email_optout do_not_mail donotcontact newsletter_date "
    "optin_at consent_source consent_ip consent_country newsletter_count newsletter_frequency "
    "optin_pending double_optin_pending newsletter_unconfirmed consent_required consent_text "
    "consent_version mailing_country subscription_plan avg_rating mailing_address marketing_budget "
    "subscription_price newsletter_id permission_level consent_expired niet_akkoord afgemeld "
    "uitgeschreven abgemeldet widerruf kein_newsletter keine_werbung sans_newsletter pas_de_newsletter "
    "desinscrit désabonné refus_marketing newsletter_nein nonewsletter not_subscribed never_subscribed "
    "optin_requested consent_denied consent_revoked suppress marketing_suppressed blacklisted "
    "subscription_status mailing avg_order gdpr_deleted marketing marketing_channel email_status "
    "consent_no newsletter_off newsletter_language newsletter_sent newsletters_opened "
    "newsletters_received newsletter_store newsletters newsletter_emails newsletter_channel permission "
    "akkoord akkoord_voorwaarden inscrit privacy_consent cookie_consent mailings marketing_mail "
    "consent_store opt_in_store opt_in_id nieuwsbrief_afgemeld nieuwsbrief_geweigerd zonder_toestemming "
    "ohne_einwilligung einwilligung_widerrufen newsletter_abbestellt keine_einwilligung kein_optin "
    "consentement_retiré consentement_refusé sans_consentement non_inscrit_newsletter newsletter_refusé "
    "anti_newsletter exclude_newsletter newsletter_blocked newsletter_bounced newsletter_complaint "
    "newsletter_cancelled newsletter_stopped newsletter_removed un_newsletter dont_send_newsletter "
    "optin_false consent_missing consent_lapsed consent_until consent_proof "
)


@pytest.mark.parametrize("name", GIVING)
def test_names_that_give_consent(name: str) -> None:
    """Whole words of four languages, in any case, joined in any way."""
    assert gives_consent(name)


@pytest.mark.parametrize("name", NOT_GIVING)
def test_names_that_refuse_or_mean_something_else(name: str) -> None:
    """A negation, withdrawal, date, place, count, or any word that is not known: no consent."""
    assert not gives_consent(name)


def test_the_shipped_list_is_the_list_of_answers() -> None:
    """The words that the shipped files read are those that proposals and plan know."""
    shared = read_shared(FOLDER)
    assert shared.problems == []
    listed = shared.values["consent_words"]
    assert {word for word, value in listed.items() if value is True} == set(words_of("yes"))
    assert {word for word, value in listed.items() if value is False} == set(words_of("no"))
    assert len(listed) == len(words_of("yes")) + len(words_of("no"))


@pytest.mark.parametrize("word", words_of("no"))
def test_no_list_makes_a_yes_of_a_no(mapping: Callable[..., Mapping], word: str) -> None:
    """A word that says no or not yet cannot be listed as a consent."""
    with pytest.raises(MappingError, match="says no or not yet"):
        mapping(f'x: {{from: f, type: boolean, consent: true, values: {{"{word}": true}}}}')


def test_what_files_share_is_put_in(tmp_path: Path) -> None:
    """Lists whole or with more, expressions in brackets; an unknown name is a problem at its place."""
    (tmp_path / "shared.yaml").write_text(
        'version: 1\nvalues:\n  words: {"1": true, "0": false}\nexpressions:\n  both: "a || b"\n'
    )
    lines = [
        "version: 1", "dataset: t", "resource: profiles", "key: [k]", "columns:", "  k: {sql: $both, type: text}",
        "  l: {sql: \"$both || '$both'\", type: text}", "  x: {from: f, type: boolean, values: $words}",
        "  y: {from: f, type: boolean, values: [$words, {ja: true}]}",
    ]  # fmt: skip
    file = tmp_path / "t.yaml"
    file.write_text("\n".join(lines))
    made = read_mapping(file)
    assert made.columns["l"].sql == "(a || b) || '$both'"
    assert made.columns["x"].values == {"1": True, "0": False}
    assert made.columns["y"].values == {"1": True, "0": False, "ja": True}
    assert set(made.includes) == {"shared.yaml"}
    file.write_text("\n".join([*lines[:7], "  x: {from: f, type: boolean, values: $wrods}"]))
    with pytest.raises(
        MappingError, match=r"t.yaml:8:39: columns.x.values: '\$wrods' is nothing shared"
    ):
        read_mapping(file)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("version: 1\nvalue: {}", "unknown key"),
        ("values: {}", "must be 1"),
        ("version: 1\nvalues: {A: {}}", "is no name"),
    ],
)
def test_what_is_wrong_with_what_is_shared(tmp_path: Path, text: str, what: str) -> None:
    """Unknown keys, names and versions are told."""
    (tmp_path / "shared.yaml").write_text(text)
    assert any(what in problem.what for problem in read_shared(tmp_path).problems)
    assert read_yaml(text.encode()).problems == []


def test_an_answer_that_is_not_listed_is_told_apart(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """Somebody answered and nobody knows what: no consent, counted under a name of its own."""
    made = mapping(
        'x: {from: f, type: boolean, consent: true, values: {"1": true}, unlisted: omit}'
    )
    found = map_rows(made, rows(f=["1", "misschien", None]), {}, Settings())
    assert found.accepted["x"].to_list() == [True, None, None]
    assert found.losses == {"x": {"consent_unlisted": 1}}


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        (["1.234,56", "1.299", "12,50", "2.499,00"], 2), (["11.495", "12,50"], 0), (["1.234.567", "1.299"], 1),
        # nothing in these fields could be read a thousand times too small
        (["1.234.567"], 0), (["1.299,95", "29,95", "24.380165"], 0),
        (["1.23,4", None, "x"], 0),
    ],
)  # fmt: skip
def test_a_field_that_shows_thousands_contradicts_or_point(
    mapping: Callable[..., Mapping],
    rows: Callable[..., pl.DataFrame],
    texts: list[str | None],
    count: int,
) -> None:
    """One value with a point between thousands is enough where another may be read either way; it is counted."""
    made = mapping("x: {from: f, type: float, apply: [{decimal_comma: or_point}]}")
    found = find_contradictions([made], lambda _resource, _fields: iter([rows(f=texts)]))
    assert sum(one.count for one in found) == count
    assert all("amount: nl" in one.says() for one in found)


TABLE = 'id;name;city\n1;Breda Centrum;Breda\n2;"Den; Bosch";\'s-Hertogenbosch\n3;;\n'
STORES = """version: 1
dataset: t
resource: profiles
key: [k]
tables: {stores: stores.csv}
columns:
  k: {from: id, type: text}
  s: {from: f, type: text, values: $stores, unlisted: omit}
  c: {from: f, type: text, values: [$stores.city, {"9": elders}], unlisted: keep}
"""


def test_a_table_is_taken_by_its_columns(tmp_path: Path, rows: Callable[..., pl.DataFrame]) -> None:
    """A CSV file's second column or a named one; an id without an entry is unlisted; the file is hashed."""
    (tmp_path / "stores.csv").write_text(TABLE, encoding="utf-8-sig")
    (tmp_path / "t.yaml").write_text(STORES, encoding="utf-8")
    made = read_mapping(tmp_path / "t.yaml")
    assert set(made.includes) == {"stores.csv"}
    found = map_rows(made, rows(f=["1", "2", "3", "9"]), {}, Settings())
    assert found.accepted["s"].to_list() == ["Breda Centrum", "Den; Bosch", None, None]
    assert found.accepted["c"].to_list() == ["Breda", "'s-Hertogenbosch", "3", "elders"]
    assert found.losses["s"] == {"unlisted": 2}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("id\n1\n", "names two columns or more"), ("id,a\n1,2,3\n", "stores.csv:2: has 3 values"),
        ("id,a\n1,x\n1,y\n", "stores.csv:3: '1' stands twice"), (None, "stores.csv cannot be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table(tmp_path: Path, text: str | None, what: str) -> None:
    """A table that cannot be taken is a problem at the line that names it."""
    if text is not None:
        (tmp_path / "stores.csv").write_text(text, encoding="utf-8")
    (tmp_path / "t.yaml").write_text(STORES, encoding="utf-8")
    with pytest.raises(MappingError, match=rf"t.yaml:5:18: tables.stores: .*{what}"):
        read_mapping(tmp_path / "t.yaml")
    (tmp_path / "t.yaml").write_text(
        STORES.replace("stores.csv", "../stores.csv"), encoding="utf-8"
    )
    with pytest.raises(MappingError, match="is no file's name beside the mapping"):
        read_mapping(tmp_path / "t.yaml")


@pytest.mark.parametrize(
    "name",
    [
        "newsletter_opted_out", "marketing_declined", "geen_mailing", "consent_withdrawn", "do_not_mail", "noMarketing",
        "uitgeschreven", "Abmeldung", "widerspruch_werbung", "refus_newsletter", "désinscrit", "optin_pending",
        "email_bounced", "sans_publicite", "kein_newsletter", "unsubscribed", "marketing-opt-out", "pasDeNewsletter",
    ],
)  # fmt: skip
@pytest.mark.parametrize("texts", [{"0", "1"}, {"ja", "nee"}, {"true", "false"}, {"yes"}])
def test_a_name_that_may_refuse_is_text_to_decide_about(name: str, texts: set[str]) -> None:
    """However its values look: no boolean and no number that somebody could take for a consent."""
    kinds = (
        {"boolean": 2}
        if texts == {"true", "false"}
        else {"plain_number": 2}
        if "1" in texts
        else {"text": 2}
    )
    found = Field(name, rows=2, filled=2, kinds=Counter(kinds), texts=texts)
    settings, reason = guess_settings(found)
    assert settings == "type: text"
    assert "decide" in reason
