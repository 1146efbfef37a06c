"""What was handed over as files, and what an import made of it, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from migrate.report.load import render_load, summarise_load
from migrate.report.terminal import Row, format_duration, inert, render_table

if TYPE_CHECKING:
    from migrate.app.file_door import HandedOver
    from migrate.app.settle_files import SettledFiles
    from migrate.app.upload import Uploaded


def summarise_handed_over(done: HandedOver, sent: Uploaded | None = None) -> dict[str, Any]:
    """The handover's part of the JSON object; `sent`: what was uploaded, None where nothing was asked for."""
    return {
        "plan": done.plan,
        "state": "handed over",
        "folder": str(done.folder),
        "rows": dict(done.rows),
        "files": [asdict(file) for file in done.manifest.files],
        "patterns": done.manifest.patterns,
        "manifest_sha256": done.manifest.sha256(),
        "left_out": dict(done.left_out),
        "seconds": round(done.written_s, 3),
        "uploaded": None if sent is None else asdict(sent),
    }


def render_handed_over(done: HandedOver, sent: Uploaded | None = None) -> str:
    """A table of the files, the pattern of each dataset, where they went, and what is to be done with them."""
    rows: list[Row] = [
        [file.dataset, file.name, file.rows, file.bytes, file.sha256[:12]]
        for file in done.manifest.files
    ]
    patterns = [
        f"  {inert(name)}: {inert(pattern)}" for name, pattern in done.manifest.patterns.items()
    ]
    total = sum(done.rows.values())
    size = sum(file.bytes for file in done.manifest.files)
    if done.written_s:
        took = f", in {format_duration(done.written_s)}"
    else:
        took = ""
    lines = [
        f"Plan {done.plan}: {total:,} rows handed over as files, {size:,} bytes{took}",
        "",
        render_table(["dataset", "file", "rows", "bytes", "sha256"], rows),
        "",
        f"Files and {MANIFEST_WORDS}: {done.folder}",
        "The import has to find each dataset's files by:",
        *patterns,
        "",
        "Nothing of these datasets is sent by the API until the target was read back after the import.",
    ]
    if sent is not None:
        lines.append(
            f"All files ({sent.files}) are at {sent.url}: {sent.sent:,} of {sent.bytes:,} bytes sent by this call, in "
            f"{format_duration(sent.seconds)}."
        )
    lines += [f"Not as a file: {inert(name)}, {why}." for name, why in done.left_out.items()]
    return "\n".join(lines)


MANIFEST_WORDS = "handover.json, with the SHA-256 of each"


def summarise_settled(done: SettledFiles) -> dict[str, Any]:
    """The settling's part of the JSON object, with the sums of the load."""
    settled = {
        name: {**asdict(entry), "file": None if entry.file is None else str(entry.file)}
        for name, entry in done.datasets.items()
    }
    return {**summarise_load(done.result), "settled": settled, "released": done.released}


def render_settled(done: SettledFiles) -> str:
    """A table with one line a dataset, what the import did not take, and the sums of the load."""
    rows: list[Row] = [
        [name, d.rows, d.written, d.missing, d.different, d.counted, d.expected]
        for name, d in done.datasets.items()
    ]
    headers = [
        "dataset", "handed over", "written", "missing", "different", "counted", "expected",
    ]  # fmt: skip
    lines = [f"Plan {done.plan}: read back after the import", "", render_table(headers, rows), ""]
    lines += [line for name, d in done.datasets.items() for line in _left_lines(name, d)]
    if done.left and not done.released:
        lines.append(
            "What is not there stays handed over: an import may still bring it. Once it is over for good, give "
            "--import-over as well, and `migrate load` sends the rest by the API."
        )
    elif done.left:
        lines.append("The import is over by your word: `migrate load` sends these rows by the API.")
    return "\n".join([*lines, "", render_load(done.result)])


def _left_lines(name: str, entry: Any) -> list[str]:
    lines = []
    if entry.columns:
        columns = ", ".join(f"{inert(column)} {rows:,}" for column, rows in entry.columns.items())
        lines.append(f"{inert(name)}: stored with another value: {columns}.")
    if entry.file:
        lines.append(f"{inert(name)}: listed in {entry.file}")
    return lines


def render_taken_back(plan: str, freed: Mapping[str, int]) -> str:
    """Which rows may be sent by the API again."""
    counts = ", ".join(f"{inert(name)} {rows:,}" for name, rows in freed.items())
    return (
        f"Plan {plan}: the handover is taken back and its files are removed.\n"
        f"Rows that may be sent by the API again: {counts}."
    )
