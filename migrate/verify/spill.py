"""Rows put aside by key, so that all rows of one key come back together and memory does not grow with the dataset."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

from migrate import parquet

KEY = "_key"
BUCKET_ROWS = 50_000
_HELD_ROWS = 100_000
_BUCKET = "_bucket"


def buckets_for(rows: int) -> int:
    """How many buckets hold about `BUCKET_ROWS` rows each."""
    return max(1, -(-rows // BUCKET_ROWS))


class Spill:
    """Frames with a column `_key`, cut into `buckets` by it: in memory for one bucket, else as files below `folder`.

    A key is in the same bucket of every shelf with as many buckets. The folder is emptied at the start.
    """

    def __init__(self, folder: Path | None, buckets: int = 1) -> None:
        self.buckets = buckets if folder is not None else 1
        self._folder = folder
        self._waiting: list[pl.DataFrame] = []
        self._files: list[list[Path]] = []
        self.close()

    def add(self, frame: pl.DataFrame) -> None:
        """Puts rows aside."""
        self._waiting.append(frame)
        if self.buckets > 1 and sum(one.height for one in self._waiting) >= _HELD_ROWS:
            self._write()

    def bucket(self, number: int, schema: pl.Schema | dict[str, pl.DataType]) -> pl.DataFrame:
        """The rows of one bucket as they were added, with at least the columns of `schema`."""
        if self.buckets > 1:
            self._write()
            frames = [parquet.read(file) for file in self._files[number]]
        else:
            frames = self._waiting = (
                [pl.concat(self._waiting, how="diagonal")] if self._waiting else []
            )
        if not frames:
            return pl.DataFrame(schema=schema)
        rows = pl.concat(frames, how="diagonal")
        empty = [name for name in schema if name not in rows.columns]
        return rows.with_columns(pl.lit(None, schema[name]).alias(name) for name in empty)

    def close(self) -> None:
        """Forgets everything and removes the files."""
        self._waiting = []
        self._files = [[] for _ in range(self.buckets)]
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self) -> None:
        """Cuts what waits into files, one for each bucket that gets something."""
        if not self._waiting:
            return
        assert self._folder is not None  # several buckets have a folder
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        every = pl.concat(self._waiting, how="diagonal")
        self._waiting = []
        # most mapped columns are of fields that a shop does not send: they need not be cut and written
        filled = [one for one in every if one.name == KEY or one.null_count() < every.height]
        numbered = pl.DataFrame(filled).with_columns(
            # A seed of its own, so that the same key is in the same bucket of every shelf.
            (pl.col(KEY).hash(1) % self.buckets).alias(_BUCKET)
        )
        parts = numbered.partition_by(_BUCKET, as_dict=True, include_key=False, maintain_order=True)
        for (number,), part in parts.items():
            # A new file each time: Parquet files cannot be added to, and a whole bucket need not be in memory.
            files = self._files[int(number)]
            files.append(self._folder / f"bucket-{number:05d}-{len(files):06d}.parquet")
            parquet.write(part, files[-1], compression="lz4", statistics=False)
