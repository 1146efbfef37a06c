"""The shipped mappings of profiles and order lines beside the same work by hand in polars, pandas and duckdb.

    python tests/bench/bench_mapping.py [--rows 200000] [--rounds 3]

Every case is a process of its own; cases take turns. In the first and the last group each reads one Parquet file of
text columns and ends with typed columns in memory; in the others it reads the parts of a snapshot, of 25 pages each,
and ours ends with its rows on disk. Ours also finds every broken rule and counts every loss, which the others do not.
Needs pandas, duckdb and pyarrow beside the tool.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

LINES_A_SALE = 3
PART_ROWS = 12_500
READ_ROWS = 100_000
PLAIN = ("firstname", "lastname", "phone", "city", "zip", "country", "shop_id")


def make_profiles(rows: int) -> Any:
    """Profiles as text columns, every tenth key twice; times to the second, as shops have them."""
    import polars as pl

    i = pl.int_range(rows, eager=True)
    number = i - pl.select(pl.when(i % 10 == 9).then(1).otherwise(0)).to_series()
    # two numbers without order of each row: shops do not number what people give them
    a, b = i.hash(1), i.hash(2)
    created = 1_262_304_000 + (a % 300_000_000).cast(pl.Int64)
    updated = created + (b % 100_000_000).cast(pl.Int64)
    return pl.select(
        _source=pl.lit("Magento 2"), _id=number.cast(pl.String), _page=i // 500,
        email=pl.format(" Jan.{}@Example.COM", b % 1_000_000_000), firstname=pl.format("Jan{}", a % 1000),
        lastname=pl.format("De Wit{}", b % 5000), phone=pl.format("06{}", 10_000_000 + a % 90_000_000),
        city=pl.format("City{}", b % 500), zip=pl.format("{}AB", 1000 + a % 9000), country=pl.lit("Nederland"),
        gender=pl.when(a % 2 == 0).then(pl.lit("Male")).otherwise(pl.lit("female")), lang=pl.lit("NL"),
        dateofbirth=pl.format("19{}-0{}-1{}", 50 + a % 50, 1 + b % 9, a // 50 % 10),
        newsletter=pl.when(a % 3 == 0).then(pl.lit("1")).otherwise(pl.lit("0")),
        optin=pl.when(b % 4 == 0).then(pl.lit("1")), shop_id=pl.lit("1"),
        created=_stamps(created), updated=_stamps(updated),
    )  # fmt: skip  # a table


def _stamps(seconds: Any) -> Any:
    import polars as pl

    return (seconds * 1_000_000).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")


def make_sales(lines: int) -> Any:
    """Sales as text columns, three lines each as JSON."""
    import polars as pl

    rows = lines // LINES_A_SALE
    i = pl.int_range(rows, eager=True)
    items = [
        json.dumps(
            [
                {"itemid": f"sku{j + k}", "name": "Wool", "quantity": "1.0000", "price": f"{(j * 7 + k) % 1000 / 100}",
                 "total": j * 13 % 10_000 / 100, "retail_disc": 0.4}
                for k in range(LINES_A_SALE)
            ]
        )
        for j in range(rows)
    ]  # fmt: skip  # a record
    return pl.select(
        _source=pl.lit("Magento 2"), _id=i.cast(pl.String), _page=i // 500,
        items=pl.Series(items), profileid=(i % 10_000).cast(pl.String),
        created=pl.format("2020-0{}-1{} 12:3{}:00", 1 + i % 9, i % 10, i % 10),
    )  # fmt: skip  # a table


def write_file(path: Path, rows: Any) -> None:
    """The rows as one file."""
    rows.write_parquet(path)


def write_parts(folder: Path, rows: Any) -> None:
    """The rows as the parts of a snapshot's resource, each with the JSON that its fields came from."""
    import polars as pl

    folder.mkdir()
    fields = [name for name in rows.columns if not name.startswith("_")]
    raw = pl.struct("_source", "_id", *fields).struct.json_encode().alias("_raw")
    for number, part in enumerate(rows.iter_slices(PART_ROWS)):
        stored = part.select("_source", "_id", "_page", raw, *fields)
        stored.write_parquet(
            folder / f"{number:05d}-{part.height}.parquet", compression="zstd", compression_level=1
        )


