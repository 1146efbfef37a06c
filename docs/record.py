"""Records the four stages in a real terminal (tmux) as an SVG that plays by itself: no script, no font, no request.

    python docs/record.py docs/img/terminal.svg

The commands are typed into a shell, in a project beside a sandbox with the demo's data; what the screen shows is taken
ten times a second. Where motion is not wanted (`prefers-reduced-motion`) the last picture stands.
"""

from __future__ import annotations

import contextlib
import html
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from migrate.demo.feed import feed
from migrate.demo.synthetic import build_synthetic
from migrate.progress import Silence
from migrate.project import shipped_mappings, start_project
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings

COMMANDS = ("migrate extract", "migrate plan", "migrate load", "migrate reconcile")
COLUMNS, ROWS = 112, 42
CHAR, LINE, FONT, MARGIN = 8.0, 18, 13, 14
LONGEST_PAUSE_S, READ_S, LAST_S = 3.0, 3.0, 8.0
SPEED = 20
SHOWN_FOLDER = "/data/migrations"
PROMPT = "$ "
COLOURS = {"30": "#6b7280", "31": "#f87171", "32": "#4ade80", "33": "#facc15", "34": "#60a5fa", "35": "#c084fc"} | {
    "36": "#22d3ee", "37": "#e5e7eb", "90": "#6b7280", "91": "#f87171", "92": "#4ade80", "93": "#facc15"
}  # fmt: skip
SGR = re.compile(r"\x1b\[([\d;]*)m")
WORDS = re.compile(r"\S+(?: \S+)*")
Screen = tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """Characters with one look, from a column on."""

    column: int
    text: str
    look: str


def runs_of(line: str) -> Iterator[Run]:
    """The runs of a captured line; escapes other than colour and weight are not expected."""
    column, colour, bold = 0, "", False
    for number, piece in enumerate(SGR.split(line)):
        if number % 2:
            for code in piece.split(";"):
                bold = code == "1" or (bold and code not in ("", "0", "22"))
                colour = COLOURS.get(code, "" if code in ("", "0", "39") else colour)
        elif piece:
            look = (f' fill="{colour}"' if colour else "") + (' font-weight="bold"' if bold else "")
            yield Run(column, piece, look)
            column += len(piece)


def draw(line: str) -> str:
    """A line's text elements: words between wide gaps, each stretched to the grid, whatever font there is."""
    drawn = []
    for run in runs_of(line):
        for found in WORDS.finditer(run.text):
            x, width = (run.column + found.start()) * CHAR, len(found[0]) * CHAR
            place = f'x="{x:g}" textLength="{width:g}" lengthAdjust="spacingAndGlyphs"'
            drawn.append(f"<text {place}{run.look}>{html.escape(found[0])}</text>")
    return "".join(drawn)


def render(frames: Sequence[tuple[float, Screen]]) -> str:
    """The SVG of screens, each with the second at which it came."""
    starts = [0.0]
    for (before, _), (after, _) in itertools.pairwise(frames):
        starts.append(starts[-1] + min(after - before, LONGEST_PAUSE_S))
    lines = {
        line: f"l{number}"
        for number, line in enumerate(dict.fromkeys(x for _, screen in frames for x in screen))
    }
    width, height = COLUMNS * CHAR + 2 * MARGIN, (ROWS + 1) * LINE + 2 * MARGIN
    defs = "".join(
        f'<g id="{name}">{draw(line)}</g>' for line, name in lines.items() if line.strip()
    )
    pictures = "".join(_picture(number, screen, lines) for number, (_, screen) in enumerate(frames))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-size="{FONT}" '
        'font-family="ui-monospace,\'DejaVu Sans Mono\',Menlo,Consolas,monospace" fill="#e5e7eb">'
        f"<style>{_motion(starts)}</style>"
        f'<defs>{defs}</defs><rect width="100%" height="100%" rx="8" fill="#111827"/>'
        f'<g transform="translate({MARGIN},{MARGIN})">{pictures}</g></svg>\n'
    )


def _picture(number: int, screen: Screen, lines: dict[str, str]) -> str:
    """One screen, by the names of its lines."""
    uses = (
        f'<use href="#{lines[x]}" y="{(row + 1) * LINE}"/>'
        for row, x in enumerate(screen)
        if x.strip()
    )
    return f'<g id="f{number}" class="f">{"".join(uses)}</g>'


