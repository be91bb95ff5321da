"""Runs the FFmpeg binary: takes ffmpeg-python graphs, reports progress, and turns failures into `MediaError`.

FFmpeg never gets a network address, a path outside the scratch folder or an unexpected container format: it reads only
our own files, and `-protocol_whitelist file,pipe` holds even if that were wrong.
"""

import ctypes
import functools
import importlib.util
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import (
    CRASHED,
    DECODE_FAILED,
    ENCODE_FAILED,
    NO_SPACE,
    OUT_OF_MEMORY,
    TIMED_OUT,
    TOO_LARGE,
    UNSUPPORTED,
    Cause,
    MediaError,
)
from pipeline.limits import is_own_file_limit, thread_count

INPUT_PROTOCOLS = "file,pipe"
STDERR_LINES = 200
"""Enough for the decisive line and the meter's report, however long FFmpeg's log of a broken file is."""
LINE_CHARS = 300
FONTS_CONF = "fonts.conf"
"""FFmpeg's font settings in its folder (see `encoding.subtitle`), because the machine's own may be missing."""
POLL_S = 0.25
"""The longest time between two calls of `on_progress`, and so the delay of a cancellation."""
ENDED_BY_SIGNAL = 255
"""FFmpeg's exit status after a signal that it catches; of those, only SIGXCPU is ours."""
STALL_S = 120.0
"""An FFmpeg that writes nothing for this long hangs (seen when there was no memory for a thread)."""
PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>: the signal a process gets when its parent dies."""

_WORK = frozenset({b"frame", b"out_time_us", b"total_size"})
_PREFIX = re.compile(r"^(?:\[[^\]]*? @ 0x[0-9a-f]+\] )+")
_LEVEL = re.compile(r"\[(?P<level>warning|error|fatal|panic)\] ")
_DECODER = re.compile(r"\[(?P<codec>\w+) @ 0x[0-9a-f]+\] (?:\[[^\]]*\] )*?\[(?:error|fatal|panic)\] ")
_GENERIC = (
    "Conversion failed",
    "Error while processing",
    "Error while opening encoder",
    "Error sending frames",
    "Task finished with",
    "Terminating",
)
_CAUSES: tuple[tuple[str, Cause], ...] = (
    ("No space left on device", NO_SPACE),
    ("Disk quota exceeded", NO_SPACE),
    ("Cannot allocate memory", OUT_OF_MEMORY),
    ("malloc of size", OUT_OF_MEMORY),  # x264's words
    ("Memory allocation error", OUT_OF_MEMORY),  # libvpx's
    ("Failed to allocate", OUT_OF_MEMORY),
    ("File too large", TOO_LARGE),
    ("Decoder not found", UNSUPPORTED),
    ("no decoder found", UNSUPPORTED),
    ("Decoding requested, but no decoder", UNSUPPORTED),
)
_VAGUE_CAUSES: tuple[tuple[str, Cause], ...] = (("Invalid data found when processing input", DECODE_FAILED),)
"""Also logged as a consequence of other failures, so searched last."""
_SIGNALS: dict[int, Cause] = {
    signal.SIGXCPU: TIMED_OUT,
    signal.SIGXFSZ: TOO_LARGE,
}


@functools.cache
def executable() -> str:
    """Return the FFmpeg binary: `IMAGEIO_FFMPEG_EXE` when set, else the one in the imageio-ffmpeg wheel.

    The wheel's own finder runs the binary once as a check, which costs every media child some 50 ms. So the folder is
    searched directly, and the finder is used only for wheels without a binary (a source install).
    """
    given = os.environ.get("IMAGEIO_FFMPEG_EXE")
    if given:
        return given
    spec = importlib.util.find_spec("imageio_ffmpeg")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder, "binaries").glob("ffmpeg-*")):
            if os.access(path, os.X_OK):
                return str(path)
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as exc:
        raise MediaError(CRASHED, "no FFmpeg binary is installed") from exc


def open_input(path: Path | str, *, demuxer: str | None = None, **options: Any) -> Any:
    """Return an ffmpeg-python input of a local file, with fixed protocols, and the format if known."""
    import ffmpeg

    if demuxer is not None:
        options["format"] = demuxer
    # An explicit `file:`, so that a name such as `concat:x` is not a protocol.
    return ffmpeg.input(f"file:{path}", protocol_whitelist=INPUT_PROTOCOLS, threads=thread_count(), **options)


def run(
    output: Any,
    *,
    folder: Path,
    duration_s: float | None = None,
    on_progress: Callable[[float], None] | None = None,
    loglevel: str = "warning",
) -> list[str]:
    """Run an ffmpeg-python output node in `folder` and return the last lines of its log.

    `on_progress` gets the share done, 0 to 1, at least four times a second if `duration_s` (of the output) is given.
    Its exceptions stop FFmpeg and propagate, which cancels the work. MediaError says what went wrong.
    """
    import ffmpeg

    command = [
        executable(),
        *("-hide_banner", "-nostdin", "-nostats", "-y", "-loglevel", f"level+{loglevel}"),
        *("-progress", "pipe:1", "-stats_period", str(POLL_S), "-filter_complex_threads", str(thread_count())),
        *ffmpeg.get_args(output),
    ]
    process = subprocess.Popen(  # noqa: S603 - our own binary, no shell, arguments are separate strings
        command,
        cwd=folder,
        env={**os.environ, "AV_LOG_FORCE_NOCOLOR": "1", "FONTCONFIG_FILE": str(folder.absolute() / FONTS_CONF)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_die_with_parent(),  # noqa: PLW1509 - calls one system call that was looked up before the fork
    )
    log: deque[str] = deque(maxlen=STDERR_LINES)
    with process:
        try:
            _watch(process, log, duration_s, on_progress)
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode != 0:
        raise _failure(process.returncode, list(log))
    return list(log)


def capture(output: Any, *, folder: Path) -> bytes:
    """Run an ffmpeg-python output on `pipe:1` and return those bytes (few: pixels or samples to look at)."""
    import ffmpeg

    quiet = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning")
    command = [executable(), *quiet, *ffmpeg.get_args(output)]
    done = subprocess.run(  # noqa: S603 - our own binary, no shell, arguments are separate strings
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        preexec_fn=_die_with_parent(),
    )
    if done.returncode != 0:
        raise _failure(done.returncode, done.stderr.decode(errors="replace").splitlines())
    return done.stdout


def _die_with_parent() -> Callable[[], None] | None:
    """Return a function that makes FFmpeg die with this process (Linux): a killed child must leave no encoder running.

    The signal depends on the forking thread, so the thread that waits for FFmpeg must start it.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def set_death_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return set_death_signal


