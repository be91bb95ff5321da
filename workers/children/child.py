"""Runs one media task in a child process that can be killed at any time with all its descendants."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from pipeline import errors
from pipeline.errors import Cause, MediaError
from pipeline.limits import Limits
from pipeline.types import Done, Failed, Partial, Progress, Task, TaskResult, event_decoder
from services.process import spans
from workers.attempt import Attempt
from workers.children.launcher import Launcher, inherited
from workers.children.process import ChildProcess, LineTooLongError
from workers.children.relay import relaying
from workers.children.sandbox import Sandbox

NO_USER = Sandbox()
CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")
_SIGNALS: dict[int, Cause] = {signal.SIGXCPU: errors.TIMED_OUT, signal.SIGXFSZ: errors.TOO_LARGE}

log = structlog.get_logger(__name__)


class Policy(Struct, frozen=True, kw_only=True):
    """The limits of one kind of task."""

    wall_s: float
    limits: Limits
    threads: int = 1


class ChildFailedError(Exception):
    """The child ended its task with this event."""

    def __init__(self, failed: Failed) -> None:
        self.failed = failed
        super().__init__(failed.message)


def environment(
    scratch: Path,
    policy: Policy,
    source: Mapping[str, str] = os.environ,
    *,
    sandbox: Sandbox = NO_USER,
) -> dict[str, str]:
    """Return the whole environment of a child."""
    threads = str(policy.threads)
    return {
        **inherited(source),
        **policy.limits.environment(),
        **sandbox.environment(),
        "TMPDIR": str(scratch),
        "HOME": str(scratch),
        "SNUGGLES_CHILD_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
    }


def run_child(  # noqa: PLR0913 - keyword-only
    task: Task,
    *,
    launcher: Launcher,
    attempt: Attempt,
    scratch: Path,
    policy: Policy,
    on_partial: Callable[[Partial], None] | None = None,
) -> TaskResult:
    """Run the task with all its files in `scratch` and return its result; paths in it are relative to `scratch`.

    Progress goes to the attempt, early versions to `on_partial`. ChildFailedError with the child's own message,
    MediaError if it died, StoppedError if the attempt was stopped. In any case no process of its group remains.
    """
    oom_kills = _oom_kills()
    with _through_relay(task, scratch) as request:
        if launcher.sandbox.uid is not None:
            _hand_over(scratch, task, launcher.sandbox.uid)
        variables = environment(scratch, policy, sandbox=launcher.sandbox)
        child = ChildProcess(launcher.start(scratch, variables), wall_s=policy.wall_s)
        attempt.on_stop(child.kill)
        about = f"{attempt.job.id}/{attempt.job.attempt}/child"
        try:
            with spans.span("child", trace_id=attempt.job.trace_id, about=about):
                last = _listen(child, msgspec.json.encode(request), attempt, on_partial)
        finally:
            attempt.on_stop(None)
            status = child.end()
    attempt.check()
    if isinstance(last, Done):
        return last.result
    log.warning("child_failed", status=status, stderr=child.stderr)
    if isinstance(last, Failed):
        raise ChildFailedError(last)
    if child.timed_out:
        raise MediaError(errors.TIMED_OUT, f"it was stopped after {policy.wall_s:.0f} s")
    raise _death(status, is_out_of_memory=_oom_kills() > oom_kills)


@contextmanager
def _through_relay(task: Task, scratch: Path) -> Iterator[Task]:
    """Yield the task for the child: if it reads an address, it reaches only that server, through a relay."""
    source = getattr(task, "source", None)
    if source is None or "://" not in source.location:
        yield task
        return
    with relaying(scratch, source.location) as relay:
        yield replace(task, source=replace(source, relay=relay))


def _hand_over(scratch: Path, task: Task, uid: int) -> None:
    """Make a child's user the owner of its folders."""
    cache_dir = getattr(getattr(task, "source", None), "cache_dir", None)
    for folder in [scratch, *([Path(cache_dir)] if cache_dir else [])]:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, uid, uid, follow_symlinks=False)


def _listen(
    child: ChildProcess, request: bytes, attempt: Attempt, on_partial: Callable[[Partial], None] | None
) -> Done | Failed | None:
    """Turn a child's events into progress and previews; return its final event, if any."""
    last: Done | Failed | None = None
    try:
        for line in child.lines(request):
            event = event_decoder.decode(line)
            if isinstance(event, Progress):
                attempt.report(stage=event.stage, fraction=event.fraction, eta_s=event.eta_s)
            elif isinstance(event, Partial):
                if on_partial is not None:
                    on_partial(event)
            else:
                last = event
    except (LineTooLongError, msgspec.MsgspecError) as error:
        raise MediaError(errors.CRASHED, "its report could not be read") from error
    return last


def _death(status: int, *, is_out_of_memory: bool) -> MediaError:
    """Return the error of a child that ended without a final event, from its status."""
    if is_out_of_memory and status == -signal.SIGKILL:
        return MediaError(errors.OUT_OF_MEMORY, "the machine killed it")
    if status < 0:
        return MediaError(_SIGNALS.get(-status, errors.CRASHED), f"it was ended by {_signal_name(-status)}")
    return MediaError(errors.CRASHED, f"it ended with status {status}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _oom_kills() -> int:
    """Return how many processes of this container the kernel has killed for memory; 0 if unknown."""
    try:
        events = dict(line.split() for line in CGROUP_EVENTS.read_text().splitlines())
        return int(events.get("oom_kill", 0))
    except (OSError, ValueError):
        return 0
