"""One record through every stage: source, snapshot, mapping, plan and ledger, target."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, product
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate.app.as_loaded import as_loaded
from migrate.app.deep import open_as_sent, open_used_snapshot
from migrate.app.standing import read_standing
from migrate.app.target_client import open_target
from migrate.errors import MigrateError, UsageError
from migrate.load.files.manifest import read_manifest
from migrate.load.ledger_view import LedgerView
from migrate.plan.corrections import read_carried
from migrate.plan.open_plan import Plan, open_plan
from migrate.snapshot.corrected import BEFORE
from migrate.snapshot.reading import Snapshot
from migrate.source.client import SourceClient
from migrate.source.resources import Resource, resolve_resources
from migrate.target.client import TargetClient
from migrate.verify.evaluate import Evaluator
from migrate.verify.expected import expect_dataset
from migrate.verify.lookup import LookupTable, looked_up_columns
from migrate.verify.made import Record
from migrate.verify.record import reach, split_object
from migrate.verify.rules import Conventions, DatasetRules, read_rules
from migrate.verify.scope import are_inside
from migrate.verify.trace import (
    RowSteps,
    follow,
    ledger_facts,
    left_behind,
    other_writes,
    payload_texts,
    planned_rows,
    stored_differences,
    stored_text,
)
from migrate.verify.typed import Unverifiable

if TYPE_CHECKING:
    from migrate.app.context import Context

Facts = dict[str, Any]


@dataclass(frozen=True)
class TraceRequest:
    """The record that is asked for."""

    resource: Resource
    id: str
    source: str | None = None


def run_trace(
    context: Context,
    resource: str,
    id_: str,
    source: str | None,
    plan_name: str | None,
    *,
    live: bool,
) -> Facts:
    """Everything known of one record, stage by stage; with `live` also what source and target say now.

    **Raises**: UsageError where the id alone does not say which record, or where no stage knows it.
    """
    chosen = resolve_resources([resource])
    if len(chosen) != 1:
        raise UsageError(
            f"{resource!r} is two resources", hint="content_items or content_categories"
        )
    plan = open_plan(context.workspace, plan_name)
    context = as_loaded(context, plan)
    snapshot = open_used_snapshot(context, plan)
    row = _snapshot_row(snapshot, TraceRequest(chosen[0], id_, source))
    found_source = row["_source"] if row else source
    asked = TraceRequest(chosen[0], id_, found_source)
    at_source = _live(context, asked) if live else {"asked": False}
    if row is None and at_source.get("record") is None:
        raise UsageError(
            f"neither snapshot {snapshot.name!r} nor the source has {resource} of this id",  # itself no word for a log
            hint="check the id and --source; ids are compared as text, to the letter",
        )
    standing = read_standing(context.workspace, plan)
    facts: Facts = {
        "resource": chosen[0].name,
        "id": id_,
        "source": found_source,
        "live": at_source,
        "snapshot": None,
        "plan": plan.name,
        **standing.summarise(),
        "told": standing.told,
    }
    if row is not None:
        facts["snapshot"] = _snapshot_facts(context, plan, snapshot, asked, row)
        facts["datasets"] = _Tracing(context, plan, snapshot, asked, row, live).datasets()
    return facts


def _snapshot_facts(
    context: Context, plan: Plan, snapshot: Snapshot, asked: TraceRequest, row: Facts
) -> Facts:
    """Where the record stands in the snapshot, what it says there, and whether the plan is of it."""
    # As the source sent it, beside what was put right: a trace of corrections must show both.
    sent = _snapshot_row(open_as_sent(context, plan), replace(asked, source=row["_source"]))
    touched_from = snapshot.resources[asked.resource.name].touched_from
    return {
        "name": snapshot.name,
        "row": row["_position"],
        "page": row["_page"],
        "record": row["_raw"] if sent is None else sent["_raw"],
        "corrections": _corrections_of(plan, asked),
        "outside_delta": row["_position"] < touched_from,
        "outside": _is_outside(context, plan, asked.resource.name, row),
    }


def _snapshot_row(snapshot: Snapshot, asked: TraceRequest) -> Facts | None:
    resource = snapshot.resource(asked.resource.name)
    frames = resource.frames([]) if resource else iter(())
    is_asked = pl.col("_id") == asked.id
    rows = list(chain.from_iterable(frame.filter(is_asked).to_dicts() for frame in frames))
    if asked.source is not None:
        rows = [row for row in rows if row["_source"] == asked.source]
    # An id is one source's own: the same in another is somebody else's record.
    if len({row["_source"] for row in rows}) > 1:
        names = ", ".join(sorted(str(row["_source"]) for row in rows))
        raise UsageError(
            f"several sources have {asked.resource.name} of this id: {names}", hint="add --source"
        )
    return rows[-1] if rows else None


def _corrections_of(plan: Plan, asked: TraceRequest) -> list[Facts]:
    """What a person has put right of a record, and whether the plan took it."""
    carried = read_carried(plan.folder)
    if carried.is_empty():
        return []
    corrections = carried.filter(
        pl.col("state") != BEFORE,
        pl.col("resource") == asked.resource.name,
        pl.col("source").eq_missing(asked.source),
        pl.col("id") == asked.id,
    )
    return corrections.select("field", "sent", "value", "by", "why", "state").to_dicts()


def _is_outside(context: Context, plan: Plan, resource: str, row: Facts) -> bool:
    """Whether a record is outside of the part or the sample that the plan is of."""
    scope, datatrics = plan.document.scope, context.project.datatrics
    if scope is None:
        said = None
    else:
        said = scope.model_dump(mode="json")
    conventions = Conventions(datatrics.timezones, datatrics.source_aliases)
    frame = pl.DataFrame([{name: row[name] for name in ("_raw", "_source", "_id")}])
    inside = are_inside(plan.folder, said, resource, [frame], conventions)
    return inside is not None and not inside[0]


def _live(context: Context, asked: TraceRequest) -> Facts:
    # The service answers for one record only where its source is named.
    if asked.source is None:
        return {"asked": False, "why": "the source of the record is not known; add --source"}
    client = SourceClient(
        context.project.datatrics,
        context.project.secrets.datatrics_key(),
        stop=context.stop,
        note=context.progress.note,
    )
    with contextlib.closing(client):
        try:
            body = client.one(asked.resource, asked.id, asked.source)
        except MigrateError as error:
            return {"asked": True, "record": None, "why": error.what}
    return {"asked": True, "record": None if body is None else body.decode("utf-8", "replace")}


class _Tracing:
    """One record that the snapshot has, through the datasets made of its resource."""

    def __init__(
        self,
        context: Context,
        plan: Plan,
        snapshot: Snapshot,
        asked: TraceRequest,
        row: Facts,
        live: bool,
    ) -> None:
        self.context = context
        self.plan = plan
        self.snapshot = snapshot
        self.asked = asked
        self.row = row
        self.live = live
        self.rules = read_rules(context.project.mappings)
        datatrics, octolis = context.project.datatrics, context.project.octolis
        self.conventions = Conventions(
            datatrics.timezones,
            datatrics.source_aliases,
            octolis.float_digits,
            datatrics.project_id,
            octolis.batch_bytes,
        )

    def datasets(self) -> Facts:
        """What each dataset of the plan makes of the record."""
        traced: Facts = {}
        with contextlib.ExitStack() as stack:
            if self.live:
                client = stack.enter_context(open_target(self.context))
            else:
                client = None
            for name in self.plan.document.datasets:
                rules = self.rules.get(name)
                parts = rules.parts if rules is not None else ()
                if rules and any(one.resource == self.asked.resource.name for one in parts):
                    traced[name] = self._dataset(name, rules, client)
        return traced

    def _dataset(self, name: str, rules: DatasetRules, client: TargetClient | None) -> Facts:
        folder = self.plan.folder / name
        part = rules.parts[rules.place_of(self.asked.resource.name)]
        facts: Facts = {"mapped": self._mapped(part), **left_behind(folder, *self._who)}
        rows = planned_rows(folder, *self._who)
        by = self.plan
        if not rows and not facts["rejected"] and not facts["collapsed"]:
            rows, by = self._planned_earlier(name)
        facts["rows"] = [self._row(by, name, rules, row, client) for row in rows]
        return facts

    @property
    def _who(self) -> tuple[str, str | None, str]:
        """Which record it is, in any dataset."""
        return self.asked.resource.name, self.asked.source, self.asked.id

    def _planned_earlier(self, name: str) -> tuple[list[Facts], Plan]:
        """The rows that the newest earlier plan had of the record: a delta leaves alone what has not changed."""
        dataset_id = self.plan.document.dataset_ids.get(name)
        for earlier in reversed(self.context.workspace.names(self.context.workspace.plans)):
            if earlier == self.plan.name:
                continue
            try:
                plan = open_plan(self.context.workspace, earlier)
            except MigrateError:
                continue
            # What went to the dataset of a trial says nothing of this one.
            if plan.document.dataset_ids.get(name) != dataset_id:
                continue
            rows = planned_rows(plan.folder / name, *self._who)
            if rows:
                return rows, plan
        return [], self.plan

    def _mapped(self, rules: DatasetRules) -> list[Facts]:
        record = Record(
            self.row["_raw"], self.row["_source"], self.row["_id"], self.row["_position"]
        )
        try:
            evaluator = Evaluator(rules, self.conventions, self._tables(rules, [self.row]))
            with contextlib.closing(evaluator):
                return [_shown(steps) for steps in follow(evaluator, record)]
        except Unverifiable as doubt:
            return [{"why": f"not verifiable independently: {doubt}"}]

    def _tables(self, rules: DatasetRules, rows: list[Facts]) -> Mapping[str, LookupTable]:
        """The look-up tables of only the rows that these records look up."""
        tables: dict[str, LookupTable] = {}
        for name, lookup in rules.lookups.items():
            readers = [
                _identity if wanted == "id" else partial(_read, wanted) for wanted in lookup.ids
            ]
            ids = {read(row) for read, row in product(readers, rows)} - {None, ""}
            dataset = self.rules.get(lookup.dataset)
            if lookup.project is not None:
                raise Unverifiable(f"look-up {name} is in project {lookup.project}")
            if dataset is None:
                raise Unverifiable(f"look-up {name}")
            other = dataset.parts[dataset.place_of(lookup.resource)]
            resource = self.snapshot.resource(other.resource)
            if resource is None:
                raise Unverifiable(f"look-up {name}")
            is_wanted = pl.col("_id").is_in(list(ids))
            parts = (frame.filter(is_wanted) for frame in resource.frames([]))
            few = [part for part in parts if part.height]
            inner = self._tables(other, list(chain.from_iterable(part.to_dicts() for part in few)))
            made = expect_dataset(other, few, self.conventions, inner, lambda _records: None)
            tables[name] = made.lookup_table(
                looked_up_columns(rules, name), self.conventions.source_aliases
            )
        return tables

    def _row(
        self, plan: Plan, name: str, rules: DatasetRules, row: Facts, client: TargetClient | None
    ) -> Facts:
        sent = payload_texts(row["payload"])
        facts: Facts = {
            column: row.get(column) for column in ("batch", "position", "change", "key", "changed")
        }
        facts["payload"] = sent
        facts["plan"] = plan.name if plan is not self.plan else None
        facts["partners"] = [
            s for s in row["sources"] if (s["resource"], s["source"], s["id"]) != self._who
        ]
        ledger = self.context.workspace.ledger
        record: Facts = {}
        # A row that equals the target's is in no batch, so the ledger has nothing of it.
        if row.get("batch") is not None:
            facts["ledger"] = ledger_facts(ledger, plan.name, name, row["batch"], row["position"])
            record = facts["ledger"].get("record") or {}
            facts["file"] = self._file_of(plan, name, row, record)
        masterid = facts["masterid"] = record.get("masterid") or row["masterid"]
        dataset_id = plan.document.dataset_ids.get(name)
        if dataset_id is not None:
            facts["written"] = other_writes(ledger, dataset_id, row["key"], masterid, plan.name)
        if client is not None and masterid:
            facts |= self._stored(client, name, rules, masterid, sent)
        return facts

    def _stored(
        self, client: TargetClient, name: str, rules: DatasetRules, masterid: str, sent: Facts
    ) -> Facts:
        """What the target holds under a masterid, and where it differs from what was sent."""
        stored = client.get_record(self.plan.document.dataset_ids[name], masterid)
        if stored is None:
            return {"stored": None, "differences": []}
        return {
            "stored": {column: stored_text(value) for column, value in stored.items()},
            "differences": stored_differences(rules, sent, dict(stored)),
        }

    def _file_of(self, plan: Plan, dataset: str, row: Facts, record: Facts) -> Facts | None:
        """The file in which a row was handed over last; None where it was not, or where nobody can tell any more."""
        ledger = self.context.workspace.ledger
        if not ledger.exists():
            return None
        with LedgerView(ledger) as view:
            handovers = [one for one in view.handovers(plan.name) if one.dataset == dataset]
        settled_at = record.get("settled_at")
        for one in reversed(handovers):
            # What was settled before the handover went by the API, and is in none of its files.
            was_settled = settled_at is not None and settled_at < one.handed_at
            manifest = None if was_settled else read_manifest(one.folder)
            if manifest is None or manifest.sha256() != one.manifest_sha256:
                continue
            file = manifest.holds(dataset, row["batch"], row["position"])
            if file is not None:
                return {"name": file, "folder": one.folder_text, "uploaded_to": one.uploaded_to}
        return None


def _identity(row: Facts) -> str | None:
    return str(row["_id"]) if row["_id"] is not None else None


def _read(name: str, row: Facts) -> str | None:
    return reach(split_object(row["_raw"].encode()) or {}, name)


def _shown(steps: RowSteps) -> Facts:
    made = {
        name: value
        for name, value in asdict(steps.made).items()
        if name in ("position", "rule", "column")
    }
    columns = {
        column.column: {
            "steps": list(map(list, column.steps)),
            "broken": column.broken,
            "sent": column.sent,
        }
        for column in steps.columns
    }
    return {**made, "columns": columns}
