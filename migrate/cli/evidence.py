"""`migrate evidence`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app
from migrate.cli.user_path import UserPath


@command(
    "evidence",
    "migrate evidence",
    "migrate evidence --verify migration/reports/20261121-210551-evidence.zip",
    "migrate evidence --sign ~/.ssh/id_ed25519",
)
@click.option("--plan", "name", metavar="NAME", help="The plan that was loaded [the newest].")
@click.option(
    "--verify",
    "file",
    metavar="FILE",
    type=UserPath(path_type=Path),
    help="Check an archive; needs no project.",
)
@click.option(
    "--head", metavar="HASH", help="With --verify: the head that was written down when it was made."
)
@click.option(
    "--sign",
    "key",
    metavar="KEY",
    type=UserPath(path_type=Path),
    help="Sign the archive with an SSH key; the signature is FILE.sig.",
)
@click.option(
    "--signers",
    metavar="FILE",
    type=UserPath(path_type=Path),
    help="With --verify: whose signature counts, as OpenSSH's allowed_signers.",
)
@pass_app
def evidence(
    app: App,
    name: str | None,
    file: Path | None,
    head: str | None,
    key: Path | None,
    signers: Path | None,
) -> None:
    """Pack what was done into an archive that anybody can check: manifests, mappings, counts, verdicts, hash-chained.

    It holds no personal value. Write its head down elsewhere: an archive that somebody alters and packs again has
    another head. --sign signs it with an ordinary SSH key. Checking needs no network.
    """
    from migrate.app.evidence import check_evidence, run_evidence
    from migrate.app.signature import check_signature, signature_of
    from migrate.report.evidence import checked_outcome, render_evidence, summarise_signature

    if key is not None and file is not None:
        raise click.UsageError("--sign signs what is packed; --verify checks what was")
    if signers is not None and file is None:
        raise click.UsageError("--signers adds to --verify; give both")
    if file is not None:
        checked = check_evidence(file, head)
        # A signature that lies there is looked at in any case: a broken one must not go unnoticed.
        is_signed = signers is not None or signature_of(file).is_file()
        if is_signed:
            signature = check_signature(file, signature_of(file), signers)
        else:
            signature = None
        if signature is not None and signature.problem:
            checked = replace(checked, problems=(*checked.problems, signature.problem))
        text, data = checked_outcome(file, checked, signature)
        app.finish(
            CommandOutcome(
                "evidence",
                text,
                data,
                4 if checked.problems else 0,
                "altered" if checked.problems else "sound",
            )
        )
    with app.context() as context:
        made = run_evidence(context, name, key)
    data = {"plan": made.plan, "file": str(made.file), "head": made.head, "parts": made.parts}
    data |= {"signature": summarise_signature(made.signature)}
    data |= {"not_loaded": dict(made.not_loaded), **made.standing.summarise()}
    app.finish(
        CommandOutcome(
            "evidence", render_evidence(made), data, next=f"migrate evidence --verify {made.file}"
        )
    )
