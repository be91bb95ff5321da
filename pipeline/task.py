"""The media child: reads a task from standard input and writes events to standard output; files are in its folder.

`python -m pipeline.task` reads one JSON `Task`, writes one JSON `Event` per line and ends with exactly one `Done` or
`Failed`, with exit status 0 for both: a status other than 0 means that the process itself died. Limits come from the
environment (see `pipeline.limits`); tracebacks go to standard error.
"""

import errno
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

import msgspec

from pipeline import errors, limits
from pipeline.errors import Cause, MediaError
from pipeline.progress import Emit, Meter
from pipeline.types import (
    DetectTask,
    Done,
    Event,
    Failed,
    IngestTask,
    JoinTask,
    ListenTask,
    Task,
    TaskResult,
    task_decoder,
)

_ERRNO_CAUSES: dict[int, Cause] = {
    errno.ENOSPC: errors.NO_SPACE,
    errno.EDQUOT: errors.NO_SPACE,
    errno.EFBIG: errors.TOO_LARGE,
    errno.ENOMEM: errors.OUT_OF_MEMORY,
}


def run_task(task: Task, scratch: Path, emit: Emit) -> TaskResult:
    """Do the work of a task with all files in `scratch` (an existing folder) and return its result.

    `emit` receives Progress and Partial events and may raise to cancel. Paths in results are relative to `scratch`.
    Raises MediaError for whatever is wrong with the media or the request. The command line calls it in its own process.
    """
    meter = Meter(emit)
    if isinstance(task, IngestTask):
        from pipeline.ingest import ingest

        return ingest(task, scratch, meter)
    if isinstance(task, ListenTask):
        from pipeline.ingest import listen_again

        return listen_again(task, scratch, meter)
    if isinstance(task, DetectTask):
        from pipeline.ingest import detect

        return detect(task, scratch, meter)
    if isinstance(task, JoinTask):
        from pipeline.live.join import join

        return join(task, scratch, meter)
    from pipeline.rendering.render import render

    return render(task, scratch, meter, emit)


def failure(exc: BaseException) -> Failed:
    """Describe any exception as the event that ends a failed task."""
    error = exc if isinstance(exc, MediaError) else _as_media_error(exc)
    return Failed(
        code=error.code,
        message=error.finding,
        remedy=error.remedy,
        retryable=error.retryable,
        stream=error.stream,
        time_s=error.time_s,
    )


def _as_media_error(exc: BaseException) -> MediaError:
    if isinstance(exc, MemoryError):
        return MediaError(errors.OUT_OF_MEMORY)
    if isinstance(exc, msgspec.MsgspecError):
        return MediaError(errors.BAD_TASK, str(exc))
    if isinstance(exc, KeyboardInterrupt):
        return MediaError(errors.CANCELLED)
    cause = _ERRNO_CAUSES.get(getattr(exc, "errno", None) or 0)
    if cause is errors.TOO_LARGE and not limits.is_own_file_limit():
        cause = errors.NO_SPACE
    if cause is not None:
        return MediaError(cause)
    return MediaError(errors.CRASHED, type(exc).__name__)


def main() -> int:
    """Run the task on standard input in the current folder; the module's docstring has the protocol."""
    out = _claim_stdout()
    encoder = msgspec.json.Encoder()

    def emit(event: Event) -> None:
        out.write(encoder.encode(event) + b"\n")

    try:
        limits.apply(limits.from_environment())
        signal.signal(signal.SIGXCPU, _out_of_time)
        task = task_decoder.decode(sys.stdin.buffer.read())
        last: Event = Done(result=run_task(task, Path.cwd(), emit))
    except BrokenPipeError:
        return 1  # the parent is gone: nobody to tell
    except BaseException as exc:  # noqa: BLE001 - the edge of the process: any error becomes the last event
        traceback.print_exc(file=sys.stderr)
        last = failure(exc)
    emit(last)
    return 0


def _claim_stdout() -> BinaryIO:
    """Reserve standard output for events: later output of libraries goes to standard error."""
    sys.stdout.flush()
    events = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return events


def _out_of_time(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise MediaError(errors.TIMED_OUT, "the limit of processor time was reached")


if __name__ == "__main__":
    raise SystemExit(main())
