"""Clips in a real browser: each plays from its first picture to its last, and shows the right ones around its seam.

The page plays every clip, looks at what is on the screen after seeking, and tells what it saw.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright
from support.api.browser import launch_chromium
from support.media.video import BITS, BRIGHT, COLUMNS, DARK, H264, H264_B, ROWS, record
from support.servers.range_server import serve_ranges

from pipeline.rendering.cut import cut

pytestmark = pytest.mark.xdist_group("browser")

START_S, END_S = 0.52, 2.8
SEAM_S = 0.48
"""Up to the keyframe at one second pictures were encoded, from there on they are copied."""
STEP_S = 0.04
COPIED = 40
"""In the second group of the recording's own pictures."""
PAGE = """<!doctype html><meta charset=utf-8><title>clips</title><script type=module>
const grid = {columns: %(columns)d, rows: %(rows)d};
const once = (video, name, seconds) => new Promise((done, failed) => {
  setTimeout(() => failed(new Error(`no ${name}`)), seconds * 1000);
  video.addEventListener(name, done, {once: true});
  video.addEventListener('error', () => failed(new Error(`media error ${video.error?.code}: ${video.error?.message}`)));
});
function brightness(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight), context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  const fields = [];
  for (let row = 0; row < grid.rows; row++) for (let column = 0; column < grid.columns; column++) {
    const x = Math.round((column + .5) * canvas.width / grid.columns);
    const y = Math.round((row + .5) * canvas.height / grid.rows);
    const pixels = context.getImageData(x - 4, y - 4, 8, 8).data;
    let sum = 0;
    for (let i = 0; i < pixels.length; i += 4) sum += pixels[i + 1];
    fields.push(sum / (pixels.length / 4));
  }
  return fields;
}
async function seek(video, time) {
  // `seeked` may come before the picture is on the screen, which a busy machine shows late.
  const sought = once(video, 'seeked', 20);
  const shown = new Promise(done => { video.requestVideoFrameCallback(done); setTimeout(done, 2000); });
  video.currentTime = time;
  await sought;
  await shown;
  return brightness(video);
}
async function play(clip) {
  const video = document.createElement('video');
  if (!video.canPlayType(clip.type)) return {unsupported: true};
  video.muted = true;
  document.body.append(video);
  try {
    const loaded = once(video, 'loadeddata', 30);
    video.src = clip.name;
    await loaded;
    const times = [];
    video.addEventListener('timeupdate', () => times.push(video.currentTime));
    const ended = once(video, 'ended', 60);
    await video.play();
    await ended;
    const {totalVideoFrames, corruptedVideoFrames} = video.getVideoPlaybackQuality();
    const played = {currentTime: video.currentTime, duration: video.duration, width: video.videoWidth,
      times: [...times], total: totalVideoFrames, corrupted: corruptedVideoFrames ?? 0};
    const shown = [];
    for (const time of clip.looks) shown.push(await seek(video, time));
    return {...played, shown};
  } catch (error) {
    return {error: String(error)};
  } finally {
    video.remove();
  }
}
async function playAll(clips) {
  const results = {};
  for (const clip of clips) results[clip.name] = await play(clip);
  return results;
}
window.played = playAll(%(clips)s);
</script>"""


@dataclass(frozen=True)
class Clip:
    """An exact cut to be played."""

    name: str
    mime: str
    video: tuple[str, ...]
    audio: tuple[str, ...] = ("-c:a", "aac")
    is_everywhere: bool = True
    """Chromium decodes HEVC only where the machine's graphics do."""


VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-b:v", "400k",
       "-pix_fmt", "yuv420p")  # fmt: skip
AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-g", "25", "-svtav1-params", "scd=0")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-pix_fmt", "yuv420p", "-x265-params",
        "log-level=none:keyint=25:min-keyint=25:open-gop=1:bframes=3:scenecut=0")  # fmt: skip
OPUS = ("-c:a", "libopus")
CLIPS = [
    Clip("h264.mp4", 'video/mp4; codecs="avc1.64000c, mp4a.40.2"', (*H264, "-bf", "0", "-g", "25")),
    Clip("h264_b.mp4", 'video/mp4; codecs="avc1.64000c, mp4a.40.2"', (*H264_B, "-g", "25", "-keyint_min", "25")),
    Clip("hevc.mp4", 'video/mp4; codecs="hvc1.1.6.L60.90, mp4a.40.2"', HEVC, is_everywhere=False),
    Clip("vp9.webm", 'video/webm; codecs="vp9, opus"', VP9, OPUS),
    Clip("vp9.mp4", 'video/mp4; codecs="vp09.00.10.08, mp4a.40.2"', VP9),
    Clip("av1.webm", 'video/webm; codecs="av01.0.00M.08, opus"', AV1, OPUS),
    Clip("av1.mp4", 'video/mp4; codecs="av01.0.00M.08, mp4a.40.2"', AV1),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clips and the page that plays them."""
    folder = tmp_path_factory.mktemp("site")
    described = []
    for clip in CLIPS:
        suffix = Path(clip.name).suffix
        source = record(folder / f"source{suffix}", seconds=3.5, video=clip.video, audio=clip.audio)
        report = cut(source, start_s=START_S, end_s=END_S, out=folder / clip.name)
        assert (report.accuracy, report.notes) == ("exact", [])
        assert report.encoded_s >= SEAM_S - 0.001
        looks = [number * STEP_S + STEP_S / 2 for number in looked_at()]
        described.append({"name": clip.name, "type": clip.mime, "looks": looks})
    text = PAGE % {"columns": COLUMNS, "rows": ROWS, "clips": json.dumps(described)}
    (folder / "clips.html").write_text(text, encoding="utf-8")
    return folder


def looked_at() -> list[int]:
    """The pictures to seek to: around the seam, and to and fro between what was encoded and what was copied."""
    seam, tail = round(SEAM_S / STEP_S), round((END_S - START_S) / STEP_S) - 2
    return [0, seam - 1, seam, seam + 1, COPIED, tail, 0, COPIED, tail, seam + 1]


def test_exact_clips_play_in_chromium(site: Path) -> None:
    with serve_ranges(site) as server, sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        page = browser.new_page()
        page.goto(server.address("clips.html"))
        results: dict[str, dict[str, Any]] = page.evaluate("() => window.played")
        browser.close()
    for clip in CLIPS:
        assert_plays(clip, results[clip.name])


def assert_plays(clip: Clip, result: dict[str, Any]) -> None:
    if result.get("unsupported"):
        assert not clip.is_everywhere, clip.name
        return
    assert "error" not in result, (clip.name, result["error"])
    assert result["width"] > 0
    length_s = END_S - START_S
    assert result["duration"] == pytest.approx(length_s, abs=STEP_S)
    assert result["currentTime"] == pytest.approx(result["duration"], abs=STEP_S)
    assert result["times"] == sorted(result["times"])
    assert result["total"] > 0
    assert result["corrupted"] == 0
    first = round(START_S / STEP_S)
    assert [number_of(fields) for fields in result["shown"]] == [first + n for n in looked_at()], clip.name


def number_of(fields: list[float]) -> int:
    """Return the number of a picture from the brightness of its fields."""
    assert len(fields) == BITS
    return sum(1 << i for i, value in enumerate(fields) if value > (DARK + BRIGHT) / 2)
