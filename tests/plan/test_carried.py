"""The texts that a plan keeps of what it was made from."""

from __future__ import annotations

from pathlib import Path

from migrate.plan.carried import carry_texts
from migrate.workspace import sha256_bytes

TEXT = b"version: 1\ndataset: people\n"


def test_what_a_plan_uses_is_carried_whatever_its_ending(tmp_path: Path) -> None:
    """Else the verifier lacks a mapping or a table that the plan was made from, and verifies nothing of the dataset."""
    source, folder = tmp_path / "mappings", tmp_path / "plan"
    source.mkdir()
    used = ("people.YML", "cities.CSV", "codes.txt")
    for name in (*used, "notes.txt"):
        (source / name).write_bytes(TEXT)
    carried = carry_texts(source, folder, dict.fromkeys(used, sha256_bytes(TEXT)), ())
    assert {Path(file.path).name for file in carried} == set(used)
    assert (folder / "mappings" / "people.YML").read_bytes() == TEXT
