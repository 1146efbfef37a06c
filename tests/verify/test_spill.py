"""Rows put aside by key: nothing is lost, a key comes back together, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.verify import spill
from migrate.verify.spill import KEY, Spill, buckets_for

keys = st.lists(st.one_of(st.none(), st.sampled_from("abcdefghij")), max_size=12)
SCHEMA = {KEY: pl.String, "n": pl.Int64}


@given(parts=st.lists(keys, max_size=6), buckets=st.integers(1, 5), held=st.integers(1, 20))
def test_every_row_comes_back_once_with_its_key(
    parts: list[list[str | None]], buckets: int, held: int
) -> None:
    """Whatever is written in between: each key is in one bucket, its rows in the order in which they came."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "_HELD_ROWS", held)
        put_aside = Spill(Path(name) / "shelf", buckets)
        added: list[tuple[str | None, int]] = []
        for part in parts:
            rows = [(key, len(added) + n) for n, key in enumerate(part)]
            added += rows
            put_aside.add(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
        found = [put_aside.bucket(number, SCHEMA).rows() for number in range(put_aside.buckets)]
        again = [put_aside.bucket(number, SCHEMA).rows() for number in range(put_aside.buckets)]
        put_aside.close()
        assert not (Path(name) / "shelf").exists()
    assert found == again
    assert sorted((row for bucket in found for row in bucket), key=lambda row: row[1]) == added
    owners = [{key for key, _ in bucket} for bucket in found]
    assert sum(len(own) for own in owners) == len(set().union(*owners))
    assert all([n for _, n in bucket if _ == key] == sorted(n for _, n in bucket if _ == key)
               for bucket, own in zip(found, owners, strict=True) for key in own)  # fmt: skip


def test_a_bucket_holds_so_many_rows() -> None:
    """As many buckets as it takes, and one at least."""
    assert [buckets_for(rows) for rows in (0, 1, 50_000, 50_001, 1_000_000)] == [1, 1, 1, 2, 20]