@cache
def _shipped(name: str) -> Any:
    from migrate.mapping.files import read_mappings

    return read_mappings(Path(__file__).parents[2] / "mappings")[name]


def _resource(folder: Path) -> Any:
    """The files as the resource of a snapshot."""
    import polars as pl

    from migrate.snapshot.layout import ResourceResult
    from migrate.snapshot.reading import SnapshotResource
    from migrate.workspace import FileEntry

    files = sorted(folder.glob("*.parquet"))
    columns = tuple(pl.read_parquet_schema(files[0]))
    parts = tuple(
        FileEntry(path=file.name, rows=rows, bytes=file.stat().st_size, sha256="")
        for file, rows in ((file, int(file.stem.partition("-")[2])) for file in files)
    )
    result = ResourceResult(None, 0, 0, 0, 0, 0, 0, 1, 1, 0.0, 0, "proven", "")
    return SnapshotResource("profiles", folder, result, columns, parts)


def _snapshot_rows(path: Path) -> Any:
    import polars as pl

    return pl.read_parquet(path).with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("_position")
    )


def ours_profiles(path: Path) -> int:
    """The shipped contacts mapping."""
    from migrate.mapping.transform import Settings, map_rows

    return map_rows(_shipped("contacts"), _snapshot_rows(path), {}, Settings()).accepted.height


def ours_collapsed(path: Path) -> int:
    """The shipped contacts mapping, then one row a key, as a plan does it; what is kept is read once, part by part."""
    from migrate.mapping.transform import Settings
    from migrate.plan.dataset import finish_dataset
    from migrate.plan.rows import Way, map_files

    mapping, body_bytes = _shipped("contacts"), 5_000_000
    spill = path.with_name("spill")
    way = Way(mapping, {}, Settings(), body_bytes)
    mapped = map_files(mapping, [(_resource(path), way)], spill, lambda _records: None)
    rows = finish_dataset(mapping, mapped, spill, body_bytes).gathered.rows
    return sum(frame.height for frame in rows.frames())


def ours_lines(path: Path) -> int:
    """The shipped order_items mapping with both its look-ups."""
    import polars as pl

    from migrate.mapping.transform import Settings, map_rows

    rows = _snapshot_rows(path)
    contact = pl.select(pl.int_range(10_000).cast(pl.String).alias("id")).with_columns(
        source=pl.lit("Magento 2"), contact_key=pl.format("Magento 2:{}", "id")
    )
    order = rows.select(source="_source", id="_id", order_key=pl.format("Magento 2:{}", "_id"))
    found = map_rows(
        _shipped("order_items"), rows, {"contact": contact, "order": order}, Settings()
    )
    return found.accepted.height


def ours_profiles_by_parts(path: Path) -> int:
    """The shipped contacts mapping as a plan runs it, its rows put aside on disk."""
    from migrate.mapping.transform import Settings
    from migrate.plan.rows import Way, map_files

    way = Way(_shipped("contacts"), {}, Settings(), 5_000_000)
    return map_files(
        way.mapping, [(_resource(path), way)], path.with_name("spill"), lambda _records: None
    ).accepted.height


