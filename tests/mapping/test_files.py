"""Mapping files and what is said about them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from migrate.errors import MappingError
from migrate.mapping.files import read_mapping, read_mappings
from migrate.mapping.model import Collapse, Column, Example, Lookup, Mapping, json_schema
from migrate.names import RESOURCE_NAMES

GOOD = "version: 1\ndataset: {0}\nresource: profiles\nkey: [k]\ncolumns:\n  k: {{from: id, type: text}}\n"


def _problems(folder: Path) -> list[str]:
    with pytest.raises(MappingError) as caught:
        read_mappings(folder)
    assert caught.value.hint
    return list(caught.value.problems)


def _write(folder: Path, columns: str = "", top: str = "", name: str = "t.yaml") -> Path:
    lines = "".join(f"  {line}\n" for line in columns.splitlines())
    path = folder / name
    path.write_text(f"{GOOD.format('things')}{lines}{top}\n", encoding="utf-8")
    return path


def test_says_everything_at_once(tmp_path: Path) -> None:
    """Every problem of every file is named with file, line, column and the nearest known word."""
    (tmp_path / "contacts.yaml").write_text(
        "version: 1\ndataset: contacts\nresource: profile\nkey: [contact_key]\ncolums: {}\ncolumns:\n"
        "  contact_key: {from: id, type: text}\n"
        "  birthdate: {from: dateofbirth, type: datum}\n"
        "  country: {form: country, type: text}\n"
    )
    (tmp_path / "other.yaml").write_text("version: 1\n\ta: b\n")
    assert _problems(tmp_path) == [
        f"contacts.yaml:3:11: resource: 'profile' is no resource; one of {', '.join(RESOURCE_NAMES)}; "
        "did you mean 'profiles'?",
        "contacts.yaml:5:1: colums: unknown key 'colums'; did you mean 'columns'?",
        "contacts.yaml:8:40: columns.birthdate.type: 'datum' is no type; one of text, integer, float, boolean, "
        "datetime, date, json; did you mean 'date'?",
        "contacts.yaml:9:13: columns.country.form: unknown key 'form'; did you mean 'from'?",
        "other.yaml:2:1: a tab; indent with spaces",
    ]


@pytest.mark.parametrize(
    ("columns", "place", "what"),
    [
        ("x: {type: text}", "7:3", "columns.x: where does its value come from?"),
        (
            "x: {from: a, sql: b, type: text}",
            "7:21",
            "columns.x.sql: `from` and `sql` exclude each other",
        ),
        ("x: {from: a}", "7:3", "columns.x: 'type' is missing"),
        ("x: text", "7:6", "columns.x: must be keys and values, is 'text'"),
        ("x: {from: 5, type: text}", "7:13", "columns.x.from: 5 is no text; quote it"),
        (
            "x: {from: a, type: text, apply: [trimm]}",
            "7:36",
            "'trimm' is no function; one of trim, ",
        ),
        ("x: {from: a, type: text, apply: [trim: 3]}", "7:36", "`trim` takes no argument"),
        (
            "x: {from: a, type: text, apply: [truncate]}",
            "7:36",
            "`truncate` wants a number, as in `truncate: 3`",
        ),
        ("x: {from: a, type: text, apply: [truncate: 0]}", "7:36", "from 1 on"),
        (
            "x: {from: a, type: integer, values: {a: 1.5}}",
            "7:43",
            "1.5 is a number whose digits would change; quote it",
        ),
        (
            "x: {from: a, type: integer, values: {a: b}}",
            "7:43",
            "columns.x.values.a: 'b' does not fit `type: integer` (not_an_integer)",
        ),
        ("x: {from: a, type: integer, default: no}", "7:40", "'no' does not fit `type: integer`"),
        ("x: {from: a, type: boolean, values: {'': false}}", "7:39", "'' counts as no value"),
        ("x: {from: a, type: text, unlisted: omit}", "7:38", "columns.x.unlisted: needs `values`"),
        ("x: {from: a, type: text, digits: round}", "7:36", "columns.x.digits: is of a float"),
        (
            "x: {from: a, type: text, format: '%Y'}",
            "7:36",
            "columns.x.format: is of a date or datetime",
        ),
        ("x: {from: a, type: date, format: yyyy}", "7:36", "'yyyy' is no spelling"),
        (
            "x: {from: a, type: datetime, timezone: Europe/Amsterdm}",
            "7:42",
            "'Europe/Amsterdm' is no time zone",
        ),
        ("x: {from: a, type: date, timezone: UTC}", "7:38", "a date is never moved by a zone"),
        (
            "x: {from: a, type: text, null: send, required: true}",
            "7:34",
            "`null: send` and `required` exclude each other",
        ),
        ("x: {sql: '(SELECT 1)', type: text}", "7:12", "columns.x.sql: SELECT is not allowed"),
        (
            "x: {sql: 'LEFT(a)', type: text}",
            "7:12",
            "columns.x.sql: something is missing before this place",
        ),
        ("x: {from: item.a, type: text}", "7:13", "'item.a' needs `each`"),
        ("x: {from: [], type: text}", "7:13", "columns.x.from: may not be empty"),
        ("__masterid__: {from: a, type: text}", "7:3", "a system column of the target"),
        ("K: {from: a, type: text}", "7:3", "differs from 'k' in case only"),
        (
            "x: {from: a, type: text, required: yes}",
            "7:38",
            "columns.x.required: must be true or false, is 'yes'",
        ),
        (
            "x: {from: a, type: text, on_invalid: omitt}",
            "7:40",
            "'omitt' is no on invalid; one of reject, omit, null",
        ),
    ],
)
def test_each_mistake_in_a_column(tmp_path: Path, columns: str, place: str, what: str) -> None:
    """A mistake in a column is named once, at its place."""
    _write(tmp_path, columns)
    problems = _problems(tmp_path)
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"t.yaml:{place}: ")
    assert what in problems[0]


@pytest.mark.parametrize(
    ("top", "what"),
    [
        ("where: id", "7:8: where: gives a value, not true or false"),
        ("ignore: [id]", "6:13: columns.k.from: 'id' is used here and listed under `ignore`"),
        (
            "lookups: {c: {dataset: nothing, id: a}}",
            "7:24: lookups.c.dataset: no mapping makes 'nothing'; did you mean 'things'?",
        ),
        (
            "lookups: {c: {dataset: things, id: a}}",
            "7:24: lookups.c.dataset: a dataset cannot look itself up",
        ),
        (
            "collapse: {by: newest}",
            "7:16: collapse.by: 'newest' is no by; one of latest, first, source_order",
        ),
        ("collapse: {bye: latest}", "7:12: collapse.bye: unknown key 'bye'; did you mean 'by'?"),
        ("unmapped: maybe", "7:11: unmapped: 'maybe' is no unmapped; one of report, fail"),
    ],
)
def test_each_mistake_at_the_top(tmp_path: Path, top: str, what: str) -> None:
    """A mistake outside the columns is named at its place."""
    _write(tmp_path, top=top)
    assert f"t.yaml:{what}" in "\n".join(_problems(tmp_path))


def test_key_names_columns(tmp_path: Path) -> None:
    """A key column must exist and must have a value."""
    (tmp_path / "t.yaml").write_text(GOOD.format("things").replace("[k]", "[kk]"))
    assert _problems(tmp_path) == ["t.yaml:4:7: key.0: there is no column 'kk'; did you mean 'k'?"]
    (tmp_path / "t.yaml").write_text(
        GOOD.format("things").replace("type: text", "type: text, on_invalid: omit")
    )
    assert "columns.k.on_invalid: a key column must have a value" in _problems(tmp_path)[0]


def test_between_files(tmp_path: Path) -> None:
    """Two files of one dataset and resource, unknown look-up columns and circles are found."""
    look = "lookups: {{o: {{dataset: {0}, id: x}}}}\n"
    (tmp_path / "a.yaml").write_text(
        GOOD.format("aa") + "  y: {from: o.kk, type: text}\n" + look.format("bb")
    )
    (tmp_path / "b.yaml").write_text(GOOD.format("bb") + look.format("aa"))
    (tmp_path / "c.yaml").write_text(GOOD.format("bb"))
    assert _problems(tmp_path) == [
        "a.yaml:7:13: columns.y.from: bb has no column 'kk'; did you mean 'k'?",
        "b.yaml:3:11: resource: c.yaml makes 'bb' of profiles already; one file a resource",
        "c.yaml:3:11: resource: b.yaml makes 'bb' of profiles already; one file a resource",
        "a.yaml:8:1: lookups: aa → bb → aa is a circle; none can be made first",
    ]


def test_order_and_choice(tmp_path: Path) -> None:
    """What is looked up comes first, else by name; a choice brings along what it looks up."""
    (tmp_path / "1.yaml").write_text(GOOD.format("aa") + "lookups: {o: {dataset: zz, id: x}}\n")
    (tmp_path / "2.yaml").write_text(GOOD.format("zz"))
    (tmp_path / "3.yml").write_text(GOOD.format("bb"))
    assert list(read_mappings(tmp_path)) == ["bb", "zz", "aa"]
    assert list(read_mappings(tmp_path, ["aa"])) == ["zz", "aa"]
    with pytest.raises(MappingError, match="no mapping makes the dataset 'b'; did you mean 'bb'"):
        read_mappings(tmp_path, ["b"])


def test_knows_its_file(tmp_path: Path) -> None:
    """A mapping carries its path and the hash of the file's bytes."""
    path = _write(tmp_path)
    mapping = read_mapping(path)
    assert (mapping.file, mapping.sha256) == (
        str(path),
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )


