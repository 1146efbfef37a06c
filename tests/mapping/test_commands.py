"""`migrate mapping` on a project with a snapshot: proposing, checking, previewing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrate.cli.app import App
from migrate.cli.main import cli
from migrate.errors import MappingError, MigrateError
from migrate.mapping.examples import failing_examples
from migrate.mapping.files import read_mapping
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.known_fields import DATASETS
from migrate.mapping.proposal import propose
from migrate.mapping.survey import survey_records
from migrate.mapping.transform import Settings
from migrate.project import start_project
from migrate.snapshot.layout import Manifest, ResourceResult, SealedResource
from migrate.snapshot.records import add_fields, identify_page
from migrate.source.resources import RESOURCES
from migrate.workspace import FileEntry, sha256_file

SHAPES = Path(__file__).parent / "shapes"
RESULT = ResourceResult(None, 0, 0, 0, 0, 0, 0, 1, 1, 0.0, 0, "proven", "")


def _records() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in RESOURCES}
    for shape in ("documents", "magento", "prestashop"):
        for name, records in json.loads(
            (SHAPES / f"{shape}.json").read_text(encoding="utf-8")
        ).items():
            found[name] += records
    return found


def _frame(resource: str, records: list[dict[str, Any]]) -> pl.DataFrame:
    items = [json.dumps(record).encode() for record in records]
    return add_fields(identify_page(1, items, RESOURCES[resource].fields)).frame


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the shipped mappings and a finished snapshot of all shapes together."""
    folder = tmp_path / "project"
    start_project(folder)
    (folder / "migrate.toml").write_text('[datatrics]\nproject_id = "1"\n', encoding="utf-8")
    snapshot = folder / "migration" / "snapshots" / "snap"
    sealed = {}
    for name, records in _records().items():
        frame = _frame(name, records)
        path = snapshot / name / "part-0.parquet"
        path.parent.mkdir(parents=True)
        frame.write_parquet(path)
        entry = FileEntry(
            f"{name}/part-0.parquet", frame.height, path.stat().st_size, sha256_file(path)
        )
        part = msgspec.structs.replace(entry) if isinstance(entry, msgspec.Struct) else entry
        sealed[name] = SealedResource(RESULT, frame.columns, [part])
    manifest = Manifest(1, "snap", "https://x.example", "1", "0", "", "", sealed)
    (snapshot / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return folder


def run(project: Path, *arguments: str) -> Result:
    """The command line in this process, its project file named."""
    app = App(as_json="--json" in arguments)
    return CliRunner().invoke(
        cli, ["--project", str(project / "migrate.toml"), *arguments], obj=app
    )


def summary(project: Path, *arguments: str) -> dict[str, Any]:
    """The JSON object of a command that ended well."""
    done = run(project, *arguments, "--json")
    assert done.exit_code == 0, done.output + repr(done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("resource", sorted(RESOURCES))
def test_a_proposal_passes_check_unchanged(project: Path, resource: str) -> None:
    """What is proposed for each resource is complete: no problem, and no field of the snapshot without a place."""
    file = summary(project, "mapping", "new", resource)["file"]
    found = summary(project, "mapping", "check", file)
    assert found["snapshot"] == "snap"
    # what some values lose is told; nothing else is left to say of a proposal
    lost = ("breaks ", "break ", "answers give no consent")
    assert [line for line in found["warnings"] if not any(words in line for words in lost)] == []
    assert found["datasets"] == [DATASETS[read_mapping(Path(file)).resource][0]]
    assert summary(project, "mapping", "preview", file)["looked_at"] == len(_records()[resource])


def test_a_proposal_says_what_it_saw(project: Path) -> None:
    """Consents, dates, codes, keys and bookkeeping are told from the data; no value of a record is shown."""
    file = Path(summary(project, "mapping", "new", "profiles")["file"])
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../mapping.schema.json\n")
    assert "source and id: 0 share them with another, 0 have none" in text
    made = read_mapping(file)
    assert made.columns["newsletter"].consent
    assert made.columns["optin"].unlisted == "omit"
    assert (made.columns["dateofbirth"].type, made.columns["dateofbirth"].on_invalid) == (
        "date",
        "omit",
    )
    assert made.columns["email"].apply == ("trim", "lowercase")
    assert made.columns["zip"].type == "text"
    assert {"update_msg", "entity_id", "profileid"} <= set(made.ignore)
    for value in ("Jan", "0612345678", "example.com", "maybe", "192.0.2.7"):
        assert value.lower() not in text.lower()


def test_a_proposal_never_overwrites(project: Path) -> None:
    """A file that is there stays as it is, whether it was named or not."""
    summary(project, "mapping", "new", "sales")
    again = run(project, "mapping", "new", "sales")
    assert isinstance(again.exception, MigrateError)
    assert again.exception.exit_code == 2
    named = run(
        project, "mapping", "new", "sales", "--out", str(project / "mappings" / "orders.yaml")
    )
    assert "exists already" in str(named.exception)


def test_check_holds_files_against_the_newest_snapshot(project: Path) -> None:
    """Fields the snapshot never shows and fields nobody uses are told with their place; --no-snapshot tells none."""
    told = summary(project, "mapping", "check")
    assert told["snapshot"] == "snap"
    assert any(
        "the snapshot has no field for" in line and "income" in line for line in told["warnings"]
    )
    assert any("no mapping uses the field 'languages' (" in line for line in told["warnings"])
    assert all(line.split(":")[1].isdigit() for line in told["warnings"])
    alone = summary(project, "mapping", "check", "--no-snapshot")
    assert (alone["snapshot"], alone["warnings"]) == (None, [])
    assert "Checked against snapshot snap" in run(project, "mapping", "check").output


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (
            "by: latest\n",
            "by: source_order\n  source_order: [Magento 2, Magneto]\n",
            "collapse.source_order.1: no record of profiles is of source 'Magneto'; did you mean 'Magento 2'?",
        ),
        (
            "unmapped: report",
            "unmapped: fail",
            "unmapped: no mapping uses the field 'extra' (9% filled) nor names it",
        ),
    ],
)
def test_what_only_a_snapshot_can_find_wrong(project: Path, old: str, new: str, what: str) -> None:
    """A source that no record has, and unused fields where the file says `fail`, end the check with exit code 5."""
    file = project / "mappings" / "contacts.yaml"
    part = project / "migration" / "snapshots" / "snap" / "profiles" / "part-0.parquet"
    frame = pl.read_parquet(part)
    rows = [frame.with_columns(extra=pl.lit(None, dtype=pl.String)) for _ in range(2)]
    rows.append(frame.with_columns(extra=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("x"))))
    pl.concat(rows).head(3 * frame.height).write_parquet(part)
    manifest = json.loads((part.parents[1] / "manifest.json").read_text())
    manifest["resources"]["profiles"]["columns"].append("extra")
    (part.parents[1] / "manifest.json").write_text(json.dumps(manifest))
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    failed = run(project, "mapping", "check")
    assert isinstance(failed.exception, MappingError)
    assert failed.exception.exit_code == 5
    assert what.replace("9%", f"{1 / (3 * frame.height):.0%}") in str(failed.exception)


