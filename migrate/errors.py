"""Every error a user can meet, and the exit code each one ends with.

    MigrateError                     1   a bug, unless a subclass says otherwise
    ├── UsageError                   2   the command line is wrong
    ├── ConfigError                  5   migrate.toml, a key or a mapping file is wrong
    │   └── MappingError             5   every problem of every mapping file at once
    ├── RemoteError                  6   a service refused, or could not be reached
    │   ├── Unreachable              6   no answer: DNS, TLS, connection, silence
    │   ├── Refused                  6   a final answer: 400, 401, 403, 404, a redirect
    │   └── GaveUp                   6   a passing fault did not pass within the retry budget
    ├── WorkspaceError               7   snapshot, plan or ledger unusable
    │   ├── Locked                   7   another process is at work on it
    │   ├── Unfinished               7   a snapshot or plan without its manifest
    │   ├── Damaged                  7   a file is not what its manifest says
    │   └── Stale                    7   a plan's inputs have changed since it was made
    ├── GateError                    8   a safety gate stopped the run
    │   ├── CanaryUnseen             8   the target does not show the canary yet
    │   └── TargetChanged            8   others have written to the target since the plan read it
    └── Interrupted                130   Ctrl-C or SIGTERM; the next command resumes

The exit codes are part of the command line that other programs rely on, see docs/cli.md. Code 4, a difference, is an
outcome and no error: the command has done its work.
"""

from __future__ import annotations

from collections.abc import Sequence


class MigrateError(Exception):
    """What went wrong and where, in one sentence, with what to do next in `hint`.

    The text never holds a secret nor a whole record. `said`: the sentences of it that a page shows, in its reader's
    language where they are of the kind `Sentence`; the first line of the text where none are given.
    """

    exit_code = 1

    def __init__(self, what: str, *, hint: str | None = None, said: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.said = tuple(said) or (what if "\n" not in what else what.splitlines()[0],)


class UsageError(MigrateError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = 2


class ConfigError(MigrateError):
    """The project file, the environment or a mapping file is wrong."""

    exit_code = 5


class MappingError(ConfigError):
    """All problems found in the mapping files, each as `file:line:column: what`."""

    def __init__(self, problems: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join(problems), hint=hint)
        self.problems = tuple(problems)


class RemoteError(MigrateError):
    """A service refused, or could not be reached."""

    exit_code = 6


class Unreachable(RemoteError):
    """No answer came: name resolution, TLS, connection or silence."""


class Refused(RemoteError):
    """A final answer that asking again will not change; `status` is its HTTP status."""

    def __init__(self, what: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.status = status


class GaveUp(RemoteError):
    """A fault that should pass did not pass within the retry budget."""


class WorkspaceError(MigrateError):
    """Snapshot, plan, ledger or the folder itself cannot be used."""

    exit_code = 7


class Locked(WorkspaceError):
    """Another process is at work here; the text names its host, pid and start."""


class Unfinished(WorkspaceError):
    """A snapshot or a plan whose manifest was never written."""


class Damaged(WorkspaceError):
    """A file does not have the size or the hash that was recorded for it."""


class Stale(WorkspaceError):
    """A plan whose snapshot, mapping, settings or target have changed since."""


class GateError(MigrateError):
    """A limit under [gates] was broken."""

    exit_code = 8


class CanaryUnseen(GateError):
    """The target has taken the canary and did not show it in time; whoever waits may ask again."""


class TargetChanged(GateError):
    """Others have written to `datasets` since the plan read them; `remake` is the command that makes a new plan."""

    def __init__(
        self,
        what: str,
        *,
        datasets: Sequence[str],
        remake: str,
        hint: str | None = None,
        said: Sequence[str] = (),
    ) -> None:
        super().__init__(what, hint=hint, said=said)
        self.datasets = tuple(datasets)
        self.remake = remake


class Interrupted(MigrateError):
    """Ctrl-C or SIGTERM; state is saved and the hint says how to go on."""

    exit_code = 130
