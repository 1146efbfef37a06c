"""A person erased is gone: whatever way files spell them, in every kind of file, interrupted or not."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import sqlite3
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from migrate.app.context import Context
from migrate.app.erasure import erase_person
from migrate.app.pipeline import run_plan
from migrate.config import load_project
from migrate.errors import Interrupted
from migrate.load.ledger_schema import connect
from migrate.privacy.contents import places_in
from migrate.privacy.spellings import Finder
from migrate.privacy.written import note_written
from migrate.project import start_project
from migrate.workspace import entry_of
from tests.privacy.test_spellings import SPELLINGS

from .conftest import make_job

pytestmark = pytest.mark.end_to_end

KEYS = {"DATATRICS_API_KEY": "a", "OCTOLIS_API_KEYS": "b"}
DATASETS = ("contacts", "orders", "interactions")
OTHERS = 3


def php(value: object) -> str:
    """JSON as PHP's json_encode writes it: slashes and everything beyond ASCII escaped."""
    return json.dumps(value).replace("/", "\\/")


def files_of(folder: Path, person_id: str, address: str, written: str = "") -> Path:
    """Saved files of a person and three others, each with an order and an interaction."""
    people = [(person_id, address)] + [
        (f"other-{n}", f"other{n}@example.test") for n in range(OTHERS)
    ]
    profiles = [
        {
            "profileid": id_, "source": "Shop", "email": email, "firstname": "Ann", "city": "Delft",
            "phone": f"+3161234500{n}", "dateofbirth": "bad-1" if not n else "1980-01-02",
            "created": "2024-01-01 00:00:00", "updated": "2024-01-02 00:00:00",
        }
        for n, (id_, email) in enumerate(people)
    ]  # fmt: skip
    sales = [
        {
            "conversionid": f"sale-{n}00{n}", "source": "Shop", "profileid": id_, "total": "10.00",
            "currency": "EUR", "created": "2024-02-01 00:00:00",
            "items": [{"itemid": "mug", "name": "Mug", "price": "10.00", "quantity": "1"}],
        }
        for n, (id_, _email) in enumerate(people)
    ]  # fmt: skip
    interactions = [
        {
            "interactionid": f"open-{n}00{n}", "source": "MailChimp", "objecttype": "interaction",
            "metadata": {"datetime": "2024-05-01T08:00:00Z", "profileid": id_, "event": "open"},
        }
        for n, (id_, _email) in enumerate(people)
    ]  # fmt: skip
    folder.mkdir()
    for name, records in (("profiles", profiles), ("sales", sales), ("interactions", interactions)):
        text = php(records)
        if written:
            text = text.replace(php(address)[1:-1], written)
        (folder / f"{name}.json").write_text(text)
    return folder


def import_and_plan(folder: Path, files: Path) -> Context:
    """A project with those files as its snapshot, and a plan made of it without a target."""
    from migrate.source.import_files import ImportRequest, import_files
    from migrate.source.resources import RESOURCES

    start_project(folder)
    datasets = "\n".join(f'{name} = "{name}"' for name in DATASETS)
    (folder / "migrate.toml").write_text(
        f'[datatrics]\nproject_id = "1"\n[octolis.datasets]\n{datasets}\n'
    )
    context = make_job(load_project(folder / "migrate.toml", KEYS))
    names = ("profiles", "sales", "interactions")
    request = ImportRequest(
        folder=files, resources=tuple(RESOURCES[name] for name in names), named=(), snapshot=None,
        page_sizes=dict.fromkeys(names, 100), project_id="1",
    )  # fmt: skip
    import_files(context.workspace, request, context.progress, context.stop, context.now)
    run_plan(context, DATASETS, offline=True)
    connect(context.workspace.ledger).close()
    return context


