"""The project file `migrate.toml`, checked before anything else happens. The services' keys never stand in it."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from migrate.config_values import (
    LOOPBACK,
    AmountLimit,
    FieldNames,
    GateLimit,
    Limit,
    LossLimits,
    MoneyLimit,
    QuietHours,
    StoreUrl,
    Url,
    VariableName,
    Zones,
)
from migrate.errors import ConfigError, UsageError
from migrate.names import Language, ResourceName
from migrate.plain_file import read_plain
from migrate.privacy.secrets import Secrets, read_secrets, service_of

SUMMARY_WEBHOOK = "notify"
"""The name under [octolis.webhooks] of the one that is told how a load or a run ended; the others are for feeds."""


_OWN_KEYS = ("file", "secrets", "target")
"""Fields of a project that no line of the file sets."""


class _Section(BaseModel):
    # Errors never repeat a value: somebody may have pasted a key into the wrong line.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceTotals(_Section):
    """Fields of a resource that say what a record is worth, when, in what; they come before the known ones.

    `time_format`: how its times are spelt, a format as of a column. `columns`: by column of a dataset the fields that
    it is counted by, where they are not of its name.
    """

    amount: FieldNames = ()
    time: FieldNames = ()
    currency: FieldNames = ()
    event: FieldNames = ()
    lines: FieldNames = ()
    time_format: str | None = None
    columns: dict[str, FieldNames] = {}


class Datatrics(_Section):
    """How the source is read. Units: seconds, records a page, requests a second."""

    base_url: Url = "https://api.datatrics.com/2.0"
    # It stands in the path of every request.
    project_id: str = Field(min_length=1, max_length=100, pattern=r"^[^/?#\s]+$")
    concurrency: int = Field(8, ge=1, le=64)
    # The largest of the documented defaults; no client is seen to ask for more.
    page_size: int = Field(500, ge=1, le=10_000)
    page_sizes: dict[ResourceName, Annotated[int, Field(ge=1, le=10_000)]] = {}
    # The document names no limit: this one is our own caution.
    requests_per_second: float = Field(20, gt=0)
    request_deadline_s: float = Field(120, gt=0)
    retry_budget_s: float = Field(900, ge=0)
    timezones: Zones = {}
    source_aliases: dict[str, str] = {}
    totals: dict[ResourceName, SourceTotals] = {}

    def totals_of(self, resource: str) -> dict[str, tuple[str, ...]]:
        """The fields that say what a record is worth, besides those that the tool knows."""
        said = self._said_of(resource)
        if said is None:
            return {}
        return {name: fields for name, fields in said if isinstance(fields, tuple) and fields}

    def time_format_of(self, resource: str) -> str | None:
        """How the times of its records are spelt, where that cannot be told from them."""
        said = self._said_of(resource)
        return None if said is None else said.time_format

    def counted_by(self, resource: str) -> dict[str, tuple[str, ...]]:
        """By column the fields of a resource that its values are counted by."""
        said = self._said_of(resource)
        return {} if said is None else dict(said.columns)

    def _said_of(self, resource: str) -> SourceTotals | None:
        return next((said for name, said in self.totals.items() if name == resource), None)

    def page_size_of(self, resource: str) -> int:
        """The number of records asked for on one page of `resource`."""
        own = (size for name, size in self.page_sizes.items() if name == resource)
        return next(own, self.page_size)


class Webhook(_Section):
    """Where a run's summary or a feed is sent; an Octolis webhook discards what does not match its settings."""

    id: str = Field(min_length=1)
    method: Literal["POST", "PUT"] = "POST"
    headers: dict[str, str] = {}


class OutgoingWebhook(_Section):
    """A webhook of somebody's own that is told how commands end. Units: minutes; `every_minutes` 0 is never.

    `url_env`: the variable that holds the address, where that is a secret. `secret_env`: the variable with the secret
    that the body is signed by. `body`: all numbers, or one sentence under `text`, as chat services take it.
    """

    url: Url | None = None
    url_env: VariableName | None = None
    secret_env: VariableName | None = None
    events: tuple[Literal["end", "stop", "gate", "pending"], ...] = (
        "end",
        "stop",
        "gate",
        "pending",
    )
    every_minutes: float = Field(0, ge=0)
    body: Literal["numbers", "text"] = "numbers"
    headers: dict[str, str] = {}

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError(
                "give its address as url, or the name of a variable that holds it as url_env"
            )
        return self


