"""The preflight: named checks of everything a migration needs, each ending in pass, warn or fail, none in a crash."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from migrate.app.check.unmapped import strict_resources
from migrate.app.other_projects import newest_collisions
from migrate.errors import ConfigError, Locked, MigrateError, Refused, RemoteError
from migrate.mapping.files import read_mappings
from migrate.mapping.model import parts_of
from migrate.net.environment import KEY_LOG, describe_environment
from migrate.net.unanswered import START_HINT, refused_here
from migrate.privacy.redact import SHORTEST_KEY
from migrate.privacy.secrets import SOURCE_NAME, TARGET_NAME
from migrate.project import PLACEHOLDER
from migrate.snapshot.storage import SnapshotStore, store_of
from migrate.source.client import SourceClient
from migrate.source.resources import RESOURCES
from migrate.target.client import TargetClient
from migrate.wording import say_count
from migrate.workspace import Workspace

if TYPE_CHECKING:
    from pydantic import SecretStr

    from migrate.config import Project
    from migrate.mapping.model import Mapping as MappingFile

Level = Literal["pass", "warn", "fail"]
_LEAST_FREE_BYTES = 2 << 30
_CLOCK_TOLERANCE_S = 60


@dataclass(frozen=True)
class CheckResult:
    """What one check found; `hint` says what to do about it."""

    name: str
    level: Level
    text: str
    hint: str | None = None


def preflight(
    project: Project,
    workspace: Workspace,
    stop: threading.Event,
    note: Callable[[str], None] = lambda _text: None,
) -> list[CheckResult]:
    """All findings, in the order in which one would fix them. Reads only; spends two points a dataset.

    Both services are asked at the same time, since one that cannot be reached takes its while. `note` is told of
    retries.

    **Raises**: Interrupted on `stop`.
    """
    mappings, results = _check_mappings(project)
    results += _check_others(project, workspace)
    results += (environment := _say_once(list(_check_environment(project))))
    if any(finding.level == "fail" for finding in environment):
        results += _check_unmapped(project, workspace, mappings)
        return [*results, _check_disk(workspace), _check_lock(workspace)]
    # What nobody answers would be tried for a while, in vain.
    silent_source = refused_here(project.datatrics.base_url)
    silent_target = refused_here(project.octolis.base_url)

    def ask_source() -> list[CheckResult]:
        if silent_source is None:
            return list(_check_source(project, stop, note))
        return [_key_set(project, SOURCE_NAME)]

    def ask_target() -> list[CheckResult]:
        if silent_target is None:
            return list(_check_target(project, mappings, stop, note))
        return [_key_set(project, TARGET_NAME)]

    with ThreadPoolExecutor(2) as pool:
        source = pool.submit(ask_source)
        target = pool.submit(ask_target)
        results += _check_unmapped(project, workspace, mappings)
        local = [_check_disk(workspace), _check_lock(workspace), *_check_store(workspace)]
        results += [*local, *source.result(), *target.result()]
    silent = dict.fromkeys(root for root in (silent_source, silent_target) if root is not None)
    return [*results, *map(_not_started, silent)]


def _check_mappings(project: Project) -> tuple[dict[str, MappingFile], list[CheckResult]]:
    try:
        mappings = read_mappings(project.mappings)
    except ConfigError as error:
        return {}, [CheckResult("mappings", "fail", error.what, "migrate mapping check")]
    datasets, webhooks = project.octolis.datasets, project.octolis.webhooks
    without = [
        name
        for name, found in mappings.items()
        if name not in (webhooks if found.is_feed else datasets)
    ]
    strangers = [name for name in project.octolis.datasets if name not in mappings]
    files = say_count(len(parts_of(mappings.values())), "file")
    found = [CheckResult("mappings", "pass", f"{files} without a problem")]
    if without:
        hint = "set their ids under [octolis.datasets], or leave them out on purpose"
        level: Level = "fail" if len(without) == len(mappings) else "warn"
        found.append(
            CheckResult("dataset ids", level, f"no dataset id for {', '.join(without)}", hint)
        )
    if strangers:
        text = f"no mapping file for {', '.join(strangers)}"
        found.append(
            CheckResult("dataset ids", "fail", text, "correct the name under [octolis.datasets]")
        )
    return mappings, found


def _check_others(project: Project, workspace: Workspace) -> list[CheckResult]:
    """Whether keys of the newest plan are those of another project in the same datasets."""
    if not project.other_projects:
        return []
    meeting = newest_collisions(project, workspace)
    if not meeting:
        text = f"no key of {say_count(len(project.other_projects), 'other project')} is one of ours"
        return [CheckResult("other projects", "pass", text)]
    hint = "put the project into the keys: sql: \"project || ':' || $record_key\""
    return [CheckResult("other projects", "fail", text, hint) for text in meeting]


def _check_environment(project: Project) -> Iterator[CheckResult]:
    """What the variables for proxies and TLS change; where one is wrong, no service can be asked."""
    services = {"datatrics": project.datatrics.base_url, "octolis": project.octolis.base_url}
    for name, base_url in services.items():
        try:
            lines = describe_environment(base_url)
        except ConfigError as error:
            yield CheckResult(f"environment {name}", "fail", error.what, error.hint)
            continue
        if lines:
            is_logged = any(KEY_LOG in line for line in lines)
            hint = f"who reads that file reads the keys of the services: unset {KEY_LOG}"
            level: Level = "warn" if is_logged else "pass"
            yield CheckResult(f"environment {name}", level, "; ".join(lines), hint)


def _not_started(root: str) -> CheckResult:
    """An address on this machine at which nothing listens: a sandbox that was not started."""
    return CheckResult("services", "fail", f"nothing answers at {root}", START_HINT)


def _say_once(results: list[CheckResult]) -> list[CheckResult]:
    """One finding without a service's name where the environment is the same for both."""
    shared = {replace(finding, name="environment") for finding in results}
    return list(shared) if len(results) > 1 and len(shared) == 1 else results