def polars_profiles(path: Path) -> int:
    """The same columns by hand, lazily."""
    import polars as pl

    text = lambda name: pl.when(pl.col(name) != "").then(pl.col(name))  # noqa: E731  # a word of this page
    answers = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    flag = lambda name: text(name).str.to_lowercase().replace_strict(answers, default=None)  # noqa: E731
    moment = lambda name: text(name).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)  # noqa: E731
    key = (
        pl.col("_source")
        .str.replace_all("%", "%25", literal=True)
        .str.replace_all(":", "%3A", literal=True)
    )
    return (
        pl.scan_parquet(path)
        .select(
            contact_key=key + ":" + pl.col("_id"), source=pl.col("_source"), profileid=pl.col("_id"),
            email=text("email").str.strip_chars().str.to_lowercase(),
            gender=text("gender").str.strip_chars().str.to_lowercase(),
            lang=text("lang").str.strip_chars().str.to_lowercase(),
            birthdate=text("dateofbirth").str.to_date("%Y-%m-%d", strict=False),
            newsletter=flag("newsletter"), optin=flag("optin"),
            created_at=moment("created"), updated_at=moment("updated"), **{name: text(name) for name in PLAIN},
        )
        .collect().height
    )  # fmt: skip  # a table


def polars_lines(path: Path) -> int:
    """The same columns by hand: polars' own JSON reader, then explode."""
    import polars as pl

    members = (
        "itemid",
        "name",
        "sku",
        "category",
        "quantity",
        "price",
        "total",
        "retail_disc",
        "coupon_disc",
    )
    kind = pl.List(pl.Struct(dict.fromkeys(members, pl.String)))

    def money(name: str) -> pl.Expr:
        return pl.col(name).str.strip_chars().cast(pl.Decimal(38, 18), strict=False).round(6)

    contact = pl.select(pl.int_range(10_000).cast(pl.String).alias("profileid")).with_columns(
        contact_key=pl.format("Magento 2:{}", "profileid")
    )
    order = pl.scan_parquet(path).select("_source", "_id", order=pl.format("Magento 2:{}", "_id"))
    return (
        pl.scan_parquet(path)
        .with_columns(pl.col("items").str.json_decode(kind))
        .with_columns(position=pl.int_ranges(1, pl.col("items").list.len() + 1))
        .explode("items", "position").unnest("items")
        .join(contact.lazy(), on="profileid", how="left")
        .join(order, on=["_source", "_id"], how="left")
        .select(
            order_item_key=pl.format("{}:{}:{}", "_source", "_id", "position"), order_key="order", source="_source",
            conversionid="_id", position=pl.col("position").cast(pl.Int32), contact_key="contact_key",
            created_at=pl.col("created").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False),
            **{name: pl.col(name) for name in members[:4]}, **{name: money(name) for name in members[4:]},
        )
        .collect().height
    )  # fmt: skip  # a table


def pandas_profiles(path: Path) -> int:
    """The same columns by hand in pandas."""
    import pandas as pd

    flagged = ("newsletter", "optin")
    rows = pd.read_parquet(path)
    text = lambda name: rows[name].where(rows[name] != "")  # noqa: E731  # a word of this page
    flags = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    moment = lambda name: pd.to_datetime(text(name), format="%Y-%m-%d %H:%M:%S", errors="coerce")  # noqa: E731
    key = rows["_source"].str.replace("%", "%25", regex=False).str.replace(":", "%3A", regex=False)
    made = {
        "contact_key": key + ":" + rows["_id"], "source": rows["_source"], "profileid": rows["_id"],
        "birthdate": pd.to_datetime(text("dateofbirth"), format="%Y-%m-%d", errors="coerce"),
        "created_at": moment("created"), "updated_at": moment("updated"),
        **{name: text(name).str.strip().str.lower() for name in ("email", "gender", "lang")},
        **{name: text(name).str.lower().map(flags) for name in flagged},
        **{name: text(name) for name in PLAIN},
    }  # fmt: skip  # a table
    return len(pd.DataFrame(made))


