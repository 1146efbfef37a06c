"""An archive of what was done that anybody can check again, offline: hash-chained parts, and the file byte for byte.

The archive is a ZIP without compression and without times. Its index chains the parts: each link is the hash of the
link before, the part's name and the part's hash; the last one is the head, which is printed for keeping elsewhere.
Checking reads the parts, works out the chain, and builds the archive anew: the bytes must be the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FORMAT = 1
INDEX = "evidence.json"
_START = hashlib.sha256(b"migrate evidence 1").hexdigest()
# The earliest time that a ZIP can hold: the same parts must give the same bytes whenever they are packed.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_BECAME = (
    "filtered",
    "rejected",
    "discarded",
    "waiting",
    "collapsed",
    "planned",
    "outside",
    "outside_delta",
)
_MODE = 0o600 << 16


@dataclass(frozen=True)
class Checked:
    """What a check found: the head of the chain, how many parts, and everything that is wrong."""

    head: str
    parts: int
    problems: tuple[str, ...]


def pack(parts: Mapping[str, bytes], about: Mapping[str, Any]) -> tuple[bytes, str]:
    """The archive's bytes and the head of its chain. The same parts always give the same bytes."""
    head = _START
    entries = []
    for name, data in sorted(parts.items()):
        digest = hashlib.sha256(data).hexdigest()
        head = _link(head, name, digest)
        entries.append({"name": name, "bytes": len(data), "sha256": digest, "link": head})
    index = {"format": FORMAT, **about, "parts": entries, "head": head}
    whole = {
        INDEX: (json.dumps(index, ensure_ascii=False, indent=2) + "\n").encode(),
        **dict(sorted(parts.items())),
    }
    out = io.BytesIO()
    # Packed, the bytes would hang on the version of zlib, and a check builds them anew elsewhere.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in whole.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            # zipfile writes the system's own number here, so Windows would make other bytes of the same parts.
            entry.create_system, entry.external_attr = 3, _MODE
            archive.writestr(entry, data)
    return out.getvalue(), head


def check(data: bytes) -> Checked:
    """Whether an archive is what `pack` made, to the last byte, and whether its parts agree with each other."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _refuse_bomb(archive, len(data))
            whole = {name: archive.read(name) for name in archive.namelist()}
        index = json.loads(whole.pop(INDEX))
        about = {
            name: value for name, value in index.items() if name not in ("format", "parts", "head")
        }
        listed = {entry["name"]: entry["sha256"] for entry in index["parts"]}
        claimed = str(index["head"])
        again, head = pack(whole, about)
    except Exception as error:  # noqa: BLE001  a damaged archive can make the reader fail in any way
        return Checked(
            "", 0, (f"this is no evidence archive, or it is damaged ({type(error).__name__})",)
        )
    problems = list(_part_problems(listed, whole))
    if head != claimed:
        problems.append(f"the chain ends in {head[:16]}…, the index says {claimed[:16]}…")
    # An archive packed anew from an altered part is sound as a file, so its bytes around the parts count too.
    if not problems and again != data:
        problems.append("bytes around the parts were altered")
    if not problems:
        problems += _disagreements(whole)
    return Checked(head, len(whole), tuple(problems))


def _refuse_bomb(archive: zipfile.ZipFile, size: int) -> None:
    """Raises ValueError for parts that are packed or overlap: an archive of ours is as large as its parts."""
    members = archive.infolist()
    # Read before it is unpacked: an archive that somebody hands over may be a bomb.
    is_packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if is_packed or sum(member.file_size for member in members) > size:
        raise ValueError("its parts are more than its bytes")


def _link(before: str, name: str, digest: str) -> str:
    return hashlib.sha256(f"{before}\n{name}\n{digest}".encode()).hexdigest()


def _part_problems(listed: Mapping[str, str], found: Mapping[str, bytes]) -> Iterator[str]:
    for name in sorted({*listed, *found}):
        if name not in found:
            yield f"{name} is missing"
        elif name not in listed:
            yield f"{name} is not in the index"
        elif hashlib.sha256(found[name]).hexdigest() != listed[name]:
            yield f"{name} was altered"


def _disagreements(parts: Mapping[str, bytes]) -> Iterator[str]:
    """Where parts say different things: the plan's hashes of snapshot and mappings, and the sums of its counts."""
    try:
        plan = json.loads(parts["plan.json"])
        for name, digest in _manifests_of(plan["snapshot"]):
            if hashlib.sha256(parts.get(name, b"")).hexdigest() != digest:
                yield f"{name} is not the one that the plan was made from"
        for dataset, used in plan["mappings"].items():
            mapping = parts.get(f"mappings/{used['file']}", b"")
            if hashlib.sha256(mapping).hexdigest() != used["sha256"]:
                yield f"mappings/{used['file']} is not the one that the plan was made with ({dataset})"
            for name, digest in used.get("includes", {}).items():
                if hashlib.sha256(parts.get(f"mappings/{name}", b"")).hexdigest() != digest:
                    yield f"mappings/{name} is not the one that the plan was made with ({dataset})"
        yield from _sum_problems(plan, json.loads(parts.get("totals.json", b"[]")))
    except (KeyError, ValueError, TypeError) as error:
        yield f"the parts cannot be compared ({type(error).__name__})"


def _sum_problems(plan: Mapping[str, Any], totals: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Where counts or totals do not add up."""
    for dataset, counts in plan["datasets"].items():
        left = sum(counts.get(name, 0) for name in _BECAME)
        if counts["read"] != left:
            yield f"{dataset}: read {counts['read']:,} is not the sum of what became of it, {left:,}"
    for table in totals:
        yield from _wrong_sums(table)


def _wrong_sums(table: Mapping[str, Any]) -> Iterator[str]:
    """Groups of totals in which source, what was left out, and what is left do not add up."""
    for group in table["rows"]:
        left_out = sum(reason["rows"] for reason in group["left_out"].values())
        if group["source_rows"] != left_out + group["snapshot_rows"]:
            yield (
                f"totals.json: {table['dataset']} {group['period']} {group['label']}: "
                "what was left out and what is left are not the source"
            )


def _manifests_of(snapshot: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The name of each manifest that the plan names, and its hash; of a delta those below it, too."""
    yield "manifest.json", snapshot["manifest_sha256"]
    base = snapshot.get("base")
    while base:
        yield f"base/{base['name']}/manifest.json", base["manifest_sha256"]
        base = base.get("base")