def _check_unmapped(
    project: Project, workspace: Workspace, mappings: dict[str, MappingFile]
) -> Iterator[CheckResult]:
    try:
        for strict in strict_resources(project, workspace, mappings):
            level: Level = "fail" if strict.fields else "pass"
            hint = "map these fields, name them under `ignore`, or set `unmapped: report`; then: migrate mapping check"
            yield CheckResult(f"unmapped {strict.resource}", level, strict.told(), hint)
    except MigrateError as error:
        yield CheckResult("unmapped fields", "warn", error.what, error.hint)


def _check_disk(workspace: Workspace) -> CheckResult:
    free = shutil.disk_usage(workspace.root).free
    text = f"{free / (1 << 30):,.1f} GiB free in {workspace.root}"
    if free < _LEAST_FREE_BYTES:
        return CheckResult(
            "disk",
            "warn",
            text,
            "a million records need about 1 GiB; make room, or move the workspace",
        )
    return CheckResult("disk", "pass", text)


def _check_lock(workspace: Workspace) -> CheckResult:
    try:
        with workspace.lock(workspace.root / "ledger.lock", "the ledger"):
            return CheckResult("lock", "pass", "no other process is at work here")
    except Locked as error:
        return CheckResult("lock", "warn", error.what, error.hint)


def _check_store(workspace: Workspace) -> Iterator[CheckResult]:
    store = store_of(workspace)
    if store is not None:
        yield _guarded("object store", lambda: _stored(store))


def _stored(store: SnapshotStore) -> CheckResult:
    return CheckResult(
        "",
        "pass",
        f"{store.objects.url} answers and holds {len(store.objects.folders()):,} snapshots",
    )