class DatasetTotals(_Section):
    """Columns of a dataset that its totals are made of; an empty `amount`: it has no totals on purpose."""

    amount: str | None = None
    time: str | None = None
    currency: str | None = None
    event: str | None = None


class Files(_Section):
    """How rows are handed over as files. Units: rows and bytes a file.

    `empty`: what the account's import makes of an empty cell of a record that is there. `host_key`: the fingerprint of
    the SFTP server's key, as `ssh-keygen -l` prints it; without it, the server has to stand in `known_hosts`.
    `key_file`: the private key that logs in; without it, the agent's.
    """

    format: Literal["csv", "json"] = "csv"
    separator: Literal[";", ",", "\t", "|"] = ";"
    file_rows: int = Field(1_000_000, ge=1)
    file_bytes: int = Field(250_000_000, ge=100_000)
    empty: Literal["kept", "erased"] | None = None
    host_key: str | None = Field(None, pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$")
    known_hosts: Path | None = None
    key_file: Path | None = None


class Octolis(_Section):
    """How the target is written and read. Units: seconds, bytes, requests in flight.

    `settle_minutes`: so long after the last acknowledged write the target may still be preparing. `quiet_hours`:
    hours of the day in which no load sends.
    """

    base_url: Url = "https://api.octolis.cloud/v1/data"
    account_share: float = Field(1.0, gt=0, le=1)
    concurrency: int = Field(8, ge=1, le=64)
    float_digits: Literal["decimals", "significant"] = "decimals"
    # The largest body that the target takes is not documented; after a 413 the message names one.
    batch_bytes: int = Field(5_000_000, ge=10_000)
    request_deadline_s: float = Field(120, gt=0)
    retry_budget_s: float = Field(900, ge=0)
    # A dataset is busy for as long as another source of it runs, which may be long.
    busy_budget_s: float = Field(3_600, ge=0)
    limit_speed: float = Field(1.0, gt=0)
    datasets: dict[str, Annotated[str, Field(min_length=1, max_length=200)]] = {}
    webhooks: dict[str, Webhook] = {}
    totals: dict[str, DatasetTotals] = {}
    settle_minutes: float = Field(15, ge=0, le=24 * 60)
    quiet_hours: QuietHours = ()
    files: Files = Files()

    def totals_of(self, dataset: str) -> dict[str, str]:
        """The columns that say what a row is worth, where they have no usual name."""
        declared = self.totals.get(dataset)
        return {} if declared is None else {n: v for n, v in declared if v is not None}


class Target(_Section):
    """Another set of datasets, for `--target NAME`: what it does not say is as in [octolis], but for the webhooks.

    `keys_env`: the variable with its keys; without it they are the usual ones.
    """

    keys_env: VariableName | None = None
    base_url: Url | None = None
    limit_speed: float | None = Field(None, gt=0)
    datasets: dict[str, Annotated[str, Field(min_length=1, max_length=200)]]
    webhooks: dict[str, Webhook] = {}


class Gates(_Section):
    """What stops `load` and `run` with exit code 8.

    `max_collapsed`: rows that become part of another one with their key; `max_placeholder`: rows that do so, and whose
    key stands for nobody; a share is of the rows that were judged. `canary`: the records of a dataset that are written,
    read back and compared before the others.

    `max_missing`: rows of a delta's base that the target does not hold; a share is of the rows outside the delta.
    `max_loss`: by `dataset.column` the rows that any one kind of loss may touch, by `dataset.column.loss` those of that
    loss; a share is of the rows that the mapping accepted. `max_target_change`: the records by which a dataset may have
    grown, shrunk or been changed by others between its plan and the first write; a share is of those that the plan
    counted.
    `max_unequal`: money, in any month and currency, by which source and plan may differ; a share is of the source's.
    """

    max_rejected: GateLimit = Limit(text="2%", share=0.02)
    max_collapsed: GateLimit = Limit(text="100%", share=1.0)
    max_placeholder: GateLimit = Limit(text="0", number=0)
    max_updates: GateLimit = Limit(text="100%", share=1.0)
    max_missing: GateLimit = Limit(text="0", number=0)
    max_merges: int = Field(0, ge=0)
    max_loss: LossLimits = {}
    max_unequal: MoneyLimit = AmountLimit(text="0", amount=Decimal(0))
    max_errors: GateLimit = Limit(text="100", number=100)
    max_target_change: GateLimit = Limit(text="0", number=0)
    # One request at most.
    canary: int = Field(1, ge=0, le=500)
    require_proven: bool = True


class Project(_Section):
    """One migration: `migrate.toml`, its folder and its keys.

    `workspace` and `mappings` are absolute; a relative path in the file is taken from the file's folder. `keyring`:
    keys may also come from the system's keyring. `report_language`: of pages and lists. `snapshots`: the URL below
    which finished snapshots live, None for in the workspace; see docs/scale.md. `target`: which of `targets` stands in
    the place of [octolis]; None: that itself. `other_projects`: the project files of others that go into the same
    datasets, absolute.
    """

    workspace: Path = Path("migration")
    mappings: Path = Path("mappings")
    other_projects: tuple[Path, ...] = ()
    snapshots: StoreUrl | None = None
    keep_local_snapshots: bool = False
    keyring: bool = False
    report_language: Language = "en"
    datatrics: Datatrics
    octolis: Octolis = Octolis()
    targets: dict[str, Target] = {}
    webhooks: dict[str, OutgoingWebhook] = {}
    gates: Gates = Gates()
    target: str | None = Field(None, exclude=True)
    file: Path = Field(Path("migrate.toml"), exclude=True)
    secrets: Secrets = Field(Secrets(), exclude=True, repr=False)

    def for_target(self, name: str | None) -> Project:
        """The project with one of its `targets` in the place of [octolis]. Raises UsageError for an unknown name."""
        if name is None or name == self.target:
            return self
        if name not in self.targets:
            known = ", ".join(self.targets) or "none"
            raise UsageError(
                f"{self.file} has no target {name!r}; it has {known}",
                hint=f"add [targets.{name}.datasets] with the ids of its datasets",
            )
        other = self.targets[name]
        named = {"base_url": other.base_url, "limit_speed": other.limit_speed}
        changes = {key: value for key, value in named.items() if value is not None}
        octolis = self.octolis.model_copy(
            update={**changes, "datasets": other.datasets, "webhooks": other.webhooks}
        )
        secrets = self.secrets.with_target(other.keys_env) if other.keys_env else self.secrets
        return self.model_copy(update={"octolis": octolis, "secrets": secrets, "target": name})

    def dataset_id(self, dataset: str) -> str:
        """The Octolis id of a logical dataset name. Raises ConfigError when the project file has none."""
        if dataset not in self.octolis.datasets:
            raise ConfigError(
                f"{self.file}: [octolis.datasets] has no id for dataset {dataset!r}",
                hint=f'add a line:  {dataset} = "<dataset id>"  (your Octolis account manager knows the ids)',
            )
        return self.octolis.datasets[dataset]

    def webhook(self, feed: str) -> Webhook:
        """The webhook that takes a mapping with `target: webhook`. Raises ConfigError when the file has none."""
        if feed not in self.octolis.webhooks:
            raise ConfigError(
                f"{self.file}: there is no [octolis.webhooks.{feed}] for the feed {feed!r}",
                hint=f'add  [octolis.webhooks.{feed}]  with  id = "<webhook id>" (and method and headers if they are '
                "configured there)",
            )
        return self.octolis.webhooks[feed]


def load_project(file: Path, environ: Mapping[str, str] = os.environ) -> Project:
    """The checked project. Raises ConfigError listing every problem of the file at once."""
    values = _read_toml(file)
    # Fields of the model all the same, so pydantic would take them from the file.
    for forbidden in _OWN_KEYS:
        if forbidden in values:
            raise ConfigError(
                f"{file}: unknown key {forbidden!r}", hint="keys belong in .env, never here"
            )
    try:
        project = Project.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(_explain(file, error)), hint="correct the file and try again"
        ) from None
    _check_targets(file, project)
    folder = file.absolute().parent
    return project.model_copy(
        update={
            "file": file,
            "workspace": folder / _own_path(file, "workspace", project.workspace),
            "mappings": folder / _own_path(file, "mappings", project.mappings),
            "other_projects": tuple(
                folder / _own_path(file, "other_projects", other)
                for other in project.other_projects
            ),
            "secrets": read_secrets(
                folder / ".env",
                environ,
                service_of(project.datatrics.project_id) if project.keyring else None,
                _variables_of(project),
            ),
        }
    )


