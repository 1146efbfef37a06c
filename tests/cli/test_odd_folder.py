"""A project in a folder whose name is a pattern: its own files are read, and never a neighbour's."""

from __future__ import annotations

import shutil

import polars as pl


def test_the_whole_job_in_a_folder_named_like_a_pattern(make_project):
    """Every command works there, and what stands beside it in folders that match is not touched."""
    project = make_project("a[b]*? ü")
    assert project.run("extract", "--snapshot", "one").code == 0
    planned = project.run("plan", "--plan", "one", "--json")
    assert planned.code in (0, 3), planned.stderr
    counts = planned.summary["datasets"]["contacts"]
    for neighbour in ("ab", "abcd ü"):
        other = project.folder.with_name(neighbour)
        shutil.copytree(project.folder, other)
        for file in other.rglob("*.parquet"):
            pl.read_parquet(file, glob=False).head(1).write_parquet(file)
    shown = project.run("diff", "--plan", "one", "--html", "report [1].html")
    assert shown.code == 0, shown.stderr
    loaded = project.run("load", "--plan", "one", "--json")
    assert loaded.code in (0, 3), loaded.stderr
    assert loaded.summary["datasets"]["contacts"]["written"] == counts["create"]
    deep = project.run("reconcile", "--plan", "one", "--deep", "--json")
    assert deep.code in (0, 3), deep.stdout + deep.stderr
    assert deep.summary["datasets"]["contacts"]["missing"] == 0
    for words in (
        ("inspect", "profiles"),
        ("rejects", "list"),
        ("rejects", "export"),
        ("evidence", "--plan", "one"),
        ("status",),
        ("undo", "plan", "--plan", "one"),
        ("purge", "--yes"),
    ):
        done = project.run(*words)
        assert done.code in (0, 3, 4), (words, done.stderr)
        assert "Traceback" not in done.stderr