def pandas_lines(path: Path) -> int:
    """The same columns by hand in pandas: json, explode, merge, and Arrow's decimals."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    exact = pa.decimal128(38, 18)
    rows = pd.read_parquet(path)
    rows["items"] = [json.loads(text, parse_float=str) for text in rows["items"]]
    lines = rows.explode("items", ignore_index=True)
    lines["position"] = lines.groupby("_id").cumcount() + 1
    lines = lines.join(pd.DataFrame(lines["items"].tolist())).drop(columns="items")
    contact = pd.DataFrame({"profileid": [str(n) for n in range(10_000)]})
    contact["contact_key"] = "Magento 2:" + contact["profileid"]
    lines = lines.merge(contact, on="profileid", how="left")
    orders = rows[["_source", "_id"]].assign(order_key="Magento 2:" + rows["_id"])
    lines = lines.merge(orders, on=["_source", "_id"], how="left")
    lines["order_item_key"] = (
        lines["_source"] + ":" + lines["_id"] + ":" + lines["position"].astype(str)
    )
    lines["created_at"] = pd.to_datetime(
        lines["created"], format="%Y-%m-%d %H:%M:%S", errors="coerce"
    )
    for name in ("quantity", "price", "total", "retail_disc"):
        texts = pc.utf8_trim_whitespace(pa.array(lines[name], type=pa.string()))
        rounded = pc.round(texts.cast(exact), 6, round_mode="half_to_even")
        lines[name] = pd.array(rounded, dtype=pd.ArrowDtype(exact))
    return len(lines)


_DUCKDB_PROFILES = """
    SELECT replace(replace(_source, '%', '%25'), ':', '%3A') || ':' || _id AS contact_key, _source, _id,
      lower(trim(nullif(email, ''))) email, lower(trim(nullif(gender, ''))) gender, lower(trim(nullif(lang, ''))) lang,
      TRY_CAST(dateofbirth AS DATE) birthdate,
      CASE WHEN lower(newsletter) IN ('1','true','yes') THEN true
           WHEN lower(newsletter) IN ('0','false','no') THEN false END newsletter,
      CASE WHEN lower(optin) IN ('1','true','yes') THEN true
           WHEN lower(optin) IN ('0','false','no') THEN false END optin,
      try_strptime(created, '%Y-%m-%d %H:%M:%S') created_at, try_strptime(updated, '%Y-%m-%d %H:%M:%S') updated_at,
      nullif(firstname, '') firstname, nullif(lastname, '') lastname, nullif(phone, '') phone, nullif(city, '') city,
      nullif(zip, '') zip, nullif(country, '') country, nullif(shop_id, '') shop_id
    FROM read_parquet('{path}')