def test_fields_of_elements_count_too(project: Path) -> None:
    """A field that only list elements have, and that no mapping takes, is told; `unmapped: fail` makes it a problem."""
    file = project / "mappings" / "order_items.yaml"
    text = file.read_text(encoding="utf-8").replace("[item.quantity, item.qty]", "item.qty")
    file.write_text(text, encoding="utf-8")
    part = "no mapping uses the field 'items[].quantity' ("
    assert [line for line in summary(project, "mapping", "check")["warnings"] if part in line]
    file.write_text(text.replace("unmapped: report", "unmapped: fail"), encoding="utf-8")
    assert part in str(run(project, "mapping", "check").exception)
    file.write_text(text + "ignore: [item.quantity]\n", encoding="utf-8")
    assert not [line for line in summary(project, "mapping", "check")["warnings"] if part in line]


def test_one_file_is_seen_beside_the_others(project: Path) -> None:
    """A field that another dataset's mapping uses is no unused one, whether or not that file is named."""
    together = summary(project, "mapping", "check")["warnings"]
    alone = summary(project, "mapping", "check", str(project / "mappings" / "order_items.yaml"))[
        "warnings"
    ]
    assert not [line for line in alone if "'total'" in line]
    unused = [
        line.partition("unmapped: ")[2]
        for line in together
        if line.startswith("orders.yaml") and "unmapped" in line
    ]
    assert [line.partition("unmapped: ")[2] for line in alone if "unmapped" in line] == unused
    (project / "mappings" / "orders.yaml").write_text("version: 2", encoding="utf-8")
    broken = summary(project, "mapping", "check", str(project / "mappings" / "order_items.yaml"))[
        "warnings"
    ]
    assert [line for line in broken if "total (" in line or "'total'" in line]


