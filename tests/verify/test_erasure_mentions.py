"""Who only mentions a person is not erased with them: the record stays, and the mention is named."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from migrate.app.erasure import erase_person
from migrate.load.ledger_schema import connect
from migrate.privacy.person import Frames, Person, Subject, find_person
from migrate.privacy.rows import mask_theirs
from migrate.privacy.spellings import Finder
from migrate.privacy.telling import is_own_mail
from migrate.privacy.written import note_written
from migrate.report.purge import exit_code_of, render_erased, summarise_erased
from tests.verify.test_erasure import OTHERS, count_records, files_of, import_and_plan

WHO = "a@example.test"


@pytest.mark.parametrize(
    "name",
    [
        "email", "E-Mail", "e_mail", "mail", "emailadres", "Email Address", "customer_email", "email2", "courriel",
        "metadata.email", "profile.contact.e-mail", "merge_fields.EMAIL", "emails", "email_sha256", "sent email",
    ],
)  # fmt: skip
def test_a_field_that_holds_whose_record_it_is(name: str) -> None:
    """By its name and the names of the objects around it, in the languages and manners of shops."""
    assert is_own_mail(name.split("."))


@pytest.mark.parametrize(
    "name",
    [
        "note", "employee_email", "sold_by_mail", "advisor.email", "invited_by.email", "account_manager_email",
        "store.email", "mailing", "email_subject", "mailbox_of_shop", "parent_email", "friend.email", "",
    ],
)  # fmt: skip
def test_a_field_that_may_hold_somebody_elses(name: str) -> None:
    """An address there does not say whose record it is."""
    assert not is_own_mail(name.split("."))
    assert not is_own_mail(name.split("."), "sales")
    assert not is_own_mail(name.split("."), "interactions")


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("billing.email", "sales"), ("billing_address.e-mail", "sales"), ("invoice_email", "sales"),
        ("metadata.recipient", "interactions"), ("to", "interactions"), ("recipient_email", "interactions"),
    ],
)  # fmt: skip
def test_who_pays_and_who_receives_is_a_person_of_the_record(name: str, resource: str) -> None:
    """Not of a profile, where nobody does, nor the other way round."""
    assert is_own_mail(name.split("."), resource)
    assert not is_own_mail(name.split("."))
    other = {"sales": "interactions", "interactions": "sales"}[resource]
    assert not is_own_mail(name.split("."), other)


def test_a_record_that_mentions_them_stays_and_is_named(tmp_path: Path) -> None:
    """A shop's employee asks: customers whose notes name them keep their profiles and orders, before and after."""
    files = files_of(tmp_path / "f", "p-1717", WHO)
    profiles = json.loads((files / "profiles.json").read_text())
    profiles[1] |= {"note": f"helped by A%40Example.test, {WHO}", "employee_email": WHO}
    profiles[2]["advisor"] = {"email": WHO}
    (files / "profiles.json").write_text(json.dumps(profiles))
    sales = json.loads((files / "sales.json").read_text())
    sales[3]["remark"] = f"collected by {WHO}"
    (files / "sales.json").write_text(json.dumps(sales))
    context = import_and_plan(tmp_path / "p", files)
    would = erase_person(context, WHO, None, dry_run=True)
    done = erase_person(context, WHO, None)
    fields = {
        ("profiles", "Shop", "other-0", "employee_email, note"),
        ("profiles", "Shop", "other-1", "advisor.email"),
        ("sales", "Shop", "sale-3003", "remark"),
    }
    for erased in (would, done):
        assert (erased.records, erased.rows) == (3, would.rows)
        assert erased.taken == (("profiles", "Shop", "p-1717", "the address in email"),)
        told = {(*one[:3], ", ".join(sorted(one[3].split(", ")))) for one in erased.mentions}
        assert told == fields
        assert "profiles Shop other-1: advisor.email" in render_erased(erased)
        assert len(summarise_erased(erased)["mentions"]) == 3
    kept = {"profiles": OTHERS, "sales": OTHERS, "interactions": OTHERS}
    assert count_records(context) == kept
    planned = pl.read_parquet(next(context.workspace.plans.glob("*/contacts/records.parquet")))
    assert planned.height == OTHERS
    assert exit_code_of(done) == 4
    assert {place.where for place in done.places} >= {"column employee_email, 1 rows"}
    assert all(place.file.endswith(".parquet") for place in done.places)


