"""The workspace's log: one JSON object a line, one file a day, keys never in it."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.privacy.redact import RedactingFormatter, Redactor

if TYPE_CHECKING:
    from migrate.privacy.secrets import Secrets


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _QuietFile(logging.FileHandler):
    """A log that stops nobody: what cannot be written to it is dropped."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record where it can; the file is opened by the first one."""
        with contextlib.suppress(OSError, ValueError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Nothing: a traceback on stderr would be about the log, and hide what the command says."""


def open_log(folder: Path, secrets: Secrets, *, verbose: bool) -> None:
    """Sends the tool's log records to `folder`; with `verbose` every request's line too."""
    logger = logging.getLogger("migrate")
    # Opened once more in one process, the log would have every line twice.
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    handler = _QuietFile(
        folder / f"{time.strftime('%Y%m%d', time.gmtime())}.jsonl", encoding="utf-8", delay=True
    )
    handler.setFormatter(RedactingFormatter(_JsonLines(), Redactor(secrets.texts())))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    # What stands above it in this process would print the records without redaction.
    logger.propagate = False