def rows_left(context: Context, value: str) -> dict[str, int]:
    """Where the value's decoded form still stands, file by file."""
    finder = Finder([value])
    root = context.workspace.root
    found = {
        path.relative_to(root).as_posix(): places_in(path, "", finder)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    return {name: len(places) for name, places in found.items() if places}


def count_records(context: Context) -> dict[str, int]:
    """Rows of the snapshot by resource."""
    counts: dict[str, int] = {}
    for file in context.workspace.snapshots.glob("*/*/*.parquet"):
        counts[file.parent.name] = counts.get(file.parent.name, 0) + pl.read_parquet(file).height
    return counts


IDENTITIES = [
    ("Qm9/zL+8/w==", "slash@example.test", ""),
    ("p\u00e4ul-17", "umlaut@example.test", ""),
    ("plain-17", "m\u00fcller@ex\u00e4mple.test", ""),
    ("plain-18", "Upper.Case@Example.TEST", ""),
    ("plain-19", "spaced@example.test", "  spaced@example.test\\t"),
    ("plain-20", "percent@example.test", "percent%40example.test"),
    ("plain-21", "html@example.test", "html&#64;example.test"),
    ("plain-22", "escaped@example.test", "\\u0065scaped\\u0040example.test"),
]


@pytest.mark.parametrize("by", ["address", "id"])
@pytest.mark.parametrize(("person_id", "address", "written"), IDENTITIES)
def test_saved_files_in_every_spelling(
    tmp_path: Path, person_id: str, address: str, written: str, by: str
) -> None:
    """By address or by id, the profile goes with its order and its interaction, and nobody else's do."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", person_id, address, written))
    assert rows_left(context, address)
    losses = context.workspace.plans.glob("*/contacts/losses.parquet")
    assert [file for file in losses if "bad-1" in str(pl.read_parquet(file).to_dicts())]
    subject = address.swapcase() if by == "address" else person_id
    erased = erase_person(context, subject, None)
    assert (erased.records, erased.places) == (3, ())
    assert {kind: count for kind, count in count_records(context).items() if count} == {
        "profiles": OTHERS, "sales": OTHERS, "interactions": OTHERS,
    }  # fmt: skip
    for value in (address, person_id, "bad-1", "sale-0000", "open-0000", "+31612345000"):
        assert rows_left(context, value) == {}, value
    planned = pl.read_parquet(next(context.workspace.plans.glob("*/contacts/records.parquet")))
    assert planned.height == OTHERS
    assert not list(context.workspace.root.glob(".erasing-*"))


def test_a_dry_run_says_it_all_and_changes_nothing(tmp_path: Path) -> None:
    """What it counts is what the erasure then removes."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", "a@example.test"))
    before = contents(context.workspace.root)
    planned = erase_person(context, "a@example.test", None, dry_run=True)
    assert contents(context.workspace.root) == before
    done = erase_person(context, "a@example.test", None)
    told = [(one.records, one.rows, one.removed, one.masterids) for one in (planned, done)]
    assert told[0] == told[1]
    assert done.rows


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a folder but locks, and the index and empty log that SQLite makes beside a file it reads."""
    files = [path for path in root.rglob("*") if path.is_file()]
    made_by_reading = {path for path in files if path.name.endswith("-shm")}
    made_by_reading |= {
        path for path in files if path.name.endswith("-wal") and not path.stat().st_size
    }
    return {
        str(path): path.read_bytes()
        for path in files
        if path.suffix not in (".lock", ".holder") and path not in made_by_reading
    }


class StopAfter:
    """An event that is set once it was looked at so often."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def is_set(self) -> bool:
        """One look."""
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", [20, 34, 36, 40, 45, 50, 60])
def test_interrupted_anywhere_it_goes_on(tmp_path: Path, looks: int) -> None:
    """By an id that the first try has already removed: the note of who it is lets the second one finish."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", "a@example.test"))
    stopped: Any = StopAfter(looks)
    with contextlib.suppress(Interrupted):
        erase_person(replace(context, stop=stopped), "p-1717", None)
    erased = erase_person(context, "p-1717", None)
    assert erased.places == ()
    for value in ("a@example.test", "p-1717", "sale-0000", "open-0000"):
        assert rows_left(context, value) == {}, value
    assert run_plan(context, DATASETS, offline=True).document.datasets["contacts"].planned == OTHERS


PLANTS = (
    "report",
    "list",
    "log",
    "bundle",
    "packed",
    "ledger",
    "parquet",
    "nested",
    "left over",
    "elsewhere",
)


def plant(context: Context, kind: str, text: str, folder: Path) -> None:  # noqa: C901  # one case a kind
    """Puts a text into a file of some kind, as the tool might have written it."""
    workspace = context.workspace
    plan = next(workspace.plans.glob("*/plan.json")).parent
    for place in (workspace.reports, workspace.log, workspace.exports / plan.name):
        place.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    match kind:
        case "report":
            (workspace.reports / "x-run.html").write_bytes(b"<td>" + data + b"</td>")
        case "list":
            (workspace.exports / plan.name / "rejects-permanent.csv").write_bytes(
                b"a," + data + b"\n"
            )
        case "log":
            (workspace.log / "20260101.jsonl").write_bytes(
                b'{"m": "none"}\n{"m": "' + data + b'"}\n'
            )
        case "bundle":
            with zipfile.ZipFile(workspace.reports / "x-evidence.zip", "w") as archive:
                archive.writestr("a.json", b'{"m": "' + data + b'"}')
        case "packed":
            (workspace.reports / "x.json.gz").write_bytes(gzip.compress(b"[" + data + b"]"))
        case "ledger":
            with contextlib.closing(sqlite3.connect(workspace.ledger)) as connection, connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS later (n INTEGER, said TEXT NOT NULL)"
                )
                connection.execute("INSERT INTO later VALUES (1, ?), (2, 'nobody')", (f"({text})",))
        case "parquet":
            frame = pl.DataFrame({"example": ["nobody", f"x {text} y"], "n": [1, 2]})
            frame.write_parquet(workspace.exports / plan.name / "differences-contacts.parquet")
        case "nested":
            frame = pl.DataFrame({"deep": [[{"a": "nobody"}], [{"a": text}, {"a": "x"}]]})
            frame.write_parquet(plan / "contacts" / "samples.parquet")
        case "left over":
            (workspace.exports / plan.name / ".x.csv.4711.tmp").write_bytes(data)
        case "elsewhere":
            file = folder / "report.html"
            file.write_bytes(data)
            note_written(workspace.root, file, "migrate diff")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a snapshot and a plan, to be copied."""
    folder = tmp_path_factory.mktemp("planned")
    import_and_plan(
        folder / "p", files_of(folder / "f", "p-1717", "j\u00fcrg.gro\u00df@example.test")
    )
    return folder / "p"


