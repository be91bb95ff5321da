"""The commands that run the service: all of it (`up`), or one process of a fleet."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.environment import explained, read_settings
from cli.errors import BrokenEnvironmentError
from cli.output import print_json

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the stack [default: $SNUGGLES_DATA, or .snuggles].")]


def up(
    *,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the service; 0 finds a free one.")] = None,
    data: Data = None,
    demo: Annotated[bool, typer.Option("--demo", help="Make clips of a sample, through the API.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Stop when the demo has ended.")] = False,
    file: Annotated[Path | None, typer.Option(help="A recording of your own for the demo.")] = None,
) -> None:
    """Run the whole service on this machine: database, queue, API, dispatcher and a worker."""
    from cli.demo.walkthrough import demo_program
    from cli.stack.folder import default_folder
    from cli.stack.log import Terminal
    from cli.stack.up import Options
    from cli.stack.up import up as run_stack

    options = Options(
        folder=data or default_folder(),
        port=port,
        main_job=demo_program(file) if demo or file else None,
        once=once,
    )
    with explained():
        status = run_stack(options, os.environ, Terminal())
    raise typer.Exit(status)


def stripe_simulation(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535)],
    state: Annotated[Path, typer.Option(help="File that stores the simulation's state.")],
) -> None:
    """Simulate Stripe, for the demo: nothing is charged."""
    from cli.embedded.stripe.simulation import Simulation, run

    run(
        Simulation(
            port=port,
            webhook_secret=os.environ["STRIPE_WEBHOOK_SECRET"],
            webhook_url=os.environ["STRIPE_WEBHOOK_URL"],
        ),
        state,
    )


def api(
    *,
    with_sockets: Annotated[
        bool, typer.Option("--with-sockets", help="Serve Socket.IO too, if this is the only process.")
    ] = False,
) -> None:
    """Serve the API."""
    from api.processes.web import run
    from services.process.telemetry import start

    settings = read_settings()
    start(settings, part="api")
    with explained():
        run(settings, with_sockets=with_sockets)


def realtime() -> None:
    """Serve Socket.IO; several of these need a load balancer with sticky sessions."""
    from services.process.memory import leave_out

    leave_out("pygments", "rich")  # coloured tracebacks; what this process does not load saves 10 MB
    from services.process.telemetry import start

    settings = read_settings()
    start(settings, part="realtime")
    leave_out("requests", "valkey", "websocket")  # Socket.IO's client and brokers; traces have loaded theirs by now
    from api.processes.sockets import run

    with explained():
        run(settings)


def worker(
    *,
    queues: Annotated[str | None, typer.Option(help="Work on these queues only, separated by commas.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=64, help="Jobs at once [default: $WORKER_THREADS].")] = None,
    exit_when_drained: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="End after being drained and idle for this long, to be replaced."),
    ] = None,
) -> None:
    """Run jobs."""
    from services.jobs.service import QUEUES
    from services.process.telemetry import start
    from workers.main import run

    settings = read_settings()
    start(settings, part="worker")
    wanted = tuple(name.strip() for name in queues.split(",") if name.strip()) if queues else QUEUES
    with explained():
        run(settings, queues=wanted, threads=threads, exit_when_drained_s=exit_when_drained)


def dispatcher() -> None:
    """Send waiting jobs to workers in a fair order; one is active, others stand by."""
    from services.process.telemetry import start
    from workers.queue.dispatcher import run

    settings = read_settings()
    start(settings, part="dispatcher")
    with explained():
        run(settings)


def migrate(
    *,
    rollback: Annotated[int | None, typer.Option(min=1, help="Undo this many migrations instead.")] = None,
    baseline: Annotated[
        bool, typer.Option(help="Record migrations that were applied by `psql -f`, after comparing the schema.")
    ] = False,
) -> None:
    """Migrate the database (MIGRATION_DATABASE_URL, or DATABASE_URL)."""
    from db import migrate as migrations
    from services.process.environment import address_problem

    url = os.environ.get("MIGRATION_DATABASE_URL") or os.environ.get("DATABASE_URL")
    if not url:
        raise BrokenEnvironmentError("DATABASE_URL is missing; set it to postgresql://user:password@host:5432/name")
    if problem := address_problem({"DATABASE_URL": url}):
        raise BrokenEnvironmentError(problem)
    if rollback and baseline:
        raise typer.BadParameter("give either --rollback or --baseline")
    with explained():
        if rollback:
            verb, names = "undone", migrations.rollback(url, rollback)
        elif baseline:
            verb, names = "recorded", migrations.baseline(url)
        else:
            verb, names = "applied", migrations.migrate(url)
    for name in names:
        typer.echo(f"{verb} {name}")
    if not names:
        typer.echo({"undone": "nothing to undo", "recorded": "nothing to record", "applied": "up to date"}[verb])


def doctor(*, json: AsJson = False, data: Data = None) -> None:
    """Check everything that the service needs, with a remedy for each problem."""
    from cli.doctor import examine

    findings = examine(os.environ, data=data)
    broken = [finding for finding in findings if finding.status == "failed"]
    if json:
        print_json({"ok": not broken, "checks": findings})
    else:
        for finding in findings:
            advice = f" - {finding.remedy}" if finding.remedy else ""
            typer.echo(f"{finding.status:<8} {finding.name:<9} {finding.detail}{advice}")
    if broken:
        raise typer.Exit(BrokenEnvironmentError.exit_status)


def demo(
    *,
    url: Annotated[str, typer.Option(help="Address of the service.")],
    password: Annotated[str, typer.Option(envvar="SNUGGLES_DEMO_PASSWORD", help="Of the demo's user.")],
    out: Annotated[Path, typer.Option(help="Folder for downloaded clips.")],
    file: Annotated[Path | None, typer.Option(help="A recording; without one a sample is made.")] = None,
) -> None:
    """Run the demo against a service."""
    from cli.demo.walkthrough import run_demo

    with explained():
        run_demo(url, password=password, out=out, file=file)
