"""The project file and the keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from migrate.config import Datatrics, Project, Webhook, load_project
from migrate.config_values import Limit
from migrate.errors import ConfigError
from migrate.project import PROJECT_FILE

SMALL = '[datatrics]\nproject_id = "1"\n'


def project(folder: Path, text: str) -> Path:
    file = folder / "migrate.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_defaults_are_the_contracts(tmp_path: Path) -> None:
    """A file with a project id only has every documented default, and paths beside it."""
    found = load_project(project(tmp_path, SMALL), {})
    assert found.workspace == tmp_path / "migration"
    assert found.mappings == tmp_path / "mappings"
    assert found.datatrics.base_url == "https://api.datatrics.com/2.0"
    assert (
        found.datatrics.concurrency,
        found.datatrics.page_size,
        found.datatrics.requests_per_second,
    ) == (8, 500, 20)
    assert found.octolis.base_url == "https://api.octolis.cloud/v1/data"
    assert (found.octolis.account_share, found.octolis.concurrency, found.octolis.float_digits) == (
        1.0,
        8,
        "decimals",
    )
    gates = found.gates
    shares = (gates.max_rejected.text, gates.max_collapsed.text, gates.max_updates.text)
    assert shares == ("2%", "100%", "100%")
    assert (gates.max_placeholder.number, gates.max_merges, gates.canary) == (0, 0, 1)
    assert gates.require_proven is True
    assert gates.max_errors.number == 100


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (SMALL + "pagesize = 3\n", ("datatrics.pagesize", "did you mean 'page_size'")),
        (SMALL + "[octolus]\n", ("'octolus'", "did you mean 'octolis'")),
        (
            SMALL + '[octolis.webhooks.notify]\nid = "x"\nmetod = "PUT"\n',
            ("metod", "did you mean 'method'"),
        ),
        ("[datatrics]\n", ("datatrics.project_id is missing",)),
        (SMALL + "concurrency = 0\n", ("datatrics.concurrency", "greater than or equal to 1")),
        (SMALL + 'base_url = "http://api.datatrics.com"\n', ("base_url", "https://")),
        (SMALL + 'base_url = "https://x/?apikey=1"\n', ("keys come from the environment",)),
        (
            SMALL + '[datatrics.timezones]\n"*" = "Europe/Amsterdm"\n',
            ("did you mean 'Europe/Amsterdam'",),
        ),
        (SMALL + '[gates]\nmax_rejected = "1"\n', ("gates.max_rejected", '"1%"')),
        (SMALL + "[octolis]\nlimit_speed = 20\n", ("limit_speed", "sandbox")),
        (SMALL + "[datatrics.page_sizes]\nprofile = 3\n", ("page_sizes",)),
        ("[datatrics\n", ("not valid TOML",)),
        (SMALL + 'secrets = "x"\n', ("secrets",)),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, text: str, parts: tuple[str, ...]
) -> None:
    """The message has the file, the key and what was meant."""
    with pytest.raises(ConfigError) as caught:
        load_project(project(tmp_path, text), {})
    for part in ("migrate.toml", *parts):
        assert part in caught.value.what


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    """Nobody has to correct them one run at a time."""
    with pytest.raises(ConfigError) as caught:
        load_project(
            project(tmp_path, "[datatrics]\npage_size = 0\nfoo = 1\n[gates]\nbar = 2\n"), {}
        )
    assert len(caught.value.what.splitlines()) == 4


def test_no_representation_shows_a_key(tmp_path: Path) -> None:
    """Neither repr nor str of project and secrets, nor a dump."""
    found = load_project(
        project(tmp_path, SMALL), {"DATATRICS_API_KEY": "bird1", "OCTOLIS_API_KEYS": "bird2"}
    )
    for text in (
        repr(found),
        str(found),
        repr(found.secrets),
        found.model_dump_json(),
        found.secrets.model_dump_json(),
    ):
        assert "bird" not in text


def test_a_dataset_without_an_id_says_what_to_add(tmp_path: Path) -> None:
    """The hint is the line to write."""
    with pytest.raises(ConfigError) as caught:
        load_project(project(tmp_path, SMALL), {}).dataset_id("orders")
    assert 'orders = "<dataset id>"' in str(caught.value.hint)


@given(found=st.integers(0, 10_000), of=st.integers(0, 10_000), share=st.floats(0, 1))
def test_a_limit_is_a_share_or_a_number(found: int, of: int, share: float) -> None:
    """A share is of the rows; a number is of nothing else."""
    assert Limit(text="", share=share).allows(found, of) == (found <= share * of)
    assert Limit(text="", number=of).allows(found, 0) == (found <= of)


def settings_of(model: type[BaseModel]) -> set[str]:
    """The names of all settings of a section and of the sections below it."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        names.add(name)
        if (
            isinstance(field.annotation, type)
            and issubclass(field.annotation, BaseModel)
            and not field.annotation.__name__.endswith("Limit")
        ):
            names |= settings_of(field.annotation)
    return names


def test_the_starter_file_names_every_setting() -> None:
    """Whoever reads the file that `init` writes knows what can be set; what is for the sandbox alone is left out."""
    wanted = settings_of(Project) | settings_of(Webhook)
    named = set(re.findall(r"[\[.\s]([a-z_]+)(?=\s*[=\].])", PROJECT_FILE))
    assert wanted - named - {"limit_speed", "webhooks"} == set()


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell would read it; the home of nobody is an error."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = load_project(project(tmp_path, 'workspace = "~/ws"\nmappings = "~/maps"\n' + SMALL), {})
    assert (found.workspace, found.mappings) == (tmp_path / "home/ws", tmp_path / "home/maps")
    with pytest.raises(ConfigError, match=r"workspace.*home folder of nobody"):
        load_project(project(tmp_path, 'workspace = "~nobody-here/ws"\n' + SMALL), {})


def test_what_the_source_is_counted_by_is_said_by_resource() -> None:
    """Fields of amounts, of counted columns and the spelling of times, each for itself; one name is a list of one."""
    said = {
        "profiles": {"columns": {"email_consent": "newsletter"}},
        "sales": {"amount": ["bedrag"], "time_format": "%d/%m/%Y"},
    }
    read = Datatrics.model_validate({"project_id": "1", "totals": said})
    assert read.counted_by("profiles") == {"email_consent": ("newsletter",)}
    assert (read.totals_of("profiles"), read.totals_of("sales")) == ({}, {"amount": ("bedrag",)})
    assert (read.time_format_of("sales"), read.time_format_of("profiles")) == ("%d/%m/%Y", None)