# Without shrinking: each example is a whole erasure.
@settings(
    max_examples=max(4, settings.default.max_examples // 50),
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        st.tuples(st.sampled_from(PLANTS), st.sampled_from(sorted(SPELLINGS))),
        min_size=4,
        max_size=10,
    ),
    st.sampled_from(["j\u00fcrg.gro\u00df@example.test", "p-1717", "+31612345000", "sale-0000"]),
)
def test_wherever_and_however_it_is_planted_nothing_is_found(
    tmp_path_factory: pytest.TempPathFactory,
    planned: Path,
    plants: list[tuple[str, str]],
    value: str,
) -> None:
    """A known value of the person in generated spellings, in every kind of file: afterwards every file is without."""
    import shutil

    folder = tmp_path_factory.mktemp("case")
    shutil.copytree(planned, folder / "p")
    context = make_job(load_project(folder / "p" / "migrate.toml", KEYS))
    for kind, spelling in plants:
        plant(context, kind, SPELLINGS[spelling](value), folder)
    erased = erase_person(context, "j\u00fcrg.gro\u00df@example.test", None)
    assert erased.places == ()
    for known in (value, "j\u00fcrg.gro\u00df@example.test"):
        assert rows_left(context, known) == {}
    assert not (folder / "report.html").exists() or ("elsewhere" not in dict(plants))
    assert "report.html" not in str(erased.outside)


def test_what_cannot_be_removed_is_named_and_ends_with_4(tmp_path: Path) -> None:
    """An example in a mapping is its author's: it is named, and the note of the erasure stays until it is gone."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", "a@example.test"))
    mapping = context.project.mappings / "contacts.yaml"
    before = mapping.read_text()
    mapping.write_text(f"{before}\n# as for A%40EXAMPLE.test\n")
    erased = erase_person(context, "p-1717", None)
    assert [Path(place.file).name for place in erased.places] == ["contacts.yaml"]
    mapping.write_text(before)
    again = erase_person(context, "p-1717", None)
    assert again.places == ()
    assert not list(context.workspace.root.glob(".erasing-*"))


def test_an_address_shared_by_many_is_not_followed(tmp_path: Path) -> None:
    """An id's address leads to other profiles only where it is somebody's own, not a shop's."""
    files = files_of(tmp_path / "f", "p-1717", "info@example.test")
    records = json.loads((files / "profiles.json").read_text())
    records.append({**records[1], "profileid": "p-1818", "email": "info@example.test"})
    (files / "profiles.json").write_text(json.dumps(records))
    context = import_and_plan(tmp_path / "p", files)
    erased = erase_person(context, "p-1717", None)
    assert erased.records == 3
    assert count_records(context)["profiles"] == OTHERS + 1


