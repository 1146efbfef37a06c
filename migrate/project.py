"""A new project's files, each explaining itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.errors import UsageError, WorkspaceError
from migrate.language.files import dataset_names

if TYPE_CHECKING:
    from migrate.config import Project

PLACEHOLDER = "CHANGE-ME"
PROJECT_FILE = """\
# One migration from Datatrics to Octolis. How to go on from here:
#
#   1. Below, set project_id and the dataset ids.
#   2. Put both services' keys into .env (see .env.example); they are never written here.
#   3. migrate check        says what is still missing; reads only
#   4. migrate extract      reads Datatrics into a snapshot on this machine; reads only
#   5. migrate inspect      says what is in it; then read the mapping files, change them, migrate mapping check
#   6. migrate plan         the dry run; then migrate diff --html report.html shows what would be written; reads only
#   7. migrate load         writes exactly that plan to Octolis
#   8. migrate reconcile    checks the counts; with --deep every value
#
# `migrate` alone says where you are and what is next. To see it all without an account first: migrate demo
#
# A setting that stands behind a # has that value unless you set another; an unknown one is an error.

workspace = "migration"     # snapshots, plans, ledger and reports live here; they hold personal data
mappings  = "mappings"      # the YAML files that say what becomes of each field: the document the customer signs
# other_projects = ["../other/migrate.toml"]   # others that go into the same datasets: keys must not meet
# keyring = false           # true: keys may also come from the system's keyring, see .env.example
# report_language = "en"    # nl, fr or de: the language of pages, lists and workbooks
# snapshots = "s3://bucket/folder"   # finished snapshots live in an object store (gs:// and az:// too): docs/scale.md
# keep_local_snapshots = false       # true: they are in the workspace as well

[datatrics]
project_id = "CHANGE-ME"    # the number in the address bar of the Datatrics application
# base_url            = "https://api.datatrics.com/2.0"
# concurrency         = 8      # pages in flight
# page_size           = 500    # records a page
# page_sizes          = {{}}     # of single resources, such as {{ profiles = 100 }}
# requests_per_second = 20     # no limit is documented; this is ours
# request_deadline_s  = 120    # seconds that one request may take
# retry_budget_s      = 900    # seconds for which a request that fails is tried again

# Datatrics sends times without a zone. Say for each source in which zone its shop writes them;
# "*" stands for all others. Magento stores UTC, PrestaShop the shop's local time.
[datatrics.timezones]
"*" = "UTC"
# "Prestashop-1" = "Europe/Amsterdam"

# Two spellings of one source: look-ups treat the left name as the right one.
[datatrics.source_aliases]
# "Magento2" = "Magento 2"

[octolis]
# base_url      = "https://api.octolis.cloud/v1/data"
# account_share = 1.0          # the part of the account's 2,000 points a minute that this tool may use
# concurrency   = 8            # requests in flight
# float_digits  = "decimals"   # "at most 6 digits" read as six after the point; or "significant"
# batch_bytes   = 5000000      # the largest body of a request
# request_deadline_s = 120     # as above
# retry_budget_s     = 900
# busy_budget_s      = 3600    # seconds to wait for a busy dataset (423) before its records are deferred
# quiet_hours        = "08:00-18:00"   # no load sends then; also "08:00-18:00 Europe/Amsterdam", or a list of such
# settle_minutes     = 15      # so long after the last write a count that is too low is pending, no difference

# How rows are handed over as files (migrate load --files), for a first big history: see docs/files.md.
# [octolis.files]
# format      = "csv"          # or "json"
# separator   = ";"            # or "," or "|" or a tab
# file_rows   = 1000000        # a file ends with what reaches one of the two
# file_bytes  = 250000000
# empty       = "kept"         # what the account's import makes of an empty cell: "kept" or "erased"; ask before
# host_key    = "SHA256:..."   # the fingerprint of the SFTP server's key; or its line is in known_hosts
# known_hosts = "known_hosts"
# key_file    = "~/.ssh/id_ed25519"   # the key that logs in; without it the agent's

