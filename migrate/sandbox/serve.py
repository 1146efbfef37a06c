"""Starting and stopping the sandbox: in a thread for tests and rehearsals, in the foreground for the command line."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from migrate.errors import UsageError
from migrate.sandbox.app import Clocks, SandboxApp
from migrate.sandbox.control import Control, Journal
from migrate.sandbox.datatrics_routes import DatatricsService
from migrate.sandbox.declare import Account, Readings, declare, with_copies
from migrate.sandbox.faults import Fault, FaultBook
from migrate.sandbox.imports import Importer
from migrate.sandbox.limits import Limiter, Limits
from migrate.sandbox.octolis import Dataset
from migrate.sandbox.octolis_routes import OctolisService, Outside, Webhooks
from migrate.sandbox.sftp import DROP, SftpAddress, start_sftp
from migrate.sandbox.store import Store
from migrate.sandbox.wire import TrackedProtocol

# uvicorn tells that it has started by a flag, not by an event that could be waited for.
START_POLL_S = 0.005
# A request may be stalled by a fault for ever; nobody waits for it at the end.
STOP_TIMEOUT_S = 1


@dataclass(frozen=True)
class SandboxSettings:
    """How the sandbox behaves. Durations are in seconds; `db` None keeps everything in memory; `project_id` "*" is any.

    `readings`: of what the documents leave open; None for those of the datasets file. `preparation_s` is how long reads
    lag behind writes. `control_token` opens the control paths; None leaves them open
    to whoever reaches the port, for a sandbox that lives within a test. The command line always makes one.
    `copies`: further datasets by id, each like the declared one that is named. `sftp`: a folder of its own for
    the SFTP source, whose files are imported into the datasets; None for none. `is_open`: False answers nobody
    without the token until `Sandbox.open` is called.
    """

    host: str = "127.0.0.1"
    port: int = 0
    db: Path | None = None
    mappings: Path | None = None
    datasets: Path | None = None
    project_id: str = "demo"
    datatrics_key: str = field(default="sandbox-datatrics-key", repr=False)
    octolis_keys: tuple[str, ...] = field(default=("sandbox-octolis-key",), repr=False)
    control_token: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)
    latency_s: float = 0.0
    preparation_s: float = 0.0
    faults: tuple[Fault, ...] = ()
    readings: Readings | None = None
    seed: int = 0
    copies: Mapping[str, str] = field(default_factory=dict)
    sftp: Path | None = None
    sftp_port: int = 0
    is_open: bool = True


class Sandbox:
    """Both services in a thread, for as long as the `with` block lasts. Raises UsageError for settings that cannot be.

    >>> with Sandbox(SandboxSettings()) as box:  # doctest: +SKIP
    ...     print(box.datatrics_url, box.octolis_url)
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._host = _loopback(settings.host)
        self._stack = ExitStack()
        self._app: SandboxApp | None = None
        self.url = ""
        self.sftp: SftpAddress | None = None

    @property
    def datatrics_url(self) -> str:
        """The base URL of Datatrics v2."""
        return f"{self.url}/2.0"

    @property
    def octolis_url(self) -> str:
        """The base URL of the Octolis Data API."""
        return f"{self.url}/v1/data"

    def open(self) -> None:
        """Answers everybody who has a key from now on."""
        if self._app is not None:
            self._app.is_open = True

    def __enter__(self) -> Self:
        """Starts; the port is open when this returns."""
        # Undone in reverse: the server has stopped before the store is closed under it.
        with ExitStack() as stack:
            account = account_of(self._settings)
            store = stack.enter_context(closing(Store(self._settings.db)))
            faults = FaultBook(self._settings.faults, self._settings.seed)
            self._app = app = build_app(self._settings, account, store, faults)
            listener = stack.enter_context(closing(_listen(self._host, self._settings.port)))
            name, port = listener.getsockname()[:2]
            if ":" in name:
                self.url = f"http://[{name}]:{port}"
            else:
                self.url = f"http://{name}:{port}"
            stack.callback(_start(uvicorn.Server(_configure(app)), listener))
            if self._settings.sftp is not None:
                place = (self._host, self._settings.sftp_port)
                self.sftp, stop = start_sftp(self._settings.sftp, *place, faults)
                stack.callback(stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops; requests still stalled are dropped."""
        self._stack.close()


def account_of(settings: SandboxSettings) -> Account:
    """What the sandbox declares. Raises UsageError."""
    account = declare(settings.mappings, settings.datasets, settings.readings)
    return with_copies(account, settings.copies)


def serve(
    settings: SandboxSettings, on_ready: Callable[[Sandbox], None], stop: threading.Event
) -> None:
    """Serves until `stop` is set, which SIGINT and SIGTERM do; `on_ready` is told where, once requests are taken."""
    previous = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with Sandbox(settings) as sandbox:
            on_ready(sandbox)
            stop.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def build_app(
    settings: SandboxSettings, account: Account, store: Store, faults: FaultBook
) -> SandboxApp:
    """The application with what the store remembers."""
    datatrics = DatatricsService(settings.datatrics_key, settings.project_id, store.save_changes)
    webhooks = Webhooks(account.webhooks, store.save_webhook)
    outside = Outside(time.time, time.monotonic, store.save_rows)
    limiter = Limiter(settings.limits)
    preparation_ms = round(settings.preparation_s * 1000)
    datasets = [
        Dataset(spec, seed=settings.seed, preparation_ms=preparation_ms)
        for spec in account.datasets
    ]
    octolis = OctolisService(datasets, webhooks, settings.octolis_keys, limiter, outside)

    def clear() -> None:
        store.clear()
        datatrics.clear()
        octolis.clear()

    for name, table in datatrics.tables.items():
        for identity, record in store.records(name):
            table.restore(identity, record)
    for dataset in datasets:
        dataset.restore(store.rows(dataset.spec.id))
    webhooks.received.extend(store.webhooks())
    importer = None
    if settings.sftp is not None:
        drop = settings.sftp / DROP
        drop.mkdir(parents=True, exist_ok=True, mode=0o700)
        importer = Importer(drop, octolis, faults, time.time)
    control = Control(datatrics, octolis, faults, Journal(), clear, importer)
    clocks = Clocks(time.time, time.monotonic)
    return SandboxApp(
        control, clocks, settings.latency_s, settings.control_token, is_open=settings.is_open
    )


def _start(server: uvicorn.Server, listener: socket.socket) -> Callable[[], None]:
    """Runs the server in a thread of its own; gives back what stops it."""
    # A daemon: whoever forgets to stop it can still end the process.
    thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise UsageError("the sandbox did not start", hint="its log says why")
        time.sleep(START_POLL_S)

    def stop() -> None:
        server.should_exit = True
        thread.join()

    return stop


def _configure(app: SandboxApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=TrackedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.CRITICAL,  # a request dropped at the end is no error; failures are logged by the application
        access_log=False,
        server_header=False,
        date_header=False,  # uvicorn's is made once a second or later; wire.py gives the time of the answer itself
        timeout_keep_alive=60,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio sets TCP_NODELAY only where it is named
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="end the program that listens there, perhaps another sandbox; or take another port: --port, "
            "and the same one in each base_url of migrate.toml",
        ) from None
    return listener


def _loopback(host: str) -> str:
    """The address to listen on. Raises UsageError unless only this machine can reach it."""
    # By number: the name may mean ::1 as well, and clients are told one address.
    address = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise UsageError(
        f"the sandbox listens on loopback only, not on {host}", hint="use --host 127.0.0.1"
    )
