"""What is installed is pinned by hash, listed with its licence, and in the bill of materials."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-supply.lock")
ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


def script(path: str) -> ModuleType:
    """A script that is no module of the product."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def locked(name: str) -> dict[str, str]:
    """The distributions of a lock with their versions."""
    return dict(ENTRY.findall((ROOT / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", LOCKS)
def test_every_distribution_is_pinned_by_hash(name: str) -> None:
    """One version for a system and a Python, with SHA-256 hashes; nothing is installed from a URL."""
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip())
    assert len(blocks) > 20
    for block in blocks:
        assert ENTRY.match(block), block[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), block[:80]
    heads = [block.splitlines()[0] for block in blocks]
    assert len(set(heads)) == len(heads)


def test_what_the_project_asks_for_is_locked() -> None:
    """Every dependency of pyproject.toml, with its extras' and groups' own locks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {
        "requirements.lock": project["project"]["dependencies"],
        "requirements-dev.lock": project["project"]["dependencies"]
        + project["dependency-groups"]["dev"],
        "requirements-supply.lock": project["dependency-groups"]["supply"],
    }
    for name, requirements in wanted.items():
        names = {
            re.split(r"[<>=!~\[ ]", text)[0].lower().replace("_", "-").replace(".", "-")
            for text in requirements
        }
        assert names - locked(name).keys() == set(), name


def test_the_licence_of_everything_installed_is_listed() -> None:
    """The page has the lock's distributions, each with its version and a licence, and no other."""
    rows = re.findall(
        r"^\| (\S+) \| (\S+) \| (.+) \|$",
        (ROOT / "docs" / "licences.md").read_text(encoding="utf-8"),
        re.M,
    )
    listed = {
        name: version for name, version, _licence in rows if name not in ("distribution", "---")
    }
    assert listed == locked("requirements.lock")
    assert [row for row in rows if "unknown" in row[2].lower()] == []


def test_the_bill_of_materials_is_that_of_the_lock() -> None:
    """Same distributions, versions and hashes; it names no host of an index, no path and no time."""
    text = (ROOT / "sbom.cdx.json").read_text(encoding="utf-8")
    bom: dict[str, Any] = json.loads(text)
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert {part["name"]: part["version"] for part in bom["components"]} == locked(
        "requirements.lock"
    )
    listed = {
        entry["content"]
        for part in bom["components"]
        for entry in part["externalReferences"][0]["hashes"]
    }
    pinned = set(
        re.findall(
            r"sha256:([0-9a-f]{64})", (ROOT / "requirements.lock").read_text(encoding="utf-8")
        )
    )
    assert listed == pinned
    assert all(part["licenses"] for part in bom["components"])
    assert "timestamp" not in bom["metadata"]
    assert not re.search(r"file://|serialNumber|/simple/", text)


def test_a_stale_list_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script's own check fails where a file is not what it would write, and passes where it is."""
    supply = script("docs/generate_supply.py")
    monkeypatch.setattr(supply, "LICENCES", tmp_path / "licences.md")
    monkeypatch.setattr(supply, "SBOM", tmp_path / "sbom.json")
    licences = dict.fromkeys(supply.locked(), "MIT")
    monkeypatch.setattr(supply, "installed_licences", lambda _python: licences)
    monkeypatch.setattr(supply, "render_sbom", lambda _licences: "{}\n")
    assert supply.main(["--check", "python"]) == 1
    assert supply.main(["python"]) == 0
    assert supply.main(["--check", "python"]) == 0
    licences["click"] = "another"
    assert supply.main(["--check", "python"]) == 1


def found(**changes: Any) -> dict[str, Any]:
    """A distribution as pip-audit tells it."""
    return {"name": "click", "version": "8.5.1", "vulns": [], **changes}


def test_a_known_weakness_fails_the_check() -> None:
    """With its id and the version that fixes it."""
    vuln = {"id": "PYSEC-2026-1", "fix_versions": ["8.5.2"], "aliases": []}
    code, lines = script(".ci/audit.py").judge(
        {"dependencies": [found(vulns=[vuln]), found(name="polars")]}
    )
    assert code == 1
    assert lines[0] == "WEAK click 8.5.1: PYSEC-2026-1, fixed in 8.5.2"
    assert lines[1] == "2 of 2 distributions checked, 1 with a known weakness"


def test_what_nobody_could_be_asked_about_is_said() -> None:
    """It is no failure and no pass: the names are printed."""
    skipped = {"name": "polars", "skip_reason": "not found"}
    code, lines = script(".ci/audit.py").judge({"dependencies": [found(), skipped]})
    assert code == 0
    assert lines == [
        "1 of 2 distributions checked, 0 with a known weakness",
        "SKIPPED 1 that the service does not know: polars",
    ]


def test_a_service_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of what the tool complained of, as the reason; the same for one that stays silent."""
    audit = script(".ci/audit.py")
    gone = subprocess.CompletedProcess([], 1, "", "Traceback\nConnectionError: no such host\n")
    monkeypatch.setattr(audit.subprocess, "run", lambda *_words, **_options: gone)
    assert audit.audit("requirements.lock") == (
        0,
        ["SKIPPED requirements.lock: ConnectionError: no such host"],
    )

    def silent(*_words: object, **_options: object) -> None:
        raise subprocess.TimeoutExpired("pip-audit", 120)

    monkeypatch.setattr(audit.subprocess, "run", silent)
    assert audit.audit("requirements.lock") == (
        0,
        ["SKIPPED requirements.lock: no answer within 120 s"],
    )


def test_the_running_python_is_one_that_is_promised() -> None:
    """`requires-python` lets in what the tests run on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"] == ">=3.11"
    assert sys.version_info >= (3, 11)