"""
_NEWEST = " QUALIFY row_number() OVER (PARTITION BY contact_key ORDER BY updated_at DESC) = 1"


def duckdb_profiles(path: Path) -> int:
    """The same columns by hand in duckdb."""
    import duckdb

    return duckdb.sql(_DUCKDB_PROFILES.format(path=path)).to_arrow_table().num_rows


def duckdb_collapsed(path: Path) -> int:
    """The same, the newest record of each key by a window."""
    import duckdb

    return (
        duckdb.sql(_DUCKDB_PROFILES.format(path=path / "*.parquet") + _NEWEST)
        .to_arrow_table()
        .num_rows
    )


def _bounded(path: Path) -> Any:
    """A connection that may take as much memory as ours."""
    import duckdb

    mine = duckdb.connect()
    mine.execute(f"SET memory_limit = '1GB'; SET temp_directory = '{path.with_name('duckdb')}'")
    mine.execute("SET preserve_insertion_order = false")
    return mine


def duckdb_collapsed_bounded(path: Path) -> int:
    """The newest of each key and nothing of the others, on disk and within the memory that ours may take; read once."""
    mine, kept = _bounded(path), path.with_name("kept.parquet")
    newest = _DUCKDB_PROFILES.format(path=path / "*.parquet") + _NEWEST
    mine.execute(f"COPY ({newest}) TO '{kept}' (FORMAT parquet, COMPRESSION lz4)")
    return sum(
        batch.num_rows
        for batch in mine.sql(f"FROM read_parquet('{kept}')").to_arrow_reader(READ_ROWS)
    )


def duckdb_collapsed_alike(path: Path) -> int:
    """What ours does by hand in duckdb: the newest of each key, beside it what lost to which with which values.

    Both on disk, and within the memory that ours may take; what is kept is read once, part by part.
    """
    members = ", ".join(
        f"CASE WHEN l.{name} IS NOT NULL AND l.{name} IS DISTINCT FROM w.{name} "
        f"THEN '\"{name}\":' || to_json(l.{name}) END"
        for name in (
            *PLAIN,
            "email",
            "gender",
            "lang",
            "birthdate",
            "newsletter",
            "optin",
            "created_at",
            "updated_at",
        )
    )
    kept, lost = path.with_name("kept.parquet"), path.with_name("lost.parquet")
    mine = _bounded(path)
    mine.execute(f"""CREATE TEMP TABLE ranked AS SELECT *,
      row_number() OVER (PARTITION BY contact_key ORDER BY updated_at DESC NULLS LAST) AS rank
      FROM ({_DUCKDB_PROFILES.format(path=path / "*.parquet")})""")
    mine.execute(f"COPY (FROM ranked WHERE rank = 1) TO '{kept}' (FORMAT parquet, COMPRESSION lz4)")
    mine.execute(f"""COPY (
      SELECT l.contact_key, w._source, w._id, l._source AS lost_source, l._id AS lost_id, l.rank,
        '{{' || concat_ws(',', {members}) || '}}' AS lost
      FROM ranked l JOIN ranked w ON w.contact_key = l.contact_key AND w.rank = 1 WHERE l.rank > 1
      ) TO '{lost}' (FORMAT parquet, COMPRESSION lz4)""")
    return sum(
        batch.num_rows
        for batch in mine.sql(f"FROM read_parquet('{kept}')").to_arrow_reader(READ_ROWS)
    )


def duckdb_lines(path: Path) -> int:
    """The same columns by hand in duckdb: its JSON functions and joins."""
    import duckdb

    money = ", ".join(
        f"TRY_CAST(trim(item->>'{name}') AS DECIMAL(38, 6)) {name}"
        for name in ("quantity", "price", "total", "retail_disc", "coupon_disc")
    )
    sql = f"""
      WITH sales AS (SELECT * FROM read_parquet('{path}')),
      contact AS (SELECT range::VARCHAR profileid, 'Magento 2:' || range contact_key FROM range(10000)),
      lines AS (SELECT * EXCLUDE items, unnest(from_json(items, '["JSON"]')) item,
                generate_subscripts(from_json(items, '["JSON"]'), 1) position FROM sales)
      SELECT lines._source || ':' || lines._id || ':' || position order_item_key, 'Magento 2:' || o._id order_key,
        position::INTEGER AS place, contact_key, item->>'itemid' itemid, item->>'name' name_, item->>'sku' sku,
        item->>'category' category, {money}, try_strptime(lines.created, '%Y-%m-%d %H:%M:%S') created_at
      FROM lines LEFT JOIN contact USING (profileid) LEFT JOIN (SELECT _source, _id FROM sales) o
        ON o._source = lines._source AND o._id = lines._id"""
    return duckdb.sql(sql).to_arrow_table().num_rows


INPUTS = {
    "profiles": (make_profiles, write_file),
    "parts": (make_profiles, write_parts),
    "sales": (make_sales, write_file),
}
CASES: dict[str, tuple[Any, ...]] = {
    "profiles": ("profiles", ours_profiles, polars_profiles, pandas_profiles, duckdb_profiles),
    "profiles, newest of each key": ("parts", ours_collapsed, duckdb_collapsed),
    "profiles, newest of each key, in 1.2 GB": ("parts", ours_collapsed, duckdb_collapsed_bounded),
    "profiles, newest of each key, what lost, in 1.2 GB": (
        "parts",
        ours_collapsed,
        duckdb_collapsed_alike,
    ),
    "profiles, part by part": ("parts", ours_profiles_by_parts),
    "order lines": ("sales", ours_lines, polars_lines, pandas_lines, duckdb_lines),
}
TARGETS = {
    ("profiles", "polars"): 0.5, ("order lines", "polars"): 0.5, ("profiles", "pandas"): 2.5,
    ("order lines", "pandas"): 4.0,
    ("profiles, newest of each key, what lost, in 1.2 GB", "duckdb"): 1.2,
}  # fmt: skip  # a table
FUNCTIONS = {
    function.__name__: function for _given, *functions in CASES.values() for function in functions
}


def run_case(name: str, path: Path) -> None:
    """Runs one case and prints its rows, seconds and peak memory as JSON."""
    import polars as pl

    # what every process does once, whatever the rows: import and start the engine, read the mapping files
    pl.DataFrame({"a": [1]}).lazy().select(pl.col("a") + 1).collect()
    if name.startswith("pandas"):
        import pandas as pd
        import pyarrow.dataset  # noqa: F401  # what reads a folder

        pd.DataFrame({"a": ["x"]})["a"].str.upper()
    if name.startswith("duckdb"):
        import duckdb

        duckdb.sql("SELECT 1").to_arrow_table()
    if name.startswith("ours"):
        import migrate.plan.dataset  # noqa: F401  # all of the tool that is measured

        _shipped("contacts"), _shipped("order_items")
    started, busy_s = time.perf_counter(), time.process_time()
    rows = FUNCTIONS[name](path)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - busy_s
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu_s": cpu_s, "rss_mb": rss_mb}))  # noqa: T201  # the answer


def measure(name: str, path: Path) -> dict[str, float]:
    """One run of a case in a process of its own."""
    command = [sys.executable, __file__, "--case", name, "--file", str(path)]
    found: dict[str, float] = json.loads(
        subprocess.run(command, check=True, capture_output=True).stdout
    )
    # what it left on disk: nobody's time
    shutil.rmtree(path.with_name("spill"), ignore_errors=True)
    for left in ("kept.parquet", "lost.parquet"):
        path.with_name(left).unlink(missing_ok=True)
    return found


def main() -> None:
    """Runs all cases in turn and prints one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--group", choices=CASES, help="only these cases")
    parser.add_argument("--case")
    parser.add_argument("--write")
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.write:
        make, write = INPUTS[options.write]
        write(options.file, make(options.rows))
        return
    if options.case:
        run_case(options.case, options.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        groups = CASES if not options.group else {options.group: CASES[options.group]}
        for group, (given, *functions) in groups.items():
            path = Path(folder) / given
            if not path.exists():
                # in a process of its own: a child's peak memory begins at its parent's
                command = [
                    sys.executable,
                    __file__,
                    "--write",
                    given,
                    "--file",
                    str(path),
                    "--rows",
                    str(options.rows),
                ]
                subprocess.run(command, check=True)
            found: dict[str, list[dict[str, float]]] = {
                function.__name__: [] for function in functions
            }
            for _ in range(options.rounds):
                for name, runs in found.items():
                    runs.append(measure(name, path))
            _print(group, found, options.rows)


def _print(group: str, found: dict[str, list[dict[str, float]]], rows: int) -> None:
    seconds = {
        name: statistics.median(run["seconds"] for run in runs) for name, runs in found.items()
    }
    cpu_s = {name: statistics.median(run["cpu_s"] for run in runs) for name, runs in found.items()}
    ours = next(iter(found))
    print(f"\n{group}, {rows:,} rows, median of {len(next(iter(found.values())))}")  # noqa: T201  # the table
    for name, runs in found.items():
        peer = name.partition("_")[0]
        wanted = TARGETS.get((group, peer))
        rss_mb = max(run["rss_mb"] for run in runs)
        goal = f"  target {wanted}" if wanted else ""
        print(  # noqa: T201
            f"  {peer:<8} {rows / seconds[name]:>12,.0f} rows/s  ours is {seconds[name] / seconds[ours]:5.2f} x"
            f"  CPU {cpu_s[name]:6.2f} s  {cpu_s[name] / cpu_s[ours]:5.2f} x  {rss_mb:>6,.0f} MB{goal}"
        )


if __name__ == "__main__":
    main()
