"""What is discarded stays away; lines wait for their order; a replay tells what became of each reject."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import polars as pl
import pytest

from migrate.app import replay as replayed
from migrate.app.pipeline import run_extract, run_load
from migrate.app.reconcile import run_reconcile
from migrate.app.rejects import discard, discards_of, keep, rejects_of
from migrate.app.replay import replay
from migrate.app.totals import reconcile_with_totals
from migrate.config import load_project
from migrate.errors import Stale, UsageError
from migrate.load import rejects as rejects_read
from migrate.plan.open_plan import read_totals
from migrate.project import start_project
from migrate.report.totals import render_tables, summarise_tables, view_table
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.totals.table import Figure
from migrate.workspace import Workspace
from tests.app.shop import KEYS, Shop, open_shop
from tests.verify.conftest import SOURCE_KEY, TARGET_KEY, make_job

ORDERS = """
version: 1
dataset: orders
resource: sales
key: [order_key]
columns:
  order_key: {from: id, type: text}
  total: {from: total, type: float}
"""
LINES = """
version: 1
dataset: lines
resource: sales
each: items
key: [line_key]
lookups:
  order: {dataset: orders, source: source, id: [of, id], on_orphan: keep}
columns:
  line_key: {sql: "id || ':' || position", type: text}
  order_key: {from: order.order_key, type: text}
  sku: {from: item.sku, type: text}
"""
SALES = [
    {"conversionid": "1", "total": "10.00", "items": [{"sku": "a"}, {"sku": "b"}]},
    {"conversionid": "2", "total": "n/a", "items": [{"sku": "a"}, {"sku": "b"}]},
    {"conversionid": "3", "total": "bad", "items": [{"sku": "c"}]},
    {"conversionid": "4", "total": "4.00", "items": [{"sku": "d"}], "of": "never"},
]


class OrderShop(Shop):
    """A shop of orders and their lines."""

    def keys(self, dataset: str) -> set[str]:
        """The keys that the target holds."""
        return {*self.held(dataset, "order_key" if dataset == "orders" else "line_key")}

    def fix(self, total: str) -> None:
        """Another rule for the total of an order."""
        file = self.mappings / "orders.yaml"
        file.write_text(file.read_text().replace("total: {from: total, type: float}", total))


def every_reject(workspace: Workspace, plan: str) -> pl.DataFrame:
    """All rejects of a plan."""
    return pl.concat(rejects_of(workspace, plan).parts())


@pytest.fixture(autouse=True)
def _one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects are read, put aside and looked for some at a time: here each alone, so that every test is one of that."""
    monkeypatch.setattr(rejects_read, "_FRAME_ROWS", 1)
    monkeypatch.setattr(rejects_read, "_LOAD_ROWS", 1)
    monkeypatch.setattr(replayed, "_PART_ROWS", 1)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[OrderShop]:
    """Four orders, of which two are rejected; their lines are a dataset of their own."""
    with open_shop(OrderShop, tmp_path / "project", {"orders": ORDERS, "lines": LINES}) as made:
        made.send("sales", *SALES)
        run_extract(made.context, ["sales"], "first")
        yield made


def test_lines_wait_for_a_rejected_order(shop: OrderShop) -> None:
    """They are counted and not loaded; a line whose order never was is an orphan and stays what its rule says."""
    plan = shop.plan("a")
    orders, lines = plan.document.datasets["orders"], plan.document.datasets["lines"]
    assert (orders.rejected, orders.waiting) == (2, 0)
    assert (lines.waiting, lines.planned, lines.orphans) == (3, 3, {"order": 1})
    waiting = pl.read_parquet(plan.file("lines", "waiting.parquet"), glob=False)
    assert waiting.select("id", "position", "lookup", "parent_id").rows() == [
        ("2", 1, "order", "2"), ("2", 2, "order", "2"), ("3", 1, "order", "3"),
    ]  # fmt: skip
    run_load(shop.context, name="a")
    assert shop.keys("lines") == {"1:1", "1:2", "4:1"}
    assert run_reconcile(shop.context, "a", deep=True, wait_s=0).verdict == "match"


