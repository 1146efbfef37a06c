"""The project file `migrate.toml`, checked before anything else happens. The services' keys never stand in it."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from migrate.errors import ConfigError
from migrate.names import ResourceName
from migrate.plain_file import read_plain
from migrate.privacy.secrets import Secrets, read_secrets, service_of

SUMMARY_WEBHOOK = "notify"
"""The name under [octolis.webhooks] of the one that is told how a load or a run ended; the others are for feeds."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Limit(BaseModel):
    """A gate's limit: a share of the rows (`"1%"`) or a number of rows (`100`)."""

    model_config = ConfigDict(frozen=True)
    text: str
    share: float | None = None
    number: int | None = None

    def allows(self, found: int, of: int) -> bool:
        """True when `found` of `of` rows stay within the limit."""
        if self.share is not None:
            return found <= self.share * of
        return self.number is None or found <= self.number


def _parse_limit(value: object) -> object:
    if isinstance(value, Limit):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Limit(text=str(value), number=value)
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = float(value.strip()[:-1]) / 100
        except ValueError:
            share = -1.0
        if 0 <= share <= 1:
            return Limit(text=value, share=share)
    raise ValueError('write a number of rows (100) or a share of them ("1%")')


class AmountLimit(BaseModel):
    """A gate's limit in money: a sum in any currency (`0`, `12.50`) or a share of the source's (`"1%"`)."""

    model_config = ConfigDict(frozen=True)
    text: str
    share: Decimal | None = None
    amount: Decimal | None = None

    def allows_amount(self, found: Decimal, of: Decimal) -> bool:
        """True when a difference of `found` stays within the limit of a sum of `of`."""
        if self.share is not None:
            return abs(found) <= self.share * abs(of)
        return self.amount is None or abs(found) <= self.amount


def _parse_amount_limit(value: object) -> object:
    if isinstance(value, AmountLimit):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**15:
        return AmountLimit(text=str(value), amount=Decimal(str(value)))
    if isinstance(value, str):
        text = value.strip()
        try:
            number = Decimal(text.removesuffix("%"))
        except InvalidOperation:
            number = Decimal(-1)
        if text.endswith("%") and 0 <= number <= 100:
            return AmountLimit(text=value, share=number / 100)
        if not text.endswith("%") and 0 <= number < 10**15:
            return AmountLimit(text=value, amount=number)
    raise ValueError('write an amount (12.50) or a share of the source\'s sum ("1%")')


def _checked_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a URL such as https://host/path")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("plain http:// is accepted for this machine only; write https://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "write the URL without user, key, query or fragment; keys come from the environment"
        )
    return value.rstrip("/")


def _listed(value: object) -> object:
    """One name may stand without brackets."""
    return (value,) if isinstance(value, str) else value


