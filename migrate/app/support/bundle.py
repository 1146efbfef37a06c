"""The support bundle: what somebody needs who helps from afar, without a key and without a personal value.

States are shown as counts, chosen field by field. Logs and errors may quote anything, so every word in them that the
tool cannot have written itself is masked (see `migrate.privacy.scrub`); the masks are those of the
workspace, so that the same value can be recognised. What is packed is looked through once more before it is written.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import json
import locale
import os
import platform
import re
import shutil
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrate import __version__
from migrate.app.support.own_words import known_words
from migrate.errors import MigrateError, WorkspaceError
from migrate.load.ledger_view import LedgerView
from migrate.plan.open_plan import open_plan
from migrate.privacy.mask import workspace_masker
from migrate.privacy.redact import Redactor
from migrate.privacy.scrub import Veil, reveals
from migrate.snapshot.reading import list_snapshots
from migrate.workspace import sha256_file, write_bytes

if TYPE_CHECKING:
    from datetime import datetime

    from migrate.config import Project
    from migrate.progress import Progress
    from migrate.workspace import Workspace

LOG_LINES = 20_000
_LAST_ERRORS = 50
_TRACE = re.compile(r"[\w-]{0,100}")
_TRACES = frozenset({"request_id", "traceparent", "payload_sha256"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_LEVEL = re.compile(r"debug|info|warning|error|critical")
_LOGGER = re.compile(r"migrate(\.[a-z_]+)*")
_PID = re.compile(r"\d{1,10}")
_DISTRIBUTION = "migrate-datatrics-octolis"
_UNHASHED = frozenset({("salt",)})


@dataclass(frozen=True)
class Bundle:
    """A written bundle: where it is, and its members with their sizes in bytes."""

    file: Path
    members: Mapping[str, int]


def pack_support(
    project: Project, workspace: Workspace, file: Path, now: datetime, progress: Progress
) -> Bundle:
    """Writes the bundle to `file`. Reads the workspace only, also while a load runs.

    **Raises**: WorkspaceError when what would be packed still holds a key or an address, or cannot be written.
    """
    veil = Veil(known_words(project, workspace), workspace_masker(workspace.root).mask)
    redactor = Redactor(project.secrets.texts())

    def clean(text: str) -> str:
        return veil.clean(redactor.clean(text))

    logs = list(_log_lines(workspace.log, clean))
    parts: dict[str, Callable[[], object]] = {
        "about.json": lambda: _about(workspace, now),
        "settings.json": lambda: _settings(project),
        "snapshots.json": lambda: _snapshots(workspace, clean),
        "plans.json": lambda: _plans(workspace, clean),
        "ledger.json": lambda: _ledger(workspace, clean),
        "errors.json": lambda: [
            line for line in logs if line.get("level") in ("error", "critical")
        ][-_LAST_ERRORS:],
        "files.json": lambda: _files(workspace, clean, progress),
    }
    members = {
        name: _json(_redacted(_guarded(make, clean), redactor)) for name, make in parts.items()
    }
    members["log.jsonl"] = b"".join(
        json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in logs
    )
    refuse_leaks(members, project.secrets.texts())
    write_bytes(file, _zipped(members, now))
    return Bundle(file, {name: len(data) for name, data in members.items()})


def _guarded(make: Callable[[], object], clean: Callable[[str], str]) -> object:
    """What `make` gives, or what kept it: a bundle is wanted most where something is broken."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001  # whatever is broken is what the bundle is for
        if isinstance(error, MigrateError):
            text = error.what
        else:
            text = str(error)
        return {"trouble": f"{type(error).__name__}: {clean(text)}"}


