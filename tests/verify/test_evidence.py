"""The evidence archive: reproducible, and any altered byte is found."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from migrate.verify.evidence import check, pack

MANIFEST, MAPPING = b'{"resources": {}}', b"version: 1\n"


def plan(base: bytes | None = None, **changes: int) -> bytes:
    """A plan that agrees with the manifest and the mapping; of a delta on `base`."""
    counts = {"read": 5, "filtered": 1, "rejected": 1, "collapsed": 1, "planned": 2, **changes}
    document: dict[str, Any] = {
        "snapshot": {"manifest_sha256": hashlib.sha256(MANIFEST).hexdigest()},
        "mappings": {
            "contacts": {"file": "contacts.yaml", "sha256": hashlib.sha256(MAPPING).hexdigest()}
        },
        "datasets": {"contacts": counts},
    }
    if base is not None:
        document["snapshot"]["base"] = {
            "name": "A",
            "manifest_sha256": hashlib.sha256(base).hexdigest(),
            "base": None,
        }
    return json.dumps(document).encode()


def parts(**changes: bytes) -> dict[str, bytes]:
    """The parts of a sound archive."""
    return {
        "plan.json": plan(),
        "manifest.json": MANIFEST,
        "mappings/contacts.yaml": MAPPING,
        **changes,
    }


ARCHIVE, HEAD = pack(parts(), {"plan": "p"})


def test_a_sound_archive_is_sound_and_reproducible() -> None:
    """The same parts give the same bytes; the check ends in the same head."""
    assert pack(parts(), {"plan": "p"}) == (ARCHIVE, HEAD)
    assert (check(ARCHIVE).problems, check(ARCHIVE).head) == ((), HEAD)


@given(at=st.integers(0, len(ARCHIVE) - 1), bit=st.integers(0, 7))
def test_any_altered_byte_is_found(at: int, bit: int) -> None:
    """Whether it lies in a part, in the index or in the archive's own bookkeeping."""
    altered = ARCHIVE[:at] + bytes([ARCHIVE[at] ^ (1 << bit)]) + ARCHIVE[at + 1 :]
    assert check(altered).problems


@given(at=st.integers(0, len(ARCHIVE)), more=st.binary(min_size=1, max_size=40))
def test_bytes_that_were_put_in_are_found(at: int, more: bytes) -> None:
    """Before, inside and behind what was packed, where a reader of archives would not look."""
    assert check(ARCHIVE[:at] + more + ARCHIVE[at:]).problems


@given(cut=st.integers(0, len(ARCHIVE) - 1))
def test_a_cut_archive_is_found(cut: int) -> None:
    """No prefix of an archive is one."""
    assert check(ARCHIVE[:cut]).problems


def test_parts_that_disagree_are_found() -> None:
    """An archive packed anew from an altered part is sound as a file, and says that its parts do not fit."""
    for changed, word in (
        (parts(**{"manifest.json": b"{}"}), "manifest.json"),
        (parts(**{"mappings/contacts.yaml": b"version: 2\n"}), "contacts.yaml"),
        (parts(**{"plan.json": plan(read=6)}), "sum"),
    ):
        data, head = pack(changed, {"plan": "p"})
        assert head != HEAD
        assert [problem for problem in check(data).problems if word in problem]


def test_a_delta_brings_the_manifests_it_stands_on() -> None:
    """Of a plan of a delta the base's manifest is part of the evidence, and checked like its own."""
    delta = {
        **parts(**{"plan.json": plan(b"the base", read=7, outside_delta=2)}),
        "base/A/manifest.json": b"the base",
    }
    assert check(pack(delta, {})[0]).problems == ()
    for wrong in (
        {**delta, "base/A/manifest.json": b"another"},
        {k: v for k, v in delta.items() if "base" not in k},
    ):
        [problem] = check(pack(wrong, {})[0]).problems
        assert "base/A/manifest.json" in problem


def test_every_bucket_counts_in_the_sum_of_a_plan() -> None:
    """Discarded and waiting rows are part of what was read; one row too few is a problem."""
    counts = dict.fromkeys(
        ("filtered", "rejected", "discarded", "waiting", "collapsed", "planned"), 1
    )
    for read, sound in ((6, True), (7, False)):
        manifest = b"{}"
        plan = {
            "snapshot": {"manifest_sha256": hashlib.sha256(manifest).hexdigest()},
            "mappings": {},
            "datasets": {"orders": {"read": read, **counts}},
        }
        data, _ = pack({"plan.json": json.dumps(plan).encode(), "manifest.json": manifest}, {})
        assert (check(data).problems == ()) is sound