@pytest.mark.parametrize("text", ["", "- a\n", "text\n", "# only a comment\n"])
def test_files_without_a_mapping(tmp_path: Path, text: str) -> None:
    """An empty file or a list is no mapping."""
    (tmp_path / "t.yaml").write_text(text)
    assert _problems(tmp_path) == [
        "t.yaml:1:1: a mapping file holds keys and values; this holds none"
    ]


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    """A folder that is not there or holds nothing says how to get the shipped mappings."""
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(MappingError) as caught:
            read_mappings(folder)
        assert "migrate init" in str(caught.value.hint)


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that cannot be read is a problem of its own, not a traceback."""
    (tmp_path / "t.yaml").mkdir()
    assert _problems(tmp_path)[0].startswith("t.yaml: cannot be read")


def test_shipped_schema_is_current() -> None:
    """The JSON Schema beside the shipped mappings is what the model gives."""
    shipped = Path(__file__).parents[2] / "mappings" / "mapping.schema.json"
    assert json.loads(shipped.read_text(encoding="utf-8")) == json_schema()


def test_several_files_of_one_dataset(tmp_path: Path) -> None:
    """They make one mapping with the columns of all, in their stated order, whatever their names."""
    whole = "precedence: {}\n"
    (tmp_path / "a.yaml").write_text(
        GOOD.format("aa").replace("profiles", "sales")
        + "  late: {from: l, type: text}\n"
        + whole.format(2)
    )
    (tmp_path / "b.yaml").write_text(
        GOOD.format("aa") + "  early: {from: e, type: text}\n" + whole.format(1)
    )
    mapping = read_mappings(tmp_path)["aa"]
    assert [Path(part.file).name for part in mapping.parts] == ["b.yaml", "a.yaml"]
    assert mapping.resources == ("profiles", "sales")
    assert list(mapping.columns) == ["k", "early", "late"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("precedence: 2", ""), "a.yaml:2:10: dataset: b.yaml makes 'aa' too; say whose row wins"),
        (("precedence: 2", "precedence: 1"), "precedence: b.yaml has the same"),
        (("sales", "profiles"), "resource: b.yaml makes 'aa' of profiles already; one file a resource"),
        (("key: [k]", "key: [late]"), "key: is [k] in b.yaml; files of one dataset have the same"),
        (("precedence: 2", "precedence: 2\ncollapse: {fill_gaps: true}"), "collapse.fill_gaps is false in b.yaml"),
        (("late: {from: l, type: text}", "early: {from: l, type: integer}"), "columns.early: type is text in b.yaml"),
        (("late: {from: l, type: text}", "Early: {from: l, type: text}"), "columns.Early: differs from 'early' of b"),
        (("type: text}\n", "type: text, required: true}\n"), "columns.late: is required here, and b.yaml does not"),
    ],
)  # fmt: skip
def test_files_of_one_dataset_say_the_same(
    tmp_path: Path, change: tuple[str, str], what: str
) -> None:
    """What is said of the dataset's rows is said alike, and their order is never a guess."""
    (tmp_path / "b.yaml").write_text(
        GOOD.format("aa") + "  early: {from: e, type: text}\nprecedence: 1\n"
    )
    second = GOOD.format("aa").replace("profiles", "sales")
    second += "  late: {from: l, type: text}\nprecedence: 2\n"
    assert change[0] in second
    (tmp_path / "a.yaml").write_text(second.replace(*change))
    assert what in "\n".join(_problems(tmp_path))