def test_preview_masks_unless_told(project: Path) -> None:
    """Rows before and after with their losses, rejects with their reason; values of people only on request."""
    people = ["mapping", "preview", str(project / "mappings" / "contacts.yaml"), "--rows", "50"]
    assert "eva@example.com" in run(project, *people, "--show-values").output
    assert "eva@example.com" not in run(project, *people).output
    file = str(project / "mappings" / "products.yaml")
    of_products = run(project, "mapping", "preview", file, "--rows", "50").output
    assert "Wool coat" in of_products
    assert "ambiguous_number in price: 1,234 or 1.234" in of_products
    found = summary(project, "mapping", "preview", file, "--rows", "50", "--show-values")
    by_id = {(row["source"], row["id"]): row["columns"] for row in found["rows"]}
    assert by_id["MyWebshop", "item-0"]["price"] == {
        "before": "24,99",
        "after": "24.99",
        "losses": ["comma_replaced"],
    }
    assert [(row["id"], row["rule"], row["column"]) for row in found["rejects"]] == [
        ("item-1", "ambiguous_number", "price")
    ]


def test_preview_follows_look_ups(project: Path) -> None:
    """A preview finds the rows of other datasets that its rows ask for, down the chain."""
    file = str(project / "mappings" / "order_items.yaml")
    found = summary(project, "mapping", "preview", file, "--rows", "50", "--show-values")
    keys = {
        row["columns"]["order_item_key"]["after"]: row["columns"]["contact_key"]["after"]
        for row in found["rows"]
    }
    assert keys["Prestashop-1:55:1"] == "Prestashop-1:7"
    assert keys["MyWebshop:1:1"] == "MyWebshop:de02c53b"
    assert keys["Magento2:000000123:1"] is None


def test_functions_are_listed_with_examples(project: Path) -> None:
    """Every function with what it does, and an example that is true."""
    found = summary(project, "mapping", "functions")["functions"]
    assert [entry["name"] for entry in found] == list(FUNCTIONS)
    for entry in found:
        function = FUNCTIONS[entry["name"]]
        step = pl.DataFrame({"t": [entry["input"]]}).select(
            function.build(pl.col("t"), function.example_argument)
        )
        assert step.item() == entry["output"]
    assert "phone: NL" in run(project, "mapping", "functions").output


_NAME = st.sampled_from(
    [
        "email",
        "newsletter",
        "opt_out",
        "a b",
        "é",
        "metadata.x",
        "metadata",
        "Email",
        "id",
        "item.x",
        "",
    ]
)
_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.sampled_from(
        [
            "",
            "0",
            "1",
            "007",
            "1,5",
            "1,234",
            "2020-01-01",
            "0000-00-00",
            "2020-01-01 10:00:00",
            "yes",
            "x",
        ]
    ),
    st.lists(st.integers(), max_size=2),
    st.text(max_size=5),
)