# What an order is worth, where neither the shop's fields nor the dataset's columns have a usual name. An empty amount:
# the dataset has no totals on purpose.
# [datatrics.totals.sales]
# amount = ["grand_total"]     # also time, currency, event, lines; they come before the names that are known
# time_format = "%d/%m/%Y %H:%M"   # where nothing tells whether 03/04/2024 is in March or in April
# [datatrics.totals.profiles.columns]
# email_consent = ["newsletter"]   # a counted column that is not named like the source's field
# [octolis.totals.orders]
# amount = "total_incl_vat"    # also time, currency, event

# The id of each Octolis dataset; your account manager knows them. A dataset without an id is not migrated.
[octolis.datasets]
{datasets}

# Another set of datasets, where a sample for the customer to approve goes: migrate plan --sample 200 --target test,
# then load and reconcile with the same --target. Its keys may have another name in .env.
# [targets.test]
# keys_env = "OCTOLIS_TEST_API_KEYS"
# base_url = "https://..."      # where it is another account's address
# [targets.test.datasets]
# contacts = "<dataset id>"

# Anybody else who is to hear of ends, stops, gates and pending counts: numbers only, never a value. See docs/load.md.
# [webhooks.team]
# url_env = "TEAM_WEBHOOK_URL"  # or url = "https://..." where the address is no secret
# secret_env = "TEAM_WEBHOOK_SECRET"   # signs the body
# events = ["end", "stop", "gate", "pending"]
# every_minutes = 30            # also while a load runs
# body = "text"                 # one sentence for a chat, instead of numbers

# A summary is sent to this webhook at the end of a run.
# [octolis.webhooks.notify]
# id = "..."
# method = "POST"
# headers = {{}}                # such as {{ x-origin = "migration" }}, if they are configured there

# What stops `load` and `run` with exit code 8: a share of the rows ("1%") or a number of them (100).
[gates]
# max_rejected   = "2%"        # of the rows of any dataset
# max_collapsed  = "100%"      # rows of any dataset that become part of another one with their key
# max_placeholder = 0          # of those, rows whose key stands for nobody: n/a, -, noreply@...
# max_updates    = "100%"
max_merges     = 0             # merges in Octolis cannot be undone
# canary         = 1           # records of a dataset that are written, read back and compared before the others
max_errors     = 100           # records refused by Octolis during a load
# max_unequal    = 0           # money that the source has and the plan lacks, in any month and currency; or "1%"
# max_missing    = 0          # rows of a delta's base that the target does not hold
# max_target_change = 0        # records that came or went in a dataset between its plan and its load
# max_loss     = {{}}            # values that a mapping changes or drops, such as {{ "orders.total" = "1%" }}
require_proven = true          # every extract must be proven complete
"""

SANDBOX_URL = "http://127.0.0.1:8720"
SANDBOX_FILE = """\
# A rehearsal: both services are `migrate sandbox` on this machine, and no account is involved.
#
#   migrate sandbox --feed demo    in one terminal; or --feed FOLDER of files saved from the API, or --feed SNAPSHOT
#   migrate run                    in another one, here: extract, plan, load, reconcile
#
# For the real services start a project with `migrate init`, which explains every setting.

[datatrics]
base_url   = "{url}/2.0"
project_id = "{project_id}"

[datatrics.timezones]
{timezones}

[datatrics.source_aliases]
{aliases}

[octolis]
base_url     = "{url}/v1/data"
float_digits = "{float_digits}"
limit_speed  = 1    # 20: limits twenty times as fast as documented; start the sandbox again after a change

[octolis.datasets]
{datasets}