def test_a_replay_brings_the_lines_along(shop: OrderShop) -> None:
    """With its order a line is released; of each reject it is told what became of it."""
    shop.plan("a")
    run_load(shop.context, name="a")
    shop.fix('total: {from: total, type: float, values: {"n/a": "0.00"}, unlisted: keep}')
    done = replay(shop.context, "a")
    assert done.fates == {"sent": 1, "rejected again": 1}
    assert shop.keys("orders") == {"1", "2", "4"}
    assert shop.keys("lines") == {"1:1", "1:2", "4:1", "2:1", "2:2"}
    marks = dict(every_reject(shop.context.workspace, "a").select("id", "mark").iter_rows())
    assert marks == {"2": "replayed", "3": None}
    assert run_reconcile(shop.context, done.new.name, deep=True, wait_s=0).verdict == "match"
    first = run_reconcile(shop.context, "a", deep=True, wait_s=0)
    orders = first.datasets["orders"]
    assert (first.verdict, orders.difference, orders.buckets.later_created) == ("match", 1, 1)
    assert orders.deep is not None
    assert (orders.deep.extra, orders.deep.made_since, orders.deep.verified) == (0, 1, 2)


def test_a_replay_tells_what_a_mended_mapping_leaves_out(shop: OrderShop) -> None:
    """Nothing is sent of what `where` leaves out, and that is said."""
    shop.plan("a")
    run_load(shop.context, name="a")
    file = shop.mappings / "orders.yaml"
    file.write_text(file.read_text() + "where: \"total = '10.00' OR total = '4.00'\"\n")
    done = replay(shop.context, "a")
    assert done.fates == {"filtered": 2}
    assert shop.keys("orders") == {"1", "4"}


def test_what_is_discarded_stays_away(shop: OrderShop) -> None:
    """By identity, from a replay and from every plan, with its lines; until it is taken back."""
    workspace = shop.context.workspace
    shop.plan("a")
    [reject] = every_reject(workspace, "a").filter(pl.col("id") == "2")["reject"]
    discard(workspace, "a", [reject], None, "agreed with the customer")
    shop.fix(
        'total: {from: total, type: float, values: {"n/a": "0.00", "bad": "1.00"}, unlisted: keep}'
    )
    plan = shop.plan("b")
    orders, lines = plan.document.datasets["orders"], plan.document.datasets["lines"]
    assert (orders.discarded, orders.rejected, orders.planned) == (1, 0, 3)
    assert (lines.waiting, lines.planned) == (2, 4)
    told = pl.read_parquet(plan.file("orders", "discarded.parquet"), glob=False)
    assert told.select("id", "note").rows() == [("2", "agreed with the customer")]
    run_load(shop.context, name="b")
    assert shop.keys("orders") == {"1", "3", "4"}
    assert run_reconcile(shop.context, "b", deep=True, wait_s=0).verdict == "match"
    [entry] = discards_of(workspace)
    assert (entry.what.reject, entry.what.note) == (reject, "agreed with the customer")
    assert len(keep(workspace, None, [reject], None)) == 1
    with pytest.raises(UsageError):
        keep(workspace, None, [reject], None)
    with pytest.raises(UsageError, match="orders/p9"):
        discard(workspace, "a", [reject, "orders/p9"], None, "no such reject")
    assert discards_of(workspace) == []
    plan = shop.plan("c")
    assert plan.document.datasets["orders"].discarded == 0
    run_load(shop.context, name="c")
    assert shop.keys("orders") == {"1", "2", "3", "4"}
    assert shop.keys("lines") == {"1:1", "1:2", "2:1", "2:2", "3:1", "4:1"}


def test_lines_of_orders_left_out_on_purpose_are_no_difference(shop: OrderShop) -> None:
    """Of six lines three are of orders that `where` leaves out, two of one that a person has discarded: one is left.

    An order that is in no list of the source is nobody's decision: its line is missing, everywhere.
    """
    workspace = shop.context.workspace
    shop.plan("a")
    [reject] = every_reject(workspace, "a").filter(pl.col("id") == "2")["reject"]
    discard(workspace, "a", [reject], None, "agreed with the customer")
    orders = shop.mappings / "orders.yaml"
    orders.write_text(orders.read_text() + "where: \"total NOT IN ('10.00', 'bad')\"\n")
    lines = shop.mappings / "lines.yaml"
    lines.write_text(LINES.replace("on_orphan: keep", "on_orphan: reject"))
    missing = read_totals(shop.plan("b"))["lines"].whole
    left_out = {"filtered": Figure(3), "discarded": Figure(2), "rejected": Figure(1)}
    assert (missing.source, missing.left_out, missing.plan) == (Figure(6), left_out, Figure())
    assert missing.lacking == Figure(1)

    lines.write_text(lines.read_text().replace("[of, id]", "id"))
    plan = shop.plan("c")
    whole = read_totals(plan)["lines"].whole
    left_out = {"filtered": Figure(3), "discarded": Figure(2)}
    assert (whole.source, whole.left_out, whole.plan) == (Figure(6), left_out, Figure(1))
    run_load(shop.context, name="c")
    assert shop.keys("lines") == {"4:1"}
    found = reconcile_with_totals(shop.context, "c", deep=True, wait_s=0)
    table = next(table for table in found.tables if table.dataset == "lines")
    assert (found.verdict, table.equal, table.whole.target) == ("match", True, Figure(1))
    [told] = summarise_tables([table])
    assert told["equal"]
    assert {why: left["rows"] for why, left in told["all"]["left_out"].items()} == {
        "filtered": 3, "discarded": 2,
    }  # fmt: skip
    steps = [step["rows"] for step in view_table(table)["steps"]]
    assert steps == [6, 3, 2, 1, 1, 1]
    assert "MISSING" not in render_tables([table])


