"""The demo: signs in, uploads a recording in parts, waits, shows the highlights, and makes and downloads clips."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from cli.demo.client import Client
from cli.embedded.program import Program
from cli.errors import CommandError
from cli.media.table import why
from cli.output import answers, clock
from cli.stack.folder import DataFolder
from cli.stack.parts import Blueprint, own_command
from pipeline.types import Reason

EMAIL = "demo@example.com"
TIER = "pro"
CLIPS = 4
SENSITIVITY = 0.5
POLL_S = 0.3
# Long recordings take time, but a demo that hangs should end.
LONGEST_WAIT_S = 3600
CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".ts": "video/mp2t",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
}
TERMINAL = ("TERM", "COLUMNS", "COLORTERM", "NO_COLOR")

Report = Callable[[float, str], None]


def demo_program(file: Path | None) -> Callable[[Blueprint, DataFolder], Program]:
    """Return the command of the demo for a running stack; CommandError when the file does not exist."""
    if file is not None and not file.is_file():
        raise CommandError(f"There is no file {file}")
    if file is not None and file.stat().st_size == 0:
        raise CommandError(f"The file {file} is empty")
    recording = () if file is None else ("--file", str(file.absolute()))

    def program(blueprint: Blueprint, folder: DataFolder) -> Program:
        terminal = {name: os.environ[name] for name in TERMINAL if name in os.environ}
        secret = {"SNUGGLES_DEMO_PASSWORD": folder.secrets().demo_password}
        return Program(
            argv=own_command("demo", "--url", blueprint.url, "--out", str(folder.path / "demo"), *recording),
            environment=terminal | blueprint.environment | secret,
        )

    return program


def run_demo(url: str, *, password: str, out: Path, file: Path | None) -> None:
    """Run the demo and print its results; CommandError when a step fails."""
    out.mkdir(parents=True, exist_ok=True)
    client = Client(url)
    console = answers()
    console.print(f"signing in as {EMAIL} (password {password})")
    _sign_in(client, password)
    path = file or _sample(console, out)
    recording = _upload(client, console, path)
    highlights = _highlights(client, console, recording["id"])
    clips = _clips(client, console, recording["id"], highlights[:CLIPS])
    _fetch(client, console, clips, out)
    console.print(f"\napp {url}/\napi {url}/api/docs\nsign in as {EMAIL} with the password {password}", soft_wrap=True)


def _sign_in(client: Client, password: str) -> None:
    """Create the demo's user in the first run, with a generous tier, and log in."""
    from db.connection import SERVICE, Database
    from services.accounts import provisioning
    from services.accounts.service import EmailTakenError

    database = Database(os.environ["DATABASE_URL"], max_size=1, name="snuggles-demo")
    database.open()
    try:
        with database.transaction(SERVICE) as tx:
            provisioning.create_user(tx, email=EMAIL, password=password, tier=TIER, is_admin=False)
    except EmailTakenError:
        pass  # from an earlier demo in this folder
    finally:
        database.close()
    client.token = client.call("POST", "/api/auth/login", {"email": EMAIL, "password": password})["token"]


def _sample(console: Console, out: Path) -> Path:
    path = out / "sample.mp4"
    if not path.exists():
        from cli.demo.sample import write_sample

        console.print("making a recording of three minutes: talk, reactions, and loud noises")
        write_sample(path)
    return path


def _upload(client: Client, console: Console, path: Path) -> dict[str, Any]:
    """Upload the file in parts and wait until it is analysed."""
    size = path.stat().st_size
    kind = CONTENT_TYPES.get(path.suffix.lower(), "application/octet-stream")
    made = client.call(
        "POST",
        "/api/recordings",
        {"title": path.stem, "filename": path.name, "size_bytes": size, "content_type": kind},
    )
    recording: dict[str, Any] = made["recording"]
    upload = made["upload"]
    tags = []
    with _bar(console, f"uploading {path.name}") as report, path.open("rb") as content:
        for part in upload["parts"]:
            etag = client.put(part["url"], content.read(upload["part_size_bytes"]))
            tags.append({"number": part["number"], "etag": etag})
            report(len(tags) / len(upload["parts"]), "")
    place = f"/api/recordings/{recording['id']}"
    job = client.call("POST", f"{place}/complete", {"parts": tags})["job"]
    with _bar(console, "listening") as report:
        for _ in _polls():
            recording = client.call("GET", place)
            if recording["status"] == "failed":
                raise CommandError(f"The recording failed: {_cause(recording)}")
            if recording["status"] == "ready":
                return recording
            now = client.call("GET", f"/api/jobs/{job['id']}")
            report(now.get("progress", 0) / 100, now.get("stage") or now["status"])
    raise CommandError("The recording is still being analysed; see the logs")


def _highlights(client: Client, console: Console, recording_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.call(
        "GET", f"/api/recordings/{recording_id}/highlights?sensitivity={SENSITIVITY}"
    )["items"]
    if not found:
        raise CommandError("No moment of this recording stands out; try another one")
    console.print("\nmoments worth sharing, best first:")
    for moment in found:
        span = f"{clock(moment['start_s']):>9} - {clock(moment['end_s']):<9}"
        reasons = msgspec.convert(moment["reasons"], list[Reason])
        console.print(f"  {span} {moment['score']:.2f} {moment['kind']:<12} {why(reasons)}", soft_wrap=True)
    console.print()
    return found


def _clips(
    client: Client, console: Console, recording_id: str, moments: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Request a clip of each highlight, all at once, and wait for them."""
    asked = [
        client.call(
            "POST",
            "/api/clips",
            {
                "recording_id": recording_id,
                "start_s": moment["start_s"],
                "end_s": moment["end_s"],
                "title": f"{moment['kind'].capitalize()} at {clock(moment['start_s'])}",
            },
        )["clip"]
        for moment in moments
    ]
    with _bar(console, f"making {len(asked)} clips") as report:
        for _ in _polls():
            states = [client.call("GET", f"/api/clips/{clip['id']}/status") for clip in asked]
            for state in states:
                if state["status"] not in {"queued", "processing", "completed"}:
                    raise CommandError(f"A clip is {state['status']}: {_cause(state)}")
            if all(state["status"] == "completed" for state in states):
                return [client.call("GET", f"/api/clips/{clip['id']}") for clip in asked]
            report(sum(state["progress"] for state in states) / (100 * len(states)), "")
    raise CommandError("The clips are still being made; see the logs")


def _fetch(client: Client, console: Console, clips: Sequence[dict[str, Any]], out: Path) -> None:
    """Download the clips, and share each one on a public page."""
    for number, clip in enumerate(clips, 1):
        target = out / f"clip-{number:02d}.mp4"
        client.download(f"/api/clips/{clip['id']}/download?format=mp4", target)
        page = client.call("POST", f"/api/clips/{clip['id']}/share", {"platform": "direct_link"})["url"]
        console.print(f"clip {number}: {clip['title']}, {clip['duration_s']:.1f} s", soft_wrap=True)
        console.print(f"  {page}\n  {target}", soft_wrap=True)


def _polls() -> Iterator[None]:
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline:
        yield
        time.sleep(POLL_S)


@contextmanager
def _bar(console: Console, label: str) -> Iterator[Report]:
    """Show progress: a bar on a terminal, one line elsewhere."""
    if not console.is_terminal:
        console.print(label)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[stage]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(label, total=1.0, stage="")
        yield lambda share, stage: bars.update(task, completed=share, stage=stage)
        bars.update(task, completed=1.0, stage="")


def _cause(thing: dict[str, Any]) -> str:
    error = thing.get("error") or {}
    return str(error.get("message") or "for no reason that is known")
