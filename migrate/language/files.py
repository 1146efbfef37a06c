"""Which files of a folder are mappings, told once for plan, verifier, sandbox and command line."""

from __future__ import annotations

from pathlib import Path

from migrate.language.shared import SHARED_FILE
from migrate.language.yaml_text import read_yaml
from migrate.plain_file import read_plain


def mapping_files(folder: Path) -> list[Path]:
    """The mapping files of a folder by name, whichever of YAML's two endings they have, in small letters or large.

    `shared.yaml` is none, but what they share. What begins with a dot is none: copying from a Mac leaves a
    `._contacts.yaml` beside the file.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in {".yaml", ".yml"}
        and not path.name.startswith(".")
        and path.name != SHARED_FILE
    )


def dataset_names(folder: Path) -> list[str]:
    """The datasets that a folder's files make, by name; of a file that cannot be read its own name."""
    names: set[str] = set()
    for file in mapping_files(folder):
        value = read_yaml(read_plain(file)).value
        if isinstance(value, dict):
            said = value.get("dataset")
        else:
            said = None
        names.add(said if isinstance(said, str) else file.stem)
    return sorted(names)
