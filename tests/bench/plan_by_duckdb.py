"""A whole plan as a script for DuckDB: the peer of the tool's, for `bench_plan.py`.

What a person would write for these rows and no others: the texts become typed values, the newest row of each key wins,
the target's pages are joined and compared column by column, and what is sent, what needs no sending and what lost is
written with the same payloads, batches and names. It tells nothing of values that were lost, look-alikes, merges or
recipes, checks no value and keeps no copy of what it read.
"""

from __future__ import annotations

from pathlib import Path

MEMORY = "1500MB"
TEXTS = ["key", "email", "firstname", "lastname", "city", "country", "phone", "lang"]
NUMBERS = ["visits", "orders", "points"]
COLUMNS = [*TEXTS, *NUMBERS, "spent", "optin", "created_at"]


def plan_by_duckdb(folder: Path, out: Path) -> int:
    """Writes the plan's rows below `out`; gives the number of updates."""
    import duckdb

    there = ", ".join(f"t.{name} AS there_{name}" for name in COLUMNS)
    differs = {name: f"{name} IS DISTINCT FROM {_read(name)}" for name in COLUMNS}
    changed = ", ".join(f"CASE WHEN {test} THEN '{name}' END" for name, test in differs.items())
    source = "{resource: 'profiles', source: _source, id: _id, position: NULL::BIGINT}"
    with duckdb.connect(str(out / "work.duckdb")) as db:
        db.execute(f"SET memory_limit='{MEMORY}'; SET threads=2; SET temp_directory='{out}/spill'")
        db.execute("SET preserve_insertion_order=false")
        db.execute(
            f"""CREATE TABLE ranked AS SELECT *, row_number() OVER w AS _rank,
              first_value(_id) OVER w AS winner, list({source}) OVER (PARTITION BY key) AS sources
            FROM (SELECT {", ".join(map(_typed, COLUMNS))}, _source, _id, _position
              FROM read_parquet('{folder}/snapshot/*.parquet') WHERE key IS NOT NULL)
            WINDOW w AS (PARTITION BY key ORDER BY created_at DESC)"""
        )
        db.execute(
            f"COPY (SELECT key, winner, _source, _id, _rank FROM ranked WHERE _rank > 1) "
            f"TO '{out}/collapsed.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
        db.execute(
            f"""CREATE TABLE planned AS SELECT * EXCLUDE (change),
              CASE WHEN change <> 'update' OR len(changed) > 0 THEN change ELSE 'unchanged' END
              AS change, {_payload()} AS payload
            FROM (SELECT *, CASE WHEN __masterid__ IS NULL THEN [] ELSE
                  list_filter([{changed}], lambda x: x IS NOT NULL) END AS changed,
                CASE WHEN __masterid__ IS NULL THEN 'create' ELSE 'update' END AS change
              FROM (SELECT r.*, t.__masterid__, {there} FROM ranked r LEFT JOIN
                read_csv('{folder}/pages/*.csv', all_varchar=true, header=true) t USING (key)
                WHERE _rank = 1))"""
        )
        wanted = f"change, key, payload, sources, __masterid__ AS masterid, changed, {', '.join(COLUMNS)}"
        place = "(row_number() OVER (ORDER BY _position) - 1)"
        db.execute(
            f"COPY (SELECT {place} // 500 AS batch, {place} % 500 AS position, {wanted} FROM planned "
            f"WHERE change <> 'unchanged' ORDER BY _position) "
            f"TO '{out}/records.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
        db.execute(
            f"COPY (SELECT {wanted} FROM planned WHERE change = 'unchanged' ORDER BY _position) "
            f"TO '{out}/unchanged.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
        counted = db.execute("SELECT count(*) FROM planned WHERE change = 'update'").fetchone()
    return int(counted[0]) if counted else 0


def _typed(name: str) -> str:
    if name in NUMBERS:
        return f"TRY_CAST({name} AS INTEGER) AS {name}"
    if name == "spent":
        return "TRY_CAST(spent AS DECIMAL(16, 6)) AS spent"
    if name == "optin":
        return "TRY_CAST(optin AS BOOLEAN) AS optin"
    if name == "created_at":
        return "try_strptime(created_at, '%Y-%m-%d %H:%M:%S') AS created_at"
    return name


def _read(name: str) -> str:
    """The target's text as a value."""
    text = f"there_{name}"
    if name in NUMBERS:
        return f"TRY_CAST({text} AS INTEGER)"
    if name == "spent":
        return f"TRY_CAST({text} AS DECIMAL(16, 6))"
    if name == "optin":
        return f"({text} = 'true')"
    if name == "created_at":
        return f"try_strptime({text}, '%Y-%m-%dT%H:%M:%S.%gZ')"
    return text


def _payload() -> str:
    members = []
    for name in COLUMNS:
        value = f"{name}::VARCHAR"
        if name in TEXTS:
            value = f"to_json({name})"
        elif name == "spent":
            value = r"regexp_replace(spent::VARCHAR, '\.?0+$', '')"
        elif name == "created_at":
            value = """'"' || strftime(created_at, '%Y-%m-%d %H:%M:%S') || '"'"""
        members.append(f"""'"{name}":' || {value}""")
    return f"'{{' || concat_ws(',', {', '.join(members)}) || '}}'"
