"""A headless Chromium that is started once and asked over a pipe (the DevTools protocol)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_END = b"\0"
_BECOME = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab. Units: pixels of CSS."""

    def __init__(self, asks: IO[bytes], answers: IO[bytes]) -> None:
        self._asks, self._answers = asks, answers
        self._number = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a method of the protocol. Raises RuntimeError where it is refused."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._asks.write(json.dumps(message).encode() + _END)
        self._asks.flush()
        answer = self._wait_for(lambda found: found.get("id") == self._number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _wait_for(self, is_it: Any) -> dict[str, Any]:
        kept = b""
        while True:
            piece = self._answers.read(1)
            if not piece:
                raise RuntimeError("the browser has gone")
            if piece != _END:
                kept += piece
                continue
            message: dict[str, Any] = json.loads(kept)
            if is_it(message):
                return message
            kept = b""

    def open(self, page: Path) -> None:
        """Shows a page, and waits until it is loaded."""
        self.call("Page.navigate", url=f"file://{page}")
        self._wait_for(lambda found: found.get("method") == "Page.loadEventFired")

    def look(self, width: int, *, is_dark: bool = False, medium: str = "screen") -> None:
        """Shows the page as a device of that width does."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=1200,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=medium, features=[scheme])

    def evaluate(self, script: str) -> Any:
        """What a script makes of the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def print(self) -> bytes:
        """The page as PDF."""
        printed = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        return base64.b64decode(printed["data"])


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser that ends with the block. The protocol's pipes are numbers 3 and 4 of its process."""
    to_read, asks = os.pipe()
    answers, to_write = os.pipe()
    command = [
        sys.executable, "-I", "-c", _BECOME, str(to_read), str(to_write), str(CHROMIUM), "--headless", "--no-sandbox",
        "--disable-gpu", "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_read)
    os.close(to_write)
    try:
        with os.fdopen(asks, "wb") as asking, os.fdopen(answers, "rb") as answering:
            yield Browser(asking, answering)
    finally:
        process.terminate()
        process.wait()
