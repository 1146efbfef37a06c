"""The page about mapping files is true: made from the model, its examples readable."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from migrate.mapping.files import read_mapping
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.model import Collapse, Column, Lookup, Mapping
from migrate.mapping.rules import BROKEN_VALUES, LOSSES, RULES

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_current() -> None:
    """docs/mapping.md is what the generator writes now."""
    assert (DOCS / "mapping.md").read_text(encoding="utf-8") == runpy.run_path(
        str(DOCS / "generate_mapping.py")
    )["render"]()


def test_the_page_names_everything() -> None:
    """Each key, function, rule and loss has its line, and each key a description."""
    text = (DOCS / "mapping.md").read_text(encoding="utf-8")
    for model in (Mapping, Collapse, Lookup, Column):
        for name, field in model.model_fields.items():
            assert field.description
            assert f"| `{field.alias or name}` |" in text
    single = [name for name in LOSSES if name not in BROKEN_VALUES]
    assert all(f"| `{name}" in text for name in (*FUNCTIONS, *RULES, *single, "omitted_RULE"))


def test_the_examples_are_mappings(tmp_path: Path) -> None:
    """Every YAML block of the page is a file that `check` takes."""
    blocks = re.findall(
        r"```yaml\n(.*?)```", (DOCS / "mapping.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert blocks
    for block in blocks:
        file = tmp_path / "example.yaml"
        file.write_text(block, encoding="utf-8")
        read_mapping(file)
