"""Datasets declared by mappings and by TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrate.errors import UsageError
from migrate.sandbox.declare import NO_DEFAULT, declare

MAPPING = """
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
columns:
  contact_key: {sql: "source || id", type: text}
  optin: {from: optin, type: boolean, values: {"1": true}}
  no: {from: no, type: text}
"""


def write(folder: Path, name: str, text: str) -> Path:
    """A file with that text."""
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_mapping_declares_its_dataset(tmp_path: Path) -> None:
    """Columns, types and the key come from the mapping; its id is its name; `no` is a name, not false."""
    write(tmp_path, "contacts.yaml", MAPPING)
    [spec] = declare(tmp_path, None).datasets
    assert (spec.name, spec.id, spec.keys) == ("contacts", "contacts", (("contact_key",),))
    assert [(c.name, c.type) for c in spec.columns] == [
        ("contact_key", "text"),
        ("optin", "boolean"),
        ("no", "text"),
    ]


def test_toml_refines_a_mapping(tmp_path: Path) -> None:
    """The TOML table overrides keys and adds columns, one by one."""
    write(tmp_path, "contacts.yaml", MAPPING)
    text = """
    [contacts]
    id = "ds-1"
    keys = [["contact_key"], ["email"]]
    protected = ["ltv"]
    [contacts.columns]
    email = "text"
    ltv = "float"
    optin = {type = "boolean", default = false}
    """
    [spec] = declare(tmp_path, write(tmp_path, "d.toml", text)).datasets
    defaults = {column.name: column.default for column in spec.columns}
    assert spec.id == "ds-1"
    assert spec.keys == (("contact_key",), ("email",))
    assert list(defaults) == ["contact_key", "optin", "no", "email", "ltv"]
    assert defaults["optin"] is False
    assert defaults["email"] is NO_DEFAULT


def test_webhooks(tmp_path: Path) -> None:
    """A webhook has an id, methods and headers; names of headers do not depend on case."""
    text = '[webhooks.notify]\nid = "w1"\nmethods = ["put"]\nheaders = {X-Origin = "m"}'
    [hook] = declare(None, write(tmp_path, "d.toml", text)).webhooks
    assert (hook.id, hook.methods, hook.headers) == ("w1", ("PUT",), {"x-origin": "m"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[d", "d.toml"),
        ('[d]\nkeys = [["a"]]', "no column a"),
        ('[d]\n[d.columns]\na = "text"', "no key"),
        ('[d]\nkeys = [["a"]]\n[d.columns]\na = "number"', "type cannot be 'number'"),
        ('[d]\nkey = [["a"]]\n[d.columns]\na = "text"', "unknown key key"),
        ('[d]\nkeys = [["a"]]\n[d.columns]\na = {type = "text", default = "x"}', "no default"),
        ('[d]\nkeys = [["a"]]\n[d.columns]\na = {type = "text", recipe = "rot13"}', "recipe"),
        ('[d]\nkeys = [["a"]]\n[d.columns]\n__a__ = "text"', "system"),
        ("d = 5", "must be a table"),
        ("[d]\n[d.columns]\na = 5", "column a"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    """Each mistake in the file is one error that says where."""
    with pytest.raises(UsageError, match=message):
        declare(None, write(tmp_path, "d.toml", text))


def test_no_such_place(tmp_path: Path) -> None:
    """A folder or a file that is not there is an error, not an account without datasets."""
    for mappings, datasets in ((tmp_path / "none", None), (None, tmp_path / "none.toml")):
        with pytest.raises(UsageError, match="none"):
            declare(mappings, datasets)


@pytest.mark.parametrize("text", ["columns: [", "a: 1", "- 1"])
def test_broken_mappings(tmp_path: Path, text: str) -> None:
    """A mapping that cannot be read names its file."""
    write(tmp_path, "bad.yaml", text)
    with pytest.raises(UsageError, match=r"bad\.yaml"):
        declare(tmp_path, None)
