"""Names of snapshots, plans and datasets stay in the workspace, whatever is written for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.app.status import read_status
from migrate.errors import MappingError, MigrateError, UsageError, WorkspaceError
from migrate.mapping.files import read_mapping
from migrate.plan.open_plan import open_plan
from migrate.snapshot.reading import open_snapshot
from migrate.workspace import Workspace, check_name, is_name
from tests.harness import Project

OPENERS: dict[str, Callable[[Workspace, str], object]] = {
    "snapshot": open_snapshot,
    "plan": open_plan,
    "status": read_status,
}
PIECES = st.sampled_from(
    [
        "..",
        ".",
        "/",
        "\\",
        "a",
        "b1",
        "-",
        " ",
        ":",
        "~",
        "\0",
        "\n",
        "con",
        "NUL",
        "aux.txt",
        "COM1",
        "lpt9",
        "C:",
        "*",
        "é",
        "%2e%2e",
        "\u202e",
        "\uff0f",
    ]
)
NAMES = st.one_of(st.text(max_size=120), st.lists(PIECES, max_size=8).map("".join))
DEVICES = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{kind}{number}" for kind in ("COM", "LPT") for number in range(10)),
}
BAD = [
    "../x", "..", ".", "", "/etc", "a/../../x", "a\\..\\x", "C:\\x", "\\\\host\\share", "a\0b", "a\n", "x.", "x..",
    "con", "CON", "nul.txt", "Com1.a.b", "LPT9", " x", "x ", "x" * 101, ".hidden", "-rf", "~", "é", "a:b", "a*",
    "%2e%2e%2f",
]  # fmt: skip


@given(NAMES)
def test_a_name_is_one_harmless_component_everywhere(name: str) -> None:
    """What passes is one plain component on POSIX and on Windows: no device, no end that Windows drops."""
    if not is_name(name):
        return
    assert (Path("a") / name).parts == ("a", name)
    assert PureWindowsPath("a", name).parts == ("a", name)
    assert name.partition(".")[0].upper() not in DEVICES
    assert name == name.strip().rstrip(".")
    assert name.isascii()
    assert name.isprintable()
    assert 0 < len(name) <= 100
    assert not name.startswith(("-", "."))


@pytest.mark.parametrize("name", BAD)
def test_bad_names_are_refused(name: str) -> None:
    """Paths, devices, control characters, ends that Windows drops, options, what one cannot type."""
    with pytest.raises(UsageError, match="cannot be the name"):
        check_name(name, "plan")


@given(name=NAMES, opener=st.sampled_from(sorted(OPENERS)))
def test_nothing_outside_is_opened(
    tmp_path_factory: pytest.TempPathFactory, name: str, opener: str
) -> None:
    """Whatever is asked for: a named error, or what is inside; never a crash, and nothing appears outside."""
    root = tmp_path_factory.getbasetemp() / "names" / "workspace"
    root.mkdir(parents=True, exist_ok=True)
    try:
        OPENERS[opener](Workspace(root), name)
    except MigrateError as error:
        assert error.exit_code in (2, 7)
    assert [path.name for path in root.parent.iterdir()] == ["workspace"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
@pytest.mark.parametrize(
    ("kind", "opener"), [("snapshots", "snapshot"), ("plans", "plan"), ("plans", "status")]
)
def test_a_link_is_not_followed(tmp_path: Path, kind: str, opener: str) -> None:
    """A snapshot or plan that is a link may lie anywhere: refused, and left out of lists. A whole folder may."""
    (tmp_path / "outside" / "x").mkdir(parents=True)
    workspace = Workspace(tmp_path / "workspace")
    (workspace.root / kind).mkdir(parents=True)
    (workspace.root / kind / "linked").symlink_to(tmp_path / "outside" / "x")
    with pytest.raises(WorkspaceError, match="link"):
        OPENERS[opener](workspace, "linked")
    assert workspace.names(workspace.root / kind) == []
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / kind).symlink_to(tmp_path / "outside")
    second = Workspace(tmp_path / "second")
    assert second.names(tmp_path / "second" / kind) == ["x"]
    assert second.folder_of(tmp_path / "second" / kind, "x", "plan").is_dir()


@pytest.mark.parametrize(
    "name",
    [
        "../contacts",
        "a/b",
        "con",
        "nul",
        "com1",
        "x" * 101,
        ".",
        "a.b",
        "Ä",
        '"a\\0b"',
        '"a\\n"',
        "''",
    ],
)
def test_datasets_are_names_too(bare_project: Project, name: str) -> None:
    """Files are named by the dataset of a mapping: the mapping is refused, with the place."""
    file = bare_project.folder / "mappings" / "categories.yaml"
    file.write_text(file.read_text().replace("dataset: categories", f"dataset: {name}"))
    with pytest.raises(MappingError, match=r"categories\.yaml:\d+:\d+: .*dataset"):
        read_mapping(file)


@pytest.mark.parametrize("name", ["../out", "con"])
@pytest.mark.parametrize(
    "command",
    [("extract", "--snapshot"), ("plan", "--plan"), ("load", "--plan"), ("status", "--plan")],
)
def test_commands_refuse_them(bare_project: Project, command: tuple[str, str], name: str) -> None:
    """A usage error before the first request or write."""
    before = sorted(bare_project.folder.parent.rglob("*"))
    done = bare_project.run(*command, name, "-q")
    assert done.code in (2, 7), done.stderr
    assert "Traceback" not in done.stderr
    after = [
        path
        for path in sorted(bare_project.folder.parent.rglob("*"))
        if "migration" not in path.parts
    ]
    assert after == before