def _variables_of(project: Project) -> list[str]:
    """The further variables that the project file names."""
    named = [other.keys_env for other in project.targets.values()]
    for webhook in project.webhooks.values():
        named += [webhook.url_env, webhook.secret_env]
    return [name for name in named if name is not None]


def _own_path(file: Path, key: str, path: Path) -> Path:
    """The path with `~` as the home folder, as a shell would read it."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{file}: {key}: {str(path)!r:.120} names the home folder of nobody here",
            hint="write the whole path, or one from the folder of this file",
        ) from None


def _check_targets(file: Path, project: Project) -> None:
    """Raises ConfigError for fast limits of a real service, and for a dataset that two targets share."""
    places = {"octolis": project.octolis}
    places |= {f"targets.{name}": project.for_target(name).octolis for name in project.targets}
    owners: dict[tuple[str, str], str] = {}
    for place, octolis in places.items():
        is_here = urlsplit(octolis.base_url).hostname in LOOPBACK
        if octolis.limit_speed != 1 and not is_here:
            raise ConfigError(
                f"{file}: {place}.limit_speed is for a sandbox on this machine only",
                hint="remove the line limit_speed",
            )
        for id_ in dict.fromkeys(octolis.datasets.values()):
            owner = owners.setdefault((octolis.base_url, id_), place)
            if owner != place:
                raise ConfigError(
                    f"{file}: [{place}.datasets] has the id of a dataset of [{owner}.datasets]",
                    hint="a target has datasets of its own: what is sent there must not arrive here",
                )


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        # Some editors of Windows begin a file with a byte order mark.
        return tomllib.loads(read_plain(file).decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            f"there is no project file {file}",
            hint="run `migrate init` here, or name one with --project FILE",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read: {error}",
            hint="it must be a text file in UTF-8 that this user may read",
        ) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{file} is not valid TOML: {error}", hint="correct that line and try again"
        ) from None


def _explain(file: Path, error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in problem["loc"] if part != "[key]")
        if problem["type"] == "extra_forbidden":
            yield f"{file}: unknown key {place!r}{_nearest(problem['loc'])}"
        elif problem["type"] == "missing":
            yield f"{file}: {place} is missing"
        else:
            yield f"{file}: {place}: {problem['msg'].removeprefix('Value error, ')}"


def _nearest(place: tuple[int | str, ...]) -> str:
    """The known key that an unknown one is most like, or all that are known there."""
    there: object = Project
    for part in place[:-1]:
        there = _section_at(there, str(part))
    if not (isinstance(there, type) and issubclass(there, BaseModel)):
        return ""
    known = [name for name in there.model_fields if name not in _OWN_KEYS]
    near = difflib.get_close_matches(str(place[-1]), known, 1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


def _section_at(there: object, part: str) -> object:
    """The type of what stands under a key: a field of a section, or an entry of a table of sections."""
    if isinstance(there, type) and issubclass(there, BaseModel):
        field = there.model_fields.get(part)
        return field.annotation if field else None
    return next(iter(get_args(there)[1:]), None)