@pytest.mark.skipif(os.name == "nt", reason="free pages are looked for in bytes")
def test_nothing_stays_in_free_pages_or_journals(tmp_path: Path) -> None:
    """Raw bytes of the ledger and its journals: the row that was deleted before the erasure is gone, too."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", "a@example.test"))
    with contextlib.closing(sqlite3.connect(context.workspace.ledger)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE gone (said TEXT)")
        connection.executemany("INSERT INTO gone VALUES (?)", [("a@example.test",)] * 500)
        connection.execute("DELETE FROM gone")
        connection.commit()
    erase_person(context, "a@example.test", None)
    for file in context.workspace.root.glob("ledger.sqlite*"):
        assert b"a@example.test" not in file.read_bytes(), file.name


def test_an_example_too_short_to_be_looked_for_goes_as_well(tmp_path: Path) -> None:
    """A list of losses has no identity: what only the person's records hold is theirs, however short."""
    files = files_of(tmp_path / "f", "p-1717", "a@example.test")
    records = json.loads((files / "profiles.json").read_text())
    for record, (birthdate, zip_code) in zip(
        records, [("x", "9"), ("y", "8"), ("y", "8"), ("y", "8")], strict=True
    ):
        record |= {"dateofbirth": birthdate, "zip": f" {zip_code} "}
    (files / "profiles.json").write_text(json.dumps(records))
    context = import_and_plan(tmp_path / "p", files)
    [file] = context.workspace.plans.glob("*/contacts/losses.parquet")
    assert {"x", "y"} <= set(pl.read_parquet(file)["before"])
    erase_person(context, "a@example.test", None)
    left = set(pl.read_parquet(file)["before"])
    assert "y" in left
    assert not {"x", " 9 ", "9"} & left


def test_what_a_snapshot_keeps_beside_its_parts_is_reached(tmp_path: Path) -> None:
    """Vanished and damaged records, and bytes of unreadable ones; the manifest lists them as they are then."""
    context = import_and_plan(
        tmp_path / "p", files_of(tmp_path / "files", "id-4711", "ann.person@example.test")
    )
    manifest = next(context.workspace.snapshots.glob("*/manifest.json"))
    root, tree = manifest.parent, json.loads(manifest.read_bytes())
    line = '{"profileid":"id-4711","source":"Shop","email":"ann.person@example.test"}\n'
    other = '{"profileid":"x","source":"Shop","email":"other@example.test"}\n'
    (root / "unread").mkdir()
    (root / "unread" / "profiles-00000003.bin").write_text(line)
    (root / "profiles" / "vanished.ndjson").write_text(line + other)
    damaged = {"_source": ["Shop"], "_id": ["id-4711"], "_page": [1], "_raw": [line]}
    # Bytes that are no UTF-8 are what the file is for.
    received = pl.Series("_received", [line.encode() + b"\xff"], dtype=pl.Binary)
    pl.DataFrame(damaged).with_columns(received).write_parquet(root / "profiles/damaged.parquet")
    names = {"profiles/vanished.ndjson": 2, "profiles/damaged.parquet": 1}
    names["unread/profiles-00000003.bin"] = 1
    tree["resources"]["profiles"]["beside"] = [
        asdict(entry_of(root / name, root, rows)) for name, rows in names.items()
    ]
    manifest.write_text(json.dumps(tree))
    assert not erase_person(context, "ann.person@example.test", None).places
    assert not rows_left(context, "ann.person@example.test")
    assert (root / "profiles" / "vanished.ndjson").read_text() == other
    beside = json.loads(manifest.read_bytes())["resources"]["profiles"]["beside"]
    assert {
        entry["path"]: entry["rows"] for entry in beside if (root / entry["path"]).exists()
    } == {
        "profiles/vanished.ndjson": 1,
        "profiles/damaged.parquet": 0,
    }


def keep_beside(context: Context, files: dict[str, pl.DataFrame | list[dict[str, Any]]]) -> Path:
    """Writes files beside the parts of the snapshot and lists them; gives the snapshot's folder."""
    manifest = next(context.workspace.snapshots.glob("*/manifest.json"))
    root, tree = manifest.parent, json.loads(manifest.read_bytes())
    for name, records in files.items():
        if isinstance(records, pl.DataFrame):
            records.write_parquet(root / name)
        else:
            (root / name).write_text("".join(f"{json.dumps(record)}\n" for record in records))
        entry = asdict(entry_of(root / name, root, len(records)))
        tree["resources"][name.partition("/")[0]].setdefault("beside", []).append(entry)
    manifest.write_text(json.dumps(tree))
    return root


