"""`snuggles up`: runs the whole service with one command, in one folder."""

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from cli.embedded import postgres
from cli.embedded.port import HOST, free_port, is_free
from cli.embedded.program import Program, spawn
from cli.errors import BrokenEnvironmentError
from cli.stack.folder import DataFolder, Running, process_of
from cli.stack.log import Terminal
from cli.stack.parts import Blueprint, draw
from cli.stack.supervisor import Supervisor
from db.migrate import migrate
from services.process import resources as buckets
from services.process import settings
from services.process.settings import Settings

DEFAULT_PORT = 8000
MAX_PORT = 65535
SERVERS_READY_S = 120
SERVICES_READY_S = 90


class Options(Struct, frozen=True, kw_only=True):
    """The options of the command."""

    folder: Path
    port: int | None = None
    """None means the default port, or any free one if that is taken; 0 means any free port."""
    main_job: Callable[[Blueprint, DataFolder], Program] | None = None
    """A program to run once the service is ready; the parts print nothing on the terminal until it ends."""
    once: bool = False
    """Stop after that program."""


def up(options: Options, environment: Mapping[str, str], terminal: Terminal) -> int:
    """Run the stack until it is stopped; return the exit status.

    BrokenEnvironmentError when the folder is in use, a port is taken, or a part does not start.
    """
    folder = DataFolder(options.folder)
    folder.create()
    terminal.quiet = options.main_job is not None
    with folder.locked():
        folder.end_leftovers()
        shutil.rmtree(folder.scratch, ignore_errors=True)
        port = _choose_port(options.port, environment)
        blueprint = draw(folder, folder.secrets(), environment, port=port, with_shop=options.main_job is not None)
        known = settings.load(blueprint.environment)
        with _supervised(folder, blueprint, terminal) as supervisor:
            _bring_up(supervisor, blueprint, known)
            if supervisor.asked_to_stop:
                return 0
            terminal.announce(f"ready {blueprint.url}")
            if (note := port_note(options.port, environment, port)) is not None:
                terminal.announce(note)
            terminal.announce(f"data in {folder.path}, logs in {folder.logs}; Ctrl-C stops")
            program = options.main_job(blueprint, folder) if options.main_job else None
            status = _run_beside(program, supervisor) if program else 0
            terminal.quiet = terminal.quiet and options.once
            while not (options.once or supervisor.asked_to_stop):
                supervisor.tick()
            terminal.announce("stopping: running work is finished or handed back; Ctrl-C again hurries")
            return status


def _choose_port(wanted: int | None, environment: Mapping[str, str]) -> int:
    named = wanted if wanted is not None else _named_port(environment)
    if named == 0:
        return free_port()
    host = environment.get("HOST") or HOST
    port = DEFAULT_PORT if named is None else named
    if is_free(port, host):
        return port
    if named is None:
        return free_port()
    raise BrokenEnvironmentError(f"Port {port} is taken by another program; choose another with --port (0 finds one)")


def port_note(wanted: int | None, environment: Mapping[str, str], port: int) -> str | None:
    """Return a note if the service uses another port than the default because that is taken."""
    if wanted is not None or _named_port(environment) is not None or port == DEFAULT_PORT:
        return None
    return f"port {DEFAULT_PORT} is taken by another program, so this is a free one; --port chooses another"


def _named_port(environment: Mapping[str, str]) -> int | None:
    value = environment.get("PORT")
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or int(value) > MAX_PORT:
        raise BrokenEnvironmentError(f"PORT is {value!r}; it must be a whole number up to {MAX_PORT}")
    return int(value)


@contextmanager
def _supervised(folder: DataFolder, blueprint: Blueprint, terminal: Terminal) -> Iterator[Supervisor]:
    """Run a supervisor during the block; at its end our processes stop first, and then the servers that they use."""

    def remember(pids: dict[str, int]) -> None:
        processes = {name: process_of(pid) for name, pid in pids.items()}
        folder.write_running(
            Running(url=blueprint.url, environment=blueprint.environment, processes=processes),
        )

    supervisor = Supervisor(logs=folder.logs, terminal=terminal, on_change=remember)
    supervisor.listen_to_signals()
    try:
        yield supervisor
    finally:
        supervisor.stop([part.name for part in blueprint.services])
        supervisor.stop([part.name for part in blueprint.servers])


def _bring_up(supervisor: Supervisor, blueprint: Blueprint, known: Settings) -> None:
    supervisor.start(blueprint.servers, ready_s=SERVERS_READY_S)
    if supervisor.asked_to_stop:
        return
    if blueprint.application_password is not None:
        prepare_database(blueprint.migration_url, application_password=blueprint.application_password)
    else:
        migrate(blueprint.migration_url)
    buckets.open_from(known, create_buckets=True)
    supervisor.start(blueprint.services, ready_s=SERVICES_READY_S)


def prepare_database(owner_url: str, *, application_password: str) -> None:
    """Create the embedded database at `owner_url`, migrate it, and set the password of the application's login."""
    server_url, name = owner_url.rsplit("/", 1)
    postgres.ensure_database(f"{server_url}/postgres", name)
    migrate(owner_url)
    postgres.let_application_in(owner_url, password=application_password)


def _run_beside(program: Program, supervisor: Supervisor) -> int:
    """Run a program to its end, or until a signal asks to stop, while the supervisor keeps the parts running."""
    job = spawn(program, stdout=None, stderr=None)
    while job.poll() is None and not supervisor.asked_to_stop:
        supervisor.tick()
    if job.poll() is None:
        job.send_signal(signal.SIGINT)
    return job.wait()
