"""A person's rows in the Parquet files of a workspace: found some rows at a time, and learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.app.erasure_beside import line_records
from migrate.app.erasure_files import key_columns_of_datasets, resources_of_datasets
from migrate.privacy.person import Person
from migrate.privacy.rows import drop_shared, mask_theirs, new_forms, note_keys
from migrate.privacy.spellings import Finder
from migrate.workspace import Workspace


class TheirRows:
    """Looks for the rows of one person, by what is known of them at that time.

    `finders` gives what values are looked for then, and those of them that nobody else's record holds; `fingerprint`
    is another one as soon as there is something new to look for; `check_stopped` is called now and then and may raise.
    """

    def __init__(
        self,
        workspace: Workspace,
        person: Person,
        finders: Callable[[], tuple[Finder, Finder]],
        fingerprint: Callable[[], object],
        check_stopped: Callable[[], None],
    ) -> None:
        self.resources = resources_of_datasets(workspace)
        self.shared_keys: set[str] = set()
        """Keys of theirs that are also somebody else's, in whatever dataset."""
        self._root = workspace.root
        self._person = person
        self._finders = finders
        self._fingerprint = fingerprint
        self._check_stopped = check_stopped
        self._seen: dict[Path, tuple[object, list[int]]] = {}
        self._key_columns = key_columns_of_datasets(workspace)

    def numbers(self, file: Path) -> list[int]:
        """The numbers of the person's rows in a file, from 0."""
        known = self._fingerprint()
        # What was looked at with less known of the person may hold rows that were not seen as theirs.
        if self._seen.get(file, (None,))[0] != known:
            for _frame, _theirs in self._looked_at(file):
                pass
        return self._seen.get(file, (None, list[int]()))[1]

    def forget(self) -> None:
        """From now on every file is looked at again."""
        self._seen.clear()

    def learn_from(self, file: Path) -> None:
        """Notes what a file's rows of the person say of them; what others' rows say as well is no news."""
        if file in self._seen and self._seen[file][0] == self._fingerprint():
            return
        _resources, dataset = self._place_of(file)
        known = self._person.known()
        forms: dict[str, set[str]] = {}
        for frame, theirs in self._looked_at(file):
            mine = frame.filter(theirs)
            if dataset is not None:
                note_keys(mine, self._person, dataset)
            for name, texts in new_forms(mine, known).items():
                forms.setdefault(name, set()).update(texts)
            self._note_keys_of_others(frame, theirs)
        news = {name: texts - known for name, texts in forms.items() if texts - known}
        if news:
            for frame, theirs in self._looked_at(file):
                drop_shared(news, frame.filter(~theirs))
            self._person.values |= set[str]().union(*news.values())

    def _note_keys_of_others(self, frame: pl.DataFrame, theirs: pl.Series) -> None:
        """A text that is also somebody else's key does not say that a page is of the person."""
        if "key" in frame.columns and frame.schema["key"] == pl.String:
            others = frame.filter(~theirs).get_column("key")
            own = sorted(self._person.key_texts())
            self.shared_keys |= set(others.filter(others.is_in(own)))

    def _looked_at(self, file: Path) -> Iterator[tuple[pl.DataFrame, pl.Series]]:
        """A file's rows some at a time, with which of them are the person's; notes their numbers."""
        before = self._fingerprint()
        numbers: list[int] = []
        start = 0
        resources, dataset = self._place_of(file)
        key_column = self._key_columns.get(dataset or "")
        try:
            for frame in self._pieces(file, resources):
                self._check_stopped()
                theirs = mask_theirs(
                    frame,
                    self._person,
                    *self._finders(),
                    resources=resources,
                    dataset=dataset,
                    key_column=key_column,
                )
                numbers += (theirs.arg_true() + start).to_list()
                start += frame.height
                yield frame, theirs
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            # Damaged: no row can be taken out of it, and the second look says that it could not be read.
            return
        finally:
            # Learned from on the way: what came before was looked at with less.
            if self._fingerprint() == before:
                self._seen[file] = before, numbers

    def _pieces(self, file: Path, resources: Sequence[str]) -> Iterator[pl.DataFrame]:
        if file.suffix == ".parquet":
            yield from parquet.pieces(file)
        else:
            yield from line_records(file, resources[0])

    def _place_of(self, file: Path) -> tuple[Sequence[str], str | None]:
        """What the rows of a file are made of, and the dataset that they are for."""
        parts = file.relative_to(self._root).parts
        match parts:
            case ("snapshots", _, resource, *_):
                return [resource], None
            case ("plans", _, "scope", _):
                return [file.stem], None
            case ("plans", _, dataset, *_) | ("undo", _, dataset, *_):
                return self.resources.get(dataset, []), dataset
            case _:
                # crosswalk-DATASET, not-imported-DATASET; parts of one lie in .crosswalk-DATASET.parts
                stems = [
                    part.removesuffix(".parquet").removesuffix(".parts") for part in parts[-2:]
                ]
                ends = [
                    stem[at:] for stem in stems for at in range(1, len(stem)) if stem[at - 1] == "-"
                ]
                named_dataset = next((end for end in ends if end in self.resources), "")
                return self.resources.get(named_dataset, []), named_dataset or None