def test_a_vanished_record_is_theirs_by_the_rule_of_any_record(tmp_path: Path) -> None:
    """By its identity and its owner; one of somebody else that mentions them stays, and is listed."""
    address = "ann.person@example.test"
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "files", "id-4711", address))
    mention = {"profileid": "x", "source": "Shop", "email": "other@example.test", "note": address}
    profiles = [
        {"profileid": "12", "source": "Other", "email": " ANN.Person@example.test"},
        mention,
        {"profileid": "y", "source": "Shop", "email": "third@example.test"},
    ]
    sales = [
        {"conversionid": "7", "source": "Other", "profileid": "12", "total": "1.00"},
        {"conversionid": "8", "source": "Shop", "profileid": "y", "total": "1.00"},
    ]
    names = ("profiles/vanished.ndjson", "sales/vanished.ndjson")
    root = keep_beside(context, dict(zip(names, (profiles, sales), strict=True)))
    erased = erase_person(context, address, None)
    assert {("profiles", "Other", "12"), ("profiles", "Shop", "id-4711")} == {
        one[:3] for one in erased.taken
    }
    assert erased.mentions == (("profiles", "Shop", "x", "note"),)
    kept = [[json.loads(line) for line in (root / name).read_text().splitlines()] for name in names]
    assert kept == [profiles[1:], sales[1:]]
    assert [place.file.rpartition("/")[2] for place in erased.places] == ["vanished.ndjson"]


def test_an_earlier_version_of_a_record_finds_its_person(tmp_path: Path) -> None:
    """The address that only a version left out has: the profile, its later version and its orders go with it."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "files", "id-4711", "a@now.test"))
    raw = json.dumps({"profileid": "id-4711", "source": "Shop", "email": "ann.before@example.test"})
    doubles = {"_source": ["Shop"], "_id": ["id-4711"], "_page": [1], "_raw": [raw]}
    versions = pl.DataFrame({**doubles, "kept_page": [1], "by_time": [True]})
    keep_beside(context, {"profiles/doubles.parquet": versions})
    erased = erase_person(context, "ann.before@example.test", None)
    assert (erased.records, erased.places) == (3, ())
    assert count_records(context) == dict.fromkeys(("profiles", "sales", "interactions"), OTHERS)


def test_a_list_that_names_them_goes_whole(tmp_path: Path) -> None:
    """In whatever format it was written: without some of its lines it would look like all there was."""
    context = import_and_plan(
        tmp_path / "p", files_of(tmp_path / "files", "id-4711", "ann.person@example.test")
    )
    plan = next(context.workspace.plans.iterdir()).name
    lists = context.workspace.exports / plan
    lists.mkdir(parents=True)
    for suffix in ("csv", "ndjson"):
        (lists / f"rejects.{suffix}").write_text("x\nby ann.person@example.test\n")
    erase_person(context, "ann.person@example.test", None)
    assert not list(lists.iterdir())


def test_what_only_looks_like_theirs_is_left(tmp_path: Path) -> None:
    """Somebody else's order has the number of the profile; and an order of theirs names who gets the parcel."""
    files = files_of(tmp_path / "f", "448448", "a@example.test")
    sales = json.loads((files / "sales.json").read_text())
    sales[0]["email"] = "other1@example.test"
    sales[1]["conversionid"] = "448448"
    (files / "sales.json").write_text(json.dumps(sales))
    context = import_and_plan(tmp_path / "p", files)
    erased = erase_person(context, "a@example.test", None)
    assert (erased.records, erased.places) == (3, ())
    assert count_records(context) == {"profiles": OTHERS, "sales": OTHERS, "interactions": OTHERS}
    orders = pl.read_parquet(next(context.workspace.plans.glob("*/orders/records.parquet")))
    assert "Shop:448448" in orders["key"].to_list()
    assert orders.height == OTHERS