def _motion(starts: Sequence[float]) -> str:
    """The rules that show each screen from its second on until the next one's."""
    total = starts[-1] + LAST_S
    moments = [start / total * 100 for start in (*starts, total)]
    rules = [".f{visibility:hidden}"]
    for number, (begin, end) in enumerate(itertools.pairwise(moments)):
        play = f"animation:k{number} {total:.1f}s step-end infinite"
        rules.append(f"#f{number}{{{play}}}{_keyframes(number, begin, end)}")
    still = f".f{{animation:none!important}}#f{len(starts) - 1}{{visibility:visible}}"
    return "".join([*rules, f"@media (prefers-reduced-motion){{{still}}}"])


def _keyframes(number: int, begin: float, end: float) -> str:
    head = "0%{visibility:hidden}" if begin else ""
    tail = f"{end:.3f}%{{visibility:hidden}}" if end < 100 else ""
    return f"@keyframes k{number}{{{head}{begin:.3f}%{{visibility:visible}}{tail}}}"


class Terminal:
    """A shell in `folder`, in tmux with a server of its own."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._socket = str(folder / "tmux")
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        shell = f"env PS1={shlex.quote(PROMPT)} bash --norc --noprofile"
        # The `migrate` of this environment, whatever else the machine has or lacks.
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        known = {**os.environ, **environ, "PATH": search, "HISTFILE": "", "LC_ALL": "C.UTF-8"}
        self._tmux(
            "-f", os.devnull, "new-session", "-d", *size, "-c", str(folder), shell, env=known
        )
        self._tmux("set", "-g", "status", "off")

    def _tmux(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        command = ["tmux", "-S", self._socket, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout  # noqa: S603  # own words

    def type(self, text: str) -> None:
        """Types what stands for itself."""
        self._tmux("send-keys", "-l", text)

    def press(self, key: str) -> None:
        """Presses a key by its name."""
        self._tmux("send-keys", key)

    def screen(self) -> Screen:
        """What is to be seen, with colours."""
        return tuple(line.rstrip() for line in self._tmux("capture-pane", "-e", "-p").splitlines())

    def close(self) -> None:
        """Ends the server."""
        self._tmux("kill-server")


def record(terminal: Terminal, commands: Sequence[str]) -> list[tuple[float, Screen]]:
    """The screens that commands gave, each on a clear screen, with the seconds at which they came."""
    frames: list[tuple[float, Screen]] = []
    time.sleep(1)
    for command in commands:
        terminal.press("C-l")
        time.sleep(0.3)
        for character in command:
            terminal.type(character)
            _look(terminal, frames)
        terminal.press("Enter")
        until = time.monotonic() + READ_S
        while time.monotonic() < until:
            if not _look(terminal, frames):
                until = time.monotonic() + READ_S
            time.sleep(0.1)
    return frames


def _look(terminal: Terminal, frames: list[tuple[float, Screen]]) -> bool:
    """Notes the screen if it is a new one; True when the shell waits for a command."""
    screen = terminal.screen()
    if not frames or frames[-1][1] != screen:
        frames.append((time.monotonic(), screen))
    shown = [SGR.sub("", line) for line in screen if line.strip()]
    return bool(shown) and shown[-1].strip() == PROMPT.strip()


@contextlib.contextmanager
def rehearsal(folder: Path) -> Iterator[dict[str, str]]:
    """A project in `folder` beside a sandbox that holds the demo's data; gives the environment with the keys."""
    start_project(folder)
    settings = SandboxSettings(mappings=shipped_mappings(), limits=Limits(speed=SPEED))
    with Sandbox(settings) as sandbox:
        key = settings.datatrics_key
        feed(sandbox.datatrics_url, "demo", SecretStr(key), build_synthetic(), Silence())
        names = [file.stem for file in sorted(shipped_mappings().glob("*.yaml"))]
        (folder / "migrate.toml").write_text(
            f'[datatrics]\nbase_url = "{sandbox.datatrics_url}"\nproject_id = "demo"\nrequests_per_second = 100\n'
            f'[octolis]\nbase_url = "{sandbox.octolis_url}"\nlimit_speed = {SPEED}\n[octolis.datasets]\n'
            + "".join(f'{name} = "{name}"\n' for name in names),
            encoding="utf-8",
            newline="\n",
        )
        yield {"DATATRICS_API_KEY": key, "OCTOLIS_API_KEYS": settings.octolis_keys[0]}


def main(arguments: list[str]) -> int:
    """Records into the file that is named."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "my-migration"
        with rehearsal(folder) as keys:
            terminal = Terminal(folder, keys)
            try:
                frames = record(terminal, COMMANDS)
            finally:
                terminal.close()
    # The folder was made for the recording and says nothing to a reader; its stand-in is as long.
    shown = SHOWN_FOLDER[: len(place)].ljust(len(place), "_")
    frames = [(at, tuple(line.replace(place, shown) for line in screen)) for at, screen in frames]
    Path(arguments[0]).write_text(render(frames), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