def _redacted(tree: object, redactor: Redactor) -> object:
    """A document with its texts cleaned: a key may be a word that stands in the name of a setting."""
    if isinstance(tree, dict):
        return {
            redactor.clean(str(name)): _redacted(value, redactor) for name, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [_redacted(value, redactor) for value in tree]
    return redactor.clean(tree) if isinstance(tree, str) else tree


def _about(workspace: Workspace, now: datetime) -> dict[str, object]:
    return {
        "made_at": now.isoformat(timespec="seconds"),
        "migrate": __version__,
        "python": sys.version.split()[0],
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": _guarded(lambda: dict(_versions()), str),
        "processors": os.cpu_count(),
        "encodings": {
            "files": locale.getpreferredencoding(False),
            "stdout": getattr(sys.stdout, "encoding", None),
        },
        "timezone": time.strftime("%z"),
        "free_bytes": shutil.disk_usage(workspace.root).free,
    }


def _versions() -> Iterator[tuple[str, str]]:
    for requirement in importlib.metadata.requires(_DISTRIBUTION) or []:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


def _settings(project: Project) -> dict[str, object]:
    values: dict[str, Any] = project.model_dump(mode="json")
    for name in ("workspace", "mappings"):
        path = Path(values[name])
        folder = project.file.absolute().parent
        values[name] = (
            path.relative_to(folder).as_posix()
            if path.is_relative_to(folder)
            else "outside the project"
        )
    for webhook in values["octolis"]["webhooks"].values():
        # A header may carry a password of the receiver's.
        webhook["headers"] = dict.fromkeys(webhook["headers"], "***")
    origins = dict(project.secrets.origins)
    return {**values, "keys": {"from": origins, "octolis": len(project.secrets.octolis)}}


def _snapshots(workspace: Workspace, clean: Callable[[str], str]) -> dict[str, object]:
    snapshots: dict[str, Any] = {}
    for state in list_snapshots(workspace):
        resources = {name: asdict(resource) for name, resource in state.resources.items()}
        snapshots[state.name] = {
            "finished": state.finished,
            "delta": state.is_delta,
            "trouble": clean(state.trouble or ""),
            "resources": resources,
        }
    return snapshots


def _plans(workspace: Workspace, clean: Callable[[str], str]) -> dict[str, object]:
    names = workspace.names(workspace.plans)
    return {name: _guarded(functools.partial(_plan, workspace, name), clean) for name in names}


def _plan(workspace: Workspace, name: str) -> dict[str, object]:
    document = open_plan(workspace, name, check_files=False).document
    datasets = {dataset: _counts(plan.model_dump()) for dataset, plan in document.datasets.items()}
    return {
        "snapshot": document.snapshot.name,
        "verdicts": document.snapshot.verdicts,
        "datasets": datasets,
    }


def _counts(values: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in values.items()
        if value is None or isinstance(value, int | float)
    }


def _ledger(workspace: Workspace, clean: Callable[[str], str]) -> dict[str, object]:
    if not workspace.ledger.exists():
        return {}
    with LedgerView(workspace.ledger) as view:
        return {name: _loaded(view, name, clean) for name in view.plans()}


def _loaded(view: LedgerView, plan: str, clean: Callable[[str], str]) -> dict[str, object]:
    failures = view.failures(plan)
    return {
        "datasets": {
            name: {
                **_counts(asdict(totals)),
                "unfinished_batches": Counter(state for _, state, _ in view.unfinished(plan, name)),
            }
            for name, totals in view.totals(plan).items()
        },
        "refused": [
            {"reason": clean(reason), "records": count}
            for reason, count in view.reasons(plan, _LAST_ERRORS)
        ],
        "failures": len(failures),
        "last_failures": [_cleaned(asdict(failure), clean) for failure in failures[-_LAST_ERRORS:]],
    }


def _cleaned(values: Mapping[str, object], clean: Callable[[str], str]) -> dict[str, object]:
    """Numbers and the ids of requests as they are, other texts cleaned."""
    return {
        name: value
        if not isinstance(value, str) or (name in _TRACES and _TRACE.fullmatch(value))
        else clean(value)
        for name, value in values.items()
    }


def _log_lines(folder: Path, clean: Callable[[str], str]) -> Iterator[dict[str, object]]:
    """The last lines of the log, oldest first, cleaned; what is no line of ours is left out."""
    kept: list[str] = []
    for file in sorted(folder.glob("*.jsonl"), reverse=True):
        kept = [*file.read_text(encoding="utf-8", errors="replace").splitlines(), *kept][
            -LOG_LINES:
        ]
        if len(kept) == LOG_LINES:
            break
    for text in kept:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield _line(line, clean)


def _line(line: Mapping[str, object], clean: Callable[[str], str]) -> dict[str, object]:
    shapes = {"time": _TIME, "level": _LEVEL, "logger": _LOGGER, "pid": _PID}
    kept = {
        name: value
        for name, shape in shapes.items()
        if shape.fullmatch(str(value := line.get(name, "")))
    }
    return {
        **kept,
        **{name: clean(str(line[name])) for name in ("message", "traceback") if name in line},
    }


def _files(
    workspace: Workspace, clean: Callable[[str], str], progress: Progress
) -> list[dict[str, object]]:
    paths = sorted(
        path for path in workspace.root.rglob("*") if path.is_file() and not path.is_symlink()
    )
    names = [*workspace.names(workspace.snapshots), *workspace.names(workspace.plans)]
    # Names of snapshots and plans, and the numbers and days in the names of our own files.
    kept = "|".join(
        [
            *map(re.escape, sorted(names, key=len, reverse=True)),
            r"(?<=[a-z]-)\d{5}(?=\.)",
            r"^\d{8}(?=\.jsonl$)",
        ]
    )
    own = re.compile(f"({kept})")

    def clean_name(name: str) -> str:
        return "".join(
            piece if at % 2 else clean(piece) for at, piece in enumerate(own.split(name))
        )

    progress.begin("hash files", total=len(paths), unit="files")
    try:
        return [
            entry for path in paths if (entry := _file(path, workspace.root, clean_name, progress))
        ]
    finally:
        progress.end("hash files")


def _file(
    path: Path, root: Path, clean_name: Callable[[str], str], progress: Progress
) -> dict[str, object] | None:
    progress.advance("hash files", 1)
    parts = path.relative_to(root).parts
    try:
        # A load may be running: what has gone since it was listed is not there.
        digest = None if parts in _UNHASHED else sha256_file(path)
        return {
            "path": "/".join(map(clean_name, parts)),
            "bytes": path.stat().st_size,
            "sha256": digest,
        }
    except OSError:
        return None


def refuse_leaks(members: Mapping[str, bytes], keys: list[str]) -> None:
    """Looks through what is about to be written. Raises WorkspaceError for a key or an address in it."""
    for name, data in members.items():
        text = data.decode()
        if Redactor(keys).clean(text) != text or reveals(text):
            raise WorkspaceError(
                f"the support bundle was not written: {name} would have held a key or an address",
                hint="send the output of `migrate status --json` instead, and tell the makers of this tool",
            )


def _zipped(members: Mapping[str, bytes], now: datetime) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(
                zipfile.ZipInfo(f"support/{name}", now.timetuple()[:6]), data, zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n").encode()