def test_every_table_of_the_ledger_is_looked_into(tmp_path: Path) -> None:
    """Tables of today and of later versions: cells that must be there become a word or an empty list, keys go."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", "a@example.test"))
    with contextlib.closing(sqlite3.connect(context.workspace.ledger)) as connection, connection:
        connection.execute(
            "CREATE TABLE later (k TEXT PRIMARY KEY, said TEXT NOT NULL, listed TEXT NOT NULL, m TEXT)"
        )
        rows = [("A%40example.test", "x", "[]", None), ("1", "for p-1717", '["a@example.test"]', "sale-0000"),
                ("2", "nobody", '["other1@example.test"]', "sale-1001")]  # fmt: skip
        connection.executemany("INSERT INTO later VALUES (?, ?, ?, ?)", rows)
        discard = "INSERT INTO discards VALUES ('contacts', 'profiles', 'Shop', ?, 0, 'p', 'r', 'w', 'note', 'me', 1.0)"
        connection.executemany(discard, [("p-1717",), ("other-1",)])
    erased = erase_person(context, "a@example.test", None)
    assert erased.places == ()
    assert erased.ledger == {"later": 2, "discards": 1}
    with contextlib.closing(sqlite3.connect(context.workspace.ledger)) as connection:
        assert connection.execute("SELECT * FROM later ORDER BY k").fetchall() == [
            ("1", "(erased)", "[]", None),
            ("2", "nobody", '["other1@example.test"]', "sale-1001"),
        ]
        assert connection.execute("SELECT id FROM discards").fetchall() == [("other-1",)]


def test_a_damaged_file_is_named_and_stops_nothing(tmp_path: Path) -> None:
    """Nobody can say that it holds nothing of the person: exit code 4, and the rest is done."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", "a@example.test"))
    file = next(context.workspace.plans.glob("*/orders/records.parquet"))
    file.write_bytes(b"PAR1" + b"a@example.test" * 20)
    erased = erase_person(context, "a@example.test", None)
    assert {place.where for place in erased.places} == {"cannot be read as Parquet"}
    assert count_records(context) == {"profiles": OTHERS, "sales": OTHERS, "interactions": OTHERS}


def test_a_field_that_is_named_after_them_goes(tmp_path: Path) -> None:
    """An object keyed by addresses: the column goes from every part, manifest and plan; others' columns stay."""
    files = files_of(tmp_path / "f", "p-1717", "a@example.test")
    records = json.loads((files / "profiles.json").read_text())
    for record in records:
        record["optins"] = {record["email"]: True}
        record["lists"] = {"of": {f"x.{record['email']}.y": 1}}
    records[0]["optins"]["A%40Example.TEST"] = False
    (files / "profiles.json").write_text(json.dumps(records))
    context = import_and_plan(tmp_path / "p", files)
    [manifest] = context.workspace.snapshots.glob("*/manifest.json")
    assert "optins.a@example.test" in manifest.read_text()
    erased = erase_person(context, "a@example.test", None)
    assert erased.places == ()
    for file in context.workspace.root.rglob("*"):
        if file.is_file() and file.suffix in (".json", ".parquet"):
            told = (
                str(pl.read_parquet_schema(file)) if file.suffix == ".parquet" else file.read_text()
            )
            assert "a@example" not in told.lower(), file
            assert "a%40example" not in told.lower(), file
    assert "optins.other1@example.test" in manifest.read_text()
    made = run_plan(context, DATASETS, offline=True)
    assert made.document.datasets["contacts"].planned == OTHERS


@pytest.mark.parametrize(
    "by", ["right%40Example.test", "right@example.test", "a@example.test", "p-1717"]
)
def test_a_value_that_was_put_right_is_theirs_as_well(tmp_path: Path, by: str) -> None:
    """Found by the right value or the wrong one; its row goes, and the right value from every page and log."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", "a@example.test"))
    root = context.workspace.root
    who = {"resource": ["profiles"] * 2, "source": ["Shop"] * 2, "id": ["p-1717", "other-1"]}
    rows = {
        "number": [1, 2], **who, "field": ["email", "phone"], "sent": ["a@example.test", "+31612345001"],
        "value": ["right@example.test", "+31687654321"], "by": ["x", "x"], "why": ["", ""], "at": [1.5, 2.5],
    }  # fmt: skip
    pl.DataFrame(rows).write_parquet(root / "corrections.parquet")
    plant(context, "report", "RIGHT%40example.test", tmp_path)
    plant(context, "log", "right@example.test", tmp_path)
    erased = erase_person(context, by, None)
    assert (erased.records, erased.places) == (3, ())
    assert pl.read_parquet(root / "corrections.parquet")["id"].to_list() == ["other-1"]
    for value in ("right@example.test", "a@example.test", "p-1717"):
        assert rows_left(context, value) == {}
