"""Reading a file that somebody else wrote: a plain file only, of a stated size at most, without waiting.

A pipe in a file's place would be waited for, for ever; a device has no end.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MOST_BYTES = 16 << 20
"""Of settings, mappings and their tables."""


def read_plain(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The content of a file. Raises OSError, with words in `strerror`, also for what is no plain file or too large."""
    # Without waiting for the other end of a pipe; a file is read no otherwise by it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    except OSError:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb") as opened:
        data = opened.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes:,} bytes", str(path))
    return data