EMPTY = {
    "each": "each: ''",
    "where": "where: ''",
    "collapse.by": "collapse: {by: ''}",
    "collapse.order_by": "collapse: {order_by: ['']}",
    "collapse.source_order": "collapse: {by: source_order, source_order: ['']}",
    "lookups": "lookups: {'': {dataset: other, id: x}}",
    "lookups.c.dataset": "lookups: {c: {dataset: '', id: x}}",
    "lookups.c.id": "lookups: {c: {dataset: other, id: ''}}",
    "lookups.c.id.0": "lookups: {c: {dataset: other, id: ['']}}",
    "lookups.c.source": "lookups: {c: {dataset: other, id: x, source: ''}}",
    "lookups.c.project": "lookups: {c: {dataset: other, id: x, project: ''}}",
    "tables.a": "tables: {a: ''}",
    "ignore.0": "ignore: ['']",
    "unmapped": "unmapped: ''",
    "target": "target: ''",
    "precedence": "precedence: ''",
    "alternative_keys.0.0": "alternative_keys: [['']]",
    "examples.0.id": "examples: [{id: '', row: {k: a}}]",
    "examples.0.source": "examples: [{id: '1', source: '', row: {k: a}}]",
    "examples.0.reject": "examples: [{record: {profileid: '1', source: s}, reject: ''}]",
}
EMPTY_IN_COLUMN = {
    "from": "from: ''", "sql": "sql: ''", "value": "value: ''", "apply.0": "from: x, apply: ['']",
    "values": "from: x, values: ''", "unlisted": "from: x, unlisted: ''", "default": "from: x, default: ''",
    "required": "from: x, required: ''", "on_invalid": "from: x, on_invalid: ''", "null": "from: x, 'null': ''",
    "digits": "from: x, digits: ''", "format": "from: x, format: ''", "timezone": "from: x, timezone: ''",
    "pivot": "from: x, pivot: ''", "consent": "from: x, consent: ''", "recipe": "from: x, recipe: ''",
}  # fmt: skip
FOR_THE_READER = {"description", "says"}


