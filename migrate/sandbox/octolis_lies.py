"""What a faulty Octolis does to a batch: refuse some, alter values, or answer with the wrong results."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from migrate.sandbox.declare import DatasetSpec
from migrate.sandbox.octolis import Refused, error

Lies = Mapping[str, str]


def alter(lies: Lies, spec: DatasetSpec, records: list[Any]) -> list[Any]:
    """The records with one text of each changed, as if the service had stored something else."""
    if "altered" not in lies:
        return records
    keys = {column for key in spec.keys for column in key}
    names = [c.name for c in spec.columns if c.type == "text" and c.name not in keys]
    return [
        _alter_one(record, [lies["altered"]] if lies["altered"] else names) for record in records
    ]


def _alter_one(record: Any, names: list[str]) -> Any:
    found = next(
        (n for n in names if isinstance(record, dict) and isinstance(record.get(n), str)), None
    )
    return record if found is None else {**record, found: record[found] + "?"}


def refuse_some(lies: Lies, position: int) -> Refused | None:
    """A refusal for every fifth record (or the n-th asked for), with a status that should pass by itself."""
    if "partial" not in lies:
        return None
    every, _, status = lies["partial"].partition("/")
    if (position + 1) % int(every or 5):
        return None
    return Refused(
        error("Record not written", "Something went wrong, please retry", int(status or 500))
    )


def spoil_results(lies: Lies, results: list[bytes]) -> list[bytes] | None:
    """The results too few, in another order, or not at all."""
    if "null-results" in lies:
        return None
    if "short-results" in lies:
        return results[: -int(lies["short-results"] or 1)]
    if "shuffle-results" in lies:
        results = list(results)
        random.Random(len(results)).shuffle(results)  # noqa: S311 - an order, not a secret
    return results