def _watch(
    process: subprocess.Popen[bytes],
    log: deque[str],
    duration_s: float | None,
    on_progress: Callable[[float], None] | None,
) -> None:
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    assert process.stderr is not None  # noqa: S101 - PIPE was asked for
    share, buffer, said = 0.0, b"", b""
    done: dict[bytes, bytes] = {}
    moved_s = time.monotonic()
    with selectors.DefaultSelector() as selector:  # not a thread: one that lacks memory never starts, without an error
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(POLL_S):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    *messages, said = (said + chunk).split(b"\n")
                    log.extend(message.decode(errors="replace").rstrip() for message in messages)
                else:
                    *lines, buffer = (buffer + chunk).split(b"\n")
                    share = max(share, *(_share(line, duration_s) for line in lines), 0.0)
                    if _moves(done, lines):
                        moved_s = time.monotonic()
            if time.monotonic() - moved_s > STALL_S:
                raise MediaError(TIMED_OUT, f"FFmpeg stood still for {STALL_S:.0f} s")
            if on_progress is not None:
                on_progress(share)
    if said:
        log.append(said.decode(errors="replace").rstrip())
    process.wait()


def _moves(done: dict[bytes, bytes], lines: Sequence[bytes]) -> bool:
    """Read lines of `-progress`; return whether the work has advanced."""
    news = {name: value for name, _, value in (line.partition(b"=") for line in lines) if name in _WORK}
    moves = any(done.get(name) != value for name, value in news.items())
    done.update(news)
    return moves


def _share(line: bytes, duration_s: float | None) -> float:
    """Return the share done by a line of `-progress`, else 0."""
    name, _, value = line.partition(b"=")
    if name != b"out_time_us" or not duration_s or not value.strip().isdigit():
        return 0.0
    return min(1.0, int(value) / 1e6 / duration_s)


def telling_line(log: Sequence[str]) -> str:
    """Return the most informative log line: the first error that is not a consequence of another."""
    found = ""
    for line in log:
        match = _LEVEL.search(line)
        level = match["level"] if match else "info"
        text = _bare(line)
        if level in {"error", "fatal", "panic"} and text and not text.startswith(_GENERIC):
            return text
        found = text or found
    return found


def decoding_errors(log: Sequence[str], codecs: Collection[str]) -> list[str]:
    """Return the errors of these codecs' decoders in a log."""
    found = (_DECODER.match(line) for line in log)
    return [_bare(match.string) for match in found if match is not None and match["codec"] in codecs]


def _bare(line: str) -> str:
    """Return the text of a log line, without the module's address and the level."""
    return _PREFIX.sub("", _LEVEL.sub("", _PREFIX.sub("", line), count=1)).strip()[:LINE_CHARS]


def _failure(returncode: int, log: Sequence[str]) -> MediaError:
    error = _as_said(returncode, log)
    if error.cause is TOO_LARGE and not is_own_file_limit():
        return MediaError(NO_SPACE, error.detail)
    return error


def _as_said(returncode: int, log: Sequence[str]) -> MediaError:
    line = telling_line(log)
    if returncode < 0:
        cause = _SIGNALS.get(-returncode, CRASHED)
        return MediaError(cause, line or f"FFmpeg was ended by signal {-returncode}")
    if returncode == ENDED_BY_SIGNAL and not line:
        return MediaError(TIMED_OUT, "the limit of processor time was reached")
    for sign, cause in (*_CAUSES, *_VAGUE_CAUSES):
        found = next((text for text in log if sign in text), None)
        if found is not None:
            return MediaError(cause, _bare(found))
    return MediaError(ENCODE_FAILED, line or f"FFmpeg ended with status {returncode}")
