"""A list in memory that moves, lies and cannot be read in places, in the place of the service."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from migrate.errors import Refused
from migrate.net.retry import Attempts
from migrate.progress import Silence
from migrate.snapshot.layout import ResourceResult
from migrate.snapshot.parts import damaged_records
from migrate.snapshot.spool import Spool
from migrate.source.client import BadAnswerError, PageRequest
from migrate.source.extract import WrittenParts, describe
from migrate.source.fetch import PageFetcher
from migrate.source.read_pages import ListContext
from migrate.source.reading import ListReading, read_list
from migrate.source.resources import PROFILES, Resource


@dataclass(frozen=True)
class Record:
    """One profile. `version` stands for its content, and tells when it was updated."""

    id: str
    created: int
    version: int = 0

    @property
    def body(self) -> bytes:
        """Its JSON."""
        updated = f"2021-01-01 00:{self.version // 60:02d}:{self.version % 60:02d}"
        created = f"2020-01-01 {self.created // 60:02d}:{self.created % 60:02d}:00"
        return json.dumps(
            {"profileid": self.id, "source": "s", "created": created, "updated": updated}
        ).encode()


Act = Callable[["ListModel"], None]


@dataclass
class ListModel:
    """A `ListService`. `acts` happen before the answer to the request of that number, from 1.

    `bad`: records that no answer can hold; `damaged`: such that come with a byte that is no UTF-8.
    `shuffles`: records of equal `created` come in another order each time. `sorts`: what becomes of
    another order than by `created`: "obeyed", "ignored" or "refused". `window`: places from
    which on nothing is answered. `announces` makes the totals of the true number.
    """

    records: dict[str, Record]
    acts: Mapping[int, Act] = field(default_factory=dict)
    bad: frozenset[str] = frozenset()
    damaged: frozenset[str] = frozenset()
    cap: int | None = None
    shuffles: bool = False
    window: int | None = None
    announces: Callable[[int], int | None] = lambda true: true
    has_single: bool = True
    sorts: str = "ignored"
    seed: int = 0
    requests: int = 0
    retry_budget_s: float = 300

    def __post_init__(self) -> None:
        """Nothing has been asked yet."""
        self.halted = False
        self.asked: list[PageRequest | str] = []
        self.delivered: dict[str, int] = {}
        self.listed: dict[str, int] = {}
        self.always = set(self.records)
        self._random = random.Random(self.seed)

    def insert(self, record: Record) -> None:
        """A record comes, or another version of one."""
        self.records[record.id] = record

    def delete(self, id_: str) -> None:
        """A record goes."""
        if self.records.pop(id_, None):
            self.always.discard(id_)

    def ask(self, wanted: PageRequest) -> bytes:
        """A page, or what is wrong with it."""
        self._happen(wanted)
        if wanted.sort != "created" and self.sorts == "refused":
            raise Refused("no such field", status=400)
        size = min(wanted.size, self.cap or wanted.size)
        first = (wanted.number - 1) * size
        if self.window is not None and first + size > self.window:
            raise BadAnswerError(
                "HTTP 500 (result window is too large)", b'{"message":"too large"}'
            )
        page = self._ordered(wanted.sort)[first : first + size]
        if any(record.id in self.bad for record in page):
            raise BadAnswerError("HTTP 500 (it hurts)", b'{"message":"it hurts"}')
        items = b",".join(self._body(record) for record in page)
        self.listed |= {one.id: max(one.version, self.listed.get(one.id, 0)) for one in page}
        total = self.announces(len(self.records))
        head = b"" if total is None else b'"total_elements":%d,' % total
        return b'{%s"items":[%s]}' % (head, items)

    def ask_one(self, resource: Resource, id_: str, source: str) -> bytes | None:
        """A record by its id."""
        self._happen(id_)
        record = self.records.get(id_)
        return self._body(record) if record and self.has_single else None

    def attempts(self, what: str) -> Attempts:
        """Tries that wait for nothing; each looks at a clock of its own a few times."""
        ticks = count()
        return Attempts(
            what, budget_s=300, stop=NoWait(), note=lambda _text: None, clock=lambda: next(ticks)
        )

    def halt(self) -> None:
        """Remembers it."""
        self.halted = True

    def tell_notes(self) -> None:
        """There are none."""

    def _happen(self, asked: PageRequest | str) -> None:
        self.requests += 1
        self.asked.append(asked)
        if self.requests in self.acts:
            self.acts[self.requests](self)

    def _ordered(self, sort: str) -> list[Record]:
        if sort == "profileid" and self.sorts == "obeyed":
            return sorted(self.records.values(), key=lambda one: one.id)
        ties = {id_: self._random.random() if self.shuffles else 0.0 for id_ in self.records}
        return sorted(self.records.values(), key=lambda one: (one.created, ties[one.id]))

    def _body(self, record: Record) -> bytes:
        self.delivered[record.id] = max(record.version, self.delivered.get(record.id, 0))
        if record.id in self.damaged:
            return record.body.replace(b'"s"', b'"s", "name": "Zo\xeb"')
        return record.body


class NoWait(threading.Event):
    """Waiting is over at once."""

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is set."""
        return self.is_set()


class Inline(Executor):
    """Does everything at once in the thread that asks."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result, which is there already."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  as any executor does
            future.set_exception(error)
        return future


def profiles(count: int, *, per_moment: int = 1) -> dict[str, Record]:
    """Profiles by id, so many of the same `created`."""
    return {f"p{n:04d}": Record(f"p{n:04d}", n // per_moment) for n in range(count)}


@dataclass(frozen=True)
class ModelReading:
    """What came of reading a model."""

    reading: ListReading
    ids: list[str]
    versions: dict[str, str]
    result: ResourceResult
    vanished: list[str]
    damaged: pl.DataFrame
    spool: Spool


def context_of(model: ListModel, folder: Path, limit: int, *, concurrency: int = 1) -> ListContext:
    """What reading the model works with."""
    spool = Spool(folder / "profiles")
    spool.open()
    return ListContext(
        service=model,
        fetcher=PageFetcher(model, PROFILES, limit, spool),
        spool=spool,
        progress=Silence(),
        stop=threading.Event(),
        concurrency=concurrency,
        open_pool=lambda _count: Inline(),
    )


def read_model(model: ListModel, folder: Path, limit: int, *, concurrency: int = 1) -> ModelReading:
    """The model read as an extract reads a list, with the records that would be in the parts."""
    context = context_of(model, folder, limit, concurrency=concurrency)
    reading = read_list(context)
    rows = list(_rows(context.spool, reading))
    parts = WrittenParts([], [], 0, [], {}, 0)
    result = describe(context.spool, reading, parts, model.requests, 0.0)
    return ModelReading(
        reading=reading,
        ids=[id_ for id_, _raw in rows],
        versions={id_: json.loads(raw)["updated"] for id_, raw in rows},
        result=result,
        vanished=reading.vanished["_id"].to_list() if reading.vanished.height else [],
        damaged=damaged_records(context.spool, reading.left_out),
        spool=context.spool,
    )


def _rows(spool: Spool, reading: ListReading) -> Iterator[tuple[str, bytes]]:
    for entry in spool.stored():
        records = spool.read(entry)
        left_out = reading.left_out.get(entry.number, ())
        for row, (id_, item) in enumerate(zip(records.ids, records.items, strict=True)):
            if row not in left_out:
                yield str(id_), item