def _check_source(
    project: Project, stop: threading.Event, note: Callable[[str], None]
) -> Iterator[CheckResult]:
    if project.datatrics.project_id == PLACEHOLDER:
        text = f"project_id in {project.file} is still {PLACEHOLDER}"
        yield CheckResult(
            "datatrics project",
            "fail",
            text,
            "set the number in the address bar of the Datatrics application",
        )
    try:
        key = project.secrets.datatrics_key()
        client = SourceClient(project.datatrics, key, stop=stop, note=note)
    except ConfigError as error:
        yield CheckResult("datatrics key", "fail", error.what, error.hint)
        return
    yield _origin("datatrics key", project, SOURCE_NAME, [key])
    if project.datatrics.project_id == PLACEHOLDER:
        return
    with contextlib.closing(client):
        for resource in RESOURCES.values():
            ask = functools.partial(_announced, client, resource.name)
            finding = _guarded(f"datatrics {resource.name}", ask)
            yield finding
            if finding.level == "fail":
                return


def _key_set(project: Project, variable: str) -> CheckResult:
    """Where the keys of a service come from, without asking it."""
    name = "datatrics key" if variable == SOURCE_NAME else "octolis key"
    try:
        if variable == SOURCE_NAME:
            values: Sequence[SecretStr] = [project.secrets.datatrics_key()]
        else:
            values = project.secrets.octolis_keys()
    except ConfigError as error:
        return CheckResult(name, "fail", error.what, error.hint)
    return _origin(name, project, variable, values)


def _origin(name: str, project: Project, key: str, values: Sequence[SecretStr]) -> CheckResult:
    if any(len(value.get_secret_value()) < SHORTEST_KEY for value in values):
        return CheckResult(
            name,
            "warn",
            f"{key} holds a key of fewer than {SHORTEST_KEY} signs: plain words and numbers contain such a one, so "
            "logs and the support bundle are not searched for it",
            "copy the key again; no service gives out one so short",
        )
    several = f" ({len(values)} keys)" if len(values) > 1 else ""
    return CheckResult(
        name, "pass", f"{key}{several} comes from {project.secrets.origins.get(key, 'elsewhere')}"
    )


def _announced(client: SourceClient, resource: str) -> CheckResult:
    page = client.page(RESOURCES[resource], 1, 1)
    if page.announced_records is None:
        text = "answers, without a total: an extract cannot be proven complete"
        return CheckResult(
            resource,
            "warn",
            text,
            "set require_proven = false under [gates] to go on without a proof",
        )
    if page.announced_records == 0:
        text = "answers and announces 0 records: that is what a wrong project looks like"
        return CheckResult(
            resource,
            "warn",
            text,
            "compare project_id in migrate.toml with the Datatrics application",
        )
    return CheckResult(
        resource, "pass", f"answers and announces {say_count(page.announced_records, 'record')}"
    )


def _check_target(
    project: Project,
    mappings: dict[str, MappingFile],
    stop: threading.Event,
    note: Callable[[str], None],
) -> Iterator[CheckResult]:
    def connect(keys: tuple[SecretStr, ...]) -> TargetClient:
        return TargetClient(project.octolis, keys, state_file=None, stop=stop, note=note)

    try:
        keys = project.secrets.octolis_keys()
    except ConfigError as error:
        yield CheckResult("octolis key", "fail", error.what, error.hint)
        return
    yield _origin("octolis key", project, TARGET_NAME, keys)
    datasets = project.octolis.datasets
    if not datasets:
        return
    failures = {
        at: failure
        for at, key in enumerate(keys)
        if (failure := _key_failure(connect, key, datasets))
    }
    yield from (
        _as_key(failure, f"key {at + 1} of {len(keys)}") for at, failure in failures.items()
    )
    good = tuple(key for at, key in enumerate(keys) if at not in failures)
    if not good:
        yield CheckResult(
            "octolis datasets",
            "warn",
            f"not asked for {', '.join(datasets)}",
            "fix the failure above first",
        )
        return
    with contextlib.closing(connect(good)) as client:
        for dataset in datasets:
            yield from _check_dataset(client, dataset, project, mappings)
    if any(dataset in mappings for dataset in datasets):
        yield _tell_canary(project.gates.canary)


