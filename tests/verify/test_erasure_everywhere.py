"""One person out of a workspace that has a file of every kind, searched afterwards by a decoder of the test's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .decoder import files_with
from .everything import everything
from .test_tampered import run_here

pytestmark = pytest.mark.end_to_end

THEIRS = (
    "person1@example.test", "p1", "Anneliese1", "Amsterdam-01", "Breda", "Magento 2:p1", "000000001", "000000041",
    "Magento2:000000041", "Magento2:000000041:2", "sku-41-1", "i1",
)  # fmt: skip
OTHERS = ("person2@example.test", "p2", "Anneliese2", "Amsterdam-02", "000000002", "i2", "sku-2-0")
HANDED = "exports/handed/files/interactions_"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project's folder."""
    with everything(tmp_path_factory.mktemp("everything") / "shop") as made:
        yield made


def test_a_person_is_in_no_file_of_any_kind(project: Path) -> None:
    """Only what was handed over names them, and the note of it: exit code 4 says so; others stay where they were.

    Files that cannot be edited go whole, each by its name.
    """
    root = project / "migration"
    before = files_with(root, [*THEIRS, *OTHERS])
    assert set().union(*before.values()) == {*THEIRS, *OTHERS}
    code, out, _err = run_here(
        project, "purge", "--subject", " PERSON1@example.test", "--yes", "--json", "-q"
    )
    summary = json.loads(out)
    [place] = {place["file"] for place in summary["places"]}
    assert (code, place.startswith(HANDED)) == (4, True)
    after = files_with(root, THEIRS)
    notes = {name for name in after if name.startswith(".erasing-")}
    assert (len(notes), after.keys() - notes) == (1, {place})
    removed = tuple(summary["removed_files"])
    gone = {
        (name, value)
        for name, values in before.items()
        for value in values & set(OTHERS)
        if not name.startswith(removed)
    }
    left = {(name, value) for name, values in files_with(root, OTHERS).items() for value in values}
    assert gone <= left
