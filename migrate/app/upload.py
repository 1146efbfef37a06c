"""Files of a handover on their way to an SFTP server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrate.app.file_door import HandedOver, opened_ledger
from migrate.app.settle_files import handed_over
from migrate.app.sftp_files import trust_of
from migrate.errors import Interrupted, RemoteError, Stale
from migrate.load.handover import Handover, Handovers
from migrate.net.sftp import LocalFile, Uploading, upload
from migrate.net.sftp_place import SftpPlace
from migrate.plan.open_plan import open_plan
from migrate.progress import Progress

if TYPE_CHECKING:
    from migrate.app.context import Context


@dataclass(frozen=True)
class Uploaded:
    """What an upload came to. Units: files, bytes, seconds. `sent`: what this call had to send."""

    url: str
    files: int
    bytes: int
    sent: int
    seconds: float


def run_upload(
    context: Context, done: HandedOver, place: SftpPlace, limit: float = 0.0
) -> Uploaded:
    """Puts the files of a handover on a server; those that it has, or had, whole are not sent again.

    `limit`: bytes a second, 0 for no bound.

    **Raises**: Stale where the files go to another place already, or are not what was written; as `upload`.
    """
    plan = open_plan(context.workspace, done.plan, check_files=False)
    began = context.now()
    with opened_ledger(context, handed_over(context, plan, list(done.rows))) as ledger:
        uploads = _Told(context.progress, ledger.handovers)
        waiting = [
            file for one in uploads.handovers.open_ones() for file in uploads.take(one, place)
        ]
        _check_files(done, waiting)
        for handover in uploads.handovers.open_ones():
            # Before the first byte leaves: after a kill it must be known where a file may be.
            uploads.handovers.mark_destination(handover, place.url)
        uploading = Uploading(
            uploads.begin,
            uploads.tick,
            uploads.finish,
            context.progress.note,
            context.stop.is_set,
            limit,
        )
        again = f"migrate load --files {done.folder} --sftp {place.url} --plan {done.plan}"
        try:
            upload(place, trust_of(context), waiting, uploading)
        except Interrupted as error:
            raise Interrupted(error.what, hint=again) from None
        except RemoteError as error:
            # What the server has is kept, so the way on is the same command and not a new handover.
            error.hint = f"{error.hint}: {again}"
            raise
    seconds = (context.now() - began).total_seconds()
    size = sum(file.bytes for file in done.manifest.files)
    return Uploaded(place.url, len(done.manifest.files), size, uploads.sent, seconds)


@dataclass
class _Told:
    """Shows how far the files are, and notes in the ledger which of them the server has whole."""

    progress: Progress
    handovers: Handovers
    sent: int = 0
    _owners: dict[str, Handover] = field(default_factory=dict)

    def take(self, handover: Handover, place: SftpPlace) -> list[LocalFile]:
        """The files of a handover that are still to be uploaded. Raises Stale where they go to another place."""
        if handover.uploaded_to not in (None, place.url):
            raise Stale(
                f"the files of plan {handover.plan!r} are handed over as files to {handover.uploaded_to} already",
                hint="give that place again: imported from two, each row would come twice",
            )
        # What the server had whole may be imported and gone by now: sent again, its rows would come twice.
        files = [one for one in self.handovers.files(handover) if not one.uploaded]
        self._owners |= {one.name: handover for one in files}
        return [LocalFile(handover.folder / one.name, one.bytes, one.sha256) for one in files]

    def begin(self, file: LocalFile, there: int) -> None:
        """A file begins, or goes on."""
        task = f"upload {file.path.name}"
        self.progress.begin(task, total=file.bytes, unit="bytes", done=there)

    def tick(self, file: LocalFile, arrived: int) -> None:
        """The server has so many more bytes."""
        self.sent += arrived
        self.progress.advance(f"upload {file.path.name}", arrived)

    def finish(self, file: LocalFile) -> None:
        """The server has the file whole."""
        self.progress.end(f"upload {file.path.name}")
        self.handovers.mark_uploaded(self._owners[file.path.name], file.path.name)


def _check_files(done: HandedOver, waiting: Sequence[LocalFile]) -> None:
    # All files are hashed for it, so only where something is left to send.
    if waiting:
        broken = done.manifest.find_broken(done.folder)
    else:
        broken = None
    if broken is not None:
        raise Stale(
            f"{done.folder / broken} is not what was written",
            hint=f"take the handover back and begin again: migrate load --take-back --plan {done.plan}",
        )
