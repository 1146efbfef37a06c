"""The page docs/errors.md, from the errors of the program and errors.toml; `docs/generate.py` writes it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from error_texts import ErrorText, find_error_texts  # stands beside this script

HERE = Path(__file__).parent
TARGET = HERE / "errors.md"
CAUSES = HERE / "errors.toml"
SECTIONS = {
    2: "The command line is wrong",
    5: "The project file, a mapping or the environment is wrong",
    6: "A service refused or could not be reached",
    7: "A snapshot, plan or ledger cannot be used",
    8: "Stopped by a gate",
    130: "Interrupted",
    1: "A bug",
    "check": "What `migrate check` finds",
    "mapping": "What is wrong in a mapping file",
    "snapshot": "What a snapshot says against a mapping",
}
"""By the exit code, or by the command that names what it has found and goes on."""
HEAD = """\
# Help by error text

Made by `python docs/generate.py` from the errors in the program and `docs/errors.toml`; do not edit.

Search this page for a few words of your message: words, no name and no number. `…` stands for what differs from case
to case. Each message is listed with its cause and what to do. The tool prints the same way out below its error, with
your names in it (`-> …`).

The exit code says where to look; `echo $?` prints that of the last command. Elsewhere:

- rules that a row breaks: [the mapping language](mapping.md#rules);
- what Octolis says of a single record: `migrate rejects list`;
- "No such option", "Missing argument": `migrate COMMAND --help`.
"""


@dataclass(frozen=True)
class Cause:
    """An entry of errors.toml, with the errors that belong to it."""

    title: str
    cause: str
    way_out: str | None
    patterns: Sequence[str]
    modules: Sequence[str]
    errors: list[ErrorText]

    def fits(self, error: ErrorText) -> bool:
        """True where the error's text is one of this cause."""
        if any(error.module.startswith(module) for module in self.modules):
            return True
        return any(re.search(pattern, error.text) for pattern in self.patterns)


def read_causes(file: Path = CAUSES) -> dict[int | str, list[Cause]]:
    """The causes by exit code, in the file's order."""
    found: dict[int | str, list[Cause]] = {}
    for entry in tomllib.loads(file.read_text(encoding="utf-8"))["cause"]:
        patterns, modules = entry.get("texts", []), entry.get("modules", [])
        cause = Cause(entry["title"], entry["cause"], entry.get("way_out"), patterns, modules, [])
        found.setdefault(entry["exit_code"], []).append(cause)
    return found


def sort_errors(
    errors: Sequence[ErrorText], causes: Mapping[int | str, Sequence[Cause]]
) -> tuple[list[str], list[str]]:
    """Puts each error under its cause. Returns what lacks an entry, and the causes that nothing belongs to."""
    lacking = []
    for error in errors:
        of_code = sorted(causes.get(error.exit_code, ()), key=lambda one: not one.modules)
        cause = next((one for one in of_code if one.fits(error)), None)
        if cause is None or not (error.hint or cause.way_out):
            lack = (
                "no cause" if cause is None else f"no way out, neither here nor in {cause.title!r}"
            )
            lacking.append(f"{error.module}, exit code {error.exit_code}: {error.text!r}: {lack}")
        else:
            cause.errors.append(error)
    unused = [one.title for of_code in causes.values() for one in of_code if not one.errors]
    return lacking, unused


def render() -> str:
    """The whole page. Raises SystemExit naming what errors.toml lacks or has too much."""
    causes = read_causes()
    lacking, unused = sort_errors(find_error_texts(), causes)
    if lacking or unused:
        told = [*lacking, *(f"nothing belongs to the cause {title!r}" for title in unused)]
        raise SystemExit(
            "docs/errors.toml: add a word of each new text to the `texts` of its cause, or a cause of its own:\n"
            + "\n".join(told)
        )
    return HEAD + "".join(_section(code, causes[code]) for code in SECTIONS)


def _section(exit_code: int | str, causes: Sequence[Cause]) -> str:
    parts = "".join(_part(cause) for cause in causes)
    code = f" (exit code {exit_code})" if isinstance(exit_code, int) else ""
    return f"\n## {SECTIONS[exit_code]}{code}\n{parts}"


def _part(cause: Cause) -> str:
    lines = [f"\n### {cause.title}\n\n{cause.cause}"]
    lines.append(f" **Way out**: {cause.way_out}.\n" if cause.way_out else "\n")
    with_hint = {(error.text, error.hint) for error in cause.errors if error.hint}
    plain = sorted({error.text for error in cause.errors if not error.hint})
    if with_hint:
        lines.append("\n| message | what to do |\n|---|---|\n")
        lines += [f"| {_code(text)} | {_cell(hint)} |\n" for text, hint in sorted(with_hint)]
    if plain:
        lines.append("\n" + "".join(f"- {_code(text)}\n" for text in plain))
    return "".join(lines)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if "`" not in text else _cell(text)


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("<", "&lt;")
