"""Prints how soon the first request leaves when a plan of a million records is taken up that is nine tenths done.

Run by hand: `python tests/bench/bench_resume.py [BATCHES]`. Target: within 2 s.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import polars as pl  # noqa: E402 - the path has to be set first
from pydantic import SecretStr  # noqa: E402 - the path has to be set first

from migrate.config import Gates, Octolis  # noqa: E402 - the path has to be set first
from migrate.load.ledger import Ledger  # noqa: E402 - the path has to be set first
from migrate.load.ledger_opening import PlannedDataset  # noqa: E402 - the path has to be set first
from migrate.load.loader import load  # noqa: E402 - the path has to be set first
from migrate.load.planned import DatasetToLoad, PlanToLoad  # noqa: E402 - the path has to be set first
from migrate.progress import Silence  # noqa: E402 - the path has to be set first
from migrate.target.answer import Answer  # noqa: E402 - the path has to be set first
from migrate.target.client import TargetClient  # noqa: E402 - the path has to be set first
from migrate.target.reads import Count  # noqa: E402 - as above
from migrate.target.results import SentRecord, Written  # noqa: E402 - the path has to be set first
from migrate.workspace import Workspace  # noqa: E402 - the path has to be set first

ROWS = 500


class Stopwatch(TargetClient):
    """A client that notes when the first batch would leave, and then stops the run."""

    first_at: float | None = None

    def count(self, *_arguments: object) -> Count:
        """No request."""
        return Count(0, None)

    def upsert_batch(self, _dataset_id: str, _body: bytes) -> Answer:
        """No request: the moment is kept, and the key is said to be revoked."""
        self.first_at = self.first_at or time.monotonic()
        return Answer(403)


def write_records(file: Path, batches: int) -> None:
    """A plan's records, 300 bytes each."""
    number = pl.int_range(batches * ROWS, eager=True).alias("n")
    text = pl.col("n").cast(pl.String)
    pl.DataFrame(number).select(
        batch=(pl.col("n") // ROWS).cast(pl.Int32),
        position=(pl.col("n") % ROWS).cast(pl.Int32),
        change=pl.lit("create"),
        key=pl.concat_str(pl.lit("shop:"), text),
        payload=pl.concat_str(pl.lit('{"k":"shop:'), text, pl.lit('","v":"' + "x" * 270 + '"}')),
    ).write_parquet(file)


def write_ledger(file: Path, batches: int) -> None:
    """A ledger in which nine tenths are done."""
    with Ledger(file) as ledger:
        ledger.open_plan("p", [PlannedDataset("contacts", "contacts", [ROWS] * batches)])
        for batch in range(batches * 9 // 10):
            ledger.mark_sending("contacts", batch)
            records = [SentRecord(n, f"shop:{batch * ROWS + n}", "{}") for n in range(ROWS)]
            ledger.settle(
                "contacts",
                batch,
                [(Written(record, str(uuid.uuid4())), "create") for record in records],
            )


def main(batches: int = 2_000) -> int:
    """0 when the first request leaves in time."""
    with tempfile.TemporaryDirectory() as folder:
        workspace, records = Workspace(Path(folder)), Path(folder) / "records.parquet"
        write_records(records, batches)
        write_ledger(workspace.ledger, batches)
        dataset = DatasetToLoad(
            "contacts", "contacts", ("k",), frozenset(), records, None, batches * ROWS, batches
        )
        client = Stopwatch(Octolis(), (SecretStr("none"),), state_file=None, stop=threading.Event())
        begun = time.monotonic()
        try:
            load(
                client,
                workspace,
                PlanToLoad("p", Path(folder), (dataset,)),
                Gates(),
                Silence(),
                threading.Event(),
            )
        except Exception as error:  # noqa: BLE001 - the stop by the made-up refusal is expected
            sys.stdout.write(f"stopped as expected: {type(error).__name__}\n")
        took_s = (client.first_at or float("inf")) - begun
    sys.stdout.write(f"{batches * ROWS:,} records, 90 % done: first request after {took_s:.2f} s\n")
    return 0 if took_s <= 2 else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