def _checked_store(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("s3", "gs", "az") or not parts.netloc:
        raise ValueError("write s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "write the URL without user, key, query or fragment; keys come from the environment"
        )
    return value.rstrip("/")


def _checked_zones(value: dict[str, str]) -> dict[str, str]:
    for source, zone in value.items():
        if zone not in available_timezones():
            near = difflib.get_close_matches(zone, available_timezones(), 1)
            raise ValueError(
                f"{zone!r} (for {source!r}) is no time zone"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
    return value


def _flattened(value: Any, prefix: str = "") -> Any:
    """`orders.total` without quotes is a table in a table for TOML: the same place."""
    if not isinstance(value, dict) or isinstance(value, Limit):
        return value
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        flat |= (
            _flattened(inner, f"{prefix}{name}.")
            if isinstance(inner, dict)
            else {f"{prefix}{name}": inner}
        )
    return flat


def _checked_places(value: dict[str, Limit]) -> dict[str, Limit]:
    for place in value:
        parts = place.split(".")
        if len(parts) not in (2, 3) or not all(parts):
            raise ValueError(
                f'{place!r} is no column: write "dataset.column" or "dataset.column.loss"'
            )
    return value


MoneyLimit = Annotated[AmountLimit, BeforeValidator(_parse_amount_limit)]
FieldNames = Annotated[tuple[str, ...], BeforeValidator(_listed)]
GateLimit = Annotated[Limit, BeforeValidator(_parse_limit)]
LossLimits = Annotated[
    dict[str, GateLimit], BeforeValidator(_flattened), AfterValidator(_checked_places)
]
Url = Annotated[str, AfterValidator(_checked_url)]
StoreUrl = Annotated[str, AfterValidator(_checked_store)]
Zones = Annotated[dict[str, str], AfterValidator(_checked_zones)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceTotals(_Section):
    """Fields of a resource that say what a record is worth, when, in what; they come before the known ones."""

    amount: FieldNames = ()
    time: FieldNames = ()
    currency: FieldNames = ()
    event: FieldNames = ()
    lines: FieldNames = ()


class Datatrics(_Section):
    """How the source is read. Units: seconds, records a page, requests a second."""

    base_url: Url = "https://api.datatrics.com/2.0"
    project_id: str = Field(min_length=1, max_length=100, pattern=r"^[^/?#\s]+$")
    concurrency: int = Field(8, ge=1, le=64)
    page_size: int = Field(500, ge=1, le=10_000)
    page_sizes: dict[ResourceName, Annotated[int, Field(ge=1, le=10_000)]] = {}
    requests_per_second: float = Field(20, gt=0)
    request_deadline_s: float = Field(120, gt=0)
    retry_budget_s: float = Field(900, ge=0)
    timezones: Zones = {}
    source_aliases: dict[str, str] = {}
    totals: dict[Literal["sales", "interactions"], SourceTotals] = {}

    def totals_of(self, resource: str) -> dict[str, tuple[str, ...]]:
        """The fields that say what a record is worth, besides those that the tool knows."""
        found = {str(name): asked for name, asked in self.totals.items()}.get(resource)
        return {} if found is None else {n: v for n, v in found if v}

    def page_size_of(self, resource: str) -> int:
        """The number of records asked for on one page of `resource`."""
        return {str(name): size for name, size in self.page_sizes.items()}.get(
            resource, self.page_size
        )


class Webhook(_Section):
    """Where a run's summary or a feed is sent; an Octolis webhook discards what does not match its settings."""

    id: str = Field(min_length=1)
    method: Literal["POST", "PUT"] = "POST"
    headers: dict[str, str] = {}


class DatasetTotals(_Section):
    """Columns of a dataset that its totals are made of; an empty `amount`: it has no totals on purpose."""

    amount: str | None = None
    time: str | None = None
    currency: str | None = None
    event: str | None = None


class Octolis(_Section):
    """How the target is written and read. Units: seconds, bytes, requests in flight.

    `settle_minutes`: so long after the last acknowledged write the target may still be preparing.
    """

    base_url: Url = "https://api.octolis.cloud/v1/data"
    account_share: float = Field(1.0, gt=0, le=1)
    concurrency: int = Field(8, ge=1, le=64)
    float_digits: Literal["decimals", "significant"] = "decimals"
    batch_bytes: int = Field(5_000_000, ge=10_000)
    request_deadline_s: float = Field(120, gt=0)
    retry_budget_s: float = Field(900, ge=0)
    busy_budget_s: float = Field(3_600, ge=0)
    limit_speed: float = Field(1.0, gt=0)
    datasets: dict[str, Annotated[str, Field(min_length=1, max_length=200)]] = {}
    webhooks: dict[str, Webhook] = {}
    totals: dict[str, DatasetTotals] = {}
    settle_minutes: float = Field(15, ge=0, le=24 * 60)

    def totals_of(self, dataset: str) -> dict[str, str]:
        """The columns that say what a row is worth, where they have no usual name."""
        found = self.totals.get(dataset)
        return {} if found is None else {n: v for n, v in found if v is not None}


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
    canary: int = Field(1, ge=0, le=500)
    require_proven: bool = True


class Project(_Section):
    """One migration: `migrate.toml`, its folder and its keys.

    `workspace` and `mappings` are absolute; a relative path in the file is taken from the file's folder. `keyring`:
    keys may also come from the system's keyring. `snapshots`: the URL below which finished snapshots live, None for in
    the workspace; see docs/scale.md.
    """

    workspace: Path = Path("migration")
    mappings: Path = Path("mappings")
    snapshots: StoreUrl | None = None
    keep_local_snapshots: bool = False
    keyring: bool = False
    datatrics: Datatrics
    octolis: Octolis = Octolis()
    gates: Gates = Gates()
    file: Path = Field(Path("migrate.toml"), exclude=True)
    secrets: Secrets = Field(Secrets(), exclude=True, repr=False)

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
    for forbidden in ("file", "secrets"):
        if forbidden in values:
            raise ConfigError(
                f"{file}: unknown key {forbidden!r}", hint="keys stand in .env, never here"
            )
    try:
        project = Project.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(_explain(file, error)), hint="correct the file and try again"
        ) from None
    _refuse_fast_limits(file, project.octolis)
    folder = file.absolute().parent
    return project.model_copy(
        update={
            "file": file,
            "workspace": folder / _own_path(file, "workspace", project.workspace),
            "mappings": folder / _own_path(file, "mappings", project.mappings),
            "secrets": read_secrets(
                folder / ".env",
                environ,
                service_of(project.datatrics.project_id) if project.keyring else None,
            ),
        }
    )


def _own_path(file: Path, key: str, path: Path) -> Path:
    """The path with `~` as the home folder, as a shell would read it."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{file}: {key}: {str(path)!r:.120} names the home folder of nobody here",
            hint="write the whole path, or one from the folder of this file",
        ) from None


def _refuse_fast_limits(file: Path, octolis: Octolis) -> None:
    if octolis.limit_speed != 1 and urlsplit(octolis.base_url).hostname not in LOOPBACK:
        raise ConfigError(
            f"{file}: octolis.limit_speed is for a sandbox on this machine only",
            hint="remove the line limit_speed",
        )


def _read_toml(file: Path) -> dict[str, Any]:
    try:
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
    model: type[BaseModel] = Project
    for part in place[:-1]:
        field = model.model_fields.get(str(part))
        section = field.annotation if field else None
        model = section if isinstance(section, type) and issubclass(section, BaseModel) else Webhook
    known = [name for name in model.model_fields if name not in ("file", "secrets")]
    near = difflib.get_close_matches(str(place[-1]), known, 1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
