"""The media child as its parent meets it: one task in, events out, one last word, nothing left running."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from support.media.recordings import make, numbered, tone

from pipeline.limits import Limits
from pipeline.types import (
    Accuracy,
    DetectTask,
    Done,
    Event,
    Failed,
    IngestResult,
    IngestTask,
    Partial,
    Progress,
    RenderResult,
    RenderTask,
    Source,
    Task,
    event_decoder,
)

CHILD = [sys.executable, "-m", "pipeline.task"]


def run(scratch: Path, task: Task | bytes, **environment: str) -> list[Event]:
    request = task if isinstance(task, bytes) else msgspec.json.encode(task)
    done = subprocess.run(
        CHILD, input=request, cwd=scratch, capture_output=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr.decode()
    return [event_decoder.decode(line) for line in done.stdout.splitlines()]


def render_task(source: Path, **fields: Any) -> RenderTask:
    return RenderTask(source=Source(location=str(source)), **{"start_s": 0.5, "end_s": 2.5, **fields})


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered(tmp_path_factory.mktemp("source") / "talk.mp4")


def test_ingest_then_detect_leave_what_a_page_draws(talk: Path, tmp_path: Path) -> None:
    events = run(tmp_path, IngestTask(source=Source(location=str(talk))))
    last = events[-1]
    assert isinstance(last, Done)
    assert isinstance(last.result, IngestResult)
    found = last.result
    assert (found.probe.video, found.probe.audio, found.poster) == (0, 1, "poster.jpg")
    waveform = json.loads((tmp_path / found.waveform).read_bytes())
    assert len(waveform["peaks"]) == pytest.approx(waveform["rate"] * waveform["duration_s"], abs=1)
    # The tone has amplitude 0.3.
    assert waveform["peaks"][20] == pytest.approx(0.3 * 255, abs=4)
    assert waveform["keyframes_s"] == [0.0, 2.0]
    assert found.index is not None
    assert (tmp_path / found.index).stat().st_size > 0
    last = run(tmp_path, DetectTask(timeline=found.timeline))[-1]
    assert isinstance(last, Done)
    curve = json.loads((tmp_path / "curve.json").read_bytes())
    assert len(curve["values"]) == pytest.approx(4 * curve["rate"], abs=1)
    assert all(0 <= value <= 1 for value in curve["values"])


def test_progress_rises_and_is_not_sent_more_often_than_people_can_see(talk: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    events = run(tmp_path, render_task(talk, formats=["mp4", "webm"], accuracy="encode"))
    elapsed = time.monotonic() - started
    progress = [event for event in events if isinstance(event, Progress)]
    fractions = [event.fraction for event in progress]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1
    stages = list(dict.fromkeys(event.stage for event in progress))
    assert stages == ["fetch", "preview", "encode", "pictures"]
    assert len(progress) <= 4 * elapsed + len(stages)
    assert sum(isinstance(event, Done | Failed) for event in events) == 1
    assert isinstance(events[-1], Done)


@pytest.mark.parametrize("accuracy", ["exact", "fast"])
def test_an_early_version_is_shown_before_the_checked_one(talk: Path, tmp_path: Path, accuracy: Accuracy) -> None:
    events = run(tmp_path, render_task(talk, start_s=1.5, end_s=3.5, accuracy=accuracy))
    early = next(event for event in events if isinstance(event, Partial)).outputs[0]
    last = events[-1]
    assert isinstance(last, Done)
    assert early.format == "mp4"
    assert early.encoded_s == 0
    assert (tmp_path / early.path).stat().st_size == early.size_bytes
    assert isinstance(last.result, RenderResult)
    assert last.result.accuracy == accuracy
    clip = next(output for output in last.result.outputs if output.format == "mp4")
    if accuracy == "fast":
        assert (tmp_path / early.path).read_bytes() == (tmp_path / clip.path).read_bytes()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"{}", "bad_task"),
        (b"not json", "bad_task"),
        (b'{"task":"render","source":{"location":"/nowhere.mp4"},"start_s":0,"end_s":5,"preset":"cinema"}', "bad_task"),
        (b'{"task":"ingest","source":{"location":"/nowhere.mp4"}}', "read_failed"),
        (b'{"task":"detect","timeline":"nothing.bin"}', "bad_task"),
    ],
)
def test_what_cannot_be_done_ends_with_one_failed_line(tmp_path: Path, request_: bytes, code: str) -> None:
    (failed,) = [event for event in run(tmp_path, request_) if not isinstance(event, Progress)]
    assert isinstance(failed, Failed)
    assert failed.code == code
    assert failed.message
    assert failed.remedy


def test_an_unknown_option_is_named_in_the_failure(talk: Path, tmp_path: Path) -> None:
    failed = run(tmp_path, render_task(talk, preset="vertical", options={"blured_sides": True}))[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "invalid_option"
    assert "blured_sides" in failed.message
    assert "blurred_sides" in failed.message


def test_a_recording_without_sound_is_ingested_with_a_silent_timeline(talk: Path, tmp_path: Path) -> None:
    mute = make(tmp_path / "mute.mp4", "-i", str(talk), "-an", "-c", "copy")
    last = run(tmp_path, IngestTask(source=Source(location=str(mute))))[-1]
    assert isinstance(last, Done)
    assert isinstance(last.result, IngestResult)
    assert "no_audio" in [problem.code for problem in last.result.probe.problems]
    assert set(json.loads((tmp_path / "waveform.json").read_bytes())["peaks"]) == {0}


def test_sound_alone_is_ingested_without_a_poster(tmp_path: Path) -> None:
    voice = tone(tmp_path / "voice.mp3")
    last = run(tmp_path, IngestTask(source=Source(location=str(voice))))[-1]
    assert isinstance(last, Done)
    assert isinstance(last.result, IngestResult)
    assert last.result.poster is None


def test_a_full_disk_limit_is_a_cause_and_not_a_crash(talk: Path, tmp_path: Path) -> None:
    failed = run(tmp_path, render_task(talk, accuracy="encode"), **Limits(file_bytes=20_000).environment())[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "output_too_large"


def test_too_little_memory_is_a_cause_and_not_a_crash(tmp_path: Path) -> None:
    big = make(
        tmp_path / "big.mp4",
        *("-f", "lavfi", "-i", "color=c=gray:s=3840x2160:r=10:d=1", "-c:v", "libx264", "-preset", "ultrafast"),
    )
    limits = Limits(memory_bytes=150 * 1024 * 1024).environment()
    failed = run(tmp_path, render_task(big, start_s=0, end_s=1, accuracy="encode"), **limits)[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "out_of_memory"


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # gone between the two questions
        return []


def test_an_encoder_dies_with_its_killed_parent(tmp_path: Path) -> None:
    long = numbered(tmp_path / "long.mp4", seconds=60, size="320x180", rate="50")
    task = render_task(long, start_s=0, end_s=60, formats=["webm"], accuracy="encode")
    child = subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path)
    assert child.stdin is not None
    child.stdin.write(msgspec.json.encode(task))
    child.stdin.close()
    deadline = time.monotonic() + 60
    encoders: list[psutil.Process] = []
    while not encoders and time.monotonic() < deadline:
        encoders = [p for p in psutil.Process(child.pid).children(recursive=True) if "libvpx-vp9" in command_of(p)]
        time.sleep(0.05)
    assert encoders
    child.send_signal(signal.SIGKILL)
    with child:
        pass
    gone, alive = psutil.wait_procs(encoders, timeout=10)
    assert gone
    assert not alive
