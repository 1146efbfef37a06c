"""The commands by name, in the order of a migration: where each one is, and what it says of itself in the list.

Each is imported only when it is called, so that `--help` and the shell's completion answer at once.
"""

from __future__ import annotations

COMMANDS = {
    "init": ("migrate.cli.init", "Write a starter project: migrate.toml, .env.example, mappings."),
    "check": (
        "migrate.cli.check",
        "Preflight: keys, lists, datasets, mapped columns, disk, clock, locks.",
    ),
    "extract": ("migrate.cli.extract", "Datatrics -> snapshot; called again, it resumes."),
    "inspect": (
        "migrate.cli.inspect",
        "What is in a snapshot: fields, types, shares, examples, traps.",
    ),
    "mapping": (
        "migrate.cli.mapping",
        "Propose, check and preview mapping files; list their functions.",
    ),
    "plan": (
        "migrate.cli.plan",
        "The dry run: snapshot + mappings + live target -> plan. Writes nothing there.",
    ),
    "diff": ("migrate.cli.diff", "Report what a plan would do, or how two plans differ."),
    "load": ("migrate.cli.load", "Execute exactly a plan; called again, it resumes."),
    "history": ("migrate.cli.history", "Who ran what, and what happened to the plans."),
    "rejects": (
        "migrate.cli.rejects",
        "The records that did not make it, and a second chance for them.",
    ),
    "corrections": (
        "migrate.cli.corrections",
        "Values put right by people: taken in, listed, taken back.",
    ),
    "reconcile": ("migrate.cli.reconcile", "Explain the target's counts by the count endpoint."),
    "trace": ("migrate.cli.trace", "One record through every stage, from source to target."),
    "undo": ("migrate.cli.undo", "Restore what a load updated; list what cannot be undone."),
    "evidence": (
        "migrate.cli.evidence",
        "A re-checkable archive of what was done, without personal values.",
    ),
    "purge": (
        "migrate.cli.purge",
        "Remove personal data from the workspace; keep counts and hashes.",
    ),
    "run": (
        "migrate.cli.run",
        "extract -> plan -> load -> reconcile, stopping where a gate fails.",
    ),
    "cutover": (
        "migrate.cli.cutover",
        "The cut-over night: what changed, planned, loaded, counted; or its rehearsal.",
    ),
    "status": ("migrate.cli.status", "What is done, what is left, and the next command."),
    "support": (
        "migrate.cli.support",
        "Pack logs and states for support: no key, no personal value.",
    ),
    "completion": (
        "migrate.cli.completion",
        "Print the script for Tab completion in bash, zsh or fish.",
    ),
    "sandbox": ("migrate.cli.sandbox", "Both services on this machine, for rehearsals and tests."),
    "demo": ("migrate.cli.demo", "The whole migration against the sandbox; no account needed."),
}