@pytest.mark.parametrize("option", [*EMPTY, *(f"columns.a.{name}" for name in EMPTY_IN_COLUMN)])
def test_an_empty_text_is_refused_in_every_option(tmp_path: Path, option: str) -> None:
    """With its place: a name without a letter finds nothing, and a column, a list or an order would be left out."""
    name = option.removeprefix("columns.a.")
    column = EMPTY_IN_COLUMN.get(name, "from: x")
    file = tmp_path / "contacts.yaml"
    kind = "datetime" if name in {"format", "timezone", "pivot"} else "text"
    file.write_text(
        "version: 1\ndataset: contacts\nresource: profiles\nkey: [k]\ncolumns:\n  k: {from: id, type: text}\n"
        f"  a: {{{column}, type: {kind}}}\n{EMPTY.get(option, '')}\n"
    )
    with pytest.raises(MappingError) as caught:
        read_mapping(file)
    line = 7 if option.startswith("columns") else 8
    assert any(f"contacts.yaml:{line}:" in one and option in one for one in caught.value.problems)


def test_no_option_is_forgotten() -> None:
    """Whatever a file may say in words is in the sweep above."""
    swept = {part for option in EMPTY for part in option.split(".")} | {*EMPTY_IN_COLUMN, "apply"}
    swept |= {"version", "dataset", "resource", "key", "columns", "type", "fill_gaps", "on_orphan"}
    swept |= {"record", "row", "position", "filter"} | FOR_THE_READER
    for model in (Mapping, Collapse, Lookup, Column, Example):
        assert {field.alias or name for name, field in model.model_fields.items()} <= swept, model
