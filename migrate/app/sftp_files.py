"""Whose SFTP server is trusted, and taking files from it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.errors import Stale
from migrate.load.handover import HandedFile, Handover
from migrate.net.sftp import LocalFile, Trust, remove
from migrate.net.sftp_place import parse_place

if TYPE_CHECKING:
    from migrate.app.context import Context


def trust_of(context: Context) -> Trust:
    """Whose key is trusted, and which key logs in, as the project file says; paths are of its folder."""
    files = context.project.octolis.files
    folder = context.project.file.absolute().parent
    known, key = (
        None if path is None else folder / path.expanduser()
        for path in (files.known_hosts, files.key_file)
    )
    # Of an unknown server nothing is taken on trust: files of people would go to whoever answers.
    return Trust(files.host_key, known, key)


def remove_uploaded(context: Context, handover: Handover, files: Sequence[HandedFile]) -> None:
    """Takes the files of a handover from the server that they went to; nothing where none did.

    **Raises**: Stale where the server has no longer one that it had whole: an import may have taken it.
    """
    if handover.uploaded_to is None:
        return
    local = [LocalFile(handover.folder / one.name, one.bytes, one.sha256) for one in files]
    gone = remove(parse_place(handover.uploaded_to), trust_of(context), local)
    # Gone from the server is not the same as never imported: a server may remove what it has taken in.
    taken = [one.name for one in files if one.uploaded and one.name in gone]
    if taken:
        raise Stale(
            f"{taken[0]} was uploaded to {handover.uploaded_to} and is not there any more: an import may have taken it",
            hint=f"read back what it did: migrate load --settle --plan {handover.plan}; what is missing then goes by "
            "the API with --import-over",
        )
