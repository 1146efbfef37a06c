"""What every command of this room is given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

# Only their names are needed here, and a command must not wait for modules that it does not use.
if TYPE_CHECKING:
    from migrate.config import Project
    from migrate.progress import Progress
    from migrate.workspace import Workspace

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Context:
    """What every stage is given: the project, its workspace, where to show progress, when to stop, the wall clock."""

    project: Project
    workspace: Workspace
    progress: Progress
    stop: threading.Event
    now: Clock
    force_unlock: bool = False