def _as_key(result: CheckResult, key: str) -> CheckResult:
    # Each key was tried alone.
    return replace(result, name=f"octolis {key}", text=result.text.replace("key 1 of 1", key))


def _key_failure(
    connect: Callable[[tuple[SecretStr, ...]], TargetClient],
    key: SecretStr,
    datasets: Mapping[str, str],
) -> CheckResult | None:
    """Why nothing can be asked with this key; a dataset that it does not find is no matter of the key."""
    with contextlib.closing(connect((key,))) as client:
        try:
            client.count(next(iter(datasets.values())))
        except Refused as error:
            if error.status not in (401, 403, 407):
                return None
            return CheckResult("", "fail", error.what, error.hint)
        except RemoteError as error:
            return CheckResult("", "fail", error.what, error.hint)
    return None


def _check_dataset(
    client: TargetClient, dataset: str, project: Project, mappings: dict[str, MappingFile]
) -> Iterator[CheckResult]:
    dataset_id = project.octolis.datasets[dataset]
    name = f"octolis {dataset}"
    try:
        counted = client.count(dataset_id)
        yield CheckResult(name, "pass", f"answers and holds {say_count(counted.count, 'record')}")
        yield from _check_clock(counted.server_time)
        if dataset in mappings:
            yield _check_columns(client, mappings[dataset], dataset_id)
    except RemoteError as error:
        yield CheckResult(name, "fail", error.what, error.hint)


def _tell_canary(count: int) -> CheckResult:
    """What no endpoint shows of any dataset, and who tells it."""
    unknown = (
        "types, mandatory and protected columns, the real keys, what becomes of dates and fractions"
    )
    text = f"{unknown}: no endpoint shows them"
    if not count:
        hint = "set canary = 1 under [gates]: then the first record of a load tells, before the others are sent"
        return CheckResult("canary", "warn", f"{text}, and [gates] canary is 0", hint)
    first = "record" if count == 1 else f"{count} records"
    return CheckResult(
        "canary", "pass", f"{text}; the first {first} of each dataset's load will show it"
    )


def _check_clock(server_time: datetime | None) -> Iterator[CheckResult]:
    if server_time is None:
        return
    skew_s = time.time() - server_time.astimezone(UTC).timestamp()
    if abs(skew_s) > _CLOCK_TOLERANCE_S:
        text = f"this machine's clock is off by {skew_s:,.0f} s against the service's"
        yield CheckResult(
            "clock", "warn", text, "set it: times in logs and names of snapshots are based on it"
        )


def _check_columns(client: TargetClient, mapping: MappingFile, dataset_id: str) -> CheckResult:
    name = f"columns {mapping.dataset}"
    page = client.export_csv(dataset_id, 1, page_size=1).decode("utf-8-sig")
    header = next(csv.reader(io.StringIO(page)), [])
    if not header:
        text = "the dataset is empty and shows no columns; the first batch will show it"
        return CheckResult(
            name, "warn", text, "compare the mapping's columns with the dataset in Octolis by eye"
        )
    missing = [column for column in mapping.columns if column not in header]
    if missing:
        text = f"the dataset has no column {', '.join(missing)}"
        return CheckResult(
            name, "fail", text, "add them in Octolis, or take them out of the mapping"
        )
    return CheckResult(name, "pass", f"all {len(mapping.columns)} mapped columns exist")


def _guarded(name: str, ask: Callable[[], CheckResult]) -> CheckResult:
    try:
        return replace(ask(), name=name)
    except RemoteError as error:
        return CheckResult(name, "fail", error.what, error.hint)
