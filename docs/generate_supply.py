"""Writes docs/licences.md and sbom.cdx.json from requirements.lock, by pip-licenses and CycloneDX's own tool.

    python docs/generate_supply.py [--check] PYTHON

PYTHON is an environment in which requirements.lock is installed; what the lock keeps for other systems is added to a
folder beside it. Runs where requirements-supply.lock is installed. With --check, fails where a file is not what it
would write.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
LICENCES = ROOT / "docs" / "licences.md"
SBOM = ROOT / "sbom.cdx.json"
LOCKED = re.compile(
    r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: *;[^\\]*)?((?: *\\\n *--hash=\S+)+)", re.MULTILINE
)
HEAD = """\
# Licences

Made by `python docs/generate_supply.py` from the metadata of what `requirements.lock` installs; do not edit. The same
list with hashes is `sbom.cdx.json`, for programs.

| distribution | version | licence |
|---|---|---|
"""


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """The distributions of requirements.lock by name, with their versions."""
    return {
        normal(name): version
        for name, version, _hashes in LOCKED.findall(LOCK.read_text(encoding="utf-8"))
    }


def run(*command: str | Path) -> str:
    """What a command prints. Raises CalledProcessError."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603  # fixed commands


def installed_licences(python: Path) -> dict[str, str]:
    """Licences by name of what is installed for `python`."""
    tool = Path(sys.executable).with_name("pip-licenses")
    found = json.loads(
        run(tool, f"--python={python}", "--from=mixed", "--format=json", "--with-system")
    )
    return {normal(entry["Name"]): " ".join(entry["License"].split()) for entry in found}


def other_licences(python: Path, names: set[str]) -> dict[str, str]:
    """Licences of distributions that are for other systems, installed into a folder for the moment."""
    if not names:
        return {}
    wanted = [
        found
        for found in LOCKED.finditer(LOCK.read_text(encoding="utf-8"))
        if normal(found[1]) in names
    ]
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "others.lock"
        lock.write_text(
            "".join(f"{f[1]}=={f[2]}{f[3]}\n" for f in wanted), encoding="utf-8", newline="\n"
        )
        run(python, "-m", "venv", Path(folder) / "env")
        other = Path(folder) / "env" / python.parent.name / python.name
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")
        run(other, "-m", "pip", "install", *options, "-r", lock)
        return {
            name: licence for name, licence in installed_licences(other).items() if name in names
        }


def render_licences(licences: dict[str, str]) -> str:
    """The page."""
    rows = (
        f"| {name} | {version} | {licences[name]} |\n" for name, version in sorted(locked().items())
    )
    return HEAD + "".join(rows)


def render_sbom(licences: dict[str, str]) -> str:
    """The bill of materials, valid against CycloneDX's own schema; without time, host or path."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    tool = Path(sys.executable).with_name("cyclonedx-py")
    options = ("--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--of", "JSON")
    bom: dict[str, Any] = json.loads(run(tool, "requirements", *options, LOCK))
    initial = (ROOT / "migrate" / "__init__.py").read_text(encoding="utf-8")
    bom["metadata"]["component"]["version"] = re.findall(r'__version__ = "([^"]+)"', initial)[0]
    refs = {component["bom-ref"]: component["purl"] for component in bom["components"]}
    for component in bom["components"]:
        _tell(component, licences[normal(component["name"])])
    for component in bom["metadata"]["tools"]["components"]:
        del component["externalReferences"]  # they name the index's host
    for entry in bom["dependencies"]:
        entry["ref"] = refs.get(entry["ref"], entry["ref"])
        entry["dependsOn"] = sorted(refs.get(ref, ref) for ref in entry.get("dependsOn", []))
    root = bom["metadata"]["component"]["bom-ref"]
    bom["dependencies"] = [entry for entry in bom["dependencies"] if entry["ref"] != root]
    bom["dependencies"].append({"ref": root, "dependsOn": sorted(refs.values())})
    text = json.dumps(bom, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    trouble = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if trouble is not None:
        raise SystemExit(f"{SBOM.name}: {trouble}")
    return text


def _tell(component: dict[str, Any], licence: str) -> None:
    """A component named by its package URL rather than by a line of the lock and an index, with its licence."""
    del component["description"]
    component["bom-ref"] = component["purl"]
    for reference in component["externalReferences"]:
        reference["url"] = component["purl"]
        del reference["comment"]
    component["licenses"] = [{"license": {"name": licence}}]


def main(arguments: list[str]) -> int:
    """0, or 1 where --check finds a file out of date."""
    python = Path(arguments[-1]).absolute()
    licences = installed_licences(python)
    licences |= other_licences(python, locked().keys() - licences.keys())
    stale = []
    for path, text in ((LICENCES, render_licences(licences)), (SBOM, render_sbom(licences))):
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8", newline="\n")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        sys.stderr.write(
            f"out of date: {', '.join(stale)}; run: python docs/generate_supply.py PYTHON\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