# The same again for `--target test`: a sample to approve does not touch the datasets above.
[targets.test.datasets]
{test_datasets}
"""

ENV_EXAMPLE = """\
# The keys of both services. Copy this file and fill the copy in; it must be readable by you alone:
#
#   cp .env.example .env && chmod 600 .env
#
# Never commit the copy (.gitignore leaves it out). A variable of the same name in the environment comes first.
# Or keep them in the system's keyring: keyring = true in migrate.toml, the tool installed with its extra `keyring`, and
#
#   keyring set migrate:PROJECT_ID DATATRICS_API_KEY
#   keyring set migrate:PROJECT_ID OCTOLIS_API_KEYS

# The Datatrics key of the project; reading is all it is used for.
DATATRICS_API_KEY=

# One Octolis key, or several with commas: they share the load under the account's limit.
OCTOLIS_API_KEYS=
"""

GITIGNORE = """\
# Keys and personal data stay on this machine.
.env
support-*.zip
migration/
"""


def shipped_mappings() -> Path:
    """The folder of mapping files that come with the tool: inside the wheel, or at the top of a clone."""
    package = Path(__file__).parent
    folders = [p for p in (package / "shipped_mappings", package.parent / "mappings") if p.is_dir()]
    if not folders:
        raise WorkspaceError(
            "the shipped mappings are missing from this installation", hint="install the tool again"
        )
    return folders[0]


def start_project(
    folder: Path, *, sandbox: bool = False, like: Project | None = None
) -> list[Path]:
    """Writes the starter files and returns their paths; nothing that exists is overwritten.

    With `sandbox` the project is complete: both services are `migrate sandbox` on this machine, with keys that are
    made here and stand in `.env`. With `like` it has that project's mappings, time zones and aliases.

    **Raises**: UsageError when a project is already there.
    """
    if (folder / "migrate.toml").exists():
        raise UsageError(
            f"{folder / 'migrate.toml'} exists already",
            hint="name another folder: migrate init DIR",
        )
    texts = _sandbox_texts(like) if sandbox else _starter_texts()
    mappings = sorted(path for path in _mappings(like).iterdir() if path.is_file())
    texts |= {f"mappings/{path.name}": path.read_text(encoding="utf-8") for path in mappings}
    try:
        return [folder / name for name, text in texts.items() if _write_new(folder / name, text)]
    except OSError as error:
        raise WorkspaceError(
            f"{folder} cannot be written to: {error.strerror}", hint="choose another folder"
        ) from None


def _mappings(like: Project | None) -> Path:
    return like.mappings if like else shipped_mappings()


def _starter_texts() -> dict[str, str]:
    names = dataset_names(shipped_mappings())
    width = max(map(len, names))
    datasets = "\n".join(f'# {name:<{width}} = "<dataset id>"' for name in names)
    return {
        "migrate.toml": PROJECT_FILE.format(datasets=datasets),
        ".env.example": ENV_EXAMPLE,
        ".gitignore": GITIGNORE,
    }


def _sandbox_texts(like: Project | None) -> dict[str, str]:
    from migrate.privacy.secrets import new_sandbox_keys

    names = like.octolis.datasets if like else dataset_names(shipped_mappings())
    project = SANDBOX_FILE.format(
        url=SANDBOX_URL,
        project_id=like.datatrics.project_id if like else "demo",
        timezones=_toml(like.datatrics.timezones if like else {"*": "UTC"}),
        aliases=_toml(like.datatrics.source_aliases if like else {}),
        float_digits=like.octolis.float_digits if like else "decimals",
        # in a sandbox the id of a dataset is its name
        datasets=_toml({name: name for name in names}),
        test_datasets=_toml({name: f"test-{name}" for name in names}),
    )
    keys = "\n".join(f"{name}={value}" for name, value in new_sandbox_keys(1).environ().items())
    return {
        "migrate.toml": project,
        ".env": f"# Keys of the sandbox, made for this folder. They open nothing else.\n{keys}\n",
        ".gitignore": GITIGNORE,
    }


def _toml(values: Mapping[str, str]) -> str:
    # A JSON string is a TOML string, too.
    return "\n".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items())


def _write_new(path: Path, text: str) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o600 if path.name == ".env" else 0o644
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return True