def test_a_record_discarded_of_two_plans_is_kept_of_both(shop: OrderShop) -> None:
    """Whoever takes it back takes it back: no mark of another plan brings the discard again."""
    workspace = shop.context.workspace
    for name in ("a", "b"):
        shop.plan(name)
    for name in ("a", "b"):
        [reject] = every_reject(workspace, name).filter(pl.col("id") == "2")["reject"]
        discard(workspace, name, [reject], None, f"said of {name}")
    assert [entry.what.note for entry in discards_of(workspace)] == ["said of b"]
    keep(workspace, None, [reject], None)
    assert discards_of(workspace) == []
    assert shop.plan("c").document.datasets["orders"].discarded == 0
    marks = [every_reject(workspace, name)["mark"].null_count() for name in ("a", "b")]
    assert marks == [2, 2]


def test_a_plan_is_stale_once_one_of_its_records_is_discarded(shop: OrderShop) -> None:
    """A record that a plan made before would send is not sent after somebody has discarded it."""
    workspace = shop.context.workspace
    shop.plan("a")
    rejects = every_reject(workspace, "a").filter(pl.col("dataset") == "orders")["reject"].to_list()
    shop.fix(
        'total: {from: total, type: float, values: {"n/a": "0.00", "bad": "1.00"}, unlisted: keep}'
    )
    shop.plan("b")
    discard(workspace, "a", rejects, None, "not wanted")
    with pytest.raises(Stale, match="orders: 2"):
        run_load(shop.context, name="b")
    assert shop.keys("orders") == set()


def test_a_replay_of_a_delta(shop: OrderShop) -> None:
    """Rejects of a plan of a delta go through the same delta on the same base again."""
    shop.plan("a")
    run_load(shop.context, name="a")
    sale = {"source": "Shop", "conversionid": "5", "total": "odd", "items": [{"sku": "e"}]}
    url = f"{shop.box.url}/_sandbox/records/sales"
    httpx.post(url, content=msgspec.json.encode([sale])).raise_for_status()
    run_extract(shop.context, ["sales"], "night", since="first")
    plan = shop.plan("n", snapshot="night")
    assert (plan.document.datasets["orders"].rejected, plan.document.datasets["lines"].waiting) == (
        1,
        1,
    )
    run_load(shop.context, name="n")
    shop.fix('total: {from: total, type: float, values: {"odd": "0.00"}, unlisted: keep}')
    done = replay(shop.context, "n")
    assert done.fates == {"sent": 1}
    assert (shop.keys("orders"), "5:1" in shop.keys("lines")) == ({"1", "4", "5"}, True)


def test_a_replay_of_a_delta_since_a_time(shop: OrderShop) -> None:
    """One that was made where the base was not names none: its plan is made with `--base`, and the replay as well."""
    shop.plan("a")
    run_load(shop.context, name="a")
    changed = {
        "source": "Shop",
        "conversionid": "1",
        "total": "11.00",
        "updated": "2026-03-01 10:00:00",
    }
    added = {**changed, "conversionid": "5", "total": "odd", "items": [{"sku": "e"}]}
    url = f"{shop.box.url}/_sandbox/records/sales"
    httpx.post(url, content=msgspec.json.encode([changed, added])).raise_for_status()
    first = shop.context.workspace.snapshots / "first"
    elsewhere = first.rename(first.parent.parent / "elsewhere")
    run_extract(shop.context, ["sales"], "night", since="2026-02-01T00:00:00Z")
    elsewhere.rename(first)
    with pytest.raises(UsageError, match="no earlier snapshot is known"):
        shop.plan("none", snapshot="night")
    plan = shop.plan("n", snapshot="night", base="first")
    assert plan.document.snapshot.base.name == "first"
    run_load(shop.context, name="n")
    assert shop.keys("orders") == {"1", "4"}
    shop.fix('total: {from: total, type: float, values: {"odd": "0.00"}, unlisted: keep}')
    done = replay(shop.context, "n")
    assert done.new.document.snapshot == plan.document.snapshot
    # 2 and 3 have no time and no earlier reading beside them: they may have changed, and their totals are no numbers
    assert done.fates == {"rejected again": 2, "sent": 1}
    assert (shop.keys("orders"), "5:1" in shop.keys("lines")) == ({"1", "4", "5"}, True)


