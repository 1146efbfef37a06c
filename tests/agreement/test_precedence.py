"""Which of gap filling, null, default and broken value stands, for every three records of one key, in both engines.

docs/mapping.md, "Values": with `fill_gaps` a column takes the best-ranked value that a record has; a value beats a null
and a default, the winner's as well as another's; where no record has a value, the winner's null or default stands.
Without it the winner's row stands as it is.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from .engines import Case, differences, planned, verified
from .surroundings import Surroundings

LEFT_OUT = "left out"
# what each record of a key holds in the field
FIELD: dict[str, Any] = {"value": "5", "another": "7", "nothing": "", "broken": "x"}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"on_invalid": "omit"},
    "null: send": {"on_invalid": "omit", "null": "send"},
    "default": {"on_invalid": "omit", "default": 1},
    "on_invalid: null": {"on_invalid": "null"},
    "on_invalid: null, default": {"on_invalid": "null", "default": 1},
    "on_invalid: null, null: send": {"on_invalid": "null", "null": "send"},
}


def _own(kind: dict[str, Any], field: str) -> str | None:
    """What a record alone gives: its text, None for null, or nothing at all."""
    if field in {"value", "another"}:
        return str(FIELD[field])
    if field == "broken":
        return None if kind["on_invalid"] == "null" else LEFT_OUT
    if "default" in kind:
        return str(kind["default"])
    return None if kind.get("null") == "send" else LEFT_OUT


def _right(kind: dict[str, Any], fields: tuple[str, ...], fill_gaps: bool) -> str | None:
    values = [str(FIELD[field]) for field in fields if field in {"value", "another"}]
    return values[0] if fill_gaps and values else _own(kind, fields[0])


@pytest.mark.parametrize("fill_gaps", [False, True])
@pytest.mark.parametrize("name", sorted(KINDS))
def test_both_engines_keep_the_stated_order(tmp_path: Path, name: str, fill_gaps: bool) -> None:
    """All 64 rows of three records hold what the page says, in the payload and in what the verifier expects."""
    kind = KINDS[name]
    column = {"from": "v", "type": "integer", **kind}
    file = {
        "version": 1, "dataset": "contacts", "resource": "profiles", "key": ["k"],
        "collapse": {"by": "latest", "order_by": ["at"], "fill_gaps": fill_gaps},
        "columns": {"k": {"from": "k", "type": "text"}, "c": column},
    }  # fmt: skip
    (tmp_path / "contacts.yaml").write_text(json.dumps(file))
    records = []
    expected = {}
    for fields in itertools.product(FIELD, repeat=3):
        key = "-".join(fields)
        expected[key] = _right(kind, fields, fill_gaps)
        for rank, field in enumerate(fields):
            at = f"2020-01-0{3 - rank} 00:00:00"
            records.append({"profileid": f"{key}{rank}", "k": key, "at": at, "v": FIELD[field]})
    raws = [json.dumps(record).encode() for record in records]
    case = Case(tmp_path, {"profiles": raws}, Surroundings())
    assert differences(case) == []
    (_, mine, _), (_, theirs, _) = next(planned(case)), next(verified(case))
    for outcome in (mine, theirs):
        assert {key: row.get("c", LEFT_OUT) for key, row in outcome.sent.items()} == expected
