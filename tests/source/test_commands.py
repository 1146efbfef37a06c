"""`migrate extract --from-files` and `migrate inspect` as a person calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import forked
from tests.harness import PATIENCE_S


def migrate(folder: Path, *arguments: str) -> tuple[int, Any]:
    """The exit code and the JSON object of a command."""
    words = ["-m", "migrate", *arguments, "--json", "--quiet"]
    done = forked.run(words, folder, os.environ, PATIENCE_S)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_saved_files_become_a_snapshot_that_can_be_looked_into(tmp_path: Path) -> None:
    """No key and no service is needed; the page is written, and neither output shows an address."""
    (tmp_path / "migrate.toml").write_text('[datatrics]\nproject_id = "1"\n')
    (tmp_path / "saved").mkdir()
    records = [
        {"profileid": str(n), "source": "s", "email": f"jan{n}@example.org"} for n in range(3)
    ]
    (tmp_path / "saved" / "profiles.json").write_text(
        json.dumps({"total_elements": 3, "size": 3, "items": records})
    )
    code, found = migrate(tmp_path, "extract", "profiles", "--from-files", "saved")
    assert (code, found["resources"]["profiles"]["verdict"]) == (0, "proven")
    assert "buckets" in found["not_migrated"]
    code, found = migrate(tmp_path, "inspect", "--html", "page.html")
    assert code == 0
    assert found["resources"]["profiles"]["fields"]["email"]["filled"] == 3
    assert "example.org" not in json.dumps(found) + (tmp_path / "page.html").read_text()


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    """With the exit code for usage."""
    (tmp_path / "migrate.toml").write_text('[datatrics]\nproject_id = "1"\n')
    code, found = migrate(tmp_path, "extract", "--since", "2026-01-01", "--from-files", "saved")
    assert (code, found["kind"]) == (2, "UsageError")


def test_an_extract_does_not_wait_for_the_modules_of_other_stages() -> None:
    """Those of mappings, plans, loads and pages would be a third of a small extract."""
    code = (
        "import sys, migrate.app.pipeline, migrate.source.extract, migrate.source.client, migrate.report.extract\n"
        "others = {'jinja2', 'ruamel.yaml', 'sqlite3', 'migrate.plan.build', 'migrate.load.loader'}\n"
        "print(*sorted(others & {*sys.modules}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert found.stdout.strip() == ""