def test_lines_wait_for_an_order_that_no_request_can_carry(shop: OrderShop) -> None:
    """An order that is too large is rejected late, and its lines wait for it all the same; the verifier agrees."""
    file = shop.context.project.file
    file.write_text(file.read_text().replace("limit_speed", "batch_bytes = 10000\nlimit_speed"))
    shop.context = make_job(load_project(file, KEYS))
    shop.fix(
        "total: {from: total, type: float, on_invalid: omit}\n  note: {from: note, type: text}"
    )
    sale = {"source": "Shop", "conversionid": "1", "note": "x" * 20_000, "items": [{"sku": "a"}]}
    url = f"{shop.box.url}/_sandbox/records/sales"
    httpx.post(url, content=msgspec.json.encode([sale])).raise_for_status()
    run_extract(shop.context, ["sales"], "second")
    plan = shop.plan("a", snapshot="second")
    orders, lines = plan.document.datasets["orders"], plan.document.datasets["lines"]
    assert (orders.rejected_by_rule, lines.waiting, lines.orphans) == (
        {"too_large": 1},
        1,
        {"order": 1},
    )
    run_load(shop.context, name="a")
    assert shop.keys("lines") == {"2:1", "2:2", "3:1", "4:1"}
    found = run_reconcile(shop.context, "a", deep=True, wait_s=0)
    assert found.verdict == "match", [(d.deep, d.difference) for d in found.datasets.values()]


def test_lines_wait_for_an_order_that_the_target_refuses(tmp_path: Path) -> None:
    """They are settled as waiting and never sent; fixed and replayed, the order brings them along."""
    folder = tmp_path / "project"
    start_project(folder)
    for file in (folder / "mappings").glob("*.yaml"):
        file.unlink()
    orders = ORDERS.replace("total: {", "state: {from: state, type: text}\n  total: {")
    (folder / "mappings" / "orders.yaml").write_text(orders)
    # As the shipped mapping: the order's key, or what it would be.
    lines = LINES.replace("{from: order.order_key", '{sql: "COALESCE(order.order_key, id)"')
    (folder / "mappings" / "lines.yaml").write_text(lines)
    datasets = tmp_path / "datasets.toml"
    datasets.write_text(
        '[orders]\nkeys = [["order_key"]]\nmandatory = ["state"]\n'
        '[orders.columns]\norder_key = "text"\nstate = "text"\ntotal = "float"\n'
        '[lines]\nkeys = [["line_key"]]\n'
        '[lines.columns]\nline_key = "text"\norder_key = "text"\nsku = "text"\n'
    )
    settings = SandboxSettings(
        datasets=datasets, datatrics_key=SOURCE_KEY,
        octolis_keys=(TARGET_KEY,), limits=Limits(enforce=False),
    )  # fmt: skip
    sales = [
        {"source": "Shop", "conversionid": str(n), "total": "1.00", "items": [{"sku": "a"}] * 2}
        | ({} if n in (2, 5) else {"state": "paid"})
        for n in range(1, 7)
    ]
    with Sandbox(settings) as box:
        shop = OrderShop(box, folder)
        url = f"{box.url}/_sandbox/records/sales"
        httpx.post(url, content=msgspec.json.encode(sales)).raise_for_status()
        run_extract(shop.context, ["sales"], "first")
        plan = shop.plan("a")
        assert plan.document.datasets["lines"].planned == 12
        loaded = run_load(shop.context, name="a")
        sums = {n: (t.written, t.rejected, t.waiting, t.open) for n, t in loaded.datasets.items()}
        assert sums == {"orders": (4, 2, 0, 0), "lines": (8, 0, 4, 0)}
        assert shop.keys("lines") == {f"{n}:{place}" for n in (1, 3, 4, 6) for place in (1, 2)}
        assert run_reconcile(shop.context, "a", deep=True, wait_s=0).verdict == "match"
        # given again, nothing more is sent, and they still wait
        assert run_load(shop.context, name="a").datasets == loaded.datasets
        file = shop.mappings / "orders.yaml"
        file.write_text(file.read_text().replace("{from: state,", "{from: state, default: open,"))
        done = replay(shop.context, "a")
        assert done.fates == {"sent": 2}
        assert len(shop.keys("lines")) == 12
        assert run_reconcile(shop.context, done.new.name, deep=True, wait_s=0).verdict == "match"