@given(
    st.lists(st.dictionaries(_NAME | st.text(max_size=4), _VALUE, max_size=6), max_size=5),
    st.sampled_from(sorted(RESOURCES)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_records_give_a_mapping(
    tmp_path: Path, records: list[dict[str, Any]], resource: str
) -> None:
    """Whatever fields and values there are, the proposal is a mapping without problems that leaves no field out."""
    frame = _frame(resource, [{"profileid": "1", **record} for record in records])
    names = [name for name in frame.columns if name not in ("_source", "_id", "_page", "_raw")]
    survey = survey_records([frame], names)
    file = tmp_path / "proposal.yaml"
    file.write_text(
        propose(RESOURCE_NAMES[resource], survey, "snap", "mapping.schema.json"), encoding="utf-8"
    )
    made = read_mapping(file)
    from migrate.mapping.fields import unused_fields

    # A file may not name a field without a name, not even to ignore it.
    assert set(unused_fields(names, [made])) <= {"", "metadata.source"}


RESOURCE_NAMES: dict[str, Any] = {name: name for name in DATASETS}


def test_a_slip_that_costs_a_column_comes_first(project: Path) -> None:
    """A column that nothing fills and a full field that nobody maps stand above all that a shop merely lacks."""
    file = project / "mappings" / "orders.yaml"
    text = file.read_text().replace("[total, metadata.total]", "[totl]")
    file.write_text(text)
    failed = run(project, "mapping", "check").exception
    assert isinstance(failed, MappingError)
    assert "examples.0: total is left out" in str(failed)
    assert "did you mean 'total'" in str(failed)
    file.write_text(text.partition("examples:")[0])
    told = summary(project, "mapping", "check")["warnings"]
    places = [
        at
        for at, line in enumerate(told)
        if "did you mean 'total'" in line or "field 'total' (" in line
    ]
    lacking = [at for at, line in enumerate(told) if "the snapshot has no field for" in line]
    assert places
    assert max(places) < min(lacking)
    output = run(project, "mapping", "check").output
    assert "No error in the files, but" in output
    assert output.index("columns.total") < output.index("dataset ")


BAD = """version: 1
dataset: things
resource: profiles
key: [contact_key, nokey]
keey: 3
collapse: {by: latset, source_order: ["Nowhere"]}
columns:
  contact_key: {from: id, type: text}
  c: {from: x, type: text, apply: [trim, lowercas, {truncate: x}]}
  a: {from: x, sql: "y", type: text}
  b: {type: text}
  d: {from: email, type: text, apply: [lowercas]}
"""


def test_all_problems_of_all_phases_are_told_in_one_round(project: Path) -> None:
    """Unknown keys and words, missing columns and functions, and what only the snapshot shows: eight at once."""
    file = project / "bad.yaml"
    file.write_text(BAD)
    done = run(project, "mapping", "check", str(file))
    assert isinstance(done.exception, MappingError)
    output = str(done.exception)
    for what in (
        "4:20: key.1", "5:1: keey", "6:16: collapse.by", "9:42: columns.c.apply.1", "9:52: columns.c.apply.2",
        "10:21: columns.a.sql", "11:3: columns.b", "6:39: collapse.source_order.0", "12:40: columns.d.apply.0",
    ):  # fmt: skip
        assert f"bad.yaml:{what}" in output


@pytest.mark.parametrize("resource", sorted(RESOURCES))
def test_a_proposal_ends_with_examples_that_hold(project: Path, resource: str) -> None:
    """What is proposed has examples of records, masked, and each comes out as it says."""
    file = Path(summary(project, "mapping", "new", resource)["file"])
    made = read_mapping(file)
    assert made.examples
    assert failing_examples(made, Settings()) == []
    shown = file.read_text(encoding="utf-8").partition("examples:")[2]
    for value in ("Jan", "0612345678", "example.com", "192.0.2.7"):
        assert value.lower() not in shown.lower()


@pytest.mark.parametrize("shown", [False, True])
def test_a_record_is_printed_as_an_example_of_its_file(project: Path, shown: bool) -> None:
    """`--as-example ID` prints an entry that holds once it stands in the file; its values only with `--show-values`."""
    file = Path(summary(project, "mapping", "new", "profiles")["file"])
    record = next(iter(_records()["profiles"]))
    options = ["--show-values"] if shown else []
    name = str(record["profileid"])
    found = summary(project, "mapping", "preview", str(file), "--as-example", name, *options)
    text = file.read_text(encoding="utf-8").partition("examples:")[0]
    file.write_text(f"{text}examples:\n{found['example']}\n", encoding="utf-8")
    (example,) = read_mapping(file).examples
    assert failing_examples(read_mapping(file), Settings()) == []
    assert example.record is not None
    assert (example.record["profileid"] == record["profileid"]) is shown
    assert example.record.keys() == record.keys()


def test_an_example_of_nobody_is_a_usage_error(project: Path) -> None:
    """An id that the snapshot does not have ends with exit code 2 and says so."""
    file = summary(project, "mapping", "new", "profiles")["file"]
    done = run(project, "mapping", "preview", file, "--as-example", "nobody")
    assert isinstance(done.exception, MigrateError)
    assert done.exception.exit_code == 2
    assert "has no record 'nobody' of profiles" in str(done.exception)