def test_a_product_is_nobodys() -> None:
    """It is not erased with the one who made it, whatever field names them."""
    raws = {
        "content_items": {"id": "7", "email": WHO},
        "sales": {"conversionid": "8", "email": WHO},
    }

    def frames_of(resource: str, id_: str, raw: str) -> Frames:
        row = {"_source": "Shop", "_id": id_, "_page": 1, "_raw": raw}
        return lambda: [pl.DataFrame([row])]

    frames = {name: frames_of(name, "7", json.dumps(raw)) for name, raw in raws.items()}
    person = find_person(Subject.of(WHO), frames, {})
    assert person.identities == {("sales", "Shop", "7")}
    assert person.mentions == {("content_items", "Shop", "7", "email")}


def test_a_key_of_the_mapping_says_whose_record_it_is(tmp_path: Path) -> None:
    """Whatever its name: the customer has signed that records with one value there are one person."""
    files = files_of(tmp_path / "f", "p-1717", WHO)
    profiles = json.loads((files / "profiles.json").read_text())
    profiles[1]["login_of_shop"] = WHO
    (files / "profiles.json").write_text(json.dumps(profiles))
    context = import_and_plan(tmp_path / "p", files)
    assert erase_person(context, WHO, None, dry_run=True).records == 3
    mapping = context.project.mappings / "contacts.yaml"
    for file in context.project.mappings.glob("*.yaml"):
        file.unlink()
    mapping.write_text(
        "version: 1\ndataset: contacts\nresource: profiles\nkey: [login]\n"
        "columns:\n  login: {from: [login_of_shop, email], type: text}\n"
    )
    erased = erase_person(context, WHO, None, dry_run=True)
    assert {one[2:] for one in erased.taken} == {
        ("p-1717", "the address in email"), ("other-0", "the address in login_of_shop"),
    }  # fmt: skip


def test_rows_of_the_target_are_theirs_by_key_or_by_their_own_address() -> None:
    """What the target held before names no record of the source: a note in it is no reason."""
    person = Person(addresses={WHO}, keys={("contacts", "k1")}, values={"+31612345000"})
    rows = pl.DataFrame(
        {
            "__masterid__": ["m1", "m2", "m3", "m4", "m5"],
            "contact_key": ["k1", "k2", "k3", "k4", "k5"],
            "email": ["x@y.test", WHO, None, None, None],
            "note": [None, None, f"see {WHO}", "call +31612345000", "none"],
        }
    )
    finder, telling = Finder(person.known()), Finder(person.telling())
    found = mask_theirs(
        rows, person, finder, telling, resources=["profiles"], dataset="contacts", key_column="contact_key"
    )  # fmt: skip
    assert found.to_list() == [True, True, False, True, False]


@pytest.mark.parametrize("is_open", [True, False])
def test_files_of_a_handover_are_named_and_not_removed(tmp_path: Path, *, is_open: bool) -> None:
    """Others' rows are to be imported from them: until that is settled, whoever erases is told the path."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", WHO))
    folder = tmp_path / "handed over"
    folder.mkdir()
    file = folder / "contacts-1.csv"
    file.write_text(f"email\n{WHO}\nother@example.test\n")
    note_written(context.workspace.root, file, "migrate load --files")
    with contextlib.closing(connect(context.workspace.ledger)) as ledger:
        ledger.execute("INSERT INTO plans (id, name, begun_at) VALUES (1, 'x', 1)")
        ledger.execute(
            "INSERT INTO datasets (id, plan, name, dataset_id, place) VALUES (1, 1, 'contacts', 'contacts', 0)"
        )
        ledger.execute(
            "INSERT INTO handovers (id, dataset, folder, manifest_sha256, rows, handed_at, ended)"
            " VALUES (1, 1, ?, '', 2, 1, ?)",
            (str(folder), None if is_open else "taken back"),
        )
        ledger.execute("INSERT INTO handover_files VALUES (1, 'contacts-1.csv', 2, 1, '', NULL)")
    erased = erase_person(context, WHO, None)
    assert file.exists() == is_open
    places = {place.file: place.where for place in erased.places}
    named = [one.what for one in erased.outside if str(file) in one.what]
    if is_open:
        assert "take-back" in places[str(file)]
        assert named
        with contextlib.closing(sqlite3.connect(context.workspace.ledger)) as ledger, ledger:
            ledger.execute("UPDATE handovers SET ended = 'taken back'")
        erased = erase_person(context, WHO, None)
    assert erased.places == ()
    assert not file.exists()
